// SPDX-License-Identifier: BSD-3-Clause
// The token id that authentication leaves in a PAM handle: for account, which
// may come with another user name (map_user, combined), and as PBSTOKEN_ID in
// the PAM environment for the service.
#ifndef PBSTOKEN_VERIFIED_H_
#define PBSTOKEN_VERIFIED_H_

#include <security/pam_modules.h>

#include <optional>
#include <string_view>

namespace pbstoken {

// A token, and the store that has verified it: another one may have the same
// id.  Views into what the handle keeps.
struct VerifiedToken {
  std::string_view configuration;  // the path of the store's
  std::string_view id;

  bool operator==(const VerifiedToken &) const = default;
};

// What one attempt to authenticate leaves in the handle: the token that it has
// verified itself, or no token.  The destructor forgets the token of an earlier
// attempt, unless set() has succeeded.
class VerifiedTokenId {
 public:
  explicit VerifiedTokenId(pam_handle_t *pamh) : pamh_(pamh) {}
  VerifiedTokenId(const VerifiedTokenId &) = delete;
  VerifiedTokenId &operator=(const VerifiedTokenId &) = delete;
  ~VerifiedTokenId() {
    if (!is_set_) {
      forget();
    }
  }

  // Leaves this token in the handle.  Returns false without memory.
  [[nodiscard]] bool set(const VerifiedToken &token);
  // Leaves no token in the handle.
  void forget();

 private:
  pam_handle_t *pamh_;
  bool is_set_ = false;
};

// Returns nullopt if this handle has verified no token.
std::optional<VerifiedToken> verified_token(const pam_handle_t *pamh);

}  // namespace pbstoken

#endif  // PBSTOKEN_VERIFIED_H_
