// SPDX-License-Identifier: BSD-3-Clause
#include "admin/check.h"

#include <sys/shm.h>
#include <sys/stat.h>

#include <utility>

#include "admin/admin.h"
#include "admin/problems.h"
#include "admin/use_history.h"
#include "admin/verdict.h"
#include "io/stores.h"
#include "pbstoken/cache/subject.h"
#include "pbstoken/os/file.h"
#include "pbstoken/os/ipc.h"
#include "pbstoken/os/shared_fs.h"
#include "pbstoken/store/lease.h"
#include "pbstoken/store/readers.h"
#include "pbstoken/store/user_cfg.h"
#include "pbstoken/store/version_word.h"
#include "write/file_writer.h"

namespace pbstoken {

namespace {

// --- the files

// That token.shadow is missing is no problem: then there are no tokens.
void check_token_shadow(const Store &store, AccessCheck *access,
                        Problems *problems) {
  const auto place = find_place(store.token_shadow);
  if (!place && place.error().code == Errc::kNotFound) {
    problems->add(store.token_shadow.view(), kNoDirectory);
    return;
  }
  if (const auto file = access->open(store.token_shadow, FileKind::kData);
      file) {
    check_shadow(file, store.token_shadow, problems);
  }
}

// Adds the tokens of users without a section: they never count.
void check_users(const UserCfg &cfg, const PathText &path, Problems *problems) {
  for (const UserCfg::Section &token : cfg.tokens()) {
    const auto id = parse_token_id(token.id);
    if (id && cfg.find_user(user_id_of(*id)) == nullptr) {
      ProblemText what;
      append_id(&what, token.id);
      what.append(
          ": there is no section of its user: 'pbstoken user add' makes it");
      problems->add(path.view(), what.view(), {.line = token.line});
    }
  }
}

// Adds what keeps upstream, or a section, from counting though we take it.
void check_remarks(const UserCfg &cfg, const PathText &path,
                   Problems *problems) {
  for (const UserCfg::Remark &remark : cfg.remarks()) {
    ProblemText what;
    append_id(&what, remark.id);
    what.append(remark.kind == UserCfg::Remark::kLongComment
                    ? ": a comment of more than 128 characters: the Proxmox "
                      "daemons refuse the file; shorten it"
                    : ": a realm must have 2 to 32 characters: the section "
                      "never counts; remove it");
    problems->add(path.view(), what.view(), {.line = remark.line});
  }
}

// That it is missing is a problem of a store that has one.
void check_lease(const Store &store, AccessCheck *access, Problems *problems) {
  if (store.lease == 0) {
    return;
  }
  const PathText path = lease_path(store);
  static_cast<void>(access->open(path, FileKind::kData));
  const auto standing = lease_standing(store);
  if (!standing) {
    problems->add_error(path.view(), standing.error());
  } else if (standing->state != LeaseState::kInForce) {
    problems->add(path.view(),
                  ProblemText("the lease is ")
                      .append(word_of(standing->state))
                      .append(": no token is let in until 'pbstoken adopt' "
                              "renews it")
                      .view());
  }
}

// That it is missing is no problem: then only root@pam is known.
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
  check_remarks(*cfg, path, problems);
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
                  "no page of counters: too short, or without its magic; "
                  "remove it and restart the Proxmox daemons");
  }
}

// How far what a host sees may lag behind, and where a lock does not count.
std::string_view caveat_of(std::string_view file_system) {
  if (file_system == "NFS") {
    return "; its attribute cache adds up to 60 s to cache_ttl";
  }
  if (file_system == "FUSE") {
    return "; its attribute cache adds up to 20 s to cache_ttl with sshfs, and "
           "1 s with GlusterFS; with sshfs, bindfs and pmxcfs a lock counts on "
           "this host alone";
  }
  return {};
}

void check_file_system(const PathText &path, bool is_refused,
                       Problems *problems) {
  if (const auto what = problem_of_file_system(path, is_refused); what) {
    problems->add(directory_of(path).view(), what->view());
  }
}

// user.cfg is only read.
void check_file_systems(const Store &store, Problems *problems) {
  check_file_system(store.token_shadow, /*is_refused=*/!store.shared_fs,
                    problems);
  if (directory_of(store.user_cfg).view() !=
      directory_of(store.token_shadow).view()) {
    check_file_system(store.user_cfg, /*is_refused=*/false, problems);
  }
}

// --- the cache

constexpr std::string_view kFlush = ": 'pbstoken flush' makes another";

// Checks the readers of the segment that the key of a file names.
void check_readers(const Store &store, const Subject &subject,
                   Problems *problems) {
  const auto name = name_of("shm", key_of(subject));
  const int id = shmget(key_of(subject), 0, 0);
  shmid_ds status{};
  if (id < 0 || shmctl(id, IPC_STAT, &status) != 0) {
    // Another process may just have removed it.
    if (errno != ENOENT && errno != EIDRM && errno != EINVAL) {
      problems->add_error(
          name.view(),
          system_error("cannot find the shared-memory segment", {}));
    }
    return;
  }
  const ipc_perm &owner = status.shm_perm;
  if ((owner.mode & S_IROTH) != 0) {
    problems->add(name.view(),
                  ProblemText("others may read it").append(kFlush).view());
  }
  if ((owner.mode & S_IRGRP) == 0 || owner.gid == 0) {
    return;
  }
  const auto group = reader_group(store);
  if (!group) {
    problems->add_error(name.view(), group.error());
  } else if (owner.gid != group->value_or(0)) {
    ProblemText what("gid ");
    what.append(owner.gid)
        .append(", which is not verify_group, may read it")
        .append(kFlush);
    problems->add(name.view(), what.view());
  }
}

// Whatever keeps the file from being opened has been added.
void check_cache(const Store &store, Kind kind, Use *use, Problems *problems) {
  const PathText &path = path_of(kind, store);
  const auto view = path.empty() ? Result<View>(no_memory("")) : view_of(path);
  if (!view || !store.cache) {
    return;
  }
  check_readers(store, {kind, *view}, problems);
  CacheVerdict verdict = judge_for_root(store, kind, use);
  verdict = judge_for_members(store, kind, verdict).value_or(verdict);
  // What keeps the lock from being opened has been added.
  const PathText &lock = lock_path_of(kind, store);
  if (verdict.state == CacheState::kOff &&
      (verdict.where.view() != lock.view() || !problems->has(lock.view()))) {
    problems->add_once(verdict.where.view(), verdict.text.view());
  }
}

void check_saved_use(const Store &store, Use *use, Problems *problems) {
  if (const auto history = UseHistory::read(store, use); !history) {
    problems->add_error(saved_use_path(store.name.view()).view(),
                        history.error());
  }
}

}  // namespace

std::optional<ProblemText> problem_of_file_system(const PathText &path,
                                                  bool is_refused) {
  const auto name = path.empty() ? std::nullopt : shared_fs_of(path);
  if (!name) {
    return std::nullopt;
  }
  ProblemText what("on ");
  what.append(*name).append(", where other hosts may write: ");
  what.append("look does not apply").append(caveat_of(*name));
  if (is_refused) {
    what.append(
        "; nothing is written: move it to a file system of this host, or set "
        "shared_fs = yes");
  }
  return what;
}

FixedText<16> name_of(std::string_view kind, key_t key) {
  return FixedText<16>(kind).append(":").append(key_text(key).view());
}

ExitStatus check_store(Context *context) {
  const Store &store = context->store;
  Problems problems(context->line.format);
  AccessCheck access(store, &problems);
  check_token_shadow(store, &access, &problems);
  check_lease(store, &access, &problems);
  check_file_systems(store, &problems);
  check_mounts(store, &problems);
  check_lock(store, Kind::kSecrets, &access, &problems);
  check_user_cfg(store.user_cfg, &access, &problems);
  if (!store.user_cfg.empty()) {
    check_lock(store, Kind::kAccounts, &access, &problems);
  }
  check_pair(store, &problems);
  check_version_cache(store.version_cache, &access, &problems);
  check_cache(store, Kind::kSecrets, &context->verifier.use(), &problems);
  check_cache(store, Kind::kAccounts, &context->verifier.use(), &problems);
  check_host(store, &problems);
  check_twins(store, &problems);
  check_limits(store, &problems);
  check_saved_use(store, &context->verifier.use(), &problems);
  return problems.print();
}

}  // namespace pbstoken
