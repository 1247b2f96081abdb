// SPDX-License-Identifier: BSD-3-Clause
// fail_limit: how many wrong secrets of one client are hashed for one token.
//
// A window begins with the first finished mismatch for a token id, a remote
// host and a calling user, and ends fail_window seconds later.  Once it holds
// fail_limit mismatches, no secret of that client is hashed until it ends: the
// right one, too, is refused then.  What the segment knows is answered by the
// segment, and does not count.  Hashes that are under way by then are finished,
// and counted.  The next window begins with the next mismatch.  So across the
// end of a window up to twice fail_limit secrets are hashed, and those that
// were under way.
//
// A remote host is an address or a name; a port behind it is no part of it.  An
// IPv4 address counts as itself, an IPv6 address as its /64, since any client
// has as many of those as it likes.  An IPv6 address that stands for an IPv4
// address (mapped, NAT64 with the well-known prefix, 6to4) counts as that: one
// /64 has them all.
//
// The windows are tallies (tally.h) in a segment of their own that only root
// attaches.  A window for which there is no room is forgotten: the gate
// (hash_gate.h) bounds what that costs.
//
// A window's tag has 32 bits of its token, by which the windows of one token
// are found, and 31 bits of token and client together.  Both are of a digest
// under a random key that lies beside the windows.  No client can work out
// which windows share a tag or a place with its own, so it can only guess, at
// the price of fail_limit hashes.  If the table is full of windows of one
// token, the chance that one of them has another client's tag is 1 in 130,000.
//
// Where the segment cannot be had, services of root have their windows in a
// file (limits_file.h), fewer, of the same limit.  Where there can be no file,
// each process keeps windows of its own; and a helper that runs once for a
// remote host hashes nothing (lost()).  So a client has fail_limit mismatches
// in each process that it reaches at the most, and never any number.
//
// Thread safety: any thread may call the functions; one thread per object.
#ifndef PBSTOKEN_FAIL_LIMIT_H_
#define PBSTOKEN_FAIL_LIMIT_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/limits/client.h"
#include "pbstoken/limits/limits_file.h"
#include "pbstoken/limits/named_segment.h"
#include "pbstoken/os/attachments.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// Returns the segment of the windows of a store, which it does not make.
NamedSegment failures_segment(const Store &store);

// The open windows of one token, of all clients together: the windows do not
// tell which clients these are.
struct TokenFailures {
  std::uint64_t clients = 0;     // that have a window
  std::uint64_t throttled = 0;   // of these, those that have reached the limit
  std::uint64_t mismatches = 0;  // in all of them
  std::uint64_t seconds = 0;     // until no client is throttled
};

// Returns the open windows of a token; of all tokens together if token_id is
// empty.  For root.  Without the segment there are no windows, and it is not
// made.  Returns an error if the segment is there and cannot be had.
Result<TokenFailures> failures_of(const Store &store,
                                  std::string_view token_id);

// Does the same, and ends the windows, in all processes that use the segment.
// Returns what there was.
Result<TokenFailures> end_failures(const Store &store,
                                   std::string_view token_id);

// The windows of one token and one client.
class FailLimit {
 public:
  // `store` must outlive the object.  Three cases have no limit: there is no
  // PAM_RHOST (the gate alone bounds that), the process is not root, or
  // fail_limit is 0.
  FailLimit(const Store &store, std::string_view token_id,
            const Client &client);

  // Returns why the segment cannot be had; nullopt if it can, or is not wanted.
  [[nodiscard]] const std::optional<Error> &lost() const { return lost_; }

  // True if the client has reached the limit in a window that is open.
  [[nodiscard]] bool is_reached() const;

  // Counts one more mismatch.  The hash was computed to its end.
  void count() const;

 private:
  const Store &store_;
  bool is_on_;
  std::uint64_t tag_ = 0;
  AttachmentUse attachment_;
  LimitsFile file_;  // instead of it
  std::optional<Error> lost_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_FAIL_LIMIT_H_
