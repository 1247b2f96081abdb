// SPDX-License-Identifier: BSD-3-Clause
// Segments that nobody uses any more go by themselves, and those that somebody
// uses stay.
#include <sys/syscall.h>

#include <ctime>

#include "cache_support.h"
#include "pbstoken/limits/named_object.h"

namespace {

// What the clocks of this process are ahead of the host's.
std::time_t ahead = 0;

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec *out) noexcept {
  const auto result = syscall(SYS_clock_gettime, clock, out);
  out->tv_sec += ahead;
  return static_cast<int>(result);
}

extern "C" std::time_t time(std::time_t * /*out*/) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec;
}

namespace pbstoken {
namespace {

using namespace testing;

constexpr std::time_t kDay = 86400;
const std::string kId = "john@pbs!client1";
const std::string kSecret = "11111111-2222-3333-4444-555555555555";

const Scene &scene_in(void **state) {
  ahead = 0;
  return *static_cast<const Scene *>(*state);
}

void verify(const Scene &scene) {
  in_child([&scene] {
    Verifier verifier(scene.store, load_crypt);
    const auto verification = verifier.verify(*parse_token_id(kId), kSecret);
    require(verification && verification->outcome == Outcome::kMatch);
  });
}

// A directory as it is after a restore: the segment of the one before it is
// nobody's.  Returns its id.
int leave_one_over(const Scene &scene) {
  scene.write({{kId, hash_of(kSecret)}});
  verify(scene);
  const int id = *segment_id(scene.store);
  std::filesystem::rename(scene.directory(), scene.directory() + ".old");
  std::filesystem::create_directory(scene.directory());
  scene.write({{kId, hash_of(kSecret)}});
  verify(scene);
  return id;
}

bool is_there(int id) {
  shmid_ds status{};
  return shmctl(id, IPC_STAT, &status) == 0;
}

// What makes the next process walk.
void change(const Scene &scene) {
  in_child(
      [&scene] { require(scene.set("other@pbs!t", "x", hash_of(kSecret))); });
}

void clean(const Scene &scene, int id) {
  shmctl(id, IPC_RMID, nullptr);
  std::filesystem::remove_all(scene.directory() + ".old");
}

void left_over_goes_after_a_day(void **state) {
  const Scene &scene = scene_in(state);
  const int id = leave_one_over(scene);
  change(scene);
  assert_true(is_there(id));
  ahead = kDay - 10;
  change(scene);
  assert_true(is_there(id));
  ahead = kDay + 10;
  change(scene);
  assert_false(is_there(id));
  assert_true(segment_id(scene.store).has_value());
  clean(scene, id);
}

void segment_that_a_process_has_attached_stays(void **state) {
  const Scene &scene = scene_in(state);
  const int id = leave_one_over(scene);
  const auto attached = ShmAttachment::attach(id, Access::kRead);
  assert_true(static_cast<bool>(attached));
  ahead = kDay + 10;
  change(scene);
  assert_true(is_there(id));
  clean(scene, id);
}

// Its debt to upstream's daemons is its successor's.
void segment_that_a_dead_writer_has_claimed_stays(void **state) {
  const Scene &scene = scene_in(state);
  const int id = leave_one_over(scene);
  in_child([id] {
    auto attached = ShmAttachment::attach(id, Access::kWrite);
    require(static_cast<bool>(attached));
    reinterpret_cast<SegmentPrefix *>(attached->address())->generation += 1;
  });
  ahead = kDay + 10;
  change(scene);
  assert_true(is_there(id));
  clean(scene, id);
}

void segments_of_others_stay(void **state) {
  const Scene &scene = scene_in(state);
  scene.write({{kId, hash_of(kSecret)}});
  const int foreign = shmget(IPC_PRIVATE, 65536, IPC_CREAT | 0600);
  verify(scene);
  in_child([&scene] { Use(scene.store).count(Event::kHit, {}, {}); });
  const SharedSegment record = use_segment(scene.store);
  ahead = kDay + 10;
  change(scene);
  assert_true(is_there(foreign));
  assert_true(record.get(record.key, 0) >= 0);
  shmctl(foreign, IPC_RMID, nullptr);
}

// Of a maker that was killed when there was a keyless segment already: that one
// is used, and the key is free again.
void unfinished_segment_under_the_key_goes(void **state) {
  const Scene &scene = scene_in(state);
  scene.write({{kId, hash_of(kSecret)}});
  const key_t key = key_of(subject_of(scene.store));
  const int others = shmget(key, 100, IPC_CREAT | 0600);
  verify(scene);
  shmctl(others, IPC_RMID, nullptr);
  const auto size = SegmentShape::for_slots(8192).size();
  const int unfinished = shmget(key, size, IPC_CREAT | 0600);
  assert_true(unfinished >= 0);
  const auto used = find_segment(subject_of(scene.store));
  assert_true(used.has_value());
  change(scene);
  assert_false(is_there(unfinished));
  assert_true(is_there(used->identity.id));
  shmctl(used->identity.id, IPC_RMID, nullptr);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_scene(left_over_goes_after_a_day),
      with_scene(segment_that_a_process_has_attached_stays),
      with_scene(segment_that_a_dead_writer_has_claimed_stays),
      with_scene(segments_of_others_stay),
      with_scene(unfinished_segment_under_the_key_goes),
  };
  return cmocka_run_group_tests_name("left_overs", tests, nullptr, nullptr);
}
