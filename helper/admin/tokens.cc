// SPDX-License-Identifier: BSD-3-Clause
#include "admin/tokens.h"

#include <algorithm>
#include <functional>
#include <tuple>

#include "pbstoken/store/stored_hash.h"
#include "pbstoken/verify/outcome.h"

namespace pbstoken {

namespace {

// Compares user, realm and name, and not the text: '0' to '9' come before '@',
// so that would put user10 before user1.
bool is_before(const TokenRow &a, const TokenRow &b) {
  const auto key = [](const TokenRow &row) {
    const auto id = parse_token_id(row.token_id);
    return id ? std::tuple(id->user, id->realm, id->name)
              : std::tuple(row.token_id, std::string_view(),
                           std::string_view());
  };
  return a.token_id != b.token_id ? key(a) < key(b)
                                  : std::less<>()(a.secret, b.secret);
}

// Returns nullopt if the store has no account data.
Result<std::optional<UserCfg>> read_accounts(const Store &store) {
  if (store.user_cfg.empty()) {
    return std::optional<UserCfg>();
  }
  auto cfg = UserCfg::read(store.user_cfg);
  if (!cfg) {
    return cfg.error();
  }
  return std::optional<UserCfg>(std::move(*cfg));
}

}  // namespace

std::string_view method_of(const TokenRow &row) {
  return row.secret != nullptr ? hash_method(row.secret->stored_hash)
                               : std::string_view();
}

bool is_bad_hash(const TokenRow &row) {
  return row.secret != nullptr && method_of(row).empty();
}

bool is_old(const TokenRow &row) {
  return row.secret != nullptr && is_old_hash(row.secret->stored_hash);
}

Result<Tokens> Tokens::read(const Store &store) {
  auto shadow = TokenShadow::read(store.token_shadow);
  if (!shadow) {
    return shadow.error();
  }
  auto accounts = read_accounts(store);
  if (!accounts) {
    return accounts.error();
  }
  Tokens tokens(std::move(*shadow), std::move(*accounts));
  if (const auto made = tokens.make_rows(); !made) {
    return made.error();
  }
  return tokens;
}

// Of several secrets the last one counts: the entries stand in the order of the
// file, and a row without a secret is first.
Result<void> Tokens::make_rows() {
  List<TokenRow> all;
  bool ok = true;
  for (const TokenShadow::Entry &entry : shadow_.entries()) {
    ok = ok && (!parse_token_id(entry.token_id) ||
                all.append({.token_id = entry.token_id,
                            .secret = &entry,
                            .section = nullptr}));
  }
  const auto sections =
      accounts_ ? accounts_->tokens() : std::span<const UserCfg::Section>();
  for (const UserCfg::Section &section : sections) {
    ok = ok &&
         all.append(
             {.token_id = section.id, .secret = nullptr, .section = &section});
  }
  const auto sorted = all.mutable_items();
  std::sort(sorted.begin(), sorted.end(), is_before);
  for (const TokenRow &row : sorted) {
    const auto kept = rows_.mutable_items();
    if (!kept.empty() && kept.back().token_id == row.token_id) {
      kept.back().secret = row.secret;
    } else {
      ok = ok && rows_.append(row);
    }
  }
  return ok ? Result<void>() : no_memory("cannot list tokens");
}

TokenState Tokens::state_of(const TokenRow &row, std::uint64_t now) const {
  if (row.secret == nullptr) {
    return TokenState::kNoSecret;
  }
  if (is_bad_hash(row)) {
    return TokenState::kBadHash;
  }
  if (!accounts_) {
    return TokenState::kActive;
  }
  const AccountVerdict verdict =
      accounts_->judge(*parse_token_id(row.token_id));
  switch (outcome_of(verdict, now)) {
    case Outcome::kAllowed:
      return TokenState::kActive;
    case Outcome::kExpired:
      return TokenState::kExpired;
    case Outcome::kUserDisabled:
      return TokenState::kUserDisabled;
    case Outcome::kTokenDisabled:
      return TokenState::kDisabled;
    case Outcome::kNoUserSection:
      // user.cfg may know the token's section, or neither of the two.
      return row.section == nullptr ? TokenState::kNoSection
                                    : TokenState::kNoUser;
    default:
      return TokenState::kNoSection;
  }
}

}  // namespace pbstoken
