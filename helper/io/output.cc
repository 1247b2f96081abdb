// SPDX-License-Identifier: BSD-3-Clause
#include "io/output.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "io/message.h"
#include "pbstoken/base/json.h"

namespace pbstoken {

namespace {

constexpr int kPatience = 4000;  // ms

bool append_value(Buffer *out, const Field &field, bool as_json) {
  if (field.is_null) {
    return out->append(as_json ? "null" : "-");
  }
  if (field.flag) {
    return out->append(*field.flag ? (as_json ? "true" : "yes")
                                   : (as_json ? "false" : "no"));
  }
  if (field.number && field.is_size && !as_json) {
    return out->append(size_text(*field.number).view());
  }
  if (field.number && field.is_key && !as_json) {
    return out->append(key_text(static_cast<key_t>(*field.number)).view());
  }
  if (field.number) {
    return out->append(FixedText<20>().append(*field.number).view());
  }
  return as_json ? append_json_string(out, field.text)
                 : out->append(field.text);
}

using Name = FixedText<64>;

// Calls visit(name, field) for each field that has a value, in their order;
// false as soon as that returns it.
template <typename Visit>
bool for_each_value(std::span<const Field> fields, const Name &before,
                    const Visit &visit) {
  for (const Field &field : fields) {
    Name name = before;
    name.append(field.name);
    if (!(field.fields.empty()
              ? visit(name.view(), field)
              : for_each_value(field.fields, name.append("."), visit))) {
      return false;
    }
  }
  return true;
}

bool append_text(Buffer *out, std::span<const Field> fields) {
  std::size_t widest = 0;
  for_each_value(fields, Name(),
                 [&widest](std::string_view name, const Field & /*field*/) {
                   widest = std::max(widest, name.size());
                   return true;
                 });
  return for_each_value(
      fields, Name(), [&](std::string_view name, const Field &field) {
        bool ok = out->append(name) && out->append(": ");
        for (std::size_t i = name.size(); ok && i < widest; ++i) {
          ok = out->append(" ");
        }
        return ok && append_value(out, field, /*as_json=*/false) &&
               out->append("\n");
      });
}

}  // namespace

FixedText<16> key_text(key_t key) {
  const auto number = static_cast<std::uint32_t>(key);
  FixedText<16> text("0x");
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    text.append_hex(static_cast<std::uint8_t>(number >> shift));
  }
  return text;
}

FixedText<31> size_text(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 4> kUnits = {" KiB", " MiB", " GiB",
                                                      " TiB"};
  constexpr std::uint64_t kStep = 1024;
  FixedText<31> text;
  if (bytes < kStep) {
    text.append(bytes).append(" B");
    return text;
  }
  const auto *unit = kUnits.begin();
  std::uint64_t tenths =
      bytes / kStep * 10 + (bytes % kStep * 10 + kStep / 2) / kStep;
  while (tenths >= kStep * 10 && unit + 1 != kUnits.end()) {
    tenths = (tenths + kStep / 2) / kStep;
    ++unit;
  }
  text.append(tenths / 10).append(".").append(tenths % 10).append(*unit);
  return text;
}

bool append_json_object(Buffer *out, std::span<const Field> fields, bool pretty,
                        std::string_view indent, bool is_array) {
  FixedText<16> inner(indent);
  inner.append("  ");
  bool ok = out->append(is_array ? "[" : "{");
  for (std::size_t i = 0; ok && i < fields.size(); ++i) {
    const Field &field = fields[i];
    ok = out->append(i == 0 ? "" : ",") &&
         (!pretty || (out->append("\n") && out->append(inner.view()))) &&
         (is_array || (append_json_string(out, field.name) &&
                       out->append(pretty ? ": " : ":"))) &&
         (field.fields.empty() && !field.is_array
              ? append_value(out, field, /*as_json=*/true)
              : append_json_object(out, field.fields, pretty, inner.view(),
                                   field.is_array));
  }
  const bool is_spread = pretty && !fields.empty();
  return ok && (!is_spread || (out->append("\n") && out->append(indent))) &&
         out->append(is_array ? "]" : "}");
}

bool print_fields(std::span<const Field> fields, OutputFormat format) {
  Buffer out;  // wiped: a field may be a secret
  const bool made =
      format == OutputFormat::kText
          ? append_text(&out, fields)
          : append_json_object(&out, fields,
                               format == OutputFormat::kJsonPretty, "") &&
                out.append("\n");
  if (!made) {
    errno = ENOMEM;
    return false;
  }
  return print(out.view());
}

Error output_error() {
  return system_error("cannot write to", "standard output");
}

bool print(std::string_view text) {
  // A pipe without a reader is no reason to stay for ever.
  pollfd standard_output = {
      .fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  const int ready = poll(&standard_output, 1, kPatience);
  if (ready <= 0) {
    errno = ready == 0 ? ETIMEDOUT : errno;
    return false;
  }
  return write_all(STDOUT_FILENO, text);
}

}  // namespace pbstoken
