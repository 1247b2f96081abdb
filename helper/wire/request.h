// SPDX-License-Identifier: BSD-3-Clause
// Requests, as they come from the module.  parse_*() are functions of bytes
// alone.
#ifndef PBSTOKEN_REQUEST_H_
#define PBSTOKEN_REQUEST_H_

#include <sys/types.h>

#include <cstddef>
#include <string_view>

#include "io/command.h"
#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"
#include "pbstoken/verify/helper_protocol.h"

namespace pbstoken {

// A request.  Token id and secret are views into the bytes.
struct Request {
  CommandLine line;  // verify, account or rotate, to be replied to
  std::string_view secret;
  std::uint64_t directory_device = 0;  // both 0: the module sees no directory
  std::uint64_t directory_inode = 0;
  uid_t real_uid = 0;  // of the process that asks
};

// Returns the size in bytes of the body that follows a head of kRequestHead
// bytes; kOtherVersion if the head is of another version, kMalformed if it
// announces more than kMaxRequestBody.
Result<std::size_t> parse_request_head(std::string_view head);

// Returns kMalformed unless it is a request to the last byte: one of the three
// commands, no unknown flag, a store name, a host without NUL, a token id, a
// secret of at most kMaxRequestSecret bytes.
Result<Request> parse_request_body(std::string_view body);

// How long, in seconds, a request may take to arrive.
constexpr std::uint64_t kRequestSeconds = 5;

// Reads the body of the one request on standard input, in kRequestSeconds.
Result<Buffer> receive_request();

// Reads a line from standard input, without its newline.  Returns kTimedOut if
// it has not come by `deadline`, see deadline_in().
Result<Buffer> receive_line(std::uint64_t deadline);

}  // namespace pbstoken

#endif  // PBSTOKEN_REQUEST_H_
