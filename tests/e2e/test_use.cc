// SPDX-License-Identifier: BSD-3-Clause
// The record of use: everybody is counted, members too; and since members could
// write anything there, nothing depends on it.
#include <sys/shm.h>

#include <cstring>
#include <ctime>

#include "cache_support.h"
#include "pbstoken/limits/named_object.h"
#include "pbstoken/limits/tally.h"

namespace pbstoken {
namespace {

using namespace testing;

const std::string kId = "john@pbs!client1";
const std::string kSecret = "11111111-2222-3333-4444-555555555555";

const Scene &scene_in(void **state) {
  return *static_cast<const Scene *>(*state);
}

void remove_record(const Store &store) {
  static_cast<void>(remove_named(use_segment(store)));
}

Verification verify(Verifier *verifier, const std::string &secret = kSecret) {
  const auto verification = verifier->verify(*parse_token_id(kId), secret);
  require(static_cast<bool>(verification));
  return *verification;
}

// Of the segment alone; a handle for each.
void hit_as_member(const Store &store, int count) {
  become(kNobody, kVerifyGroup);
  for (int i = 0; i < count; ++i) {
    Verifier verifier(store, load_crypt);
    const auto known =
        verifier.verify_in_segment(*parse_token_id(kId), kSecret);
    require(known && known->outcome == Outcome::kMatch);
  }
}

// A token that root has verified, and a new record.
void begin(const Scene &scene) {
  remove_record(scene.store);
  scene.write({{kId, hash_of(kSecret)}});
  in_child([&scene] {
    Verifier verifier(scene.store, load_crypt);
    require(verify(&verifier).outcome == Outcome::kMatch);
  });
}

std::uint64_t total(const Store &store, Party party, Event event) {
  return Use(store).totals(party)[static_cast<std::size_t>(event)];
}

void hits_of_members_are_counted(void **state) {
  const Scene &scene = scene_in(state);
  begin(scene);
  in_child([&scene] { hit_as_member(scene.store, 100); });
  in_child([&scene] {
    for (int i = 0; i < 10; ++i) {
      Verifier verifier(scene.store, load_crypt);
      require(verify(&verifier).source == Source::kSegment);
    }
  });
  assert_int_equal(total(scene.store, Party::kMembers, Event::kHit), 100);
  assert_int_equal(total(scene.store, Party::kRoot, Event::kHit), 10);
  assert_int_equal(total(scene.store, Party::kRoot, Event::kHash), 1);
  assert_int_equal(total(scene.store, Party::kMembers, Event::kHash), 0);
}

void token_has_its_last_use_and_how_often(void **state) {
  const Scene &scene = scene_in(state);
  begin(scene);
  sleep(1);
  const std::time_t before = std::time(nullptr);
  in_child([&scene] { hit_as_member(scene.store, 5); });
  Use use(scene.store);
  const auto found = use.of(kId);
  assert_true(found.has_value());
  assert_int_equal(found->count, 6);
  assert_in_range(found->last, before, before + 1);
  assert_in_range(*use.since(), before - 3, before - 1);
  assert_false(use.of("john@pbs!other").has_value());
}

void refused_secret_is_no_use(void **state) {
  const Scene &scene = scene_in(state);
  begin(scene);
  in_child([&scene] {
    for (int i = 0; i < 3; ++i) {  // hashed, then known
      Verifier verifier(scene.store, load_crypt);
      require(verify(&verifier, std::string(36, 'x')).outcome !=
              Outcome::kMatch);
    }
  });
  assert_int_equal(Use(scene.store).of(kId)->count, 1);
  assert_int_equal(total(scene.store, Party::kRoot, Event::kKnownMismatch), 2);
}

// 8 processes at once.
void uses_at_the_same_time_are_counted(void **state) {
  const Scene &scene = scene_in(state);
  begin(scene);
  constexpr int kProcesses = 8;
  constexpr int kHits = 20'000;
  std::vector<Process> processes;
  for (int i = 0; i < kProcesses; ++i) {
    processes.emplace_back([&scene] {
      become(kNobody, kVerifyGroup);
      Verifier verifier(scene.store, load_crypt);
      for (int hit = 0; hit < kHits; ++hit) {
        require(verifier.verify_in_segment(*parse_token_id(kId), kSecret)
                    .has_value());
      }
    });
  }
  for (const Process &process : processes) {
    assert_int_equal(process.wait(), 0);
  }
  constexpr int kAll = kProcesses * kHits;
  assert_int_equal(total(scene.store, Party::kMembers, Event::kHit), kAll);
  assert_in_range(Use(scene.store).of(kId)->count, kAll / 100 * 99, kAll + 1);
}

int records_in_kernel(const Store &store) {
  const std::size_t size = [&store] {
    shmid_ds status{};
    const NamedSegment record = use_segment(store);
    shmctl(record.get(record.key, 0), IPC_STAT, &status);
    return status.shm_segsz;
  }();
  int found = 0;
  static_cast<void>(walk_table<SegmentEntry>([&](const SegmentEntry &entry) {
    const bool is_removed = (entry.owner().mode & SHM_DEST) != 0;
    found += entry.status.shm_segsz == size && !is_removed ? 1 : 0;
    return true;
  }));
  return found;
}

void fill_record(const Store &store, int byte) {
  const NamedSegment record = use_segment(store);
  const int id = record.get(record.key, 0);
  shmid_ds status{};
  require(shmctl(id, IPC_STAT, &status) == 0);
  void *address = shmat(id, nullptr, 0);
  require(reinterpret_cast<std::intptr_t>(address) != -1);
  if (byte >= 0) {
    std::memset(address, byte, status.shm_segsz);
  } else {
    std::ifstream("/dev/urandom", std::ios::binary)
        .read(static_cast<char *>(address),
              static_cast<std::streamsize>(status.shm_segsz));
  }
}

void member_that_writes_over_it_changes_no_answer(void **state) {
  const Scene &scene = scene_in(state);
  begin(scene);
  for (const int byte : {0xff, 0x80, 0x01, 0, -1}) {
    in_child([&scene, byte] {
      become(kNobody, kVerifyGroup);
      fill_record(scene.store, byte);
    });
    in_child([&scene] {
      Verifier verifier(scene.store, load_crypt);
      require(verify(&verifier).outcome == Outcome::kMatch);
      require(verify(&verifier, std::string(36, 'x')).outcome !=
              Outcome::kMatch);
      Use use(scene.store);
      static_cast<void>(use.totals(Party::kMembers));
      static_cast<void>(use.since());
      require(use.of(kId).has_value());
    });
    in_child([&scene] { hit_as_member(scene.store, 3); });
    assert_int_equal(records_in_kernel(scene.store), 1);
  }
}

// The kernel's own permissions say who may write.
void others_may_neither_read_nor_write_it(void **state) {
  const Scene &scene = scene_in(state);
  begin(scene);
  in_child([&scene] {
    become(kNobody, kOtherGroup);
    const NamedSegment record = use_segment(scene.store);
    const int id = record.get(record.key, 0);
    require(shmat(id, nullptr, 0) == reinterpret_cast<void *>(-1));
    require(shmat(id, nullptr, SHM_RDONLY) == reinterpret_cast<void *>(-1));
    require(!use_segment(scene.store).use());
  });
}

ipc_perm owner_of_record(const Store &store) {
  ipc_perm owner{};
  const NamedSegment record = use_segment(store);
  record.owner_of(record.get(record.key, 0), &owner);
  return owner;
}

void record_follows_verify_group(void **state) {
  const Scene &scene = scene_in(state);
  begin(scene);
  assert_int_equal(owner_of_record(scene.store).gid, kVerifyGroup);
  assert_int_equal(owner_of_record(scene.store).mode & 0777, 0660);
  Store changed = scene.store;
  changed.configuration = PathText(scene.directory() + "/changed.conf");
  sleep(1);
  std::ofstream(changed.configuration.c_str()) << "\n";
  changed.verify_group.id = kOtherGroup;
  Verifier(changed, load_crypt).heal();
  assert_int_equal(owner_of_record(scene.store).gid, kOtherGroup);
  changed.verify_group = {};
  sleep(1);
  std::ofstream(changed.configuration.c_str()) << "\n";
  Verifier(changed, load_crypt).heal();
  assert_int_equal(owner_of_record(scene.store).mode & 0777, 0600);
}

// Made by a user before root needs it.
void key_of_a_stranger_is_taken_back(void **state) {
  const Scene &scene = scene_in(state);
  remove_record(scene.store);
  in_child([&scene] {
    become(kNobody, kOtherGroup);
    const NamedSegment record = use_segment(scene.store);
    require(shmget(record.key, 4096, IPC_CREAT | 0666) >= 0);
  });
  scene.write({{kId, hash_of(kSecret)}});
  in_child([&scene] {
    Verifier verifier(scene.store, load_crypt);
    require(verify(&verifier).outcome == Outcome::kMatch);
  });
  assert_int_equal(owner_of_record(scene.store).cuid, 0);
  assert_int_equal(Use(scene.store).of(kId)->count, 1);
}

// Nobody makes another meanwhile, and nothing is slower for it.
void without_the_record_every_answer_is_the_same(void **state) {
  const Scene &scene = scene_in(state);
  begin(scene);
  remove_record(scene.store);
  in_child([&scene] { hit_as_member(scene.store, 3); });
  assert_int_equal(owner_of_record(scene.store).mode, 0);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_scene(hits_of_members_are_counted),
      with_scene(token_has_its_last_use_and_how_often),
      with_scene(refused_secret_is_no_use),
      with_scene(uses_at_the_same_time_are_counted),
      with_scene(member_that_writes_over_it_changes_no_answer),
      with_scene(others_may_neither_read_nor_write_it),
      with_scene(record_follows_verify_group),
      with_scene(key_of_a_stranger_is_taken_back),
      with_scene(without_the_record_every_answer_is_the_same),
  };
  return cmocka_run_group_tests_name("use", tests, nullptr, nullptr);
}
