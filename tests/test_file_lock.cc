// SPDX-License-Identifier: BSD-3-Clause
// The store's lock: held by one at a time, and only where the path leads.
#include "pbstoken/store/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "pbstoken/os/clock.h"
#include "support.h"

namespace {

// Runs once, between the opening of a lock file and its flock(2): where
// somebody may replace it.
std::function<void()> *before_flock = nullptr;

// The same between the making of a new lock file and its linkat(2).
std::function<void()> *before_link = nullptr;

// As NFS, where flock(2) is a lock of bytes: an exclusive one takes a
// descriptor that is open for writing.
bool wants_writers = false;

}  // namespace

extern "C" int linkat(int from_directory, const char *from, int to_directory,
                      const char *to, int flags) noexcept {
  if (before_link != nullptr) {
    (*std::exchange(before_link, nullptr))();
  }
  return static_cast<int>(
      syscall(SYS_linkat, from_directory, from, to_directory, to, flags));
}

extern "C" int flock(int fd, int operation) noexcept {
  if (wants_writers && (operation & LOCK_EX) != 0 &&
      (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY) {
    errno = EBADF;
    return -1;
  }
  if (before_flock != nullptr) {
    (*std::exchange(before_flock, nullptr))();
  }
  return static_cast<int>(syscall(SYS_flock, fd, operation));
}

namespace pbstoken {
namespace {

using testing::TempDir;

struct Place {
  TempDir dir;
  Store store;
};

int make_place(void **state) {
  auto *place = new Place;
  place->store.lock_file = PathText(place->dir.path("lock"));
  place->store.file_owner.id = geteuid();
  place->store.file_group.id = getegid();
  *state = place;
  return 0;
}

int make_place_with_lock_file(void **state) {
  make_place(state);
  static_cast<Place *>(*state)->dir.write("lock", "");
  return 0;
}

int remove_place(void **state) {
  before_flock = nullptr;
  before_link = nullptr;
  wants_writers = false;
  delete static_cast<Place *>(*state);
  return 0;
}

Place *place_of(void **state) {
  return static_cast<Place *>(*state);
}

bool can_lock(const Store &store) {
  return static_cast<bool>(FileLock::acquire(store, 0));
}

void assert_held_by_somebody(const Store &store) {
  const auto second = FileLock::acquire(store, 0);
  assert_false(static_cast<bool>(second));
  assert_true(second.error().code == Errc::kTimedOut);
  assert_text_equal(describe(second.error()).view(),
                    "cannot lock " + std::string(store.lock_file.view()) +
                        ": somebody else holds it");
}

void replace_lock_file(const Place &place) {
  std::filesystem::rename(place.dir.write("other", ""), place.dir.path("lock"));
}

// A child process that runs until the object goes.
class Child {
 public:
  // `prepare` runs in the child before the constructor returns.
  explicit Child(const std::function<bool()> &prepare) {
    assert_int_equal(pipe2(ready_, O_CLOEXEC), 0);
    assert_int_equal(pipe2(quit_, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(quit_[1]);
      char byte = prepare() ? 'y' : 'n';
      if (write(ready_[1], &byte, 1) != 1 || read(quit_[0], &byte, 1) < 0) {
        _exit(1);
      }
      _exit(0);
    }
    char answer = 'n';
    assert_int_equal(read(ready_[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
  }
  Child(const Child &) = delete;
  Child &operator=(const Child &) = delete;
  ~Child() {
    for (const int fd : {quit_[1], quit_[0], ready_[0], ready_[1]}) {
      close(fd);
    }
    waitpid(pid_, nullptr, 0);
  }

 private:
  int ready_[2]{};
  int quit_[2]{};
  pid_t pid_ = -1;
};

void acquire_held_in_this_process_times_out_at_once(void **state) {
  const Store &store = place_of(state)->store;
  const auto lock = FileLock::acquire(store, 0);
  assert_true(static_cast<bool>(lock));
  const std::uint64_t start = boottime_now();
  assert_held_by_somebody(store);
  assert_true(boottime_now() - start < kNanosecondsPerSecond);
}

void acquire_held_by_another_process_times_out_at_once(void **state) {
  const Store &store = place_of(state)->store;
  {
    std::optional<FileLock> theirs;
    const Child holder([&] {
      auto lock = FileLock::acquire(store, 0);
      if (lock) {
        theirs.emplace(std::move(*lock));
      }
      return theirs.has_value();
    });
    assert_held_by_somebody(store);
  }
  assert_true(can_lock(store));  // the holder has died
}

void acquire_waiting_gets_it_when_it_is_released(void **state) {
  const Store &store = place_of(state)->store;
  auto lock = FileLock::acquire(store, 0);
  assert_true(static_cast<bool>(lock));
  std::optional<FileLock> held(std::move(*lock));
  bool got = false;
  std::thread waiter(
      [&] { got = static_cast<bool>(FileLock::acquire(store, 10)); });
  held.reset();
  waiter.join();
  assert_true(got);
}

void acquire_waits_no_longer_than_told(void **state) {
  const Store &store = place_of(state)->store;
  const auto lock = FileLock::acquire(store, 0);
  assert_true(static_cast<bool>(lock));
  const std::uint64_t start = boottime_now();
  assert_true(FileLock::acquire(store, 1).error().code == Errc::kTimedOut);
  const std::uint64_t waited = boottime_now() - start;
  assert_true(waited >= kNanosecondsPerSecond);
  assert_true(waited < 5 * kNanosecondsPerSecond);
}

// Another thread of the host may fork at any moment; what the child inherits
// must not keep the lock, nor give it up when the child goes.
void release_with_a_forked_child_alive_is_complete(void **state) {
  const Store &store = place_of(state)->store;
  auto lock = FileLock::acquire(store, 0);
  assert_true(static_cast<bool>(lock));
  std::optional<FileLock> held(std::move(*lock));
  const Child heir([] { return true; });
  assert_held_by_somebody(store);
  held.reset();
  assert_true(can_lock(store));
}

void exit_of_a_forked_child_keeps_the_parents_lock(void **state) {
  const Store &store = place_of(state)->store;
  const auto lock = FileLock::acquire(store, 0);
  assert_true(static_cast<bool>(lock));
  {
    const Child heir([] { return true; });
  }
  assert_held_by_somebody(store);
}

void move_leaves_one_lock(void **state) {
  const Store &store = place_of(state)->store;
  std::optional<FileLock> last;
  {
    auto first = FileLock::acquire(store, 0);
    assert_true(static_cast<bool>(first));
    last.emplace(std::move(*first));
  }
  assert_held_by_somebody(store);
  last.reset();
  assert_true(can_lock(store));
}

void acquire_after_replacement_is_a_lock_on_the_new_file(void **state) {
  const Place &place = *place_of(state);
  const auto old_file = FileLock::acquire(place.store, 0);
  assert_true(static_cast<bool>(old_file));
  replace_lock_file(place);
  const auto new_file = FileLock::acquire(place.store, 0);
  assert_true(static_cast<bool>(new_file));
  assert_held_by_somebody(place.store);
}

void acquire_replaced_before_it_is_locked_does_not_count(void **state) {
  const Place &place = *place_of(state);
  std::function<void()> replace = [&] { replace_lock_file(place); };
  before_flock = &replace;
  const auto wrong_file = FileLock::acquire(place.store, 0);
  assert_false(static_cast<bool>(wrong_file));
  assert_true(wrong_file.error().code == Errc::kTimedOut);

  before_flock = &replace;
  const auto right_file = FileLock::acquire(place.store, 10);
  assert_true(static_cast<bool>(right_file));
  assert_held_by_somebody(place.store);
}

void acquire_removed_before_it_is_locked_does_not_count(void **state) {
  const Place &place = *place_of(state);
  std::function<void()> remove = [&] {
    std::filesystem::remove(place.dir.path("lock"));
  };
  before_flock = &remove;
  assert_false(can_lock(place.store));
  before_flock = nullptr;
  assert_true(can_lock(place.store));  // made anew
}

void acquire_missing_file_is_made_with_its_mode(void **state) {
  const Place &place = *place_of(state);
  const mode_t saved = umask(0077);
  const auto lock = FileLock::acquire(place.store, 0);
  umask(saved);
  assert_true(static_cast<bool>(lock));
  struct stat status = {};
  assert_int_equal(stat(place.dir.path("lock").c_str(), &status), 0);
  assert_int_equal(status.st_mode, S_IFREG | 0660);
  assert_int_equal(status.st_uid, geteuid());
  assert_int_equal(status.st_gid, getegid());
  assert_held_by_somebody(place.store);
}

void acquire_where_only_writers_lock_opens_for_writing(void **state) {
  const Store &store = place_of(state)->store;
  wants_writers = true;
  {
    const auto lock = FileLock::acquire(store, 0);
    assert_true(static_cast<bool>(lock));
    assert_held_by_somebody(store);
  }
  assert_true(can_lock(store));
}

// A maker that is killed leaves no lock that upstream's daemons cannot open.
void acquire_new_lock_has_its_mode_before_its_name(void **state) {
  const Place &place = *place_of(state);
  mode_t mode = 0;
  std::function<void()> look = [&] {
    struct stat status = {};
    const std::string name = "lock.tmp_" + std::to_string(getpid());
    assert_int_equal(stat(place.dir.path(name).c_str(), &status), 0);
    mode = status.st_mode;
  };
  before_link = &look;
  assert_true(can_lock(place.store));
  assert_int_equal(mode, S_IFREG | 0660);
}

// Somebody else makes the lock first, holds it, and sweeps up what looks like
// the lock of a process that has died.
void acquire_new_lock_swept_up_by_a_holder_is_no_error(void **state) {
  Place *place = place_of(state);
  std::function<void()> sweep = [place] {
    for (const auto &entry :
         std::filesystem::directory_iterator(place->dir.path(""))) {
      std::filesystem::remove(entry.path());
    }
    place->dir.write("lock", "");
  };
  before_link = &sweep;
  const auto lock = FileLock::acquire(place->store, 0);
  assert_null(before_link);
  assert_true(static_cast<bool>(lock));
}

void acquire_missing_file_with_unknown_owner_makes_none(void **state) {
  const Place &place = *place_of(state);
  for (Principal Store::*who : {&Store::file_owner, &Store::file_group}) {
    Store store = place.store;
    store.*who = {.name = FixedText<32>("no such name"), .id = {}};
    const auto lock = FileLock::acquire(store, 0);
    assert_false(static_cast<bool>(lock));
    assert_true(lock.error().code == Errc::kBadConfiguration);
    assert_false(std::filesystem::exists(place.dir.path("lock")));
  }
}

void acquire_missing_directory_is_an_error_at_once(void **state) {
  Store store = place_of(state)->store;
  store.lock_file = PathText(place_of(state)->dir.path("none/lock"));
  const auto lock = FileLock::acquire(store, 10);
  assert_false(static_cast<bool>(lock));
  assert_true(lock.error().code == Errc::kNotFound);
}

void acquire_what_is_no_regular_file_is_refused_at_once(void **state) {
  const Place &place = *place_of(state);
  assert_int_equal(mkfifo(place.dir.path("fifo").c_str(), 0600), 0);
  std::filesystem::create_directory(place.dir.path("directory"));
  std::filesystem::create_symlink(place.dir.write("real", ""),
                                  place.dir.path("link"));
  std::filesystem::create_symlink(place.dir.path("target"),
                                  place.dir.path("dangling"));
  for (const char *name : {"fifo", "directory", "link", "dangling"}) {
    Store store = place.store;
    store.lock_file = PathText(place.dir.path(name));
    const auto lock = FileLock::acquire(store, 10);
    if (lock) {
      fail_msg("locked: %s", name);
    }
    assert_true(lock.error().code != Errc::kTimedOut);
  }
  assert_false(std::filesystem::exists(place.dir.path("target")));
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for (const auto &entry :
       std::filesystem::directory_iterator("/proc/self/fd")) {
    static_cast<void>(entry);
    ++count;
  }
  return count;
}

void acquire_leaks_no_descriptor(void **state) {
  const Place &place = *place_of(state);
  const std::size_t before = open_descriptors();
  {
    const auto lock = FileLock::acquire(place.store, 0);
    assert_true(static_cast<bool>(lock));
    assert_held_by_somebody(place.store);
    assert_int_equal(open_descriptors(), before + 1);
  }
  assert_int_equal(open_descriptors(), before);
}

}  // namespace
}  // namespace pbstoken

#define with_lock_file(test) \
  cmocka_unit_test_setup_teardown(test, make_place_with_lock_file, remove_place)
#define without_lock_file(test) \
  cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_lock_file(acquire_held_in_this_process_times_out_at_once),
      with_lock_file(acquire_held_by_another_process_times_out_at_once),
      with_lock_file(acquire_waiting_gets_it_when_it_is_released),
      with_lock_file(acquire_waits_no_longer_than_told),
      with_lock_file(release_with_a_forked_child_alive_is_complete),
      with_lock_file(exit_of_a_forked_child_keeps_the_parents_lock),
      with_lock_file(move_leaves_one_lock),
      with_lock_file(acquire_after_replacement_is_a_lock_on_the_new_file),
      with_lock_file(acquire_replaced_before_it_is_locked_does_not_count),
      with_lock_file(acquire_removed_before_it_is_locked_does_not_count),
      without_lock_file(acquire_missing_file_is_made_with_its_mode),
      with_lock_file(acquire_where_only_writers_lock_opens_for_writing),
      without_lock_file(acquire_new_lock_has_its_mode_before_its_name),
      without_lock_file(acquire_new_lock_swept_up_by_a_holder_is_no_error),
      without_lock_file(acquire_missing_file_with_unknown_owner_makes_none),
      without_lock_file(acquire_missing_directory_is_an_error_at_once),
      without_lock_file(acquire_what_is_no_regular_file_is_refused_at_once),
      with_lock_file(acquire_leaks_no_descriptor),
  };
  return cmocka_run_group_tests_name("file_lock", tests, nullptr, nullptr);
}
