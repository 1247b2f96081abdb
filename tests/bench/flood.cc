// SPDX-License-Identifier: BSD-3-Clause
// What a flood of wrong secrets does to good requests whose tokens are cached.
//
// Many processes send wrong secrets, each a new one, without a remote host to
// be limited by, so that they use every place in the gate that is theirs: one
// for each processor if they are root, half of that through the helper.  For
// comparison, processes that compute what they like.  Beside them one service
// answers a request every so often; its time is taken from when the request was
// due, so that a late start counts.
#include <grp.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <csignal>

#include "latency.h"
#include "workers.h"

namespace pbstoken::bench {
namespace {

// --- the flood

class Flood {
 public:
  enum class By { kRoot, kMembers, kLoops };

  Flood(std::size_t processes, By by)
      : running_(static_cast<int *>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                                         MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    require(running_ != MAP_FAILED);
    for (std::size_t i = 0; i < processes; ++i) {
      std::fflush(nullptr);
      pids_.push_back(fork());
      require(pids_.back() >= 0);
      if (pids_.back() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        by == By::kLoops ? loop() : send(by == By::kMembers);
      }
    }
  }
  Flood(const Flood &) = delete;
  Flood &operator=(const Flood &) = delete;
  ~Flood() {
    for (const pid_t pid : pids_) {
      kill(pid, SIGKILL);
      require(waitpid(pid, nullptr, 0) == pid);
    }
    munmap(running_, 4096);
  }

  // And until those in the gate have gone.
  void stop() {
    set(0);
    usleep(300'000);
  }
  void start() {
    set(1);
    usleep(100'000);
  }
  [[nodiscard]] int sent() const {
    return __atomic_load_n(&running_[1], __ATOMIC_RELAXED);
  }

 private:
  void set(int value) { __atomic_store_n(running_, value, __ATOMIC_RELAXED); }

  [[noreturn]] void send(bool as_member) {
    if (as_member) {
      const gid_t group = kMembers;
      require(setgroups(1, &group) == 0 &&
              setresgid(kMember, kMember, kMember) == 0 &&
              setresuid(kMember, kMember, kMember) == 0);
    }
    Handle handle("cached", kId, "");
    for (int i = 0;; ++i) {
      while (__atomic_load_n(running_, __ATOMIC_RELAXED) == 0) {
        usleep(1000);
      }
      const std::string secret =
          "wrong " + std::to_string(getpid()) + " " + std::to_string(i);
      handle.set_secret(secret.c_str());
      require(handle.authenticate() != PAM_SUCCESS);
      __atomic_fetch_add(&running_[1], 1, __ATOMIC_RELAXED);
    }
  }

  // What any program does that has something to compute.
  [[noreturn]] void loop() {
    for (;;) {
      while (__atomic_load_n(running_, __ATOMIC_RELAXED) == 0) {
        usleep(1000);
      }
      for (volatile int i = 0; i < 1'000'000;) {
        i = i + 1;
      }
      __atomic_fetch_add(&running_[1], 1, __ATOMIC_RELAXED);
    }
  }

  int *running_;
  std::vector<pid_t> pids_;
};

// --- good requests

void beside(const std::string &flood_name, std::size_t processes, Flood::By by,
            const Goal &goal) {
  Flood flood(processes, by);
  std::vector<double> medians[2];
  const auto window = [&](bool flooded) {
    flooded ? flood.start() : flood.stop();
    const Latency latency = good_requests();
    medians[flooded].push_back(latency.median / kMicrosecond);
    return latency.p99;
  };
  enum { kQuiet, kFlooded };
  const Rounds took(std::max(1, rounds() / 10), {[&] { return window(false); },
                                                 [&] { return window(true); }});
  require(flood.sent() > 0);
  for (std::vector<double> &of_rounds : medians) {
    of_rounds.erase(of_rounds.begin());  // the round before those that count
  }
  row(7, "p50 of good requests", "us", spread_of(medians[kQuiet]));
  row(7, "p50 beside " + flood_name, "us", spread_of(medians[kFlooded]));
  row(7, "p99 of good requests", "us", took.of(kQuiet, kMicrosecond));
  row(7, "p99 beside " + flood_name, "us", took.of(kFlooded, kMicrosecond));
  row(7, "p99 beside " + flood_name + " / without", "ratio",
      took.ratio(kFlooded, kQuiet), goal);
}

}  // namespace
}  // namespace pbstoken::bench

int main() {
  using namespace pbstoken::bench;
  make_scene();
  in_child([] { transact("cached"); });
  in_child([] {
    beside("a flood through the helper", 4 * processors(), Flood::By::kMembers,
           at_most(2));
  });
  in_child([] {
    beside("a flood by services that are root", 4 * processors(),
           Flood::By::kRoot, at_most(2));
  });
  in_child([] {
    beside("loops on every processor", processors(), Flood::By::kLoops, {});
  });
  return 0;
}
