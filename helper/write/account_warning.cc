// SPDX-License-Identifier: BSD-3-Clause
#include "write/account_warning.h"

#include "io/message.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/store/user_cfg.h"
#include "pbstoken/verify/outcome.h"

namespace pbstoken {

namespace {

using Warning = FixedText<1500>;

// True if the id means itself between the quotes of a shell, as it is shown.
bool can_be_pasted(std::string_view id) {
  return id.find('\'') == std::string_view::npos &&
         FixedText<700>().append_escaped(id).view() == id;
}

// What a person can paste.
void append_command(Warning *out, const Store &store, std::string_view command,
                    std::string_view id) {
  out->append("run pbstoken ");
  if (store.name.view() != kDefaultStore) {
    out->append("--store ").append(store.name.view()).append(" ");
  }
  out->append(command).append(" -- '").append_escaped(id).append("'");
}

// The user or the token that is kept out, and why.
void append_reason(Warning *out, const Store &store, const TokenId &id,
                   Outcome outcome) {
  const bool is_user =
      outcome == Outcome::kNoUserSection || outcome == Outcome::kUserDisabled;
  if (outcome == Outcome::kNoUserSection ||
      outcome == Outcome::kNoTokenSection) {
    out->append_escaped(store.user_cfg.view()).append(" has no section of ");
  }
  out->append(is_user ? "the user " : "the token ");
  out->append_escaped(is_user ? user_id_of(id) : id.text);
  if (outcome == Outcome::kExpired) {
    out->append(" or its user has expired");
  } else if (outcome == Outcome::kUserDisabled ||
             outcome == Outcome::kTokenDisabled) {
    out->append(" is disabled");
  }
}

void append_advice(Warning *out, const Store &store, const TokenId &id,
                   const UserCfg &cfg, Outcome outcome) {
  const std::string_view user = user_id_of(id);
  if (!can_be_pasted(id.text)) {
    out->append("see pbstoken(8)");
    return;
  }
  switch (outcome) {
    case Outcome::kUserDisabled:
      append_command(out, store, "user enable", user);
      return;
    case Outcome::kTokenDisabled:
      append_command(out, store, "token enable", id.text);
      return;
    case Outcome::kExpired:
      append_command(out, store, "token expire", id.text);
      out->append(" never, or the same with user expire");
      return;
    case Outcome::kNoUserSection:
      append_command(out, store, "user add", user);
      if (cfg.find_token(id.text) != nullptr) {
        return;
      }
      out->append(", then ");
      break;
    default:
      break;
  }
  append_command(out, store, "token add", id.text);
  out->append(", which makes another secret");
}

}  // namespace

void warn_if_kept_out(const Store &store, const TokenId &id) {
  if (store.user_cfg.empty()) {
    return;
  }
  Warning warning("warning: ");
  const auto cfg = UserCfg::read(store.user_cfg);
  if (!cfg) {
    warning.append("cannot tell whether the token will work at Proxmox: ");
    warning.append(describe(cfg.error()).view()).append("; run pbstoken check");
    complain(warning.view());
    return;
  }
  const Outcome outcome = outcome_of(cfg->judge(id), epoch_seconds());
  if (outcome == Outcome::kAllowed) {
    return;
  }
  append_reason(&warning, store, id, outcome);
  warning.append(
      ": it will work neither at Proxmox nor where account rules are asked; ");
  append_advice(&warning, store, id, *cfg, outcome);
  complain(warning.view());
}

void warn_if_user_is_kept_out(const Store &store, std::string_view user_id) {
  const auto cfg = UserCfg::read(store.user_cfg);
  const UserCfg::Section *user = cfg ? cfg->find_user(user_id) : nullptr;
  if (user == nullptr) {
    return;
  }
  const bool has_expired =
      user->expires != 0 && user->expires <= epoch_seconds();
  if (user->enabled && !has_expired) {
    return;
  }
  Warning warning("warning: the user ");
  warning.append_escaped(user_id);
  warning.append(has_expired ? " has expired" : " is disabled");
  warning.append(
      ": its tokens work neither at Proxmox nor where account rules "
      "are asked; ");
  if (!can_be_pasted(user_id)) {
    warning.append("see pbstoken(8)");
  } else if (has_expired) {
    append_command(&warning, store, "user expire", user_id);
    warning.append(" never");
  } else {
    append_command(&warning, store, "user enable", user_id);
  }
  complain(warning.view());
}

}  // namespace pbstoken
