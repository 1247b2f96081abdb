// SPDX-License-Identifier: BSD-3-Clause
#include <sys/sem.h>
#include <sys/shm.h>

#include <array>

#include "admin/admin.h"
#include "admin/use_history.h"
#include "io/held_signals.h"
#include "io/output.h"
#include "pbstoken/cache/segment_life.h"
#include "pbstoken/limits/named_object.h"
#include "pbstoken/limits/objects.h"
#include "pbstoken/store/file_lock.h"

namespace pbstoken {

namespace {

// Else what is saved is all there is.
bool has_use(const Store &store) {
  const SharedSegment record = use_segment(store);
  return record.get(record.key, 0) >= 0;
}

// The key of a segment, where there is a file to have one for.
Field segment_field(std::string_view name, const Store &store, Kind kind) {
  const PathText &path = path_of(kind, store);
  const auto view = path.empty() ? Result<View>(no_memory("")) : view_of(path);
  return view ? Field::key(name, key_of({kind, *view})) : Field::unknown(name);
}

bool print_keys(const Store &store, OutputFormat format) {
  std::array<Field, kObjects + 3> fields = {
      Field::string("store", store.name.view()),
      segment_field("segment", store, Kind::kSecrets),
      segment_field("accounts", store, Kind::kAccounts)};
  std::size_t at = 3;
  for_each_object(store, [&](std::string_view name, const auto &object) {
    fields[at++] = Field::key(name, object.key);
  });
  return print_fields(fields, format);
}

// Removes it under the lock, which only a directory that is there can have.
Result<void> remove_own_segment(const Store &store, Kind kind) {
  const auto view = view_of(path_of(kind, store));
  if (!view) {
    return view.error().code == Errc::kNotFound ? Result<void>()
                                                : Result<void>(view.error());
  }
  if (!has_segment(kind, store)) {
    return {};  // nor is a lock file to be made for it
  }
  const auto lock =
      FileLock::acquire(store, lock_path_of(kind, store), kWriterSeconds);
  if (!lock) {
    return lock.error();
  }
  const HeldSignals signals;  // nothing stops the process while it holds it
  const auto kept = keep_one_segment(store, {kind, *view}, *lock, Keep::kNone);
  return kept ? Result<void>() : Result<void>(kept.error());
}

Result<void> remove_segments(const Store &store, Kind kind) {
  const auto own = remove_own_segment(store, kind);
  const auto others = retire_others(kind, store);
  return own ? others : own;
}

// What earlier builds made beside their segment, and knew by keys alone.
void remove_former_objects(const Store &store) {
  const std::string_view path = store.token_shadow.view();
  const FixedText<16> number = FixedText<16>().append(
      std::uint64_t{static_cast<std::uint32_t>(derive_key("pbstoken", path))});
  const auto named = [path](std::string_view purpose) {
    return static_cast<key_t>(derive_number(purpose, path) | 1);
  };
  for (const key_t key :
       {derive_key("pbstoken counters 1", number.view()),
        derive_key("pbstoken failures 1", number.view()),
        named("pbstoken counters 2"), named("pbstoken failures 2"),
        named("pbstoken failures 3")}) {
    const int id = shmget(key, 0, 0);
    shmid_ds status{};
    if (id >= 0 && shmctl(id, IPC_STAT, &status) == 0 &&
        status.shm_perm.cuid == 0) {
      shmctl(id, IPC_RMID, nullptr);
    }
  }
  const int id = semget(derive_key("pbstoken gate 1", number.view()), 0, 0);
  semid_ds status{};
  if (id >= 0 && get_status(id, &status) && status.sem_perm.cuid == 0) {
    semctl(id, 0, IPC_RMID);
  }
}

}  // namespace

ExitStatus retire_store(Context *context) {
  const Store &store = context->store;
  ExitStatus status = ExitStatus::kDone;
  if (!print_keys(store, context->line.format)) {
    status = note(output_error(), status);
  }
  if (has_use(store) && UseHistory::is_saved(store)) {
    status = note(save_use(store, &context->verifier.use()), status);
  }
  status = note(remove_segments(store, Kind::kSecrets), status);
  if (!store.user_cfg.empty()) {
    status = note(remove_segments(store, Kind::kAccounts), status);
  }
  for_each_object(store, [&](std::string_view /*name*/, const auto &object) {
    status = note(remove_named(object), status);
  });
  remove_former_objects(store);
  return status;
}

}  // namespace pbstoken
