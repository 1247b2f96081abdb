// SPDX-License-Identifier: BSD-3-Clause
#include "wire/request.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>

#include "pbstoken/base/secret.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/wait.h"

namespace pbstoken {

namespace {

Error malformed(const char *why) {
  return plain_error(Errc::kMalformed, "cannot use the request", {}, why);
}

template <typename Number>
std::optional<Number> take_number(std::string_view *rest) {
  Number number{};
  if (rest->size() < sizeof(number)) {
    return std::nullopt;
  }
  std::memcpy(&number, rest->data(), sizeof(number));
  rest->remove_prefix(sizeof(number));
  return number;
}

std::optional<std::string_view> take_field(std::string_view *rest) {
  const auto size = take_number<std::uint16_t>(rest);
  if (!size || *size > rest->size()) {
    return std::nullopt;
  }
  const std::string_view field = slice(*rest, 0, *size);
  rest->remove_prefix(*size);
  return field;
}

std::optional<Command> command_of(std::uint8_t number) {
  switch (static_cast<HelperCommand>(number)) {
    case HelperCommand::kVerify:
      return Command::kVerify;
    case HelperCommand::kAccount:
      return Command::kAccount;
    case HelperCommand::kRotate:
      return Command::kRotate;
  }
  return std::nullopt;
}

}  // namespace

Result<std::size_t> parse_request_head(std::string_view head) {
  const auto word = take_number<std::uint64_t>(&head);
  const auto size = take_number<std::uint32_t>(&head);
  if (!word || !size || !head.empty() || *word != request_word()) {
    Error error = malformed("not of this version");
    error.code = Errc::kOtherVersion;
    return error;
  }
  if (*size > kMaxRequestBody) {
    return malformed("too long");
  }
  return std::size_t{*size};
}

Result<Request> parse_request_body(std::string_view body) {
  const auto number = take_number<std::uint8_t>(&body);
  const auto flags = take_number<std::uint8_t>(&body);
  const auto device = take_number<std::uint64_t>(&body);
  const auto inode = take_number<std::uint64_t>(&body);
  const auto real_uid = take_number<std::uint32_t>(&body);
  std::array<std::optional<std::string_view>, 4> fields;
  for (auto &field : fields) {
    field = take_field(&body);
  }
  const auto &[store, host, id_text, secret] = fields;
  if (!number || !flags || !device || !inode || !real_uid || !store || !host ||
      !id_text || !secret || !body.empty()) {
    return malformed("its fields do not fill it");
  }
  const auto command = command_of(*number);
  if (!command || (*flags & ~kNoCacheFlag) != 0) {
    return malformed("no such command or flag");
  }
  const auto id = parse_token_id(*id_text);
  if (!is_store_name(*store) || host->size() > kMaxRequestHost ||
      host->find('\0') != std::string_view::npos || !id ||
      id_text->size() > kMaxRequestId || secret->size() > kMaxRequestSecret) {
    return malformed("a field is not what it must be");
  }
  Request request;
  request.line.command = *command;
  request.line.replies = true;
  request.line.nocache = (*flags & kNoCacheFlag) != 0;
  request.line.store = FixedText<32>(*store);
  request.line.remote_host = FixedText<255>(*host);
  request.line.token_id = *id;
  request.secret = *secret;
  request.directory_device = *device;
  request.directory_inode = *inode;
  request.real_uid = *real_uid;
  return request;
}

// --- receiving them

namespace {

constexpr std::size_t kLongestLine = kMaxSecret + 2;

Error broken(const char *why) {
  return plain_error(Errc::kMalformed, "cannot read the request", {}, why);
}

// Reads at most size bytes more; the end of the input is an error.
Result<void> receive_some(std::size_t size, std::uint64_t deadline,
                          Buffer *out) {
  if (!wait_until(deadline, STDIN_FILENO, POLLIN)) {
    Error error = system_error("cannot read the request", {});
    error.code = errno == ETIMEDOUT ? Errc::kTimedOut : error.code;
    return error;
  }
  const ssize_t count = read(STDIN_FILENO, out->free_space(), size);
  if (count < 0) {
    return system_error("cannot read the request", {});
  }
  if (count == 0) {
    return broken("it ends too early");
  }
  out->add_filled(static_cast<std::size_t>(count));
  return {};
}

// Reads so many bytes more.
Result<void> receive_exactly(std::size_t size, std::uint64_t deadline,
                             Buffer *out) {
  if (!out->reserve(out->size() + size)) {
    return no_memory("cannot read the request");
  }
  for (const std::size_t end = out->size() + size; out->size() < end;) {
    if (const auto some = receive_some(end - out->size(), deadline, out);
        !some) {
      return some.error();
    }
  }
  return {};
}

}  // namespace

Result<Buffer> receive_line(std::uint64_t deadline) {
  Buffer line;
  if (!line.reserve(kLongestLine)) {
    return no_memory("cannot read the request");
  }
  while (!line.view().ends_with('\n')) {
    if (line.size() == kLongestLine) {
      return broken("its line is too long");
    }
    if (const auto some =
            receive_some(kLongestLine - line.size(), deadline, &line);
        !some) {
      return some.error();
    }
  }
  line.drop_last();
  return line;
}

Result<Buffer> receive_request() {
  const std::uint64_t deadline = deadline_in(kRequestSeconds);
  Buffer head;
  if (const auto came = receive_exactly(kRequestHead, deadline, &head); !came) {
    return came.error();
  }
  const auto size = parse_request_head(head.view());
  if (!size) {
    return size.error();
  }
  Buffer body;
  if (const auto came = receive_exactly(*size, deadline, &body); !came) {
    return came.error();
  }
  return body;
}

}  // namespace pbstoken
