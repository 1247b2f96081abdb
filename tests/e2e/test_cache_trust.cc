// SPDX-License-Identifier: BSD-3-Clause
// Whose segment is believed, and who gets to see it.
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include "e2e/cache_support.h"
#include "pbstoken/cache/cache.h"
#include "pbstoken/store/lease.h"

namespace pbstoken {
namespace {

using testing::answer;
using testing::become;
using testing::hash_of;
using testing::in_child;
using testing::kNobody;
using testing::kOtherGroup;
using testing::kVerifyGroup;
using testing::load_crypt;
using testing::mappings;
using testing::open_segment;
using testing::Process;
using testing::require;
using testing::require_text_equal;
using testing::Scene;
using testing::scene_in;
using testing::segment_id;
using testing::stamp_of_file;
using testing::verdict;

const std::string kId = "john@pbs!client1";
const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";
const std::string kWrong = "0c1e9a55-19f2-4d0e-8d3c-aa0b7a1f0e42";
const std::string kHash = hash_of(kSecret);

constexpr std::uint64_t kLong = 3600;  // seconds

// A file with one token, and a TTL that no test outlives.
int make_store(void **state) {
  if (testing::make_scene(state) != 0) {
    return -1;
  }
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = kLong;
  scene.write({{kId, kHash}});
  return 0;
}

void warm(const Scene &scene) {
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  assert_text_equal(verdict(&verifier, kId, kWrong), "mismatch");
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
}

std::size_t segment_size(const Store &store) {
  return static_cast<std::size_t>(
      SegmentShape::for_slots(slots_for(store, 0)).size());
}

// A segment that says that the wrong secret matches, in every other respect as
// root would make it.  False if that could not be done.
bool forge_segment(const Store &store, unsigned mode) {
  const Subject subject = testing::subject_of(store);
  const int id = shmget(key_of(subject), segment_size(store),
                        static_cast<int>(IPC_CREAT | IPC_EXCL | mode));
  auto *address = static_cast<std::byte *>(shmat(id, nullptr, 0));
  if (id < 0 || address == reinterpret_cast<std::byte *>(-1) ||
      !WritableSegment::format(
          address, SegmentShape::for_slots(slots_for(store, 0)), subject, {})) {
    return false;
  }
  auto segment = *WritableSegment::open(address, segment_size(store), subject);
  *segment.generation_words().word = 4;
  segment.insert(Fact::kMatch, kId, kWrong, segment.binding_of(kId, kHash), 4);
  segment.set_stamp(stamp_of_file(store, 4));
  return shmdt(address) == 0;
}

// The segment that this process has found; -1: none.
int used_segment(const Store &store) {
  const auto found = find_segment(testing::subject_of(store));
  return found ? found->identity.id : -1;
}

// Root answers right, whatever stood there, and has a segment of its own: under
// another key where somebody else has the right one.
void assert_replaced(const Scene &scene, int old_id) {
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kWrong), "mismatch");
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  assert_text_equal(answer(&verifier, kId, kWrong), "mismatch (segment)");
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
  assert_true(used_segment(scene.store) >= 0);
  assert_true(used_segment(scene.store) != old_id);
}

// --- forgeries

// What the tests of forgeries rely on: only its owner and mode are wrong.
void forged_segment_with_roots_owner_and_mode_is_believed(void **state) {
  const Scene &scene = scene_in(state);
  assert_true(forge_segment(scene.store, 0600));
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(answer(&verifier, kId, kWrong), "match (segment)");
}

void forged_segment_of_nobody_is_replaced(void **state) {
  const Scene &scene = scene_in(state);
  for (const unsigned mode : {0666U, 0600U}) {
    scene.remove_segment();
    in_child([&] {
      become(kNobody, kNobody);
      require(forge_segment(scene.store, mode));
    });
    assert_replaced(scene, *segment_id(scene.store));
  }
}

// The owner may give a segment away, but has still made it, and may be
// attached for writing.
void forged_segment_given_to_root_is_replaced(void **state) {
  const Scene &scene = scene_in(state);
  in_child([&] {
    become(kNobody, kNobody);
    require(forge_segment(scene.store, 0600));
    const int id = *segment_id(scene.store);
    shmid_ds status{};
    require(shmctl(id, IPC_STAT, &status) == 0);
    status.shm_perm.uid = 0;
    status.shm_perm.gid = 0;
    require(shmctl(id, IPC_SET, &status) == 0);
  });
  assert_replaced(scene, *segment_id(scene.store));
}

void forged_segment_that_others_may_write_is_replaced(void **state) {
  const Scene &scene = scene_in(state);
  for (const unsigned mode : {0666U, 0620U, 0602U}) {
    scene.remove_segment();
    assert_true(forge_segment(scene.store, mode));
    assert_replaced(scene, *segment_id(scene.store));
  }
}

// Its group may read it, whatever group it is given later, see sysvipc(7).
void segment_that_another_group_made_is_replaced(void **state) {
  const Scene &scene = scene_in(state);
  assert_int_equal(setegid(kOtherGroup), 0);
  const bool is_forged = forge_segment(scene.store, 0640);
  assert_int_equal(setegid(0), 0);
  assert_true(is_forged);
  const int id = *segment_id(scene.store);
  shmid_ds status{};
  assert_int_equal(shmctl(id, IPC_STAT, &status), 0);
  assert_int_equal(status.shm_perm.cgid, kOtherGroup);
  status.shm_perm.gid = kVerifyGroup;
  assert_int_equal(shmctl(id, IPC_SET, &status), 0);
  assert_replaced(scene, id);
}

void forged_segment_is_not_believed_by_a_member(void **state) {
  const Scene &scene = scene_in(state);
  in_child([&] {
    become(kNobody, kNobody);
    require(forge_segment(scene.store, 0666));
  });
  in_child([&] {
    become(kNobody - 1, kVerifyGroup);
    Verifier verifier(scene.store, load_crypt);
    require(!verifier.cache().is_usable());
    require_text_equal(verdict(&verifier, kId, kWrong), "error");
  });
}

void squatter_with_another_size_is_replaced(void **state) {
  const Scene &scene = scene_in(state);
  for (const std::size_t size :
       {std::size_t{1}, kSlotsOffset, segment_size(scene.store) - 1,
        segment_size(scene.store), segment_size(scene.store) * 2}) {
    scene.remove_segment();
    in_child([&] {
      become(kNobody, kNobody);
      require(shmget(key_of(testing::subject_of(scene.store)), size,
                     IPC_CREAT | IPC_EXCL | 0666) >= 0);
    });
    assert_replaced(scene, *segment_id(scene.store));
  }
}

// Where a program of root's has the key the segment has none: everybody finds
// it all the same, a writer too, and also when the key is free again.
void segment_without_a_key_is_found_by_a_walk(void **state) {
  Scene &scene = scene_in(state);
  scene.store.look = false;
  const int squatted = shmget(key_of(testing::subject_of(scene.store)), 1,
                              IPC_CREAT | IPC_EXCL | 0600);
  assert_true(squatted >= 0);
  warm(scene);
  const int id = used_segment(scene.store);
  assert_true(id >= 0 && id != squatted);
  Verifier attached(scene.store, load_crypt);
  assert_text_equal(answer(&attached, kId, kSecret), "match (segment)");
  in_child([&] {
    become(kNobody, kVerifyGroup);
    Verifier member(scene.store, load_crypt);
    require_text_equal(answer(&member, kId, kSecret), "match (segment)");
  });
  assert_int_equal(shmctl(squatted, IPC_RMID, nullptr), 0);
  assert_true(scene.set(kId, kWrong, hash_of(kWrong)));
  assert_true(used_segment(scene.store) == id);
  assert_text_equal(verdict(&attached, kId, kSecret), "mismatch");
  assert_text_equal(answer(&attached, kId, kWrong), "match (segment)");
  shmctl(id, IPC_RMID, nullptr);
}

// --- other versions, other files, no segment at all

void segment_of_a_newer_version_is_left_alone(void **state) {
  const Scene &scene = scene_in(state);
  warm(scene);
  const int id = *segment_id(scene.store);
  const auto opened = open_segment(scene.store);
  opened->prefix()->layout_version = kLayoutVersion + 1;
  const std::uint64_t generation = opened->prefix()->generation;
  Verifier verifier(scene.store, load_crypt);
  for (int i = 0; i < 2; ++i) {
    assert_text_equal(answer(&verifier, kId, kSecret), "match (hash)");
    assert_text_equal(answer(&verifier, kId, kWrong), "mismatch (hash)");
  }
  assert_true(segment_id(scene.store) == id);
  assert_true(opened->prefix()->generation == generation);
  // Its users hear of a change all the same.
  assert_true(scene.set(kId, kWrong, hash_of(kWrong)));
  assert_true(opened->prefix()->generation == kRetired);
}

// As the version before made it: under a key of its own, about both files of
// one directory.
int make_old_segment(const Store &store, std::uint64_t inode) {
  constexpr std::size_t kOldDirectory = 328 / sizeof(std::uint64_t);
  const int id = shmget(IPC_PRIVATE, kSlotsOffset, IPC_CREAT | 0600);
  auto *words = static_cast<std::uint64_t *>(shmat(id, nullptr, 0));
  assert_true(words != reinterpret_cast<std::uint64_t *>(-1));
  words[0] = kSegmentMagic;
  words[1] = 2;
  words[2] = 4;  // in force then, and now
  words[3] = kSlotsOffset;
  words[kOldDirectory] = testing::subject_of(store).view.directory_device;
  words[kOldDirectory + 1] = inode;
  assert_int_equal(shmdt(words), 0);
  return id;
}

void segment_of_an_older_version_is_retired_by_a_writer(void **state) {
  const Scene &scene = scene_in(state);
  warm(scene);
  const std::uint64_t inode =
      testing::subject_of(scene.store).view.directory_inode;
  const int id = make_old_segment(scene.store, inode);
  const int other = make_old_segment(scene.store, inode + 1);
  const auto *words = static_cast<std::uint64_t *>(shmat(id, nullptr, 0));
  const auto *others = static_cast<std::uint64_t *>(shmat(other, nullptr, 0));
  // A service of before goes on in it, whether or not ipcrm(1) was there.
  shmctl(id, IPC_RMID, nullptr);
  assert_true(scene.set(kId, kWrong, hash_of(kWrong)));
  assert_true(words[2] == kRetired);
  assert_true(others[2] == 4);
  shmdt(words);
  shmdt(others);
  shmctl(other, IPC_RMID, nullptr);
}

// A directory that was replaced is another view.
void segment_of_another_directory_is_left_alone(void **state) {
  const Scene &scene = scene_in(state);
  warm(scene);
  const auto opened = open_segment(scene.store);
  const std::string old = scene.directory() + ".old";
  std::filesystem::rename(scene.directory(), old);
  std::filesystem::create_directory(scene.directory());
  scene.write({{kId, hash_of(kWrong)}});
  const std::uint64_t generation = opened->segment.generation();
  in_child([&] {
    Verifier verifier(scene.store, load_crypt);
    require_text_equal(answer(&verifier, kId, kSecret), "mismatch (hash)");
    require_text_equal(answer(&verifier, kId, kWrong), "match (hash)");
    require_text_equal(answer(&verifier, kId, kWrong), "match (segment)");
  });
  assert_true(opened->segment.generation() == generation);
  std::filesystem::remove_all(old);
  shmctl(opened->attachment.identity().id, IPC_RMID, nullptr);
}

// Stamps are times since boot, and boot was at another time there: a process in
// another time namespace hits by looking at a settled stamp, and trusts no
// time.
void segment_of_another_time_namespace_is_used_by_looking(void **state) {
  Scene &scene = scene_in(state);
  warm(scene);
  auto opened = open_segment(scene.store);
  const auto answers_there = [&](const std::string &expected) {
    in_child([&] {
      require(unshare(CLONE_NEWTIME) == 0);
      in_child([&] {
        Verifier verifier(scene.store, load_crypt);
        require_text_equal(answer(&verifier, kId, kSecret), expected);
      });
    });
  };
  answers_there("match (fact)");
  opened->segment.set_stamp(
      stamp_of_file(scene.store, opened->segment.generation()));
  const Stamp stamp = *opened->segment.stamp();
  answers_there("match (segment)");
  scene.store.look = false;
  answers_there("match (segment)");
  // It neither renews nor claims.
  scene.replace({{kId, kHash}});
  answers_there("match (fact)");
  assert_true(opened->segment.stamp() == stamp);
  assert_true(opened->segment.generation() == stamp.generation);
}

// A settled stamp says which file it is, whatever the clock; a lease does not.
void lease_of_another_time_namespace_lets_nobody_in(void **state) {
  Scene &scene = scene_in(state);
  warm(scene);
  auto opened = open_segment(scene.store);
  opened->segment.set_stamp(
      stamp_of_file(scene.store, opened->segment.generation()));
  opened->segment.set_lease(
      pack({.asked = boottime_now() / kNanosecondsPerMillisecond}));
  scene.store.lease = 60;
  const auto hits = [&] {
    return Cache(scene.store, Kind::kSecrets).look_up(kId, kSecret).has_value();
  };
  assert_true(hits());
  in_child([&] {
    require(unshare(CLONE_NEWTIME) == 0);
    require(Process([&] { require(!hits()); }).wait() == 0);
  });
}

// Who has the host's own clock does not put up with one that has not.
void segment_of_a_guest_is_replaced_by_the_host(void **state) {
  const Scene &scene = scene_in(state);
  in_child([&] {
    require(unshare(CLONE_NEWTIME) == 0);
    in_child([&] {
      Verifier verifier(scene.store, load_crypt);
      require_text_equal(verdict(&verifier, kId, kSecret), "match");
    });
  });
  const int guests = *segment_id(scene.store);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  assert_true(*segment_id(scene.store) != guests);
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
}

// Users may fill the host's table.
void flush_without_room_leaves_the_segment(void **state) {
  const Scene &scene = scene_in(state);
  warm(scene);
  const int id = *segment_id(scene.store);
  shm_info info{};
  shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds *>(&info));
  std::ofstream("/proc/sys/kernel/shmmni") << info.used_ids;
  const auto lock = FileLock::acquire(scene.store, 0);
  assert_true(static_cast<bool>(lock));
  const auto flushed = CacheWriter(scene.store, Kind::kSecrets, *lock).flush();
  std::ofstream("/proc/sys/kernel/shmmni") << 4096;
  assert_int_equal(flushed.error().saved_errno, ENOSPC);
  assert_true(segment_id(scene.store) == id);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
}

void drop_capability(unsigned number) {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3,
                                     .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  require(syscall(SYS_capget, &header, sets.data()) == 0);
  sets[0].effective &= ~(1U << number);
  require(syscall(SYS_capset, &header, sets.data()) == 0);
}

// As an administrator's ipcmk(1) or chmod would have it; without
// CAP_IPC_OWNER not even root may attach that.
void segments_of_root_without_a_mode_stop_no_writer(void **state) {
  const Scene &scene = scene_in(state);
  warm(scene);
  const int foreign = shmget(IPC_PRIVATE, kSlotsOffset, IPC_CREAT);
  shmid_ds status{};
  assert_int_equal(shmctl(*segment_id(scene.store), IPC_STAT, &status), 0);
  status.shm_perm.mode = 0;
  assert_int_equal(shmctl(*segment_id(scene.store), IPC_SET, &status), 0);
  in_child([&] {
    drop_capability(CAP_IPC_OWNER);
    require(scene.set(kId, kWrong, hash_of(kWrong)));
  });
  assert_int_equal(shmctl(foreign, IPC_STAT, &status), 0);
  assert_int_equal(status.shm_perm.mode & 0777, 0);
  shmctl(foreign, IPC_RMID, nullptr);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
}

void no_segment_to_be_had_gives_the_same_answers(void **state) {
  const Scene &scene = scene_in(state);
  const auto set_limit = [](const char *limit) {
    std::ofstream("/proc/sys/kernel/shmmni") << limit;
  };
  set_limit("0");
  Verifier verifier(scene.store, load_crypt);
  const std::string right = answer(&verifier, kId, kSecret);
  const std::string wrong = answer(&verifier, kId, kWrong);
  const bool none = !segment_id(scene.store).has_value();
  const bool set = scene.set(kId, kWrong, hash_of(kWrong));
  set_limit("4096");
  assert_true(none);
  assert_true(set);
  assert_text_equal(right, "match (hash)");
  assert_text_equal(wrong, "mismatch (hash)");
  assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
}

// --- who sees it

void attachment_of_root_is_read_only(void **state) {
  const Scene &scene = scene_in(state);
  warm(scene);
  assert_true(scene.set(kId, kWrong, hash_of(kWrong)));
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kWrong), "match");
  assert_text_equal(mappings(scene.store), "r--s");
}

void attachment_is_not_inherited_by_a_child(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  assert_text_equal(mappings(scene.store), "r--s");
  in_child([&] {
    require_text_equal(mappings(scene.store), "");
    Verifier own(scene.store, load_crypt);
    require_text_equal(answer(&own, kId, kSecret), "match (segment)");
    require_text_equal(mappings(scene.store), "r--s");
  });
}

void verifier_used_across_a_fork_works_in_both(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  const testing::Process child([&] {
    for (int i = 0; i < 100; ++i) {
      require_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
      require_text_equal(verdict(&verifier, kId, kWrong), "mismatch");
    }
    // And in a grandchild, which inherits what the child has made.
    require(testing::Process([&] {
              require_text_equal(answer(&verifier, kId, kSecret),
                                 "match (segment)");
            }).wait() == 0);
  });
  for (int i = 0; i < 100; ++i) {
    assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
    assert_text_equal(verdict(&verifier, kId, kWrong), "mismatch");
  }
  assert_int_equal(child.wait(), 0);
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
}

// A daemon that forks a worker and gives up its privileges there.
void child_without_rights_gets_nothing_from_its_parent(void **state) {
  const Scene &scene = scene_in(state);
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  in_child([&] {
    become(kNobody, kOtherGroup);
    require(!verifier.cache().is_usable());
    require_text_equal(verdict(&verifier, kId, kSecret), "error");
    require_text_equal(verdict(&verifier, kId, kWrong), "error");
    require_text_equal(mappings(scene.store), "");
  });
}

void member_of_verify_group_hits_read_only(void **state) {
  const Scene &scene = scene_in(state);
  warm(scene);
  in_child([&] {
    become(kNobody, kVerifyGroup);
    Verifier verifier(scene.store, load_crypt);
    require(verifier.cache().is_usable());
    require_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
    require_text_equal(answer(&verifier, kId, kWrong), "mismatch (segment)");
    // What is not there is in a file that it cannot read.
    require_text_equal(verdict(&verifier, kId, kWrong + "x"), "error");
    require_text_equal(verdict(&verifier, "jane@pbs!t", kSecret), "error");
    require_text_equal(mappings(scene.store), "r--s");
    const int id = *segment_id(scene.store);
    require(!ShmAttachment::attach(id, Access::kWrite));
    require(!open_segment(scene.store));
    require(shmctl(id, IPC_RMID, nullptr) != 0);
  });
}

void member_after_a_change_believes_the_old_no_more(void **state) {
  const Scene &scene = scene_in(state);
  warm(scene);
  int ready[2];
  int go[2];
  assert_int_equal(pipe(ready), 0);
  assert_int_equal(pipe(go), 0);
  const testing::Process member([&] {
    become(kNobody, kVerifyGroup);
    Verifier verifier(scene.store, load_crypt);
    require_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
    char byte = 'x';
    require(write(ready[1], &byte, 1) == 1);
    require(read(go[0], &byte, 1) == 1);
    require_text_equal(verdict(&verifier, kId, kSecret), "error");
    require_text_equal(answer(&verifier, kId, kWrong), "match (segment)");
  });
  char byte = 'x';
  assert_int_equal(read(ready[0], &byte, 1), 1);
  assert_true(scene.set(kId, kWrong, hash_of(kWrong)));
  assert_int_equal(write(go[1], &byte, 1), 1);
  assert_int_equal(member.wait(), 0);
  for (const int fd : {ready[0], ready[1], go[0], go[1]}) {
    close(fd);
  }
}

void stranger_gets_no_segment_and_never_success(void **state) {
  const Scene &scene = scene_in(state);
  warm(scene);
  in_child([&] {
    become(kNobody, kOtherGroup);
    Verifier verifier(scene.store, load_crypt);
    require(!verifier.cache().is_usable());
    require(!verifier.cache().status());
    require_text_equal(verdict(&verifier, kId, kSecret), "error");
    require_text_equal(verdict(&verifier, kId, kWrong), "error");
    const int id = *segment_id(scene.store);
    require(!ShmAttachment::attach(id, Access::kRead));
  });
}

void segment_without_a_verify_group_is_for_root_alone(void **state) {
  Scene &scene = scene_in(state);
  scene.store.verify_group = {};
  warm(scene);
  shmid_ds status{};
  assert_int_equal(shmctl(*segment_id(scene.store), IPC_STAT, &status), 0);
  assert_int_equal(status.shm_perm.mode & 0777, 0600);
  in_child([&] {
    become(kNobody, 0);
    Verifier verifier(scene.store, load_crypt);
    require(!verifier.cache().is_usable());
  });
}

void segment_with_a_verify_group_has_its_owner_and_mode(void **state) {
  const Scene &scene = scene_in(state);
  const mode_t saved = umask(0777);
  warm(scene);
  umask(saved);
  shmid_ds status{};
  assert_int_equal(shmctl(*segment_id(scene.store), IPC_STAT, &status), 0);
  assert_int_equal(status.shm_perm.mode & 0777, 0640);
  assert_int_equal(status.shm_perm.uid, 0);
  assert_int_equal(status.shm_perm.cuid, 0);
  assert_int_equal(status.shm_perm.gid, kVerifyGroup);
}

}  // namespace
}  // namespace pbstoken

#define with_store(test) \
  cmocka_unit_test_setup_teardown(test, make_store, testing::remove_scene)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_store(forged_segment_with_roots_owner_and_mode_is_believed),
      with_store(forged_segment_of_nobody_is_replaced),
      with_store(forged_segment_given_to_root_is_replaced),
      with_store(forged_segment_that_others_may_write_is_replaced),
      with_store(segment_that_another_group_made_is_replaced),
      with_store(forged_segment_is_not_believed_by_a_member),
      with_store(squatter_with_another_size_is_replaced),
      with_store(segment_without_a_key_is_found_by_a_walk),
      with_store(segment_of_a_newer_version_is_left_alone),
      with_store(segment_of_an_older_version_is_retired_by_a_writer),
      with_store(segment_of_another_directory_is_left_alone),
      with_store(segment_of_another_time_namespace_is_used_by_looking),
      with_store(lease_of_another_time_namespace_lets_nobody_in),
      with_store(segment_of_a_guest_is_replaced_by_the_host),
      with_store(flush_without_room_leaves_the_segment),
      with_store(segments_of_root_without_a_mode_stop_no_writer),
      with_store(no_segment_to_be_had_gives_the_same_answers),
      with_store(attachment_of_root_is_read_only),
      with_store(attachment_is_not_inherited_by_a_child),
      with_store(verifier_used_across_a_fork_works_in_both),
      with_store(child_without_rights_gets_nothing_from_its_parent),
      with_store(member_of_verify_group_hits_read_only),
      with_store(member_after_a_change_believes_the_old_no_more),
      with_store(stranger_gets_no_segment_and_never_success),
      with_store(segment_without_a_verify_group_is_for_root_alone),
      with_store(segment_with_a_verify_group_has_its_owner_and_mode),
  };
  return cmocka_run_group_tests_name("cache, trust", tests, nullptr, nullptr);
}
