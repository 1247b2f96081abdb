// SPDX-License-Identifier: BSD-3-Clause
// A request in one piece, as it comes over the socket from anybody who may
// connect to it.  Functions of bytes alone.
#ifndef PBSTOKEN_REQUEST_H_
#define PBSTOKEN_REQUEST_H_

#include <cstddef>
#include <string_view>

#include "io/command.h"
#include "pbstoken/base/result.h"
#include "pbstoken/verify/helper_protocol.h"

namespace pbstoken {

// Both parts are views into the bytes.
struct Request {
  CommandLine line;  // verify, account or rotate, to be replied to
  std::string_view secret;
};

// The size of the body that follows a head of kRequestHead bytes; kMalformed if
// it is none, of another version, or announces more than kMaxRequestBody.
Result<std::size_t> parse_request_head(std::string_view head);

// kMalformed unless it is a request to the last byte: one of the three
// commands, no unknown flag, a store name, a host without NUL, a token id, a
// secret of at most kMaxRequestSecret bytes.
Result<Request> parse_request_body(std::string_view body);

}  // namespace pbstoken

#endif  // PBSTOKEN_REQUEST_H_
