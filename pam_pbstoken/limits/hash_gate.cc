// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/hash_gate.h"

#include <sched.h>
#include <sys/random.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "pbstoken/limits/named_object.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/privilege.h"

namespace pbstoken {

namespace {

enum : std::uint8_t { kFree, kHeld, kEpoch, kGateSize };

constexpr int kAtOnce = IPC_NOWAIT;
constexpr int kUndo = SEM_UNDO;

constexpr sembuf step(std::uint16_t number, int change, int flags) {
  return {.sem_num = number,
          .sem_op = static_cast<std::int16_t>(change),
          .sem_flg = static_cast<std::int16_t>(flags)};
}

// Does all steps in one, under this epoch alone.  Under another epoch it fails
// with EAGAIN at once, and so it does while it waits, when another begins.
template <std::size_t Count>
bool act_under(int set, int epoch, int next_epoch, const timespec *time,
               const std::array<sembuf, Count> &steps) {
  static_assert(Count + 3 <= NamedSet::kMostSteps);
  std::array<sembuf, Count + 3> all = {step(kEpoch, -epoch, kAtOnce),
                                       step(kEpoch, 0, kAtOnce),
                                       step(kEpoch, next_epoch, 0)};
  std::copy(steps.begin(), steps.end(), all.begin() + 3);
  return semtimedop(set, all.data(), all.size(), time) == 0;
}

// Returns an epoch that is neither this one nor 0.
std::uint16_t other_epoch(unsigned epoch) {
  std::uint16_t number = 0;
  if (getrandom(&number, sizeof(number), GRND_NONBLOCK) < 0) {
    number = static_cast<std::uint16_t>(boottime_now());
  }
  return static_cast<std::uint16_t>(
      1 + (epoch + number % (kMostInSemaphore - 1U)) % kMostInSemaphore);
}

enum class Waited : std::uint8_t { kHasPlace, kSetAnew, kInVain };

// A share, as it was when it was read.
class Gate {
 public:
  static Result<Gate> open(const Store &store, GateShare share);

  // Takes a place at once, or waits for it.
  [[nodiscard]] bool take(const timespec *time) const {
    return act_under(
        set_, epoch_, epoch_, time,
        std::array{step(kFree, -1, time == nullptr ? kUndo | kAtOnce : kUndo),
                   step(kHeld, 1, kUndo)});
  }
  [[nodiscard]] Waited wait() const;
  [[nodiscard]] HashPlace place() const { return {set_, epoch_}; }

  // Returns when a place was last taken or given, by the kernel's own account;
  // it notes a holder's death as well.
  [[nodiscard]] std::time_t last_change() const {
    semid_ds status{};
    return get_status(set_, &status) ? status.sem_otime : 0;
  }

  void set_anew() const;

 private:
  Gate(const NamedSet &form, int set) : form_(form), set_(set) {}

  void adjust(int free, int held, int wanted) const;

  NamedSet form_;
  int set_;
  std::uint16_t epoch_ = 0;
};

Result<Gate> Gate::open(const Store &store, GateShare share) {
  const NamedSet form = gate_set(store, share);
  NamedSet::Values values{};
  auto set = open_named(form);
  for (int tries = 1; set && !form.read(*set, &values); ++tries) {
    if (tries == kTries) {
      return system_error("cannot read", NamedSet::kWhat);
    }
    set = open_named(form);
  }
  if (!set) {
    return set.error();
  }
  Gate gate(form, *set);
  gate.epoch_ = values[kEpoch];
  gate.adjust(values[kFree], values[kHeld], form.first()[kFree]);
  return gate;
}

// Adds free places, or takes some away, until there are as many as wanted;
// those that are held go once they are given back.  If another process comes in
// between, the next one does it.
void Gate::adjust(int free, int held, int wanted) const {
  const int then = std::max(0, wanted - held);
  if (free != then) {
    static_cast<void>(act_under(
        set_, epoch_, epoch_, nullptr,
        std::array{step(kHeld, -held, kAtOnce), step(kHeld, 0, kAtOnce),
                   step(kHeld, held, kAtOnce), step(kFree, -free, kAtOnce),
                   step(kFree, 0, kAtOnce), step(kFree, then, kAtOnce)}));
  }
}

// Waits for kGateSeconds at most, or until the places are no longer those that
// this one was about.
Waited Gate::wait() const {
  timespec time = {.tv_sec = kGateSeconds, .tv_nsec = 0};
  const std::uint64_t deadline = deadline_in(kGateSeconds);
  while (!take(&time)) {
    if (errno == EAGAIN) {
      NamedSet::Values values{};
      return form_.read(set_, &values) && values[kEpoch] == epoch_
                 ? Waited::kInVain
                 : Waited::kSetAnew;
    }
    if (errno != EINTR) {
      return Waited::kSetAnew;  // removed, most likely
    }
    const std::uint64_t left = time_left(deadline);
    if (left == 0) {
      return Waited::kInVain;
    }
    time = timespec_of(left);
  }
  return Waited::kHasPlace;
}

// Takes all places away from their holders.  Of several processes the first one
// does it; what is given back before the second call is not there after it.
void Gate::set_anew() const {
  const std::uint16_t epoch = other_epoch(epoch_);
  if (act_under(set_, epoch_, epoch, nullptr, std::array<sembuf, 0>{})) {
    static_cast<void>(form_.set_anew(set_, kEpoch, epoch));
  }
}

// Root takes a free place of the users, for which no user waits.
std::optional<HashPlace> take_of_users(const Store &store) {
  const auto gate = Gate::open(store, GateShare::kUsers);
  return gate && gate->take(nullptr) ? std::optional(gate->place())
                                     : std::nullopt;
}

// Returns an error other than kBusy if there is no gate.
Result<HashPlace> take_place(const Store &store, GateShare share,
                             bool *out_waited) {
  auto gate = Gate::open(store, share);
  if (!gate) {
    return gate.error();
  }
  if (gate->take(nullptr)) {
    return gate->place();
  }
  if (errno != EAGAIN && errno != EIDRM && errno != EINVAL) {
    return system_error("cannot use", NamedSet::kWhat);
  }
  if (share == GateShare::kRoots) {
    if (auto place = take_of_users(store); place) {
      return std::move(*place);
    }
  }
  *out_waited = true;
  for (const bool is_last : {false, true}) {
    const std::time_t before = gate->last_change();
    const Waited waited = gate->wait();
    if (waited == Waited::kHasPlace) {
      return gate->place();
    }
    if (waited == Waited::kInVain) {
      if (is_last || gate->last_change() != before) {
        break;
      }
      gate->set_anew();
    }
    gate = Gate::open(store, share);
    if (!gate) {
      return gate.error();
    }
  }
  return busy_error("too many others do, reason=busy");
}

constexpr const char *kTooMany = "too many others do, reason=busy";

// Keeps what is left of the limit without a gate.
Result<GatePass> pass_without_gate(const Store &store, const Client &client,
                                   const Error &error) {
  if (is_beyond_own_limits(client)) {
    return busy_error("there are no semaphores, reason=busy");
  }
  GatePass pass{.no_gate = error};
  if (may_use_limits_file(client) && is_only_root()) {
    pass.file = LimitsFile::open(store);
    switch (pass.file.lock_until(deadline_in(kGateSeconds), &pass.waited)) {
      case LimitsFile::Waited::kHasLock:
        return pass;
      case LimitsFile::Waited::kOthersHad:
        return busy_error(kTooMany);
      case LimitsFile::Waited::kNoLock:
        break;
    }
  }
  pass.only = OnlyHash::wait_until(deadline_in(kGateSeconds), &pass.waited);
  return pass.only ? Result<GatePass>(std::move(pass))
                   : busy_error("another thread does, reason=busy");
}

}  // namespace

unsigned wanted_places(const Store &store, GateShare share) {
  const auto processors = sysconf(_SC_NPROCESSORS_ONLN);
  const auto standard =
      static_cast<std::uint32_t>(processors > 0 ? processors : 1);
  const std::uint32_t all = std::min<std::uint32_t>(
      store.max_hashes.value_or(standard), kMostInSemaphore);
  const std::uint32_t users = all / 2;
  return std::max(1U, share == GateShare::kUsers ? users : all - users);
}

NamedSet gate_set(const Store &store, GateShare share) {
  return {store,
          share == GateShare::kRoots ? "pbstoken gate 2"
                                     : "pbstoken gate of users 2",
          kGateSize,
          {static_cast<std::uint16_t>(wanted_places(store, share)), 0,
           other_epoch(0)}};
}

std::optional<GateState> look_at_gate(const Store &store, GateShare share) {
  const NamedSet form = gate_set(store, share);
  NamedSet::Values values{};
  if (!form.read(find_named(form), &values)) {
    return std::nullopt;
  }
  return GateState{.held = values[kHeld],
                   .places = 0U + values[kFree] + values[kHeld]};
}

HashPlace::~HashPlace() {
  if (set_ >= 0) {
    // Fails if the places were set anew: then this place no longer counts.
    static_cast<void>(act_under(
        set_, epoch_, epoch_, nullptr,
        std::array{step(kHeld, -1, kUndo | kAtOnce), step(kFree, 1, kUndo)}));
  }
}

void leave_undo_list() {
  static_cast<void>(unshare(CLONE_SYSVSEM));
}

Result<GatePass> enter_hash_gate(const Store &store, const Client &client) {
  if (store.max_hashes == 0U) {
    return GatePass{};
  }
  if (!is_only_root()) {
    return pass_without_gate(
        store, client,
        plain_error(Errc::kUnsafe, "cannot use", NamedSet::kWhat,
                    "this process is not root's alone"));
  }
  // A thread that hashes while another one calls execve(2) would keep its place
  // for the next program's whole life.
  if (__libc_single_threaded == 0 && !is_filtered()) {
    leave_undo_list();
  }
  GatePass pass;
  if (is_for_user(client)) {
    auto turn = Turn::wait_for(store, client, kGateSeconds, &pass.waited);
    if (!turn) {
      return turn.error();
    }
    pass.turn = std::move(*turn);
  }
  auto place = take_place(
      store, is_for_user(client) ? GateShare::kUsers : GateShare::kRoots,
      &pass.waited);
  if (!place) {
    return place.error().code == Errc::kBusy
               ? Result<GatePass>(place.error())
               : pass_without_gate(store, client, place.error());
  }
  pass.place = std::move(*place);
  return pass;
}

}  // namespace pbstoken
