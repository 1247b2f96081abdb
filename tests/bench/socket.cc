// SPDX-License-Identifier: BSD-3-Clause
// What the resident helper behind its socket is to a service that is not root:
// a miss beside its hash, one at a time and in a burst; a look at the file when
// the stamp has expired; the memory of the service that waits.  Beside each,
// the same through the setuid program.
#include <grp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <csignal>

#include "latency.h"
#include "program.h"

namespace pbstoken::bench {
namespace {

constexpr const char *kSocket = "/run/pbstoken/helper.sock";

// The resident helper, as its unit starts it.
pid_t start_service() {
  std::filesystem::create_directories("/run/pbstoken");
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  std::strcpy(address.sun_path, kSocket);
  require(bind(listener, reinterpret_cast<const sockaddr *>(&address),
               sizeof(address)) == 0 &&
          chown(kSocket, 0, kMembers) == 0 && chmod(kSocket, 0660) == 0 &&
          listen(listener, 4096) == 0);
  const std::string program = helper();
  const pid_t service = fork();
  require(service >= 0);
  if (service == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(listener, STDIN_FILENO);
    execl(program.c_str(), "pbstoken-helper", "serve", nullptr);
    std::_Exit(126);
  }
  close(listener);
  return service;
}

void become_member() {
  const gid_t group = kMembers;
  require(setgroups(1, &group) == 0 &&
          setresgid(kMember, kMember, kMember) == 0 &&
          setresuid(kMember, kMember, kMember) == 0);
}

std::string new_secret() {
  static int count = 0;
  return std::string(kCheapSecret) + std::to_string(getpid()) + "." +
         std::to_string(++count);
}

// Each of so many calls, in ns, every so many ns or one after the other.
std::vector<double> times_of(int calls, double every,
                             const std::function<void()> &call) {
  std::vector<double> times;
  for (int i = 0; i < calls; ++i) {
    const double begin = now_ns();
    call();
    times.push_back(now_ns() - begin);
    if (every > 0) {
      usleep(
          static_cast<useconds_t>(std::max(0.0, every - times.back()) / 1e3));
    }
  }
  return times;
}

constexpr double kHundredASecond = 1e7;

struct Way {
  const char *name;
  const char *store;  // and stack
};
constexpr std::array kWays = {Way{"socket", "socket"},
                              Way{"setuid program", "program"}};

double median_of(std::vector<double> times) {
  return quantile(&times, 0.5);
}

// In us, without the hash, which is a cheap one.
double miss(const char *stack, double every, double permit) {
  Handle handle(stack, kCheapId, kCheapSecret);
  return (median_of(times_of(100, every,
                             [&] {
                               const std::string secret = new_secret();
                               handle.set_secret(secret.c_str());
                               accept_once(&handle);
                             })) -
          permit) /
         kMicrosecond;
}

double look(const char *stack, double every, double permit) {
  Handle handle(stack, kId, kSecret);
  accept_once(&handle);
  return (median_of(times_of(100, every, [&] { accept_once(&handle); })) -
          permit) /
         kMicrosecond;
}

using Figure = double (*)(const char *stack, double every, double permit);

void measure(const char *what, Figure figure, double every, double goal) {
  constexpr int kRuns = 15;
  std::array<std::vector<double>, kWays.size()> all;
  for (int i = 0; i < kRuns; ++i) {
    for (std::size_t way = 0; way < kWays.size(); ++way) {
      Handle handle("permit", kId, kSecret);
      const double permit =
          median_of(times_of(100, every, [&] { accept_once(&handle); }));
      all[way].push_back(figure(kWays[way].store, every, permit));
    }
  }
  for (std::size_t way = 0; way < kWays.size(); ++way) {
    row(10, std::string(what) + "; " + kWays[way].name, "us",
        spread_of(all[way]), way == 0 ? at_most(goal) : Goal{});
  }
}

// Resident pages of the process and its children, each shared one divided by
// the number of processes that have it, see proc_pid_smaps(5); in KiB.
double memory_of(pid_t service) {
  const std::string pid = std::to_string(service);
  std::vector<std::string> processes = {pid};
  std::ifstream children("/proc/" + pid + "/task/" + pid + "/children");
  for (std::string child; children >> child;) {
    processes.push_back(child);
  }
  double sum = 0;
  for (const std::string &process : processes) {
    std::ifstream lines("/proc/" + process + "/smaps_rollup");
    for (std::string word; lines >> word;) {
      if (double size = 0; word == "Pss:" && lines >> size) {
        sum += size;
      }
    }
  }
  return sum;
}

}  // namespace
}  // namespace pbstoken::bench

int main() {
  using namespace pbstoken::bench;
  make_scene();
  for (const Way &way : kWays) {
    make_store(way.store, 10);
    append_to(std::string("/etc/pbstoken/") + way.store + ".conf",
              "cache_ttl = 0\n");
    // As upstream's: a member may not look.
    require(chmod(scratch(std::string("stores/") + way.store).c_str(), 0700) ==
            0);
  }
  write_stack("socket", "pam_pbstoken.so", "store=socket");
  write_store_stack("program");
  wait_until_old();
  in_child([] {
    transact("socket");
    transact("program");
  });
  const pid_t service = start_service();
  in_child([] {
    become_member();
    transact("socket");
  });
  row(10, "memory of the service that waits", "KiB",
      exactly(memory_of(service)), at_most(3072));
  in_child([] {
    become_member();
    measure("miss beside its hash; 100 a second", miss, kHundredASecond, 250);
    measure("miss beside its hash; one after another", miss, 0, 1200);
    measure("look when the stamp has expired; 100 a second", look,
            kHundredASecond, 200);
    measure("look when the stamp has expired; one after another", look, 0,
            1200);
  });
  kill(service, SIGTERM);
  wait_for(service);
  return 0;
}
