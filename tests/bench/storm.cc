// SPDX-License-Identifier: BSD-3-Clause
// What users who call the helper all the time can do to others: a member who
// rotates with a standard output that nobody reads, and verifies wrong secrets,
// and a stranger whose calls are refused; 150 processes in all.  For comparison
// the same number that start a setuid program that only exits.
//
// Beside them root revokes a token, another member has a right secret hashed,
// and a service answers requests out of the segment.  Each of these is in a
// session of its own, and so is each user who calls, as logins and services
// are: the kernel shares its processors among sessions (sched(7), autogroup).
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>

#include <csignal>

#include "latency.h"
#include "program.h"

namespace pbstoken::bench {
namespace {

constexpr uid_t kOtherMember = 34;  // Debian's backup
constexpr uid_t kStranger = 65534;
constexpr std::size_t kProcesses = 150;

void become(uid_t uid, gid_t group) {
  require(setgroups(1, &group) == 0 && setresgid(uid, uid, uid) == 0 &&
          setresuid(uid, uid, uid) == 0);
}

// A call of a program, again and again.
struct Call {
  uid_t uid;
  gid_t group;
  std::vector<const char *> words;
};

// The child, which does this in a session of its own.
pid_t in_session(const std::function<void()> &body) {
  std::fflush(nullptr);
  const pid_t child = fork();
  require(child >= 0);
  if (child == 0) {
    require(setsid() >= 0);
    body();
    _exit(0);
  }
  return child;
}

class Storm {
 public:
  explicit Storm(const std::vector<Call> &calls) {
    require(pipe2(full_.data(), O_CLOEXEC | O_NONBLOCK) == 0);
    const std::string filler(4096, 'x');
    while (write(full_[1], filler.data(), filler.size()) > 0) {
    }
    fcntl(full_[1], F_SETFL, 0);
    for (const auto &[uid, processes] : {std::pair{kMember, kProcesses * 2 / 3},
                                         {kStranger, kProcesses / 3}}) {
      sessions_.push_back(in_session([&] { log_in(uid, processes, calls); }));
    }
    usleep(1'000'000);
  }
  Storm(const Storm &) = delete;
  Storm &operator=(const Storm &) = delete;
  ~Storm() {
    for (const pid_t session : sessions_) {
      kill(-session, SIGKILL);
      require(waitpid(session, nullptr, 0) == session);
    }
    close(full_[0]);
    close(full_[1]);
  }

 private:
  // So many processes that give the calls of this user.
  void log_in(uid_t uid, std::size_t processes,
              const std::vector<Call> &calls) {
    for (std::size_t i = 0; i < processes;) {
      for (const Call &call : calls) {
        if (call.uid == uid) {
          ++i;
          if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            repeat(call);
          }
        }
      }
    }
    pause();
  }

  [[noreturn]] void repeat(const Call &call) {
    become(call.uid, call.group);
    std::vector<char *> argv;
    for (const char *word : call.words) {
      argv.push_back(const_cast<char *>(word));
    }
    argv.push_back(nullptr);
    for (;;) {
      std::array<int, 2> input{};
      require(pipe2(input.data(), O_CLOEXEC) == 0);
      const pid_t child = fork();
      require(child >= 0);
      if (child == 0) {
        dup2(input[0], STDIN_FILENO);
        dup2(full_[1], STDOUT_FILENO);
        dup2(full_[1], STDERR_FILENO);
        execv(argv[0], argv.data());
        std::_Exit(126);
      }
      static_cast<void>(!write(input[1], secret(), std::strlen(secret())));
      close(input[0]);
      close(input[1]);
      waitpid(child, nullptr, 0);
    }
  }
  // Right for the rotations, and wrong for another token.
  static const char *secret() { return kSecret; }

  std::array<int, 2> full_{};
  std::vector<pid_t> sessions_;
};

std::string setuid_true() {
  const std::string path = scratch("modules/true");
  std::filesystem::copy_file("/bin/true", path,
                             std::filesystem::copy_options::overwrite_existing);
  require(chown(path.c_str(), 0, 0) == 0 && chmod(path.c_str(), 04755) == 0);
  return path;
}

double took(const std::function<void()> &work) {
  const double begin = now_ns();
  wait_for(in_session(work));
  return now_ns() - begin;
}

double revocation(const std::string &program) {
  run({program.c_str(), "--store=cached", "set", "--", "gone@pbs!t"}, kSecret);
  return took([&] {
    run({program.c_str(), "--store=cached", "delete", "--", "gone@pbs!t"});
  });
}

double right_secret() {
  return took([] {
    become(kOtherMember, kMembers);
    transact("hashing", kId, kSecret);
  });
}

void measure() {
  const std::string program = helper();
  append_to("/etc/pbstoken/cached.conf", "member_rotate = yes\n");
  write_stack("hashing", "pam_pbstoken.so",
              "store=cached nocache helper=" + program);
  const std::string idle = setuid_true();
  const std::vector<Call> calls = {
      {kMember,
       kMembers,
       {program.c_str(), "--store=cached", "rotate", "--", kId}},
      {kMember,
       kMembers,
       {program.c_str(), "--store=cached", "verify", "--", kCheapId}},
      {kStranger, kStranger, {program.c_str(), "--bogus"}}};
  const std::vector<Call> nothing = {{kMember, kMembers, {idle.c_str()}},
                                     {kMember, kMembers, {idle.c_str()}},
                                     {kStranger, kStranger, {idle.c_str()}}};
  constexpr int kRuns = 20;
  std::vector<double> revoked;
  std::vector<double> hashed;
  std::vector<double> hashed_beside_nothing;
  std::vector<double> beside;
  std::vector<double> beside_nothing;
  for (int i = 0; i < kRuns; ++i) {
    {
      const Storm storm(calls);
      revoked.push_back(revocation(program) / 1e9);
      hashed.push_back(right_secret() / 1e9);
      beside.push_back(good_requests().p99 / kMicrosecond);
    }
    const Storm storm(nothing);
    hashed_beside_nothing.push_back(right_secret() / 1e9);
    beside_nothing.push_back(good_requests().p99 / kMicrosecond);
  }
  const double ratio = quantile(&beside, 0.5) / quantile(&beside_nothing, 0.5);
  row(9, "root's delete beside 150 calls of the helper", "s",
      spread_of(revoked), at_most(1));
  row(9, "another member's right secret hashed beside them", "s",
      spread_of(hashed), at_most(1));
  row(9, "the same beside 150 calls of a setuid program that exits", "s",
      spread_of(hashed_beside_nothing));
  row(9, "p99 of good requests beside them", "us", spread_of(beside));
  row(9, "p99 beside 150 calls of a setuid program that exits", "us",
      spread_of(beside_nothing));
  row(9, "p99 beside calls of the helper / of that program", "ratio",
      exactly(ratio), at_most(1.5));
}

}  // namespace
}  // namespace pbstoken::bench

int main() {
  using namespace pbstoken::bench;
  make_scene();
  in_child([] { transact("cached"); });
  measure();
  return 0;
}
