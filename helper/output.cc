// SPDX-License-Identifier: BSD-3-Clause
#include "output.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "message.h"
#include "pbstoken/buffer.h"
#include "pbstoken/json.h"
#include "pbstoken/text.h"

namespace pbstoken {

namespace {

constexpr int kPatience = 4000;  // ms

bool append_number(Buffer *out, std::uint64_t number) {
  return out->append(FixedText<20>().append(number).view());
}

bool append_json(Buffer *out, std::span<const Field> fields, bool pretty) {
  const std::string_view before = pretty ? "\n  " : "";
  bool ok = out->append("{");
  for (std::size_t i = 0; ok && i < fields.size(); ++i) {
    const Field &field = fields[i];
    ok = out->append(i == 0 ? "" : ",") && out->append(before) &&
         append_json_string(out, field.name) &&
         out->append(pretty ? ": " : ":") &&
         (field.is_null  ? out->append("null")
          : field.number ? append_number(out, *field.number)
                         : append_json_string(out, field.text));
  }
  return ok && out->append(pretty ? "\n}\n" : "}\n");
}

bool append_text(Buffer *out, std::span<const Field> fields) {
  std::size_t widest = 0;
  for (const Field &field : fields) {
    widest = field.name.size() > widest ? field.name.size() : widest;
  }
  bool ok = true;
  for (const Field &field : fields) {
    ok = ok && out->append(field.name) && out->append(": ");
    for (std::size_t i = field.name.size(); ok && i < widest; ++i) {
      ok = out->append(" ");
    }
    ok = ok &&
         (field.is_null  ? out->append("-")
          : field.number ? append_number(out, *field.number)
                         : out->append(field.text)) &&
         out->append("\n");
  }
  return ok;
}

}  // namespace

bool print_fields(std::span<const Field> fields, OutputFormat format) {
  Buffer out;  // wiped: a field may be a secret
  const bool made =
      format == OutputFormat::kText
          ? append_text(&out, fields)
          : append_json(&out, fields, format == OutputFormat::kJsonPretty);
  if (!made) {
    errno = ENOMEM;
    return false;
  }
  // A pipe that nobody reads is no reason to stay for ever.
  pollfd standard_output = {
      .fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  const int ready = poll(&standard_output, 1, kPatience);
  if (ready <= 0) {
    errno = ready == 0 ? ETIMEDOUT : errno;
    return false;
  }
  return write_all(STDOUT_FILENO, out.view());
}

}  // namespace pbstoken
