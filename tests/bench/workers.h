// SPDX-License-Identifier: BSD-3-Clause
// Some processes that do the same at the same time, each on a processor of its
// own, for how much more two get done than one.
//
// They live on from round to round, as the processes of a service do, and
// sleep while others are measured.
#ifndef PBSTOKEN_TESTS_BENCH_WORKERS_H_
#define PBSTOKEN_TESTS_BENCH_WORKERS_H_

#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <functional>
#include <utility>
#include <vector>

#include "scene.h"

namespace pbstoken::bench {

class Workers {
 public:
  // Made in each process: what it does once.
  using Work = std::function<void()>;
  using MakeWork = std::function<Work()>;

  Workers(std::size_t processes, const MakeWork &make) {
    for (std::size_t i = 0; i < processes; ++i) {
      start(i, make);
    }
  }
  Workers(const Workers &) = delete;
  Workers &operator=(const Workers &) = delete;
  ~Workers() {
    for (const Worker &worker : workers_) {
      close(worker.orders);
      close(worker.counts);
      wait_for(worker.pid);
    }
  }

  // How much the first `processes` of them do in a second when all do it.
  double rate(std::size_t processes) const {
    constexpr double kLead = 0.5e6;  // until all have been woken
    constexpr double kWindow = 20e6;
    const double begin = now_ns() + kLead;
    const Order order = {begin, begin + kWindow};
    for (std::size_t i = 0; i < processes; ++i) {
      require(write(workers_[i].orders, &order, sizeof(order)) ==
              sizeof(order));
    }
    double sum = 0;
    for (std::size_t i = 0; i < processes; ++i) {
      double rate = 0;
      require(read(workers_[i].counts, &rate, sizeof(rate)) == sizeof(rate));
      sum += rate;
    }
    return sum;
  }

 private:
  struct Order {
    double begin;
    double end;
  };
  struct Worker {
    pid_t pid;
    int orders;
    int counts;
  };

  void start(std::size_t number, const MakeWork &make) {
    std::array<int, 2> orders{};
    std::array<int, 2> counts{};
    require(pipe(orders.data()) == 0 && pipe(counts.data()) == 0);
    std::fflush(nullptr);
    const pid_t pid = fork();
    require(pid >= 0);
    if (pid == 0) {
      // Nor does it outlive a benchmark that failed.
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (const Worker &other : workers_) {
        close(other.orders);
      }
      close(orders[1]);
      close(counts[0]);
      stay_on(number);
      // All processors at once are not for us alone.
      const sched_param ordinary{};
      require(sched_setscheduler(0, SCHED_OTHER, &ordinary) == 0);
      serve(orders[0], counts[1], make());
    }
    close(orders[0]);
    close(counts[1]);
    workers_.push_back({pid, orders[1], counts[0]});
  }

  [[noreturn]] static void serve(int orders, int counts, const Work &work) {
    Order order{};
    while (read(orders, &order, sizeof(order)) == sizeof(order)) {
      while (now_ns() < order.begin) {
      }
      double count = 0;
      double now = order.begin;
      for (; now < order.end; now = now_ns()) {
        work();
        ++count;
      }
      const double rate = count / (now - order.begin) * 1e9;
      require(write(counts, &rate, sizeof(rate)) == sizeof(rate));
    }
    _exit(0);
  }

  // On the nth processor of those that there are.
  static void stay_on(std::size_t number) {
    cpu_set_t allowed{};
    require(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
    for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &allowed) && number-- == 0) {
        cpu_set_t only{};
        CPU_SET(cpu, &only);
        require(sched_setaffinity(0, sizeof(only), &only) == 0);
        return;
      }
    }
    require(false);
  }

  std::vector<Worker> workers_;
};

inline std::size_t processors() {
  cpu_set_t allowed{};
  require(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
  return static_cast<std::size_t>(CPU_COUNT(&allowed));
}

// What several get done beside what one gets done, ours beside that of a
// reference, round by round.
inline void compare_speed_up(const std::string &what,
                             const Workers::MakeWork &ours,
                             const std::string &reference_name,
                             const Workers::MakeWork &reference) {
  const std::size_t most = processors();
  const Workers mine(most, ours);
  const Workers theirs(most, reference);
  for (std::size_t n = 2; n <= most;
       n = n < most ? std::min(2 * n, most) : n + 1) {
    enum { kOne, kAll, kReferenceOne, kReferenceAll };
    const Rounds rates(
        rounds(),
        {[&] { return mine.rate(1); }, [&] { return mine.rate(n); },
         [&] { return theirs.rate(1); }, [&] { return theirs.rate(n); }});
    const std::string processes = std::to_string(n) + " processes: ";
    row(3, what + ": " + processes + "speed-up", "times",
        rates.ratio(kAll, kOne));
    row(3, reference_name + ": " + processes + "speed-up", "times",
        rates.ratio(kReferenceAll, kReferenceOne));
    row(3, what + ": " + processes + "its speed-up / " + reference_name + "'s",
        "ratio",
        rates.ratio_of_ratios(kAll, kOne, kReferenceAll, kReferenceOne),
        n == 2 ? at_least(0.95) : Goal());
  }
}

}  // namespace pbstoken::bench

#endif  // PBSTOKEN_TESTS_BENCH_WORKERS_H_
