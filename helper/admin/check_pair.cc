// SPDX-License-Identifier: BSD-3-Clause
#include <sys/stat.h>

#include "admin/check.h"
#include "pbstoken/store/token_shadow.h"
#include "pbstoken/store/user_cfg.h"

namespace pbstoken {

namespace {

bool is_missing(const PathText &path) {
  struct stat status = {};
  return stat(path.c_str(), &status) != 0 && errno == ENOENT;
}

void add_half(Problems *problems, const PathText &path, std::string_view id,
              std::string_view what, std::uint64_t line = 0) {
  ProblemText text;
  append_id(&text, id);
  text.append(what);
  problems->add(path.view(), text.view(), {.line = line});
}

void check_sections(const Store &store, const TokenShadow &shadow,
                    const UserCfg &cfg, Problems *problems) {
  for (const UserCfg::Section &token : cfg.tokens()) {
    if (!shadow.find(token.id)) {
      add_half(problems, store.user_cfg, token.id,
               ": a section and no secret: it lets nothing in; make one with "
               "pbstoken-helper generate, or run pbstoken token remove",
               token.line);
    }
  }
}

void check_secrets(const Store &store, const TokenShadow &shadow,
                   const UserCfg &cfg, Problems *problems) {
  for (const TokenShadow::Entry &entry : shadow.entries()) {
    // Of several of one name the last counts.
    const bool counts =
        shadow.find(entry.token_id)->data() == entry.stored_hash.data();
    const auto id = parse_token_id(entry.token_id);
    if (counts && id && cfg.find_token(id->text) == nullptr) {
      add_half(problems, store.token_shadow, id->text,
               ": a secret and no section in user.cfg: Proxmox and account "
               "rules refuse it; run pbstoken token add, or token remove");
    }
  }
}

}  // namespace

void check_pair(const Store &store, Problems *problems) {
  if (store.user_cfg.empty()) {
    return;
  }
  const auto shadow = TokenShadow::read(store.token_shadow);
  const auto cfg = UserCfg::read(store.user_cfg);
  // What cannot be read is reported elsewhere.
  if (!shadow || !cfg) {
    return;
  }
  if (is_missing(store.user_cfg) && !shadow->entries().empty()) {
    problems->add(store.user_cfg.view(),
                  "is not there, and there are tokens: the account rules let "
                  "none of them in; restore it, or set user_cfg to nothing");
    return;
  }
  if (is_missing(store.token_shadow) && !cfg->tokens().empty()) {
    problems->add(store.token_shadow.view(),
                  "is not there, and user.cfg has tokens: none of them has a "
                  "secret; restore it, or make new ones");
    return;
  }
  check_sections(store, *shadow, *cfg, problems);
  check_secrets(store, *shadow, *cfg, problems);
}

}  // namespace pbstoken
