// SPDX-License-Identifier: BSD-3-Clause
#include <sys/stat.h>

#include "admin/check.h"
#include "admin/tokens.h"
#include "io/stores.h"
#include "pbstoken/cache/subject.h"

namespace pbstoken {

namespace {

// Another store may have the secrets that go with the sections.
bool shares_user_cfg(const Store &store) {
  bool is_shared = false;
  const auto ours = view_of(store.user_cfg);
  for_each_store([&](std::string_view name) {
    const PathText configuration = configuration_path(name);
    const auto other = load_store(name, configuration);
    if (other && configuration.view() != store.configuration.view() &&
        !other->user_cfg.empty()) {
      const auto theirs = view_of(other->user_cfg);
      is_shared = is_shared || (ours && theirs && *ours == *theirs);
    }
  });
  return is_shared;
}

void add_half(Problems *problems, const PathText &path, std::string_view id,
              std::string_view what, std::uint64_t line = 0) {
  ProblemText text;
  append_id(&text, id);
  text.append(what);
  problems->add(path.view(), text.view(), {.line = line});
}

void check_sections(const Store &store, std::span<const TokenRow> rows,
                    Problems *problems) {
  for (const TokenRow &row : rows) {
    if (row.secret == nullptr) {
      add_half(problems, store.user_cfg, row.token_id,
               ": a section and no secret: it lets nothing in; make one with "
               "pbstoken-helper generate, or run pbstoken token remove",
               row.section->line);
    }
  }
}

void check_secrets(const Store &store, std::span<const TokenRow> rows,
                   Problems *problems) {
  for (const TokenRow &row : rows) {
    if (row.section == nullptr) {
      add_half(problems, store.token_shadow, row.token_id,
               ": a secret and no section in user.cfg: Proxmox and account "
               "rules refuse it; run pbstoken token add, or token remove");
    }
  }
}

// A process that has the one lock would wait for the other in vain.
void check_locks(const Store &store, Problems *problems) {
  struct stat users = {};
  struct stat tokens = {};
  if (stat(store.user_lock.c_str(), &users) == 0 &&
      stat(store.lock_file.c_str(), &tokens) == 0 &&
      users.st_dev == tokens.st_dev && users.st_ino == tokens.st_ino) {
    problems->add(store.user_lock.view(),
                  "user_lock and lock_file are the same file: no token can be "
                  "added or removed; name two");
  }
}

}  // namespace

bool is_missing(const PathText &path) {
  struct stat status = {};
  return stat(path.c_str(), &status) != 0 && errno == ENOENT;
}

void check_pair(const Store &store, Problems *problems) {
  if (store.user_cfg.empty()) {
    return;
  }
  check_locks(store, problems);
  const auto tokens = Tokens::read(store);
  // What cannot be read is reported elsewhere.
  if (!tokens || tokens->rows().empty()) {
    return;
  }
  const auto rows = tokens->rows();
  if (is_missing(store.user_cfg)) {
    problems->add(store.user_cfg.view(),
                  "is not there, and there are tokens: the account rules let "
                  "none of them in; restore it, or set user_cfg to nothing");
    return;
  }
  if (is_missing(store.token_shadow)) {
    problems->add(store.token_shadow.view(),
                  "is not there, and user.cfg has tokens: none of them has a "
                  "secret; restore it, or make new ones");
    return;
  }
  if (!shares_user_cfg(store)) {
    check_sections(store, rows, problems);
  }
  check_secrets(store, rows, problems);
}

}  // namespace pbstoken
