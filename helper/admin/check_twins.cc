// SPDX-License-Identifier: BSD-3-Clause
// What check says of another store that has the same file: both share one
// segment, which can have the settings of one of them alone.
#include "admin/check.h"
#include "io/stores.h"
#include "pbstoken/cache/subject.h"
#include "pbstoken/store/readers.h"

namespace pbstoken {

namespace {

bool have_same_readers(const Store &store, const Store &other) {
  const auto ours = reader_group(store);
  const auto theirs = reader_group(other);
  return !ours || !theirs || *ours == *theirs;
}

void check_twin(const Store &store, const Store &other, Kind kind,
                Problems *problems) {
  const PathText &path = path_of(kind, store);
  const auto ours = view_of(path);
  const auto theirs = view_of(path_of(kind, other));
  if (!ours || !theirs || *ours != *theirs) {
    return;
  }
  const auto add = [&](std::string_view what) {
    ProblemText text("is about ");
    text.append(path.view()).append(" as ");
    text.append(store.configuration.view()).append(" is, ").append(what);
    problems->add_once(other.configuration.view(), text.view());
  };
  if (lock_path_of(kind, store).view() != lock_path_of(kind, other).view()) {
    add("but names another lock: each retires the other's cache; name one lock "
        "in both");
  }
  if (!have_same_readers(store, other) ||
      store.cache_slots != other.cache_slots) {
    add("but has another verify_group or cache_slots: the one that was changed "
        "last counts; give both the same");
  }
}

}  // namespace

void check_twins(const Store &store, Problems *problems) {
  for_each_store([&](std::string_view name) {
    const PathText configuration = configuration_path(name);
    if (configuration.view() == store.configuration.view()) {
      return;
    }
    // A file that cannot be read is for its own check.
    const auto other = load_store(name, configuration);
    for (const Kind kind : {Kind::kSecrets, Kind::kAccounts}) {
      if (other && !path_of(kind, store).empty() &&
          !path_of(kind, *other).empty()) {
        check_twin(store, *other, kind, problems);
      }
    }
  });
}

}  // namespace pbstoken
