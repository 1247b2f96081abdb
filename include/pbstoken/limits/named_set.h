// SPDX-License-Identifier: BSD-3-Clause
// A set of semaphores that root makes and finds again (named_object.h).
//
// A set has no room for a name, so its last four semaphores are one: their
// values, which no process changes, are never 0.
//
// Thread safety: any thread may call the const functions.
#ifndef PBSTOKEN_NAMED_SET_H_
#define PBSTOKEN_NAMED_SET_H_

#include <sys/sem.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/os/ipc_room.h"
#include "pbstoken/os/ipc_table.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// The highest value of a semaphore: SEMVMX, which libc does not have.
constexpr std::uint16_t kMostInSemaphore = 32767;

class NamedSet {
 public:
  using Entry = SemaphoreEntry;
  static constexpr const char *kWhat = "semaphores";
  static constexpr std::size_t kNameSize = 4;
  static constexpr std::size_t kMostSemaphores = 132;
  // The most operations that one semop(2) does on a set.
  static constexpr std::size_t kMostSteps = 9;
  using Values = std::array<std::uint16_t, kMostSemaphores>;

  // The values that the first semaphores begin with.
  using First = std::array<std::uint16_t, 3>;

  // A set of `count` semaphores, beside the four of the name.
  NamedSet(const Store &store, std::string_view purpose, std::size_t count,
           const First &first = {});

  [[nodiscard]] const First &first() const { return first_; }

  // Reads the values of a set that has the name.  Returns false if it has not,
  // or is not root's alone.
  bool read(int id, Values *out_values) const;

  // Gives all semaphores at once what a set begins with, but `value` to the one
  // of this number.  No process gives back what it took before.  Returns false
  // if that fails.
  [[nodiscard]] bool set_anew(int id, std::size_t number,
                              std::uint16_t value) const;

  [[nodiscard]] int get(key_t with, int flags) const;
  [[nodiscard]] bool has_name(int id) const;
  [[nodiscard]] bool is_ready(int id) const;
  bool owner_of(int id, ipc_perm *out_owner) const;
  [[nodiscard]] bool remove(int id) const;
  [[nodiscard]] std::optional<Shortage> shortage() const {
    return shortage_of_sets(count_ + kNameSize, kMostSteps);
  }

  key_t key;

 private:
  [[nodiscard]] bool is_trusted(int id) const;
  [[nodiscard]] bool begin(int id) const;

  std::size_t count_;
  First first_;
  std::array<std::uint16_t, kNameSize> name_{};
};

}  // namespace pbstoken

#endif  // PBSTOKEN_NAMED_SET_H_
