// SPDX-License-Identifier: BSD-3-Clause
// What one process does, in whatever namespace, chroot or mount, changes no
// answer of a process that sees another file (I8); and none accepts what its
// own file does not hold.
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "e2e/cache_support.h"

namespace pbstoken {
namespace {

using testing::answer;
using testing::hash_of;
using testing::in_child;
using testing::load_crypt;
using testing::Process;
using testing::require;
using testing::require_text_equal;
using testing::Scene;
using testing::scene_in;
using testing::verdict;

const std::string kId = "john@pbs!client1";
const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";
const std::string kOther = "0c1e9a55-19f2-4d0e-8d3c-aa0b7a1f0e42";
const std::string kHash = hash_of(kSecret);
const std::string kOtherHash = hash_of(kOther);

// A TTL of one second: a test that needs it over sleeps so long.
constexpr std::uint64_t kTtl = 1;

int make_store(void **state) {
  if (testing::make_scene(state) != 0) {
    return -1;
  }
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = kTtl;
  scene.store.user_cfg = PathText(scene.directory() + "/user.cfg");
  std::ofstream(scene.store.user_cfg.c_str())
      << "user: john@pbs\n\ntoken: " + kId + "\n";
  scene.write({{kId, kHash}});
  return 0;
}

void await_ttl() {
  usleep(1'300'000);
}

// The same path below a new root: token.shadow with these tokens, or nothing.
void chroot_to(const Scene &scene, const std::vector<testing::Token> &tokens) {
  const std::string root = scene.directory() + ".root";
  const std::string inside = root + scene.directory();
  std::filesystem::create_directories(inside);
  if (!tokens.empty()) {
    std::ofstream(inside + "/token.shadow") << testing::shadow_text(tokens);
    chmod((inside + "/token.shadow").c_str(), S_IRUSR);
  }
  require(chroot(root.c_str()) == 0 && chdir("/") == 0);
}

void remove_root(const Scene &scene) {
  std::filesystem::remove_all(scene.directory() + ".root");
}

std::string judge(Verifier *verifier) {
  const auto verdict = verifier->judge(*parse_token_id(kId));
  return !verdict                                     ? "error"
         : verdict->status == AccountStatus::kAllowed ? "allowed"
                                                      : "refused";
}

// Over one file, in a mount namespace of its own.
void mount_over(const std::string &path, const std::string &text) {
  const std::string other = path + ".over";
  std::ofstream(other) << text;
  require(mount(other.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) == 0);
}

void leave_mounts() {
  require(unshare(CLONE_NEWNS) == 0);
  require(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
}

// --- chroots

// A service that has moved goes on with what it finds there, and nobody else
// hears of it.
void service_that_chroots_to_an_older_file_tells_nobody(void **state) {
  const Scene &scene = scene_in(state);
  scene.replace({{kId, kOtherHash}});
  Verifier host(scene.store, load_crypt);
  assert_text_equal(verdict(&host, kId, kOther), "match");
  assert_text_equal(verdict(&host, kId, kSecret), "mismatch");
  in_child([&] {
    Verifier service(scene.store, load_crypt);
    require_text_equal(verdict(&service, kId, kOther), "match");
    chroot_to(scene, {{kId, kHash}});
    await_ttl();
    for (int i = 0; i < 3; ++i) {
      require_text_equal(verdict(&service, kId, kSecret), "match");
      require_text_equal(verdict(&service, kId, kOther), "mismatch");
    }
  });
  remove_root(scene);
  for (int i = 0; i < 2; ++i) {
    assert_text_equal(verdict(&host, kId, kSecret), "mismatch");
    assert_text_equal(verdict(&host, kId, kOther), "match");
    await_ttl();
  }
}

void service_that_chroots_to_no_file_takes_nothing_out_of_force(void **state) {
  const Scene &scene = scene_in(state);
  Verifier host(scene.store, load_crypt);
  assert_text_equal(verdict(&host, kId, kSecret), "match");
  in_child([&] {
    Verifier service(scene.store, load_crypt);
    require_text_equal(verdict(&service, kId, kSecret), "match");
    chroot_to(scene, {});
    await_ttl();
    require(verdict(&service, kId, kSecret) != "match");
  });
  remove_root(scene);
  const int before = testing::hashes_computed;
  assert_text_equal(verdict(&host, kId, kSecret), "match");
  assert_int_equal(testing::hashes_computed - before, 0);
  assert_text_equal(answer(&host, kId, kSecret), "match (segment)");
}

// --- mounts

// BindReadOnlyPaths=: another file over token.shadow itself.
void file_mounted_over_token_shadow_is_the_services_own(void **state) {
  const Scene &scene = scene_in(state);
  Verifier host(scene.store, load_crypt);
  assert_text_equal(verdict(&host, kId, kSecret), "match");
  assert_text_equal(verdict(&host, kId, kOther), "mismatch");
  in_child([&] {
    leave_mounts();
    mount_over(scene.path(), testing::shadow_text({{kId, kOtherHash}}));
    await_ttl();
    for (int i = 0; i < 3; ++i) {
      Verifier service(scene.store, load_crypt);
      require_text_equal(verdict(&service, kId, kOther), "match");
      require_text_equal(verdict(&service, kId, kSecret), "mismatch");
    }
  });
  for (int i = 0; i < 2; ++i) {
    assert_text_equal(verdict(&host, kId, kSecret), "match");
    assert_text_equal(verdict(&host, kId, kOther), "mismatch");
    await_ttl();
  }
}

// A member may neither look at its own file nor read it: the host's secret is
// not for it, and its helper answers.
void file_mounted_over_is_not_the_hosts_for_a_member(void **state) {
  const Scene &scene = scene_in(state);
  chmod(scene.directory().c_str(), S_IRWXU);
  Verifier host(scene.store, load_crypt);
  assert_text_equal(verdict(&host, kId, kSecret), "match");
  const auto answers = [&](const std::string &expected) {
    in_child([&] {
      testing::become(testing::kNobody, testing::kVerifyGroup);
      Verifier member(scene.store, load_crypt);
      require_text_equal(answer(&member, kId, kSecret), expected);
    });
  };
  answers("match (segment)");
  in_child([&] {
    leave_mounts();
    mount_over(scene.path(), testing::shadow_text({{kId, kOtherHash}}));
    answers("error");
  });
}

void mount_over_the_directory_of_user_cfg_lets_nobody_in(void **state) {
  Scene &scene = scene_in(state);
  const std::string directory = scene.directory() + ".users";
  std::filesystem::create_directory(directory);
  scene.store.user_cfg = PathText(directory + "/user.cfg");
  const std::string text = "user: john@pbs\n\ntoken: " + kId + "\n";
  std::ofstream(scene.store.user_cfg.c_str()) << text << "\tenable 0\n";
  Verifier host(scene.store, load_crypt);
  assert_text_equal(judge(&host), "refused");
  in_child([&] {
    leave_mounts();
    require(mount("none", directory.c_str(), "tmpfs", 0, nullptr) == 0);
    std::ofstream(scene.store.user_cfg.c_str()) << text;
    await_ttl();
    Verifier service(scene.store, load_crypt);
    require_text_equal(judge(&service), "allowed");
    require_text_equal(judge(&service), "allowed");
  });
  assert_text_equal(judge(&host), "refused");
  Verifier fresh(scene.store, load_crypt);
  assert_text_equal(judge(&fresh), "refused");
  std::filesystem::remove_all(directory);
}

// --- IPC namespaces

// So that two segments are made within a second.
void wait_for_next_second() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  usleep(static_cast<useconds_t>((1'010'000'000 - now.tv_nsec) / 1000));
}

// Ids begin at 0 in each: what is attached is not what has its id there, size,
// maker and second included.
void process_that_leaves_its_ipc_namespace_leaves_the_segment(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 3600;
  scene.store.look = false;
  in_child([&] {
    wait_for_next_second();
    for (int i = 0; i < 2; ++i) {
      require(unshare(CLONE_NEWIPC) == 0);
      Verifier verifier(scene.store, load_crypt);
      require_text_equal(verdict(&verifier, kId, kSecret), "match");
    }
    in_child([&] { require(scene.set(kId, kOther, kOtherHash)); });
    Verifier verifier(scene.store, load_crypt);
    require_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
    require_text_equal(verdict(&verifier, kId, kOther), "match");
    require_text_equal(answer(&verifier, kId, kOther), "match (segment)");
  });
}

// Calls body() in a process that has attached the segment of one IPC namespace
// and joined another one, whose segment looks the same: its maker and second
// are the same.
void after_joining_another(const Scene &scene,
                           const std::function<void()> &body) {
  in_child([&] {
    const Process maker([&scene] {
      wait_for_next_second();
      for (;;) {
        require(unshare(CLONE_NEWIPC) == 0);
        Verifier verifier(scene.store, load_crypt);
        require_text_equal(verdict(&verifier, kId, kSecret), "match");
        raise(SIGSTOP);
      }
    });
    const std::string path = "/proc/" + std::to_string(maker.pid()) + "/ns/ipc";
    for (int i = 0; i < 2; ++i) {
      maker.await_stop();
      const UniqueFd other(open(path.c_str(), O_RDONLY | O_CLOEXEC));
      require(setns(other.get(), CLONE_NEWIPC) == 0);
      Verifier verifier(scene.store, load_crypt);
      require_text_equal(verdict(&verifier, kId, kSecret), "match");
      maker.signal(SIGCONT);
    }
    body();
    maker.kill();
  });
}

void process_that_joins_an_ipc_namespace_uses_its_segment(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 3600;
  for (const bool looks : {true, false}) {
    scene.store.look = looks;
    scene.replace({{kId, kHash}});
    after_joining_another(scene, [&] {
      in_child([&] { require(scene.set(kId, kOther, kOtherHash)); });
      Verifier verifier(scene.store, load_crypt);
      require_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
      // The file is read again once, when its identity has settled.
      int others = 0;
      while (answer(&verifier, kId, kOther) != "match (segment)") {
        require(++others < 3);
      }
    });
  }
}

void lose_capabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  require(syscall(SYS_capset, &header, none) == 0);
}

// It could look until now.  The segment that it has attached is not the one
// that a writer tells.
void process_that_cannot_look_any_more_asks_where_it_is(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 3600;
  after_joining_another(scene, [&] {
    in_child([&] { require(scene.set(kId, kOther, kOtherHash)); });
    require(chmod(scene.directory().c_str(), S_IRWXU) == 0 &&
            chown(scene.directory().c_str(), testing::kNobody, 0) == 0);
    Verifier verifier(scene.store, load_crypt);
    lose_capabilities();
    require_text_equal(verdict(&verifier, kId, kSecret), "error");
  });
}

// --- ids

// proftpd(8) for one: a root process that gives its privileges up for good.
void process_that_gives_up_root_has_no_hit(void **state) {
  const Scene &scene = scene_in(state);
  chmod(scene.directory().c_str(), S_IRWXU);
  in_child([&] {
    Verifier verifier(scene.store, load_crypt);
    require_text_equal(verdict(&verifier, kId, kSecret), "match");
    require_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
    const Client client = {.rhost = "192.0.2.1", .caller = {}};
    require(static_cast<bool>(
        verifier.verify(*parse_token_id(kId), kOther, client)));
    testing::become(testing::kNobody, testing::kOtherGroup);
    require_text_equal(verdict(&verifier, kId, kSecret), "error");
    // Nothing of what only root may have is mapped, for writing least of all.
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
      require(line.find("/SYSV") == std::string::npos);
    }
  });
}

// --- modes

// Whoever is attached by then is told, although nobody trusts it any more.
void segment_whose_mode_was_changed_is_retired_by_a_writer(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 3600;
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
  shmid_ds status{};
  const int id = *testing::segment_id(scene.store);
  assert_int_equal(shmctl(id, IPC_STAT, &status), 0);
  status.shm_perm.mode = 0660;
  assert_int_equal(shmctl(id, IPC_SET, &status), 0);
  assert_true(scene.set(kId, kOther, kOtherHash));
  assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
  assert_text_equal(verdict(&verifier, kId, kOther), "match");
}

// --- evidence

// A change by hand: the new secret is hashed once, not by every client for the
// whole TTL; the others' not at all.
void change_by_hand_costs_one_hash(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 3600;
  Verifier first(scene.store, load_crypt);
  assert_text_equal(verdict(&first, kId, kSecret), "match");
  scene.replace({{kId, kOtherHash}});
  const int before = testing::hashes_computed;
  for (int i = 0; i < 50; ++i) {
    Verifier client(scene.store, load_crypt);
    assert_text_equal(verdict(&client, kId, kOther), "match");
  }
  assert_int_equal(testing::hashes_computed - before, 1);
}

// --- who cannot read

// A root process without CAP_DAC_OVERRIDE, say: it must not claim what it
// cannot renew.
void root_that_cannot_read_the_file_claims_nothing(void **state) {
  const Scene &scene = scene_in(state);
  Verifier host(scene.store, load_crypt);
  assert_text_equal(verdict(&host, kId, kSecret), "match");
  assert_int_equal(chmod(scene.path().c_str(), 0), 0);
  assert_int_equal(chown(scene.path().c_str(), testing::kNobody, 0), 0);
  const std::uint64_t generation =
      testing::open_segment(scene.store)->segment.generation();
  in_child([&] {
    await_ttl();
    lose_capabilities();
    for (int i = 0; i < 3; ++i) {
      Verifier poor(scene.store, load_crypt);
      require_text_equal(verdict(&poor, kId, kSecret), "error");
    }
  });
  assert_true(testing::open_segment(scene.store)->segment.generation() ==
              generation);
}

}  // namespace
}  // namespace pbstoken

#define with_store(test) \
  cmocka_unit_test_setup_teardown(test, make_store, testing::remove_scene)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_store(service_that_chroots_to_an_older_file_tells_nobody),
      with_store(service_that_chroots_to_no_file_takes_nothing_out_of_force),
      with_store(file_mounted_over_token_shadow_is_the_services_own),
      with_store(file_mounted_over_is_not_the_hosts_for_a_member),
      with_store(mount_over_the_directory_of_user_cfg_lets_nobody_in),
      with_store(process_that_joins_an_ipc_namespace_uses_its_segment),
      with_store(process_that_cannot_look_any_more_asks_where_it_is),
      with_store(process_that_leaves_its_ipc_namespace_leaves_the_segment),
      with_store(process_that_gives_up_root_has_no_hit),
      with_store(segment_whose_mode_was_changed_is_retired_by_a_writer),
      with_store(change_by_hand_costs_one_hash),
      with_store(root_that_cannot_read_the_file_claims_nothing),
  };
  return cmocka_run_group_tests_name("views", tests, nullptr, nullptr);
}
