// SPDX-License-Identifier: BSD-3-Clause
// The record of use: everybody is counted, members too; and since members could
// write anything there, nothing depends on it.
#include <sys/shm.h>

#include <cstring>
#include <ctime>

#include "cache_support.h"
#include "pbstoken/limits/named_object.h"
#include "pbstoken/limits/tally.h"
#include "soak_support.h"

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

// Members look, too, but cannot read the file again once it may settle.
void settle(const Scene &scene) {
  auto opened = testing::open_segment(scene.store);
  opened->segment.set_stamp(
      testing::stamp_of_file(scene.store, opened->segment.generation()));
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
  assert_int_equal(use.last(), found->last);
  assert_in_range(*use.since(), before - 3, before - 1);
  assert_false(use.of("john@pbs!other").has_value());
}

// Of the segments of this namespace.
long pages_in_memory() {
  shm_info info{};
  require(shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds *>(&info)) >= 0);
  return static_cast<long>(info.shm_rss);
}

// The record has 4 MiB; the kernel gives memory to what was never written, too,
// once it is read.
void asking_takes_no_memory(void **state) {
  const Scene &scene = scene_in(state);
  begin(scene);
  const long before = pages_in_memory();
  in_child([&scene] {
    Use use(scene.store);
    require(use.since() && use.of(kId) && use.last() != 0);
    require(use.totals(Party::kRoot)[0] + use.totals(Party::kMembers)[0] == 0);
  });
  assert_in_range(pages_in_memory(), before, before + 3);
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
  settle(scene);
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

// --- services side by side

constexpr std::size_t kServices = 8;
struct Counted {
  std::array<std::uint64_t, kServices> uses;
  std::array<std::uint64_t, kServices> last;  // seconds since the epoch
};

std::string token_of(std::size_t service) {
  return "john@pbs!service" + std::to_string(service);
}

// Three of root, three of members, and one of each that lives for one request.
void serve(const Store &store, std::size_t service, Counted *counted) {
  const bool is_member = service >= 3 && service != 6;
  const bool is_short = service >= 6;
  const std::string id = token_of(service);
  const auto request = [&](Verifier *verifier) {
    const auto known =
        verifier->verify_in_segment(*parse_token_id(id), kSecret);
    require(known && known->outcome == Outcome::kMatch);
  };
  std::optional<Verifier> verifier;
  if (!is_short) {
    if (is_member) {
      become(kNobody, kVerifyGroup);
    }
    verifier.emplace(store, load_crypt);
  }
  for (Rounds rounds(300); rounds.next(); usleep(1000)) {
    if (is_short) {
      const Process one([&] {
        if (is_member) {
          become(kNobody, kVerifyGroup);
        }
        Verifier own(store, load_crypt);
        request(&own);
      });
      require(one.wait() == 0);
    } else {
      request(&*verifier);
    }
    ++counted->uses.at(service);
    counted->last.at(service) = static_cast<std::uint64_t>(std::time(nullptr));
  }
}

void services_side_by_side_are_counted(void **state) {
  const Scene &scene = scene_in(state);
  remove_record(scene.store);
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < kServices; ++i) {
    tokens.push_back({token_of(i), hash_of(kSecret)});
  }
  scene.write(tokens);
  in_child([&] {
    Verifier verifier(scene.store, load_crypt);
    for (const Token &token : tokens) {
      require(static_cast<bool>(
          verifier.verify(*parse_token_id(token.id), kSecret)));
    }
  });
  settle(scene);
  const Shared<Counted> counted;
  std::vector<Process> services;
  for (std::size_t i = 0; i < kServices; ++i) {
    services.emplace_back([&, i] { serve(scene.store, i, &*counted); });
  }
  for (const Process &service : services) {
    assert_int_equal(service.wait(), 0);
  }
  std::uint64_t of_members = 0;
  for (std::size_t i = 0; i < kServices; ++i) {
    const auto use = Use(scene.store).of(token_of(i));
    const std::uint64_t uses = counted->uses.at(i) + 1;  // and the first
    assert_true(use.has_value());
    assert_in_range(use->count, uses * 99 / 100, uses);
    assert_in_range(use->last, counted->last.at(i) - 2,
                    counted->last.at(i) + 2);
    of_members += i >= 3 && i != 6 ? counted->uses.at(i) : 0;
  }
  assert_in_range(total(scene.store, Party::kMembers, Event::kHit),
                  of_members * 99 / 100, of_members);
}

int records_in_kernel(const Store &store) {
  const std::size_t size = [&store] {
    shmid_ds status{};
    const SharedSegment record = use_segment(store);
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
  const SharedSegment record = use_segment(store);
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
    const SharedSegment record = use_segment(scene.store);
    const int id = record.get(record.key, 0);
    require(shmat(id, nullptr, 0) == reinterpret_cast<void *>(-1));
    require(shmat(id, nullptr, SHM_RDONLY) == reinterpret_cast<void *>(-1));
    require(!use_segment(scene.store).use());
  });
}

ipc_perm owner_of_record(const Store &store) {
  ipc_perm owner{};
  const SharedSegment record = use_segment(store);
  record.owner_of(record.get(record.key, 0), &owner);
  return owner;
}

// The store as a process has it that starts after a change.
Store changed_store(const Scene &scene, const Principal &group) {
  Store changed = scene.store;
  changed.configuration = PathText(scene.directory() + "/changed.conf");
  sleep(1);
  std::ofstream(changed.configuration.c_str()) << "\n";
  struct stat status = {};
  stat(changed.configuration.c_str(), &status);
  changed.configuration_identity = identity_of(status);
  changed.verify_group = group;
  return changed;
}

// As the next request does that the segment does not answer.
void heal(const Store &store) {
  in_child([&store] {
    Verifier verifier(store, load_crypt);
    verifier.heal();
    static_cast<void>(verifier.use().totals(Party::kRoot));
  });
}

// One that members of the former group have mapped goes.
void record_follows_verify_group(void **state) {
  const Scene &scene = scene_in(state);
  begin(scene);
  assert_int_equal(owner_of_record(scene.store).gid, kVerifyGroup);
  assert_int_equal(owner_of_record(scene.store).mode & 0777, 0660);
  const SharedSegment record = use_segment(scene.store);
  const int former = record.get(record.key, 0);
  const Store changed = changed_store(scene, {.name = {}, .id = kOtherGroup});
  heal(changed);
  assert_int_equal(owner_of_record(scene.store).gid, kOtherGroup);
  assert_int_not_equal(record.get(record.key, 0), former);
  const Store alone = changed_store(scene, {});
  heal(alone);
  assert_int_equal(owner_of_record(scene.store).mode & 0777, 0600);
}

// It lives on with the settings of its start, and does not force them on
// others.
void handle_with_former_settings_changes_nothing(void **state) {
  const Scene &scene = scene_in(state);
  begin(scene);
  Store former = scene.store;
  Store changed = changed_store(scene, {.name = {}, .id = kOtherGroup});
  former.configuration = changed.configuration;
  heal(former);
  heal(changed);
  assert_int_equal(owner_of_record(scene.store).gid, kOtherGroup);
  sleep(1);
  std::filesystem::last_write_time(
      changed.configuration.c_str(),
      std::filesystem::file_time_type::clock::now());
  heal(changed);  // knows that it is outdated
  assert_int_equal(owner_of_record(scene.store).gid, kOtherGroup);
}

void set_mode(const Store &store, unsigned mode) {
  const SharedSegment record = use_segment(store);
  const int id = record.get(record.key, 0);
  shmid_ds status{};
  assert_int_equal(shmctl(id, IPC_STAT, &status), 0);
  status.shm_perm.mode = static_cast<decltype(status.shm_perm.mode)>(mode);
  assert_int_equal(shmctl(id, IPC_SET, &status), 0);
}

// Others may write it: nobody counts there until it is mended.
void mode_that_was_changed_by_hand_is_mended(void **state) {
  const Scene &scene = scene_in(state);
  for (const unsigned mode : {0666U, 0600U, 0640U, 0U}) {
    begin(scene);
    set_mode(scene.store, mode);
    in_child([&scene] {
      Verifier verifier(scene.store, load_crypt);
      verifier.heal();
      require(verify(&verifier).outcome == Outcome::kMatch);
    });
    assert_int_equal(owner_of_record(scene.store).mode & 0777, 0660);
    assert_int_equal(Use(scene.store).of(kId)->count, 2);
  }
}

// Its group could read it for ever.
void record_is_not_made_under_another_group(void **state) {
  const Scene &scene = scene_in(state);
  remove_record(scene.store);
  scene.write({{kId, hash_of(kSecret)}});
  in_child([&scene] {
    require(setegid(kOtherGroup) == 0);
    Verifier verifier(scene.store, load_crypt);
    require(verify(&verifier).outcome == Outcome::kMatch);
  });
  assert_int_equal(owner_of_record(scene.store).mode, 0);
  in_child([&scene] {
    Verifier verifier(scene.store, load_crypt);
    require(verify(&verifier).outcome == Outcome::kMatch);
  });
  assert_int_equal(owner_of_record(scene.store).mode & 0777, 0660);
}

// What looks like a segment of ours, of any layout and claimed by a writer, is
// none: it is neither retired nor in the way of a new one.
void record_that_looks_like_a_segment_is_left_alone(void **state) {
  const Scene &scene = scene_in(state);
  for (const std::uint64_t version :
       {std::uint64_t{1}, kLayoutVersion, kLayoutVersion + 1}) {
    begin(scene);
    const SharedSegment record = use_segment(scene.store);
    const int id = record.get(record.key, 0);
    in_child([&scene, id, version] {
      become(kNobody, kVerifyGroup);
      const Subject subject = subject_of(scene.store);
      auto *prefix = static_cast<SegmentPrefix *>(shmat(id, nullptr, 0));
      *prefix = {.magic = kSegmentMagic,
                 .layout_version = version,
                 .generation = 5,
                 .size = kUseRecordSize,
                 .kind = static_cast<std::uint64_t>(subject.kind),
                 .directory_device = subject.view.directory_device,
                 .directory_inode = subject.view.directory_inode,
                 .name = subject.view.name};
    });
    scene.remove_segment();
    in_child([&scene] {
      require(scene.set("other@pbs!t", "x", hash_of(kSecret)));
      Verifier verifier(scene.store, load_crypt);
      require(verify(&verifier).outcome == Outcome::kMatch);
    });
    assert_int_equal(record.get(record.key, 0), id);
    assert_true(segment_id(scene.store).has_value());
  }
}

// A handle that lives on counts in the record that is there now, and for the
// user that the process has become.
void handle_follows_the_record_and_its_user(void **state) {
  const Scene &scene = scene_in(state);
  begin(scene);
  Store store = scene.store;
  store.cache_ttl = 1;
  in_child([&store] {
    Verifier verifier(store, load_crypt);
    require(verify(&verifier).outcome == Outcome::kMatch);
    remove_record(store);
    static_cast<void>(Use(store).totals(Party::kRoot));
    sleep(2);
    require(verify(&verifier).outcome == Outcome::kMatch);
    become(kNobody, kVerifyGroup);
    require(
        verifier.verify_in_segment(*parse_token_id(kId), kSecret).has_value());
  });
  assert_int_equal(Use(store).of(kId)->count, 2);
  assert_int_equal(total(store, Party::kMembers, Event::kHit), 1);
}

// Made by a user before root needs it.
void key_of_a_stranger_is_taken_back(void **state) {
  const Scene &scene = scene_in(state);
  remove_record(scene.store);
  in_child([&scene] {
    become(kNobody, kOtherGroup);
    const SharedSegment record = use_segment(scene.store);
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

void looking_makes_no_record(void **state) {
  const Scene &scene = scene_in(state);
  remove_record(scene.store);
  in_child([&scene] {
    Use use(scene.store);
    use.only_look();
    require(!use.of(kId) && use.last() == 0);
  });
  assert_int_equal(owner_of_record(scene.store).mode, 0);
  begin(scene);
  Use later(scene.store);
  later.only_look();
  assert_int_equal(later.of(kId)->count, 1);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_scene(hits_of_members_are_counted),
      with_scene(token_has_its_last_use_and_how_often),
      with_scene(asking_takes_no_memory),
      with_scene(refused_secret_is_no_use),
      with_scene(uses_at_the_same_time_are_counted),
      with_scene(services_side_by_side_are_counted),
      with_scene(member_that_writes_over_it_changes_no_answer),
      with_scene(others_may_neither_read_nor_write_it),
      with_scene(record_follows_verify_group),
      with_scene(handle_with_former_settings_changes_nothing),
      with_scene(mode_that_was_changed_by_hand_is_mended),
      with_scene(record_is_not_made_under_another_group),
      with_scene(record_that_looks_like_a_segment_is_left_alone),
      with_scene(handle_follows_the_record_and_its_user),
      with_scene(key_of_a_stranger_is_taken_back),
      with_scene(without_the_record_every_answer_is_the_same),
      with_scene(looking_makes_no_record),
  };
  return cmocka_run_group_tests_name("use", tests, nullptr, nullptr);
}
