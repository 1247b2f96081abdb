// SPDX-License-Identifier: BSD-3-Clause
// A busy host: services of all kinds authenticate over libpam while tokens are
// rotated by the helper and edited by hand, somebody kills at random, and a
// client floods with wrong secrets.  No revoked secret is accepted (I1), no
// right one refused (I4), and nobody's memory grows.
#include <crypt.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/file.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "e2e/e2e_member.h"
#include "e2e/soak_support.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {
namespace {

using testing::below;
using testing::PamHandle;
using testing::Random;
using testing::Shared;

constexpr std::size_t kTokens = 5;
constexpr std::size_t kRotated = 4;  // the last one is edited by hand
constexpr std::size_t kServices = 8;
constexpr std::size_t kRotators = 2;
constexpr std::uint64_t kTtl = 1;  // seconds, in pbs.conf
constexpr int kLeast = 10;         // seconds, in make check
constexpr int kSecrets = 64;       // they come round

const std::string kFloodService = "flood";

std::string id_of(std::size_t token) {
  return "john@pbs!client" + std::to_string(token);
}

// The secret with this number, of any token.
std::string secret_of(std::size_t token, int number) {
  return testing::numbered(static_cast<int>(token) * kSecrets +
                           number % kSecrets);
}

// Of a token: before a change its number, and when the change is done.
struct Progress {
  std::atomic<int> begun;
  std::atomic<int> done;
};

// Of a process, in KiB.
struct Memory {
  std::atomic<std::uint64_t> anonymous;  // resident: heap, stack, data
  std::atomic<std::uint64_t> shared;     // resident: the segment, the board
  std::atomic<std::uint64_t> file;       // resident: programs and libraries
  std::atomic<std::uint64_t> data;       // asked for, touched or not
  std::atomic<std::uint64_t> in_use;     // bytes of the heap
  std::atomic<std::uint64_t> looks;      // how often that was looked at
};

struct Board {
  std::array<Progress, kTokens> tokens;
  // When the last edit was done, in ns since boot.
  std::atomic<std::uint64_t> edited;
  std::atomic<bool> stop;
  std::atomic<std::uint64_t> accepted;
  std::atomic<std::uint64_t> refused;  // rightly
  std::atomic<std::uint64_t> stale;    // accepted, but revoked
  std::atomic<std::uint64_t> wrongly_refused;
  std::atomic<std::uint64_t> unavailable;
  std::atomic<std::uint64_t> flooded;
  std::atomic<std::uint64_t> killed;
  std::array<std::atomic<pid_t>, kServices + kRotators> victims;
  std::atomic<std::uint64_t> warm_from;  // ns since boot
  std::array<Memory, kServices> warm;
  std::array<Memory, kServices> last;
};

// For children.
void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

template <typename Body>
pid_t start_process(Body body) {
  return testing::start_child([&] {
    testing::limit_life();
    body();
    return 0;
  });
}

// --- services

enum class Service : std::uint8_t {
  kLongLived,       // one process, a handle each time
  kOneHandle,       // one handle for some hundred times
  kOneProcessEach,  // as sshd does it
  kMember           // not root: from the segment, or by the helper
};

constexpr std::array<Service, kServices> kKinds = {
    Service::kLongLived,      Service::kLongLived, Service::kLongLived,
    Service::kOneHandle,      Service::kOneHandle, Service::kOneProcessEach,
    Service::kOneProcessEach, Service::kMember};

// The handles that some services keep, one for each token.
class Handles {
 public:
  int authenticate(std::size_t token, const std::string &secret, bool keep) {
    if (!keep) {
      return testing::authenticate(testing::kService, id_of(token), secret);
    }
    constexpr int kUses = 300;
    if (handles_[token] == nullptr || ++uses_ % kUses == 0) {
      handles_[token] = std::make_unique<PamHandle>(
          testing::kService, id_of(token), &conversations_[token]);
    }
    conversations_[token].answer = secret;
    return handles_[token]->authenticate();
  }

 private:
  std::array<testing::Conversation, kTokens> conversations_;
  std::array<std::unique_ptr<PamHandle>, kTokens> handles_;
  int uses_ = 0;
};

// The secret before the present one, which still has its slot if nobody has
// used the present one; and that, unless it changes meanwhile.
void check_token(std::size_t token, bool keep, Handles *handles, Board *board) {
  const Progress &progress = board->tokens[token];
  // What was edited by hand is told by the file alone, and by the TTL.
  const auto is_settled = [&] {
    return token < kRotated ||
           boottime_now() - board->edited > (kTtl + 1) * kNanosecondsPerSecond;
  };
  const auto authenticate = [&](int number) {
    return handles->authenticate(token, secret_of(token, number), keep);
  };
  const int ended = progress.done - 1;
  if (ended > 0 && is_settled()) {
    ++(authenticate(ended) == PAM_SUCCESS ? board->stale : board->refused);
  }
  const int current = progress.done;
  const bool was_settled = is_settled();
  const int said = authenticate(current);
  if (said == PAM_SUCCESS) {
    ++board->accepted;
  } else if (said == PAM_AUTHINFO_UNAVAIL) {
    ++board->unavailable;
  } else if (progress.begun == current && was_settled) {
    ++board->wrongly_refused;
  }
}

void look_at_memory(Memory *memory) {
  memory->in_use = mallinfo2().uordblks;
  memory->anonymous = testing::memory_of_this_process("RssAnon");
  memory->shared = testing::memory_of_this_process("RssShmem");
  memory->file = testing::memory_of_this_process("RssFile");
  memory->data = testing::memory_of_this_process("VmData");
  ++memory->looks;
}

// Every kind of refusal that needs nobody else, so that what it takes once has
// been taken when memory is first looked at.
void be_refused_in_every_way() {
  const std::string secret = secret_of(0, 1);
  for (const auto &[user, word] :
       std::vector<std::pair<std::string, std::string>>{
           {id_of(0), "wrong-" + secret},
           {id_of(0), "short"},
           {id_of(0), ""},
           {id_of(0), std::string(600, 'x')},
           {"nobody@pbs!unknown", secret},
           {"no token id", secret}}) {
    require(testing::authenticate(testing::kService, user, word) !=
            PAM_SUCCESS);
  }
}

void serve(std::size_t number, Board *board) {
  const Service kind = kKinds[number];
  if (kind == Service::kMember) {
    // Loaded while we may: where it was built only root may get to.
    testing::Conversation conversation;
    const PamHandle handle(testing::kService, id_of(0), &conversation);
    testing::become_member();
    testing::limit_life();
  }
  board->victims[number] = getpid();
  be_refused_in_every_way();
  Handles handles;
  bool is_warm = false;
  for (std::uint64_t round = 0; !board->stop; ++round) {
    const std::size_t token = round % kTokens;
    if (kind == Service::kOneProcessEach) {
      require(testing::in_child([&] {
                check_token(token, false, &handles, board);
                return 0;
              }) == 0);
    } else {
      check_token(token, kind == Service::kOneHandle, &handles, board);
    }
    constexpr std::uint64_t kWarm = 2 * kTokens;
    if (round < kWarm || boottime_now() < board->warm_from) {
      continue;
    }
    if (!is_warm) {
      look_at_memory(&board->warm[number]);  // that takes some, too
      look_at_memory(&board->warm[number]);
      is_warm = true;
    }
    look_at_memory(&board->last[number]);
  }
}

// --- changes

// As an administrator's script does it; again if the helper was killed.
void rotate(std::size_t number, Board *board) {
  while (!board->stop) {
    for (std::size_t token = number; token < kRotated; token += kRotators) {
      Progress &progress = board->tokens[token];
      const int next = progress.done + 1;
      progress.begun = next;
      int status = 0;
      do {
        status =
            testing::run(
                {.path = testing::helper_path(),
                 .arguments = {"set", "--", id_of(token)},
                 .input = secret_of(token, next),
                 .prepare =
                     [&] { board->victims[kServices + number] = getpid(); }})
                .status;
      } while (status == 128 + SIGKILL && !board->stop);
      board->victims[kServices + number] = 0;
      require(status == 0 || board->stop);
      if (status == 0) {
        progress.done = next;
      }
      usleep(20'000);
    }
  }
}

// With the lock that upstream takes, and otherwise as an editor does it.
void edit(const std::vector<std::string> &hashes, Board *board) {
  Progress &progress = board->tokens[kRotated];
  const std::string id = id_of(kRotated);
  while (!board->stop) {
    const UniqueFd lock(open(testing::kLock, O_RDWR | O_CLOEXEC));
    require(lock && flock(lock.get(), LOCK_EX) == 0);
    const int next = progress.done + 1;
    std::string text = testing::read_file(testing::kShadow);
    const std::size_t at = text.find("\"" + id + "\":\"");
    require(at != std::string::npos);
    const std::size_t hash = at + id.size() + 4;
    progress.begun = next;
    text.replace(hash, text.find('"', hash) - hash,
                 hashes[static_cast<std::size_t>(next % kSecrets)]);
    const struct stat before = testing::status_of(testing::kShadow);
    const std::string fresh = std::string(testing::kShadow) + ".new";
    testing::write_file(fresh, text, before.st_mode & 07777);
    require(chown(fresh.c_str(), before.st_uid, before.st_gid) == 0);
    std::filesystem::rename(fresh, testing::kShadow);
    board->edited = boottime_now();
    progress.done = next;
    require(flock(lock.get(), LOCK_UN) == 0);
    for (int i = 0; i < 40 && !board->stop; ++i) {
      usleep(100'000);
    }
  }
}

// --- hostility

void flood(Board *board) {
  Random random(testing::seed());
  while (!board->stop) {
    const std::string wrong =
        "wrong-" + std::to_string(random()) + "-" + std::to_string(random());
    require(testing::authenticate(kFloodService, id_of(below(kTokens, &random)),
                                  wrong) != PAM_SUCCESS);
    ++board->flooded;
  }
}

// Any service but the first, whose memory is watched, and any helper.
void kill_at_random(Board *board) {
  Random random(testing::seed() + 1);
  while (!board->stop) {
    usleep(static_cast<useconds_t>(below(100'000, &random)));
    const std::size_t at = 1 + below(board->victims.size() - 1, &random);
    const pid_t victim = board->victims[at].exchange(0);
    if (victim > 0 && kill(victim, SIGKILL) == 0) {
      ++board->killed;
    }
  }
}

// --- the host

class Services {
 public:
  explicit Services(Board *board) : board_(board) {
    for (std::size_t i = 0; i < kServices; ++i) {
      start(i);
    }
  }

  // What was killed starts again, as a service manager does it.
  void restart_killed() {
    for (std::size_t i = 0; i < kServices; ++i) {
      int status = 0;
      if (waitpid(pids_[i], &status, WNOHANG) > 0) {
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        start(i);
      }
    }
  }

  void wait() {
    for (const pid_t pid : pids_) {
      const int status = testing::wait_for(pid);
      assert_true(status == 0 || status == 128 + SIGKILL);
    }
  }

 private:
  void start(std::size_t number) {
    pids_[number] = start_process([&] { serve(number, board_); });
  }

  Board *board_;
  std::array<pid_t, kServices> pids_{};
};

void print_figures(const Board &board, std::uint64_t seconds) {
  const auto number = [](const auto &atomic) {
    return static_cast<std::uintmax_t>(atomic.load());
  };
  std::uintmax_t rotations = 0;
  for (std::size_t i = 0; i < kRotated; ++i) {
    rotations += static_cast<std::uintmax_t>(board.tokens[i].done - 1);
  }
  print_message(
      "%ju s: %ju accepted, %ju refused as revoked, %ju rotations, %d edits, "
      "%ju wrong secrets, %ju kills; %ju stale, %ju wrongly refused, %ju not "
      "available; %ju hits, %ju hashes\n",
      static_cast<std::uintmax_t>(seconds), number(board.accepted),
      number(board.refused), rotations, board.tokens[kRotated].done.load() - 1,
      number(board.flooded), number(board.killed), number(board.stale),
      number(board.wrongly_refused), number(board.unavailable),
      static_cast<std::uintmax_t>(testing::counter("hits")),
      static_cast<std::uintmax_t>(testing::counter("hashes")));
  for (std::size_t i = 0; i < kServices; ++i) {
    for (const auto &[when, memory] : {std::pair{"when warm", &board.warm[i]},
                                       {"at the end", &board.last[i]}}) {
      print_message(
          "service %zu, %s: resident %ju KiB of its own, %ju shared, %ju of "
          "files; %ju asked for; %ju bytes of the heap in use\n",
          i, when, number(memory->anonymous), number(memory->shared),
          number(memory->file), number(memory->data), number(memory->in_use));
    }
  }
}

// Of a process that was never killed: of the heap not a byte more, and no page
// of its own but those of a stack that is deep for once.  Pages of files do not
// count: those of the module and of libraries are there once for all processes,
// and become resident when something is done for the first time.
void assert_memory_is_flat(const Memory &warm, const Memory &last) {
  assert_in_range(last.in_use, 1, warm.in_use);
  constexpr std::uint64_t kStack = 16;  // KiB
  assert_in_range(last.anonymous + last.shared, 1,
                  warm.anonymous + warm.shared + kStack);
}

void host_with_everything_at_once_answers_right(void ** /*state*/) {
  testing::configure("cache_ttl = " + std::to_string(kTtl) + "\n");
  testing::write_stack(kFloodService, {testing::auth_line("required")});
  const Shared<Board> board;
  for (std::size_t token = 0; token < kTokens; ++token) {
    testing::helper_output({"set", "--", id_of(token)}, secret_of(token, 1));
    board->tokens[token].begun = 1;
    board->tokens[token].done = 1;
  }
  std::vector<std::string> hashes;
  for (int i = 0; i < kSecrets; ++i) {
    crypt_data data{};
    hashes.emplace_back(
        crypt_r(secret_of(kRotated, i).c_str(), "$5$saltsalt$", &data));
  }
  const std::uint64_t seconds =
      std::max<std::uint64_t>(testing::soak_seconds(), kLeast);
  const std::uint64_t start = boottime_now();
  board->warm_from = start + seconds * kNanosecondsPerSecond / 4;
  Services services(&*board);
  std::vector<pid_t> others;
  for (std::size_t i = 0; i < kRotators; ++i) {
    others.push_back(start_process([&] { rotate(i, &*board); }));
  }
  others.push_back(start_process([&] { edit(hashes, &*board); }));
  others.push_back(start_process([&] { flood(&*board); }));
  others.push_back(start_process([&] { kill_at_random(&*board); }));
  const std::uint64_t end = start + seconds * kNanosecondsPerSecond;
  // However busy the machine: some rounds of a warm service.
  constexpr std::uint64_t kLooks = 10;
  while (boottime_now() < end || board->last[0].looks < kLooks) {
    usleep(10'000);
    services.restart_killed();
  }
  board->stop = true;
  services.wait();
  for (const pid_t other : others) {
    assert_int_equal(testing::wait_for(other), 0);
  }
  print_figures(*board, seconds);
  assert_int_equal(board->stale, 0);
  assert_int_equal(board->wrongly_refused, 0);
  assert_true(board->accepted > 0 && board->refused > 0 && board->flooded > 0 &&
              board->killed > 0);
  for (std::size_t i = 0; i < kRotated; ++i) {
    assert_true(board->tokens[i].done > 1);
  }
  assert_memory_is_flat(board->warm[0], board->last[0]);
}

int setup(void **state) {
  if (testing::clean_host_with_members(state) != 0) {
    return -1;
  }
  testing::limit_life();
  return 0;
}

}  // namespace
}  // namespace pbstoken

int main(int /*argc*/, char **argv) {
  using namespace pbstoken;
  testing::count_every_free_byte(argv);
  const CMUnitTest tests[] = {
      cmocka_unit_test_setup(host_with_everything_at_once_answers_right, setup),
  };
  return cmocka_run_group_tests_name("stress, together", tests,
                                     testing::print_seed, nullptr);
}
