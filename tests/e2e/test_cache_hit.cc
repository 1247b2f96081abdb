// SPDX-License-Identifier: BSD-3-Clause
// What a hit does not do (I6).
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "e2e/cache_support.h"
#include "pbstoken/cache/cache.h"
#include "pbstoken/cache/writer.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/ipc.h"
#include "pbstoken/store/lease.h"

namespace pbstoken {
namespace {

using testing::hash_of;
using testing::in_child;
using testing::load_crypt;
using testing::make_scene;
using testing::remove_scene;
using testing::Scene;
using testing::scene_in;

const std::string kId = "john@pbs!client1";
const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";

// From now on the kernel kills this process for any system call but exit(2),
// geteuid(2) and the look that a process may have.  (Seccomp's strict mode
// would do, but takes the time stamp counter away, too, by which the clock is
// read.)
bool forbid_system_calls(bool may_look) {
  const std::uint32_t look = may_look ? SYS_statx : SYS_exit;
  std::array<sock_filter, 6> program = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_geteuid, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, look, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  }};
  const sock_fprog filter = {.len = program.size(), .filter = program.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// A second hit in a handle, by this process as it is now.
void require_hits(const Store &store, bool may_look) {
  const TokenId id = *parse_token_id(kId);
  Verifier verifier(store, load_crypt);
  bool all = static_cast<bool>(verifier.verify(id, kSecret));
  all = forbid_system_calls(may_look) && all;
  for (int i = 0; i < 1000; ++i) {
    const auto hit = verifier.verify(id, kSecret);
    all = all && hit && hit->source == Source::kSegment &&
          hit->outcome == Outcome::kMatch;
  }
  syscall(SYS_exit, all ? 0 : 1);
}

void hit_makes_no_system_call_but_a_look(void **state) {
  Scene &scene = scene_in(state);
  scene.write({{kId, hash_of(kSecret)}});
  in_child([&] { require_hits(scene.store, /*may_look=*/true); });
  scene.store.look = false;
  in_child([&] { require_hits(scene.store, /*may_look=*/false); });
}

// A service that may not look does not try each time.
void hit_of_a_member_makes_no_system_call(void **state) {
  const Scene &scene = scene_in(state);
  scene.write({{kId, hash_of(kSecret)}});
  chmod(scene.directory().c_str(), S_IRWXU);
  Verifier verifier(scene.store, load_crypt);
  assert_true(
      static_cast<bool>(verifier.verify(*parse_token_id(kId), kSecret)));
  in_child([&] {
    testing::become(testing::kNobody, testing::kVerifyGroup);
    require_hits(scene.store, /*may_look=*/false);
  });
}

// A lease costs it none.  adopt: of the file that is there.
void hit_under_a_lease_makes_no_system_call_but_a_look(void **state) {
  Scene &scene = scene_in(state);
  scene.write({{kId, hash_of(kSecret)}});
  scene.store.lease = 60;
  const LeaseTerm term = {.asked = boottime_now() / kNanosecondsPerMillisecond,
                          .seconds = scene.store.lease};
  std::ofstream(lease_path(scene.store).c_str())
      << text_of({.revision = 1,
                  .term = term,
                  .boot = *boot_id(),
                  .clock = namespace_inode("time"),
                  .digest = FixedText<64>(std::string(64, '0'))})
             .view();
  Verifier verifier(scene.store, load_crypt);
  const auto miss = verifier.verify(*parse_token_id(kId), kSecret);
  assert_true(miss && miss->outcome == Outcome::kMatch);
  renew_lease(scene.store, Kind::kSecrets, term);
  in_child([&] { require_hits(scene.store, /*may_look=*/true); });
  chmod(scene.directory().c_str(), S_IRWXU);
  in_child([&] {
    testing::become(testing::kNobody, testing::kVerifyGroup);
    require_hits(scene.store, /*may_look=*/false);
  });
}

// Nor does it wait for who holds the store's lock.
void hit_takes_no_lock(void **state) {
  const Scene &scene = scene_in(state);
  scene.write({{kId, hash_of(kSecret)}});
  const TokenId id = *parse_token_id(kId);
  Verifier verifier(scene.store, load_crypt);
  assert_true(static_cast<bool>(verifier.verify(id, kSecret)));
  const auto lock = FileLock::acquire(scene.store, 0);
  assert_true(static_cast<bool>(lock));
  const auto hit = verifier.verify(id, kSecret);
  assert_true(hit && hit->source == Source::kSegment);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(hit_makes_no_system_call_but_a_look,
                                      make_scene, remove_scene),
      cmocka_unit_test_setup_teardown(hit_of_a_member_makes_no_system_call,
                                      make_scene, remove_scene),
      cmocka_unit_test_setup_teardown(
          hit_under_a_lease_makes_no_system_call_but_a_look, make_scene,
          remove_scene),
      cmocka_unit_test_setup_teardown(hit_takes_no_lock, make_scene,
                                      remove_scene),
  };
  return cmocka_run_group_tests_name("cache, hit", tests, nullptr, nullptr);
}
