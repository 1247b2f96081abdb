// SPDX-License-Identifier: BSD-3-Clause
// The module's reading of the helper's answer, with every system call of the
// dialogue in the fuzzer's hands: nobody is let in but by the whole word of a
// success, nothing behind it, then end of file, and an exit status, where there
// is one, that says the same.
//
// Input: choices of the command, of whether the program can be started, of the
// exit status; then steps of what recv(2), send(2), poll(2) and connect(2) do.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "pbstoken/module/helper.h"
#include "pbstoken/verify/helper_protocol.h"
#include "pbstoken/verify/options.h"

namespace pbstoken::fuzz {
namespace {

// What the other side does, and what has come of it.
struct World {
  Input script{nullptr, 0};
  bool armed = false;
  bool starts = false;        // the program
  std::optional<int> status;  // what waitpid(2) says
  std::uint64_t now = 1;      // boot time in ns
  std::string received;       // since the last question or acknowledgement
  bool ended = false;         // recv(2) gave the end of file
  bool by_program = false;
};
World world;

constexpr pid_t kKeeper = 0x3fffffff;

constexpr std::array<int, 9> kErrors = {EAGAIN, EINTR,  ECONNRESET,
                                        EPIPE,  ENOMEM, ENOTCONN,
                                        ENOENT, EACCES, ECONNREFUSED};

int fail_with_choice() {
  errno = kErrors[world.script.take_choice(kErrors.size())];
  return -1;
}

// Bytes that the other side sends: whole words, changed ones, others.
std::string take_bytes() {
  const unsigned kind = world.script.take_choice(4);
  if (kind == 0) {
    const std::string_view line = world.script.take_line();
    return std::string(line);
  }
  const auto outcome =
      static_cast<Outcome>(world.script.take_choice(kOutcomes));
  const AnswerWord word = word_of(outcome);
  std::string bytes(word.data(), word.size());
  if (kind == 2) {  // part of a word
    bytes.resize(world.script.take_choice(8));
  } else if (kind == 3) {  // bits flipped
    const unsigned count = world.script.take_choice(8);
    for (unsigned i = 0; i < count; ++i) {
      flip_bit(&bytes, world.script.take_byte() % 64);
    }
  }
  return bytes;
}

ssize_t receive(char *to, std::size_t size) {
  switch (world.script.empty() ? 1 : world.script.take_choice(3)) {
    case 0: {
      const std::string bytes = take_bytes().substr(0, size);
      std::memcpy(to, bytes.data(), bytes.size());
      world.received += bytes;
      world.ended = world.ended || bytes.empty();
      return static_cast<ssize_t>(bytes.size());
    }
    case 1:
      world.ended = true;
      return 0;
    default:
      return fail_with_choice();
  }
}

}  // namespace
}  // namespace pbstoken::fuzz

// --- the system calls, in front of libc's own

#define PBSTOKEN_PLAYED(result, name, parameters)                          \
  extern "C" [[gnu::visibility("default"),                                 \
               gnu::used]] result played_##name parameters __asm__(#name); \
  extern "C" result played_##name parameters

using pbstoken::fuzz::world;

PBSTOKEN_PLAYED(ssize_t, recv,
                (int /*fd*/, void *to, std::size_t size, int /*flags*/)) {
  return pbstoken::fuzz::receive(static_cast<char *>(to), size);
}

PBSTOKEN_PLAYED(ssize_t, send,
                (int /*fd*/, const void * /*bytes*/, std::size_t size,
                 int /*flags*/)) {
  switch (world.script.empty() ? 0 : world.script.take_choice(4)) {
    case 0:
    case 1:
      return static_cast<ssize_t>(size);
    case 2:
      return static_cast<ssize_t>(size > 1 ? size / 2 : size);
    default:
      return pbstoken::fuzz::fail_with_choice();
  }
}

PBSTOKEN_PLAYED(int, poll,
                (struct pollfd * /*fds*/, std::size_t /*count*/,
                 int /*timeout*/)) {
  switch (world.script.empty() ? 1 : world.script.take_choice(3)) {
    case 0:
      return 1;
    case 1:
      world.now += 30'000'000'000;
      return 0;
    default:
      world.now += 5'000'000'000;
      return pbstoken::fuzz::fail_with_choice();
  }
}

PBSTOKEN_PLAYED(pid_t, waitpid, (pid_t pid, int *status, int /*options*/)) {
  pbstoken::fuzz::require(pid == pbstoken::fuzz::kKeeper,
                          "only the keeper is waited for");
  if (!world.status) {
    errno = ECHILD;
    return -1;
  }
  *status = *world.status;
  return pid;
}

PBSTOKEN_PLAYED(int, kill, (pid_t pid, int /*signal*/)) {
  pbstoken::fuzz::require(pid == pbstoken::fuzz::kKeeper,
                          "nobody else is killed");
  return 0;
}

PBSTOKEN_PLAYED(int, shutdown, (int /*fd*/, int /*how*/)) {
  return 0;
}

PBSTOKEN_PLAYED(int, connect,
                (int /*fd*/, const struct sockaddr * /*address*/,
                 unsigned /*size*/)) {
  world.now += 1'000'000'000;
  world.received.clear();  // another dialogue
  world.ended = false;
  world.by_program = false;
  return world.script.take_choice(3) == 1 ? pbstoken::fuzz::fail_with_choice()
                                          : 0;
}

// Only asked for the peer's credentials, which is root, or is not.
PBSTOKEN_PLAYED(int, getsockopt,
                (int /*fd*/, int /*level*/, int /*name*/, void *value,
                 unsigned * /*size*/)) {
  const ucred peer = {
      .pid = 1, .uid = world.script.take_choice(4) == 1 ? 1U : 0U, .gid = 0};
  world.received += peer.uid == 0 ? "" : "not root";
  std::memcpy(value, &peer, sizeof(peer));
  return 0;
}

PBSTOKEN_PLAYED(int, clock_gettime, (clockid_t clock, struct timespec *out)) {
  if (clock == CLOCK_BOOTTIME && world.armed) {
    out->tv_sec = static_cast<time_t>(world.now / 1'000'000'000);
    out->tv_nsec = static_cast<std::int64_t>(world.now % 1'000'000'000);
    return 0;
  }
  std::int64_t result = 0;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(SYS_clock_gettime), "D"(clock), "S"(out)
               : "rcx", "r11", "memory");
  return static_cast<int>(result);
}

namespace pbstoken::fuzz {
namespace {

std::string_view as_text(const AnswerWord &word) {
  return {word.data(), word.size()};
}

// What was asked for, and what came, are all that counts.
void require_deserved(const Result<HelperAnswer> &answer) {
  if (!answer || !is_success(answer->outcome)) {
    return;
  }
  const AnswerWord word = word_of(answer->outcome);
  require(world.received == as_text(word),
          "success is its word, and nothing else");
  require(world.ended, "and then end of file");
  const auto expected = static_cast<int>(info_of(answer->outcome).exit_status);
  require(
      !world.by_program || !world.status ||
          (WIFEXITED(*world.status) && WEXITSTATUS(*world.status) == expected),
      "and the exit status says so, too");
}

// What the socket has said counts, but that it cannot say.
void require_program_is_needed() {
  const auto answer = parse_answer(world.received);
  require(!answer || answer->outcome == Outcome::kOtherVersion ||
              answer->outcome == Outcome::kOtherView,
          "the program is not asked after an answer");
}

void require_offer(const HelperDialogue &dialogue) {
  const AnswerWord word = word_of(Outcome::kOffer);
  const std::string expected =
      std::string(as_text(word)) + std::string(dialogue.offered()) + "\n";
  require(world.received == expected && !dialogue.offered().empty(),
          "an offer is a whole line");
}

void play(HelperCommand command) {
  static const ModuleOptions options;
  const HelperRequest request = {.command = command,
                                 .nocache = false,
                                 .store = "pbs",
                                 .host = "host",
                                 .token_id = "john@pbs!client1",
                                 .secret = "secret"};
  HelperDialogue dialogue(options);
  const auto answer = dialogue.ask(request);
  require_deserved(answer);
  if (answer && answer->outcome == Outcome::kOffer) {
    require_offer(dialogue);
    world.received.clear();
    world.ended = false;
    require_deserved(dialogue.acknowledge());
  }
}

}  // namespace
}  // namespace pbstoken::fuzz

// The keeper is never born: that takes the place of fork(2).
extern "C" [[gnu::visibility("default"), gnu::used]] long played_syscall(
    long number, ...) __asm__("syscall");
extern "C" long played_syscall(long number, ...) {
  if (number == SYS_clone) {
    if (!world.starts) {
      errno = EAGAIN;
      return -1;
    }
    pbstoken::fuzz::require_program_is_needed();
    world.by_program = true;
    world.received.clear();  // another dialogue
    world.ended = false;
    return pbstoken::fuzz::kKeeper;
  }
  va_list arguments;
  va_start(arguments, number);
  std::array<long, 6> a{};
  for (long &one : a) {
    one = va_arg(arguments, long);
  }
  va_end(arguments);
  long result = 0;
  register long r10 asm("r10") = a[3];
  register long r8 asm("r8") = a[4];
  register long r9 asm("r9") = a[5];
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10),
                 "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  if (result < 0 && result > -4096) {
    errno = static_cast<int>(-result);
    return -1;
  }
  return result;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data,
                                      std::size_t size) {
  using namespace pbstoken;
  using namespace pbstoken::fuzz;
  Input input(data, size);
  const auto command = static_cast<HelperCommand>(1 + input.take_choice(3));
  World fresh;
  fresh.starts = input.take_choice(2) == 0;
  constexpr std::array<int, 6> kStatuses = {0, 7 << 8, 1 << 8, 9, 0x86, 4 << 8};
  const unsigned status = input.take_choice(kStatuses.size() + 1);
  if (status < kStatuses.size()) {
    fresh.status = kStatuses[status];
  }
  fresh.script = input;
  fresh.armed = true;
  world = fresh;
  play(command);
  world.armed = false;
  return 0;
}
