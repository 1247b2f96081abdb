// SPDX-License-Identifier: BSD-3-Clause
// fail_limit: how many wrong secrets one client may have hashed for one token.
//
// A window begins with the first finished mismatch for a token id, a remote
// host and a calling user, and ends fail_window seconds later; once it holds
// fail_limit of them, further secrets of that client are refused unhashed until
// it ends.  Hashes that are under way by then are finished, and counted.
//
// The windows live in a segment of their own that only root attaches.  They are
// numbers that processes add to without waiting for each other, so nobody's
// death or stop leaves more behind than a count.  What the segment cannot hold
// is forgotten, the oldest window of a bucket first: the gate (hash_gate.h)
// bounds what that costs.
#ifndef PBSTOKEN_FAIL_LIMIT_H_
#define PBSTOKEN_FAIL_LIMIT_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/os/attachments.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// The key of a store's windows.
key_t failures_key(const Store &store);

// Who asks, as far as this host can tell.
struct Client {
  std::string_view rhost;       // PAM_RHOST; empty: not known
  std::optional<uid_t> caller;  // whom the helper runs for; nothing: root
};

// One thread per object.
class FailLimit {
 public:
  // `store` must outlive the object.  Nothing is limited without PAM_RHOST (the
  // gate alone bounds that), by a process that is not root, with a fail_limit
  // of 0, or without the segment.
  FailLimit(const Store &store, std::string_view token_id,
            const Client &client);

  [[nodiscard]] bool is_reached() const;

  // One more mismatch whose hash was computed to its end.
  void count() const;

 private:
  const Store &store_;
  std::uint64_t tag_ = 0;
  AttachmentUse attachment_;  // none: no limit
};

}  // namespace pbstoken

#endif  // PBSTOKEN_FAIL_LIMIT_H_
