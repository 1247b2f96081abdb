// SPDX-License-Identifier: BSD-3-Clause
#include "admin/check.h"

#include <utility>

#include "admin/check_access.h"
#include "admin/check_lock.h"
#include "admin/check_segment.h"
#include "admin/check_shadow.h"
#include "admin/problems.h"
#include "pbstoken/os/file.h"
#include "pbstoken/store/user_cfg.h"
#include "pbstoken/store/version_word.h"

namespace pbstoken {

namespace {

// That token.shadow is missing is no problem: then there are no tokens.
void check_token_shadow(const Store &store, AccessCheck *access,
                        Problems *problems) {
  const auto place = find_place(store.token_shadow);
  if (!place && place.error().code == Errc::kNotFound) {
    problems->add(store.token_shadow.view(), "its directory is not there");
    return;
  }
  if (const auto file = access->open(store.token_shadow, FileKind::kData);
      file) {
    check_shadow(file, store.token_shadow, problems);
  }
}

// Tokens whose user has no section, and so never count.
void check_users(const UserCfg &cfg, const PathText &path, Problems *problems) {
  for (const UserCfg::Section &token : cfg.tokens()) {
    const auto id = parse_token_id(token.id);
    if (id && cfg.find_user(user_id_of(*id)) == nullptr) {
      ProblemText what;
      append_id(&what, token.id);
      what.append(": there is no section of its user");
      problems->add(path.view(), what.view(), {.line = token.line});
    }
  }
}

// That it is missing is no problem: then nobody but root@pam is known.
void check_user_cfg(const PathText &path, AccessCheck *access,
                    Problems *problems) {
  if (path.empty()) {
    return;
  }
  const auto file = access->open(path, FileKind::kData);
  if (!file) {
    return;
  }
  auto content = read_whole(file, path, kMaxUserCfgSize);
  if (!content) {
    problems->add_error(path.view(), content.error());
    return;
  }
  const auto cfg = UserCfg::parse(std::move(*content), path);
  if (!cfg) {
    problems->add_error(path.view(), cfg.error());
    return;
  }
  check_users(*cfg, path, problems);
}

// That it is missing is no problem: then the host runs no Proxmox daemons that
// want to be told.
void check_version_cache(const PathText &path, AccessCheck *access,
                         Problems *problems) {
  if (path.empty()) {
    return;
  }
  const auto file = access->open(path, FileKind::kCounters);
  if (file && !is_version_page(file)) {
    problems->add(path.view(),
                  "no page of counters: too short, or without its magic");
  }
}

}  // namespace

ExitStatus check_store(const Store &store, const PathText &configuration,
                       OutputFormat format) {
  Problems problems;
  AccessCheck access(store, configuration, &problems);
  check_token_shadow(store, &access, &problems);
  check_lock(store, access.open(store.lock_file, FileKind::kLock), &problems);
  check_user_cfg(store.user_cfg, &access, &problems);
  check_version_cache(store.version_cache, &access, &problems);
  check_segment(store, &problems);
  return problems.print(format);
}

}  // namespace pbstoken
