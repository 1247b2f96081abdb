// SPDX-License-Identifier: BSD-3-Clause
// fail_limit: how many wrong secrets one client may have hashed for one token.
//
// A window begins with the first finished mismatch for a token id, a remote
// host and a calling user, and ends fail_window seconds later; once it holds
// fail_limit of them, further secrets of that client are refused unhashed until
// it ends.  Hashes that are under way by then are finished, and counted.  The
// next window begins with the next mismatch, so that across the end of one up
// to twice fail_limit are hashed, and those that were under way.
//
// A remote host is an address, which counts as an IPv4 address or as the /64 of
// an IPv6 one, since any client has as many of those as it likes; or a name.
//
// The windows are tallies (tally.h) in a segment of their own that only root
// attaches.  What that cannot hold is forgotten: the gate (hash_gate.h) bounds
// what that costs.
//
// A window's tag has 32 bits of its token, by which those of one token are
// found, and 31 of token and client together.  Both are of a digest under a
// random key that lies beside the windows: no client can work out which windows
// share a tag or a place with its own, so it can only guess, at the price of
// fail_limit hashes.  A full table of windows of one token has another client's
// tag with a chance of 1 in 130,000.
//
// Where the segment cannot be had, each process keeps windows of its own,
// fewer, of the same limit; and a helper that runs once for a remote host
// hashes nothing (lost()).  So a client has fail_limit mismatches in each
// process that it reaches, and never any number.
#ifndef PBSTOKEN_FAIL_LIMIT_H_
#define PBSTOKEN_FAIL_LIMIT_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/limits/client.h"
#include "pbstoken/limits/named_segment.h"
#include "pbstoken/os/attachments.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

NamedSegment failures_segment(const Store &store);

// The open windows of one token, of all clients together: which these are, the
// windows do not tell.
struct TokenFailures {
  std::uint64_t clients = 0;     // that have one
  std::uint64_t throttled = 0;   // of these, those that have reached the limit
  std::uint64_t mismatches = 0;  // in all of them
  std::uint64_t seconds = 0;     // until no client is throttled
};

// For root; token_id: empty for all tokens together.  Without the segment there
// are no windows, and it is not made.  An error if it is there and cannot be
// had.
Result<TokenFailures> failures_of(const Store &store,
                                  std::string_view token_id);

// The same, and ends them, in all processes that use the segment; returns what
// there was.
Result<TokenFailures> end_failures(const Store &store,
                                   std::string_view token_id);

// One thread per object.
class FailLimit {
 public:
  // `store` must outlive the object.  Nothing is limited without PAM_RHOST (the
  // gate alone bounds that), by a process that is not root, or with a
  // fail_limit of 0.
  FailLimit(const Store &store, std::string_view token_id,
            const Client &client);

  // Why the segment cannot be had, if it is wanted.
  [[nodiscard]] const std::optional<Error> &lost() const { return lost_; }

  [[nodiscard]] bool is_reached() const;

  // One more mismatch whose hash was computed to its end.
  void count() const;

 private:
  const Store &store_;
  bool is_on_;
  std::uint64_t tag_ = 0;
  AttachmentUse attachment_;
  std::optional<Error> lost_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_FAIL_LIMIT_H_
