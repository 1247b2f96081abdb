// SPDX-License-Identifier: BSD-3-Clause
// The tokens of a store: what has a secret in token.shadow, a section in
// user.cfg, or both; and which of them count.
//
// Members of token.shadow with names that are no token ids are left out: they
// might be anything.  One thread per object, which owns the content of both
// files.
#ifndef PBSTOKEN_TOKENS_H_
#define PBSTOKEN_TOKENS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "pbstoken/base/list.h"
#include "pbstoken/store/store.h"
#include "pbstoken/store/token_shadow.h"
#include "pbstoken/store/user_cfg.h"

namespace pbstoken {

struct TokenRow {
  std::string_view token_id;
  const TokenShadow::Entry *secret;  // null: it has none
  const UserCfg::Section *section;   // null: it has none
};

// The first thing to mend, if the token does not count.
enum class TokenState : std::uint8_t {
  kActive,
  kNoSecret,
  kBadHash,
  kNoSection,
  kNoUser,
  kUserDisabled,
  kDisabled,
  kExpired
};

// What the user calls each of them, in their order.
inline constexpr auto kTokenStates = std::to_array<std::string_view>(
    {"active", "no-secret", "bad-hash", "no-section", "no-user",
     "user-disabled", "disabled", "expired"});

// Returns the method of the stored hash; empty without a secret, and if the
// hash is of no use.
std::string_view method_of(const TokenRow &row);
// True if the token has a secret, and its stored hash is of no use.
bool is_bad_hash(const TokenRow &row);
// True if the token has a secret, and is_old_hash() of its stored hash.
bool is_old(const TokenRow &row);

class Tokens {
 public:
  // Returns the tokens of a store.  Returns an error if one of its files cannot
  // be read.
  static Result<Tokens> read(const Store &store);

  // Returns the tokens, sorted by user, realm and name; one for each id.
  [[nodiscard]] std::span<const TokenRow> rows() const { return rows_.items(); }

  // Returns false for a store without account data: then each secret counts.
  [[nodiscard]] bool has_accounts() const { return accounts_.has_value(); }

  // Returns the state of a row of this object.  now: seconds since the epoch.
  [[nodiscard]] TokenState state_of(const TokenRow &row,
                                    std::uint64_t now) const;

 private:
  Tokens(TokenShadow shadow, std::optional<UserCfg> accounts)
      : shadow_(std::move(shadow)), accounts_(std::move(accounts)) {}

  Result<void> make_rows();

  TokenShadow shadow_;
  std::optional<UserCfg> accounts_;
  List<TokenRow> rows_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_TOKENS_H_
