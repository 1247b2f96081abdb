// SPDX-License-Identifier: BSD-3-Clause
// A request to the helper's socket: what is taken is what the module would have
// sent, to the last byte, and within its bounds; what the module sends is
// taken.
//
// Input: a choice.  0: the rest is a request as it is.  1: the rest is a body,
// behind the head that it needs.  2: lines with command, flag, store, host and
// token id, and the secret, which the module makes a request of.
#include <cstring>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "pbstoken/store/store.h"
#include "pbstoken/store/token_id.h"
#include "pbstoken/verify/helper_protocol.h"
#include "wire/request.h"

namespace pbstoken::fuzz {
namespace {

HelperCommand command_of(Command command) {
  switch (command) {
    case Command::kVerify:
      return HelperCommand::kVerify;
    case Command::kAccount:
      return HelperCommand::kAccount;
    case Command::kRotate:
      return HelperCommand::kRotate;
    default:
      require(false, "one of the module's commands");
      return HelperCommand::kVerify;
  }
}

void require_bounds(const Request &request) {
  const CommandLine &line = request.line;
  require(
      line.replies && line.config.empty() && line.format == OutputFormat::kText,
      "nothing but a request");
  require(is_store_name(line.store.view()) &&
              parse_token_id(line.token_id.text).has_value(),
          "store and token id are such");
  require(!line.remote_host.truncated() &&
              line.remote_host.view().find('\0') == std::string_view::npos &&
              line.remote_host.view().size() <= 255 &&
              line.token_id.text.size() <= kMaxRequestId &&
              request.secret.size() <= 1024,
          "no field is longer than it may be");
}

void test_bytes(std::string_view bytes) {
  const auto size = parse_request_head(bytes.substr(0, kRequestHead));
  if (!size) {
    return;
  }
  require(*size <= kMaxRequestBody, "a body has a limit");
  const std::string_view body = bytes.substr(kRequestHead);
  const auto request = parse_request_body(body);
  if (!request) {
    require(request.error().code == Errc::kMalformed,
            "what is refused is malformed");
    return;
  }
  require_bounds(*request);
  const CommandLine &line = request->line;
  const auto again =
      make_request({.command = command_of(line.command),
                    .nocache = line.nocache,
                    .store = line.store.view(),
                    .host = line.remote_host.view(),
                    .token_id = line.token_id.text,
                    .secret = request->secret,
                    .directory_device = request->directory_device,
                    .directory_inode = request->directory_inode,
                    .real_uid = request->real_uid});
  require(again && again->view().substr(kRequestHead) == body,
          "only what the module sends is taken");
  if (*size == body.size()) {
    require(again->view() == bytes, "and its head");
  }
}

void test_body(std::string_view body) {
  std::string bytes(kRequestHead, '\0');
  const std::uint64_t word = request_word();
  const auto size = static_cast<std::uint32_t>(body.size());
  std::memcpy(bytes.data(), &word, sizeof(word));
  std::memcpy(bytes.data() + sizeof(word), &size, sizeof(size));
  bytes.append(body);
  require(static_cast<bool>(parse_request_head(bytes.substr(0, kRequestHead))),
          "the head is one");
  test_bytes(bytes);
}

void test_fields(Input *input) {
  const HelperRequest wanted = {
      .command = static_cast<HelperCommand>(input->take_choice(5)),
      .nocache = input->take_choice(2) != 0,
      .store = input->take_line(),
      .host = input->take_line(),
      .token_id = input->take_line(),
      .secret = input->rest(),
      .directory_device = input->rest().size(),
      .directory_inode = ~std::uint64_t{0} - input->rest().size(),
      .real_uid = ~static_cast<std::uint32_t>(input->rest().size())};
  const auto made = make_request(wanted);
  const bool fits = wanted.host.size() <= 255 &&
                    wanted.token_id.size() <= kMaxRequestId &&
                    wanted.secret.size() <= 1024;
  require(static_cast<bool>(made) == fits, "what is not too long is sent");
  if (!made) {
    return;
  }
  const auto size = parse_request_head(made->view().substr(0, kRequestHead));
  require(size && *size == made->size() - kRequestHead, "its head is taken");
  const auto taken = parse_request_body(made->view().substr(kRequestHead));
  const auto number = static_cast<unsigned>(wanted.command);
  const bool good = number >= 1 && number <= 3 && is_store_name(wanted.store) &&
                    wanted.host.find('\0') == std::string_view::npos &&
                    parse_token_id(wanted.token_id);
  require(static_cast<bool>(taken) == good, "what means something is taken");
  if (taken) {
    require(command_of(taken->line.command) == wanted.command &&
                taken->line.nocache == wanted.nocache &&
                taken->line.store.view() == wanted.store &&
                taken->line.remote_host.view() == wanted.host &&
                taken->line.token_id.text == wanted.token_id &&
                taken->secret == wanted.secret &&
                taken->directory_device == wanted.directory_device &&
                taken->directory_inode == wanted.directory_inode &&
                taken->real_uid == wanted.real_uid,
            "what was sent arrives");
  }
}

}  // namespace
}  // namespace pbstoken::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data,
                                      std::size_t size) {
  using namespace pbstoken::fuzz;
  Input input(data, size);
  switch (input.take_choice(3)) {
    case 0:
      if (input.rest().size() >= pbstoken::kRequestHead) {
        test_bytes(input.rest());
      }
      break;
    case 1:
      test_body(input.rest());
      break;
    default:
      test_fields(&input);
      break;
  }
  return 0;
}
