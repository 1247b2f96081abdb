// SPDX-License-Identifier: BSD-3-Clause
// The gate bounds the password hashes that run at once on the host for one
// token.shadow: it has max_hashes places, and at least two.
//
// A hash takes a processor for 20 ms and 16 MiB of memory, and any client that
// knows a token id can ask for one.  Three kinds of process pass the gate:
//   - one that computes a hash to verify a secret;
//   - one that reads the file for an id that the segment does not know, since
//     any client can make up ids;
//   - one that hashes a new secret.
//
// Half of the places are root's own, half are for processes that run for other
// users; each half has at least one place.  Root takes a free place of the
// users if its own are taken.  A user has means to slow or stop
// processes that run for him while they hold a place, as by the freezer of
// their cgroup: these must not hold up root's.
// Each half is a set of three semaphores, `free`, `held` and `epoch`:
//
//  1. To take a place is one step of the kernel.  It checks that the epoch is
//     the one that was read before, waits for a free place in the order of
//     arrival, and moves the place from `free` to `held`.
//  2. To give it back is the same step the other way.
//  3. SEM_UNDO gives it back however its holder ends.
//
// A stopped holder delays others, and does not deny them a place.  A process
// waits for kGateSeconds.  If another one took or gave back a place of its half
// in that time, the process ends with kBusy.  If no process did, it sets the
// half anew under another epoch, and waits once more: all places are free now,
// and what is taken or given under the old epoch fails.
//
// Without semaphores one service of root on the host hashes at a time, by the
// lock of a file (limits_file.h).  Where there can be no file, and in what runs
// for a user, each process computes one hash at a time.  A helper that runs
// once for a remote host computes no hash.  Only processes that are root's
// alone (privilege.h) take a place or the lock, since any user could stop
// others in it.
//
// Thread safety: any thread may call the functions; one thread per object.
#ifndef PBSTOKEN_HASH_GATE_H_
#define PBSTOKEN_HASH_GATE_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "pbstoken/base/result.h"
#include "pbstoken/limits/client.h"
#include "pbstoken/limits/limits_file.h"
#include "pbstoken/limits/named_set.h"
#include "pbstoken/limits/only_hash.h"
#include "pbstoken/limits/turn.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// How long, in seconds, a process waits for a turn, and then for a place.
constexpr unsigned kGateSeconds = 5;

// The halves of the places.
enum class GateShare : std::uint8_t {
  kRoots,
  kUsers  // for processes that run for other users
};

// Returns the semaphores of a share.
NamedSet gate_set(const Store &store, GateShare share);

// Returns how many places the configuration wants in a share: 1 or more.
unsigned wanted_places(const Store &store, GateShare share);

// What a gate's semaphores say.
struct GateState {
  unsigned held;    // hashes under way
  unsigned places;  // in all
};

// Returns the state of a gate; nullopt if there is no gate that this process
// can read.  Changes nothing.
std::optional<GateState> look_at_gate(const Store &store, GateShare share);

// The right to compute one hash.  The destructor gives it back.
class HashPlace {
 public:
  HashPlace() = default;  // for a process that needs no place
  HashPlace(int set, std::uint16_t epoch) : set_(set), epoch_(epoch) {}
  HashPlace(HashPlace &&other) noexcept
      : set_(std::exchange(other.set_, -1)), epoch_(other.epoch_) {}
  HashPlace &operator=(HashPlace &&other) noexcept {
    std::swap(set_, other.set_);
    std::swap(epoch_, other.epoch_);
    return *this;
  }
  HashPlace(const HashPlace &) = delete;
  HashPlace &operator=(const HashPlace &) = delete;
  ~HashPlace();

 private:
  int set_ = -1;
  std::uint16_t epoch_ = 0;
};

// What a process holds in the gate until the hash is computed.
struct GatePass {
  Turn turn = {};  // given back after the place
  HashPlace place = {};
  LimitsFile file = {};               // instead of a place
  std::optional<OnlyHash> only = {};  // instead of a file
  bool waited = false;  // for a turn, a place, or what stands in for them
  std::optional<Error> no_gate = {};  // why there is `file` or `only`
};

// Waits for a turn if the process runs for a user, for kGateSeconds, and then
// for a place, as above.  Returns an empty pass if max_hashes is 0: then there
// is no gate.  If there can be no gate, returns a pass with `file` or `only`,
// and `no_gate`.  Returns kBusy if the wait was in vain, if the client has
// gone, or if there can be no gate and the process is a helper that runs once
// for a remote host.  If the thread is not the only one, it has semaphores of
// its own from now on, see unshare(2).
Result<GatePass> enter_hash_gate(const Store &store, const Client &client);

// Leaves the undo list of another process that a single thread may have been
// born with, see CLONE_SYSVSEM in clone(2).
void leave_undo_list();

}  // namespace pbstoken

#endif  // PBSTOKEN_HASH_GATE_H_
