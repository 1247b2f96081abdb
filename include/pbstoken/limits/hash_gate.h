// SPDX-License-Identifier: BSD-3-Clause
// The gate: at most max_hashes password hashes at once on the host for one
// token.shadow.  Each takes a processor for 20 ms and 16 MiB of memory, and any
// client that knows a token id can ask for one.  A process that reads the file
// for an id that the segment does not know passes it as well, since any client
// can make up ids; and so does one that hashes a new secret.
//
// Half of the places are root's own, half are for processes that run for other
// users, one at least in each: those may be stopped in a place by their user's
// means, and are not to hold up root's.  Each half is a set of three
// semaphores, `free`, `held` and `epoch`.  To take a place is one step of the
// kernel: it finds the epoch that was read before, waits for a free place in
// the order of arrival, and moves it from free to held; to give it back is the
// same the other way.  SEM_UNDO gives it back however its holder ends.
//
// A holder that is stopped delays and does not deny.  A process that has waited
// for kGateSeconds in which no place of its half was taken or given sets it
// anew, under another epoch: all places are free, and what is taken or given
// under the old epoch fails.
//
// Without semaphores each process computes one hash at a time, and a helper
// that runs once for a remote host none.  Only processes that are root's alone
// (privilege.h) have a place, since others could be stopped in it by any user.
#ifndef PBSTOKEN_HASH_GATE_H_
#define PBSTOKEN_HASH_GATE_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "pbstoken/base/result.h"
#include "pbstoken/limits/client.h"
#include "pbstoken/limits/named_set.h"
#include "pbstoken/limits/only_hash.h"
#include "pbstoken/limits/turn.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// What a process waits for a turn, and for a place.
constexpr unsigned kGateSeconds = 5;

enum class GateShare : std::uint8_t {
  kRoots,
  kUsers  // of processes that run for other users
};

// The semaphores of a share, and how many places the configuration wants there.
NamedSet gate_set(const Store &store, GateShare share);
unsigned wanted_places(const Store &store, GateShare share);

struct GateState {
  unsigned held;    // hashes under way
  unsigned places;  // in all
};

// Changes nothing; nullopt if there is no gate that this process can read.
std::optional<GateState> look_at_gate(const Store &store, GateShare share);

// The right to compute one hash.
class HashPlace {
 public:
  HashPlace() = default;  // of a process that needs none
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

struct GatePass {
  Turn turn = {};  // given back after the place
  HashPlace place = {};
  std::optional<OnlyHash> only = {};  // instead of a place
  // Others have hashed meanwhile: look into the segment once more.
  bool waited = false;
  std::optional<Error> no_gate = {};  // why there is `only`
};

// Waits for a turn if the process runs for a user, and for a place, for
// kGateSeconds each.  kBusy if others were served all that time.  Where
// max_hashes is 0 there is no gate.  The thread has semaphores of its own from
// now on, see unshare(2), if it is not the only one.
Result<GatePass> enter_hash_gate(const Store &store, const Client &client);

// The same for a single thread that may have been born with another process's
// undo list, see CLONE_SYSVSEM in clone(2): it leaves that.
void leave_undo_list();

}  // namespace pbstoken

#endif  // PBSTOKEN_HASH_GATE_H_
