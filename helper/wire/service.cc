// SPDX-License-Identifier: BSD-3-Clause
#include "wire/service.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <utility>

#include "confine/confinement.h"
#include "io/message.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/ipc.h"
#include "pbstoken/os/privilege.h"
#include "pbstoken/os/recent_hashes.h"
#include "pbstoken/verify/helper_protocol.h"
#include "wire/ready_stores.h"
#include "wire/spare.h"
#include "wire/subordinate.h"
#include "wire/surroundings.h"

namespace pbstoken {

namespace {

constexpr std::size_t kMostConnections = 512;  // that are served or wait
constexpr std::size_t kMostWaitingOfUser = 128;
constexpr std::size_t kMostAccepted = 64;  // before there is a look at the rest
constexpr std::size_t kSpares = 2;
constexpr std::uint64_t kWaitingTime = 5 * kNanosecondsPerSecond;
constexpr std::uint64_t kIdleTime = 60 * kNanosecondsPerSecond;
// How long the service waits before it tries again what has failed for want of
// descriptors or processes.
constexpr std::uint64_t kPause = kNanosecondsPerSecond / 10;
// How long after a connection was handed over the next spare child is made at
// the earliest: to make one takes as long as an answer out of the segment.
constexpr std::uint64_t kHeadStart = 2 * kNanosecondsPerMillisecond;
// A connection that has been served for less is taken to end soon.  One that
// has been served for longer may be a rotation, which waits for a person to
// read the new secret, for kIdleTime at most.
constexpr std::uint64_t kMoment = kNanosecondsPerSecond;
// How long other connections wait at most for one that was taken to end soon:
// it may be a rotation, after all.
constexpr std::uint64_t kLongestHold = 5 * kNanosecondsPerSecond;

constexpr int kListener = STDIN_FILENO;
constexpr const char *kCannotServe = "cannot serve";

constexpr std::size_t most_served(uid_t user) {
  constexpr std::size_t kRoots = 32;
  constexpr std::size_t kUsers = 8;
  return user == 0 ? kRoots : kUsers;
}

constexpr std::size_t most_connections(uid_t user) {
  constexpr std::size_t kLeftToRoot = 96;
  return user == 0 ? kMostConnections : kMostConnections - kLeftToRoot;
}

// A list in fixed memory.  What it holds is moved.
template <typename T, std::size_t kCapacity>
class FixedList {
 public:
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool full() const { return size_ == kCapacity; }
  T &operator[](std::size_t at) { return all_[at]; }
  T *begin() { return all_.data(); }
  T *end() { return all_.data() + size_; }

  // What does not fit is dropped.
  void add(T &&value) {
    if (!full()) {
      all_[size_++] = std::move(value);
    }
  }

  // The others keep their order.
  T take(std::size_t at) {
    T taken = std::move(all_[at]);
    for (std::size_t i = at; i + 1 < size_; ++i) {
      all_[i] = std::move(all_[i + 1]);
    }
    --size_;
    return taken;
  }

 private:
  std::array<T, kCapacity> all_ = {};
  std::size_t size_ = 0;
};

struct Child {
  Spare self;
  bool serves = false;  // else it is a spare one
  uid_t user = 0;       // of its connection
  std::uint64_t since = 0;
};

struct Waiting {
  UniqueFd connection;
  uid_t user = 0;
  std::uint64_t deadline = 0;
};

// Set by SIGTERM.
constinit volatile sig_atomic_t told_to_end = 0;

class Service {
 public:
  explicit Service(ExitStatus (*answer)()) : answer_(answer) {}

  Result<void> run(const sigset_t &signals_of_wait);

  Surroundings &surroundings() { return surroundings_; }

 private:
  void wait_for_events(const sigset_t &signals);
  [[nodiscard]] std::uint64_t next_deadline();
  [[nodiscard]] std::uint64_t next_spare();
  void reap();
  void drop_waiting();
  void serve_waiting();
  Result<void> accept_some();
  void make_place(std::size_t few);
  void admit(UniqueFd connection);
  bool begin_to_serve(const UniqueFd &connection, uid_t user);
  [[nodiscard]] std::size_t served_of(uid_t user);
  [[nodiscard]] std::size_t waiting_of(uid_t user);
  [[nodiscard]] std::size_t connections();
  void add_spare(Haste haste);
  void let_spares_go();
  void pause_for(const char *what);
  [[nodiscard]] bool is_told_to_end() const;
  [[nodiscard]] bool is_to_end();
  void decide_the_end();
  [[nodiscard]] bool serves_for_a_moment();

  ExitStatus (*answer_)();
  Surroundings surroundings_;
  FixedList<Child, kMostConnections + kSpares> children_;
  FixedList<Waiting, kMostConnections> waiting_;
  std::size_t spares_ = 0;
  bool is_ending_ = false;
  std::uint64_t ending_since_ = 0;
  std::uint64_t changed_at_ = 0;  // the surroundings; 0: they have not
  std::uint64_t now_ = 0;
  std::uint64_t last_busy_ = 0;     // when there was a connection
  std::uint64_t last_begun_ = 0;    // when one was handed over
  std::uint64_t paused_until_ = 0;  // accepting, and forking
  // What poll(2) says: first of the listener, then of each child, then of each
  // connection that waits.
  std::array<pollfd, 1 + 2 * kMostConnections + kSpares> events_ = {};
  bool listener_is_ready_ = false;
  bool has_time_ = false;  // to fork: nothing else was to do
};

void answer_busy(const UniqueFd &connection) {
  const AnswerWord word = word_of(Outcome::kBusy);
  FixedText<kMaxAnswerText> answer(std::string_view(word.data(), word.size()));
  answer.append("too many connections wait, reason=busy");
  static_cast<void>(send(connection.get(), answer.view().data(),
                         answer.view().size(), MSG_NOSIGNAL | MSG_DONTWAIT));
}

// What goes wrong may go wrong for each connection: the same line is written
// once a minute.
void complain_at_times(std::string_view text) {
  static constinit RecentHashes said;
  const std::uint64_t hash = quick_hash(text);
  if (!said.has(hash)) {
    said.add(hash);
    complain(text);
  }
}

// --- children

std::size_t Service::served_of(uid_t user) {
  return static_cast<std::size_t>(std::count_if(
      children_.begin(), children_.end(),
      [&](const Child &one) { return one.serves && one.user == user; }));
}

std::size_t Service::waiting_of(uid_t user) {
  return static_cast<std::size_t>(
      std::count_if(waiting_.begin(), waiting_.end(),
                    [&](const Waiting &one) { return one.user == user; }));
}

std::size_t Service::connections() {
  return children_.size() - spares_ + waiting_.size();
}

// Complains of what has just failed.
void Service::pause_for(const char *what) {
  paused_until_ = now_ + kPause;
  complain_at_times(describe(system_error(what, {})).view());
}

void Service::add_spare(Haste haste) {
  if (children_.full()) {
    return;
  }
  auto spare = fork_spare(haste, answer_);
  if (!spare) {
    pause_for("cannot make a child");
    return;
  }
  children_.add({.self = std::move(*spare)});
  ++spares_;
}

void Service::let_spares_go() {
  for (Child &child : children_) {
    child.self.channel = UniqueFd();
  }
}

// Returns false if there can be no child now.
bool Service::begin_to_serve(const UniqueFd &connection, uid_t user) {
  if (spares_ == 0) {
    add_spare(Haste::kConnectionWaits);
  }
  for (Child &child : children_) {
    if (!child.serves) {
      child.serves = true;
      child.user = user;
      child.since = last_begun_ = now_;
      --spares_;
      if (hand_over(&child.self, connection)) {
        return true;
      }
      pause_for("cannot hand over a connection");
    }
  }
  return false;
}

// Forgets the children that have ended.  What ends a spare one would end the
// next one, too.
void Service::reap() {
  for (std::size_t i = children_.size(); i-- > 0;) {
    if (events_[1 + i].revents != 0 && !children_.take(i).serves) {
      --spares_;
      paused_until_ = now_ + kPause;
    }
  }
  int status = 0;
  while (waitpid(-1, &status, WNOHANG) > 0) {
    if (WIFSIGNALED(status)) {
      complain_at_times(
          FixedText<255>("a child was ended by signal ")
              .append(static_cast<std::uint64_t>(WTERMSIG(status)))
              .view());
    }
  }
}

// --- connections

// Drops the connections of clients that have gone, and those that have waited
// too long.
void Service::drop_waiting() {
  const std::size_t first = 1 + children_.size();
  for (std::size_t i = waiting_.size(); i-- > 0;) {
    if (events_[first + i].revents != 0) {
      static_cast<void>(waiting_.take(i));
    } else if (waiting_[i].deadline <= now_) {
      answer_busy(waiting_.take(i).connection);
    }
  }
}

// Each user has places of its own, so the first of one keeps no other user's
// waiting.
void Service::serve_waiting() {
  for (std::size_t i = 0; i < waiting_.size() && now_ >= paused_until_;) {
    const Waiting &first = waiting_[i];
    if (served_of(first.user) < most_served(first.user) &&
        begin_to_serve(first.connection, first.user)) {
      static_cast<void>(waiting_.take(i));
    } else {
      ++i;
    }
  }
}

// Makes a place for a user with so few connections: the last connection that
// waits of the user with most of them is told that there are too many.  Users
// with no more, and root, keep theirs.
void Service::make_place(std::size_t few) {
  const auto rank = [this](const Waiting &one) {
    return one.user == 0 ? 0 : waiting_of(one.user);
  };
  std::size_t last = 0;
  std::size_t most = few;
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    if (const std::size_t its = rank(waiting_[i]); its > few && its >= most) {
      most = its;
      last = i;
    }
  }
  if (most > few) {
    answer_busy(waiting_.take(last).connection);
  }
}

void Service::admit(UniqueFd connection) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) !=
      0) {
    return;
  }
  const uid_t user = owner_of(peer.uid);
  const std::size_t served = served_of(user);
  const std::size_t waiting = waiting_of(user);
  // One that has been answered may not have ended yet.
  if (served + waiting < most_served(user) &&
      connections() >= most_connections(user)) {
    make_place(served + waiting + 1);
  }
  const bool has_place = connections() < most_connections(user);
  if (has_place && served < most_served(user) && waiting == 0 &&
      begin_to_serve(connection, user)) {
    return;
  }
  if (!has_place || waiting == kMostWaitingOfUser) {
    answer_busy(connection);
    return;
  }
  waiting_.add({.connection = std::move(connection),
                .user = user,
                .deadline = now_ + kWaitingTime});
}

Result<void> Service::accept_some() {
  for (std::size_t i = 0; i < kMostAccepted; ++i) {
    UniqueFd connection(accept4(kListener, nullptr, nullptr, SOCK_CLOEXEC));
    if (connection) {
      admit(std::move(connection));
    } else if (errno == EAGAIN) {
      return {};
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
               errno == ENOBUFS) {
      pause_for("cannot accept a connection");
      return {};
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return system_error(kCannotServe, "standard input");
    }
  }
  return {};
}

// --- the loop

std::uint64_t Service::next_deadline() {
  std::uint64_t next = connections() == 0 ? last_busy_ + kIdleTime
                       : is_ending_ && !is_told_to_end()
                           ? ending_since_ + kLongestHold
                           : ~0ULL;
  for (const Waiting &one : waiting_) {
    next = std::min(next, one.deadline);
  }
  return now_ < paused_until_ ? std::min(next, paused_until_) : next;
}

// Returns when to make one more spare child; never: ~0.
std::uint64_t Service::next_spare() {
  if (is_ending_ || now_ < paused_until_ || spares_ >= kSpares ||
      children_.full()) {
    return ~0ULL;
  }
  return spares_ > 0 && connections() > 0 ? last_begun_ + kHeadStart : now_;
}

void Service::wait_for_events(const sigset_t &signals) {
  const bool accepts = !is_ending_ && now_ >= paused_until_;
  std::size_t count = 0;
  events_[count++] = {accepts ? kListener : -1, POLLIN, 0};
  for (const Child &child : children_) {
    events_[count++] = {child.self.process.get(), POLLIN, 0};
  }
  for (const Waiting &one : waiting_) {
    events_[count++] = {one.connection.get(), 0, 0};
  }
  const std::uint64_t deadline = std::min(next_deadline(), next_spare());
  const timespec time = timespec_of(deadline > now_ ? deadline - now_ : 0);
  const int ready = ppoll(events_.data(), count,
                          deadline == ~0ULL ? nullptr : &time, &signals);
  if (ready <= 0) {
    for (pollfd &event : events_) {
      event.revents = 0;
    }
  }
  listener_is_ready_ = ready > 0 && events_[0].revents != 0;
  has_time_ = ready == 0;
}

bool Service::serves_for_a_moment() {
  return waiting_.size() == 0 &&
         std::all_of(children_.begin(), children_.end(), [&](const Child &one) {
           return !one.serves || now_ - one.since < kMoment;
         });
}

// A signal is not delivered while there is always something to do.
bool Service::is_told_to_end() const {
  sigset_t pending{};
  return told_to_end != 0 ||
         (sigpending(&pending) == 0 && sigismember(&pending, SIGTERM) == 1);
}

// A service that ends accepts nothing more.  So after a change it begins to end
// when all that it serves is taken to end soon, or kIdleTime after the change.
bool Service::is_to_end() {
  if (listener_is_ready_ && changed_at_ == 0 && surroundings_.have_changed()) {
    changed_at_ = now_;
  }
  const bool is_idle = connections() == 0 && !listener_is_ready_ &&
                       now_ - last_busy_ >= kIdleTime;
  return is_told_to_end() || is_idle ||
         (changed_at_ != 0 &&
          (serves_for_a_moment() || now_ - changed_at_ >= kIdleTime));
}

// If what is served takes longer than kLongestHold, the service does not end
// yet: it accepts connections again.  Each request is judged by what is there
// then.
void Service::decide_the_end() {
  if (is_ending_ && !is_told_to_end() && now_ - ending_since_ >= kLongestHold) {
    is_ending_ = false;
    changed_at_ = now_;
    return;
  }
  if (!is_ending_ && is_to_end()) {
    is_ending_ = true;
    ending_since_ = now_;
  }
}

Result<void> Service::run(const sigset_t &signals_of_wait) {
  surroundings_.look();
  now_ = last_busy_ = boottime_now();
  while (!is_ending_ || connections() > 0) {
    wait_for_events(signals_of_wait);
    now_ = boottime_now();
    last_busy_ = connections() > 0 ? now_ : last_busy_;
    // The order counts: what was polled is found by its place.
    drop_waiting();
    reap();
    serve_waiting();
    decide_the_end();
    if (listener_is_ready_ && !is_ending_) {
      last_busy_ = now_;
      if (const auto accepted = accept_some(); !accepted) {
        return accepted.error();
      }
    }
    if (has_time_ && now_ >= next_spare()) {
      add_spare(Haste::kNone);
    }
  }
  let_spares_go();
  while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
  }
  return {};
}

// --- how it begins

bool is_listening() {
  int domain = 0;
  int type = 0;
  int listens = 0;
  socklen_t size = sizeof(int);
  return getsockopt(kListener, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
         getsockopt(kListener, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
         getsockopt(kListener, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) ==
             0 &&
         domain == AF_UNIX && type == SOCK_STREAM && listens != 0 &&
         fcntl(kListener, F_SETFL, O_NONBLOCK) == 0;
}

// Allows as many descriptors as the service manager does.
void allow_descriptors() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    static_cast<void>(setrlimit(RLIMIT_NOFILE, &files));
  }
}

// Lets SIGTERM come only while the parent waits, and gives the mask for that.
bool await_sigterm(sigset_t *out_signals_of_wait) {
  struct sigaction action = {};
  action.sa_handler = [](int) { told_to_end = 1; };
  sigset_t term{};
  return sigemptyset(&term) == 0 && sigaddset(&term, SIGTERM) == 0 &&
         sigprocmask(SIG_BLOCK, &term, out_signals_of_wait) == 0 &&
         sigaction(SIGTERM, &action, nullptr) == 0;
}

Result<void> begin(Service *service, sigset_t *out_signals) {
  if (!is_only_root() || !await_sigterm(out_signals)) {
    return system_error(kCannotServe, {});
  }
  allow_descriptors();
  remember_namespaces();
  if (const auto loaded = load_subordinate_uids(); !loaded) {
    complain(loaded.error());
  }
  if (!service->surroundings().find()) {
    complain("there are too many stores to watch all of their directories");
  }
  get_stores_ready();
  return confine_service();
}

}  // namespace

void turn_away() {
  if (is_listening()) {
    while (UniqueFd(accept4(kListener, nullptr, nullptr, SOCK_CLOEXEC))) {
    }
    constexpr timespec kSecond = {.tv_sec = 1, .tv_nsec = 0};
    nanosleep(&kSecond, nullptr);
  }
}

Result<void> serve(ExitStatus (*answer)()) {
  if (!is_listening()) {
    return plain_error(Errc::kUnsafe, kCannotServe, "standard input",
                       "not a listening AF_UNIX stream socket");
  }
  static Service service(answer);
  sigset_t signals{};
  const auto begun = begin(&service, &signals);
  return begun ? service.run(signals) : begun;
}

}  // namespace pbstoken
