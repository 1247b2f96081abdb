// SPDX-License-Identifier: BSD-3-Clause
#include "account_warning.h"

#include "io/message.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/store/user_cfg.h"
#include "pbstoken/verify/outcome.h"

namespace pbstoken {

namespace {

using Warning = FixedText<1500>;

// Other products have other commands, or none; and a name with a quote is not
// what a person should paste.
bool has_commands(const Store &store, const TokenId &id) {
  return store.user_cfg.view().starts_with("/etc/proxmox-backup/") &&
         id.text.find('\'') == std::string_view::npos;
}

void append_generate_token(Warning *out, const TokenId &id) {
  out->append("proxmox-backup-manager user generate-token '");
  out->append_escaped(user_id_of(id)).append("' '").append(id.name);
  out->append("', which makes another secret");
}

// What gives the token, or its user, a section.
void append_how_to_make(Warning *out, const Store &store, const TokenId &id,
                        const UserCfg &cfg) {
  if (!has_commands(store, id)) {
    out->append("make it in Proxmox's own interface");
    return;
  }
  out->append("run ");
  const bool has_user = cfg.find_user(user_id_of(id)) != nullptr;
  const bool has_section = cfg.find_token(id.text) != nullptr;
  if (!has_user) {
    out->append("proxmox-backup-manager user create '");
    out->append_escaped(user_id_of(id)).append("'");
    out->append(has_section ? "" : " and ");
  }
  if (!has_section) {
    append_generate_token(out, id);
  }
}

void append_how_to_enable_user(Warning *out, const Store &store,
                               const TokenId &id) {
  if (!has_commands(store, id)) {
    out->append("enable it in Proxmox's own interface");
    return;
  }
  out->append("run proxmox-backup-manager user update '");
  out->append_escaped(user_id_of(id)).append("' --enable 1");
}

// Who is kept out, and why.
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
  switch (outcome) {
    case Outcome::kUserDisabled:
      append_how_to_enable_user(out, store, id);
      break;
    case Outcome::kTokenDisabled:
      out->append("enable it in Proxmox's own interface");
      break;
    case Outcome::kExpired:
      out->append("change that in Proxmox's own interface");
      break;
    default:
      append_how_to_make(out, store, id, cfg);
  }
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
  const Outcome outcome =
      outcome_of(cfg->judge(id), realtime_now() / kNanosecondsPerSecond);
  if (outcome == Outcome::kAllowed) {
    return;
  }
  append_reason(&warning, store, id, outcome);
  warning.append(
      ": it will work neither at Proxmox nor where account rules are asked; ");
  append_advice(&warning, store, id, *cfg, outcome);
  complain(warning.view());
}

}  // namespace pbstoken
