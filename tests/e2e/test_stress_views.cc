// SPDX-License-Identifier: BSD-3-Clause
// Many processes in views of their own beside a host that rotates (I8):
// chroots, mounts over token.shadow, its directory and user.cfg, other IPC
// namespaces, dropped ids, wall clocks that are wrong.  Each answer is what the
// process's own file says.  For SOAK_SECONDS, or for some.
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <random>
#include <vector>

#include "e2e/cache_hooks.h"
#include "e2e/cache_support.h"

namespace pbstoken {
namespace {

using testing::hash_of;
using testing::load_crypt;
using testing::Process;
using testing::require;
using testing::require_text_equal;
using testing::Scene;
using testing::scene_in;
using testing::verdict;

const std::string kId = "john@pbs!client1";
const std::string kOwnSecret = "0c1e9a55-19f2-4d0e-8d3c-aa0b7a1f0e42";

constexpr std::size_t kAtOnce = 4;
constexpr int kDefaultSeconds = 5;
constexpr int kAnswersEach = 12;

// What the host is at.  Its secrets have numbers.
struct Board {
  std::atomic<int> begun;     // somebody is setting this one, or has set it
  std::atomic<int> in_force;  // this one is set
};

std::string secret_of(int number) {
  return "5b5d4a3e-8f6c-4f0a-9a57-" + std::to_string(100'000'000 + number);
}

enum class Place : std::uint8_t {
  kChroot,
  kEmptyChroot,
  kFileOver,
  kDirectoryOver,
  kUsersOver,
  kOtherIpc,
  kNobody,
  kMember,
  kWrongClock,
};
constexpr int kPlaces = 9;

std::string own_shadow() {
  return testing::shadow_text({{kId, hash_of(kOwnSecret)}});
}

const char *const kAllowed = "user: john@pbs\n\ntoken: john@pbs!client1\n";
const char *const kRefused =
    "user: john@pbs\n\ntoken: john@pbs!client1\n\tenable 0\n";

std::string judge(Verifier *verifier) {
  const auto judged = verifier->judge(*parse_token_id(kId));
  return !judged                                     ? "error"
         : judged->status == AccountStatus::kAllowed ? "allowed"
                                                     : "refused";
}

void chroot_to(const std::string &directory, const std::string &root,
               bool empty) {
  std::filesystem::create_directories(root + directory);
  if (!empty) {
    std::ofstream(root + directory + "/token.shadow") << own_shadow();
  }
  require(chroot(root.c_str()) == 0 && chdir("/") == 0);
}

void mount_over(const std::string &path, const std::string &text,
                const std::string &from) {
  require(unshare(CLONE_NEWNS) == 0);
  require(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  std::ofstream(from) << text;
  require(mount(from.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) == 0);
}

void mount_directory_over(const std::string &directory) {
  require(unshare(CLONE_NEWNS) == 0);
  require(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  require(mount("none", directory.c_str(), "tmpfs", 0, nullptr) == 0);
  std::ofstream(directory + "/token.shadow") << own_shadow();
}

// Goes where the view leads; number: for names that are its own.
void turn(const Scene &scene, Place view, unsigned number) {
  const std::string own = scene.directory() + ".view" + std::to_string(number);
  switch (view) {
    case Place::kChroot:
    case Place::kEmptyChroot:
      chroot_to(scene.directory(), own, view == Place::kEmptyChroot);
      break;
    case Place::kFileOver:
      mount_over(scene.path(), own_shadow(), own);
      break;
    case Place::kDirectoryOver:
      mount_directory_over(scene.directory());
      break;
    case Place::kUsersOver:
      mount_over(std::string(scene.store.user_cfg.view()), kRefused, own);
      break;
    case Place::kOtherIpc:
      require(unshare(CLONE_NEWIPC) == 0);
      break;
    case Place::kNobody:
      testing::become(testing::kNobody, testing::kOtherGroup);
      break;
    case Place::kMember:
      testing::become(testing::kNobody, testing::kVerifyGroup);
      break;
    case Place::kWrongClock:
      testing::ahead.realtime =
          (number % 2 == 0 ? std::uint64_t{1} : ~std::uint64_t{0}) *
          (1 + number % 60) * kNanosecondsPerSecond;
      break;
  }
}

// The file that the host changes: what was set before is never accepted, what
// is set all the time always is.
void ask_the_hosts_file(Verifier *verifier, const Board &board, bool may_fail) {
  const int before = board.in_force;
  const std::string now = verdict(verifier, kId, secret_of(before));
  if (board.begun == before && !(may_fail && now == "error")) {
    require_text_equal(now, "match");
  }
  if (before > 0) {
    const std::string old = verdict(verifier, kId, secret_of(before - 1));
    require(old == "mismatch" || (may_fail && old == "error"));
  }
}

// The kernel takes a mount away when the host renames another file into the
// place: then the process has the host's file.
void ask_the_file_over(const Scene &scene, Verifier *verifier) {
  const auto has_own = [&] {
    const auto shadow = TokenShadow::read(scene.store.token_shadow);
    require(static_cast<bool>(shadow));
    return shadow->find(kId) == hash_of(kOwnSecret);
  };
  const bool before = has_own();
  const std::string said = verdict(verifier, kId, kOwnSecret);
  if (before == has_own()) {
    require_text_equal(said, before ? "match" : "mismatch");
  }
}

void ask(const Scene &scene, Verifier *verifier, Place view,
         const Board &board) {
  switch (view) {
    case Place::kFileOver:
      ask_the_file_over(scene, verifier);
      break;
    case Place::kChroot:
    case Place::kDirectoryOver:
      require_text_equal(verdict(verifier, kId, kOwnSecret), "match");
      require_text_equal(verdict(verifier, kId, secret_of(board.in_force)),
                         "mismatch");
      break;
    case Place::kEmptyChroot:
      require(verdict(verifier, kId, secret_of(board.in_force)) != "match");
      break;
    case Place::kUsersOver:
      require_text_equal(judge(verifier), "refused");
      ask_the_hosts_file(verifier, board, /*may_fail=*/false);
      break;
    case Place::kOtherIpc:
    case Place::kWrongClock:
      require_text_equal(judge(verifier), "allowed");
      ask_the_hosts_file(verifier, board, /*may_fail=*/false);
      break;
    case Place::kNobody:
    case Place::kMember:
      require(judge(verifier) != "refused");
      ask_the_hosts_file(verifier, board, /*may_fail=*/true);
      break;
  }
}

// A service that began on the host, and may have a handle from there.
void serve(const Scene &scene, Place view, unsigned number, Board *board) {
  std::mt19937 random(number);
  Verifier kept(scene.store, load_crypt);
  verdict(&kept, kId, secret_of(board->in_force));
  judge(&kept);
  turn(scene, view, number);
  for (int i = 0; i < kAnswersEach; ++i) {
    ask(scene, &kept, view, *board);
    Verifier fresh(scene.store, load_crypt);
    ask(scene, &fresh, view, *board);
    usleep(static_cast<useconds_t>(random() % 60'000));
  }
}

int make_host(void **state) {
  if (testing::make_scene_with_hooks(state) != 0) {
    return -1;
  }
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 1;
  scene.store.user_cfg = PathText(scene.directory() + "/user.cfg");
  std::ofstream(scene.store.user_cfg.c_str()) << kAllowed;
  scene.write({{kId, hash_of(secret_of(0))}});
  chmod(scene.path().c_str(), S_IRUSR);
  return 0;
}

// One rotation, and what the host says then.
void rotate(const Scene &scene, Verifier *host, Board *board) {
  const int next = board->in_force + 1;
  board->begun = next;
  assert_true(scene.set(kId, secret_of(next), hash_of(secret_of(next))));
  board->in_force = next;
  for (Verifier fresh(scene.store, load_crypt);
       Verifier * verifier : {host, &fresh}) {
    assert_text_equal(verdict(verifier, kId, secret_of(next)), "match");
    assert_text_equal(verdict(verifier, kId, secret_of(next - 1)), "mismatch");
    assert_text_equal(verdict(verifier, kId, kOwnSecret), "mismatch");
    assert_text_equal(judge(verifier), "allowed");
  }
}

void no_view_changes_an_answer_of_another(void **state) {
  const Scene &scene = scene_in(state);
  auto *board =
      static_cast<Board *>(mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  assert_true(board != MAP_FAILED);
  const char *asked = std::getenv("SOAK_SECONDS");
  const int seconds = asked != nullptr ? std::atoi(asked) : kDefaultSeconds;
  const std::uint64_t end =
      boottime_now() +
      static_cast<std::uint64_t>(seconds) * kNanosecondsPerSecond;
  Verifier host(scene.store, load_crypt);
  std::vector<Process> services;
  unsigned number = 0;
  int failed = 0;
  while (boottime_now() < end || number < 2 * kPlaces) {
    while (services.size() < kAtOnce) {
      const auto view = static_cast<Place>(number % kPlaces);
      ++number;
      services.emplace_back([&] { serve(scene, view, number, board); });
    }
    for (int i = 0; i < 10; ++i) {
      rotate(scene, &host, board);
      usleep(20'000);
    }
    failed += services.front().wait() != 0 ? 1 : 0;
    services.erase(services.begin());
  }
  for (const Process &service : services) {
    failed += service.wait() != 0 ? 1 : 0;
  }
  print_message("%u views, %d rotations, %d wrong\n", number,
                board->in_force.load(), failed);
  munmap(board, sizeof(Board));
  assert_int_equal(failed, 0);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(no_view_changes_an_answer_of_another,
                                      make_host, testing::remove_scene),
  };
  return cmocka_run_group_tests_name("stress, views", tests, nullptr, nullptr);
}
