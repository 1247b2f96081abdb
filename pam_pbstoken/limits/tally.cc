// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/tally.h"

#include "pbstoken/os/ipc.h"

namespace pbstoken {

namespace {

template <typename T>
std::span<T> places_of(std::span<T> table, std::uint64_t tag) {
  const auto first =
      static_cast<std::size_t>(tag % (table.size() - kTallyPlaces + 1));
  return table.subspan(first, kTallyPlaces);
}

// Gives the place of the earliest tally to a new one.  The state goes first: a
// process that finds the new tag must not find the old count.  So this releases
// the tag, and each process acquires the tag before it reads the state.
Tally *replace_earliest(std::span<Tally> places, std::uint64_t tag) {
  Tally *earliest = places.data();
  for (Tally &tally : places) {
    if (load_relaxed(&tally.state) < load_relaxed(&earliest->state)) {
      earliest = &tally;
    }
  }
  store_relaxed(&earliest->state, 0);
  store_release(&earliest->tag, tag);
  return earliest;
}

}  // namespace

const Tally *find_tally(std::span<const Tally> table, std::uint64_t tag) {
  for (const Tally &tally : places_of(table, tag)) {
    const std::uint64_t found = load_acquire(&tally.tag);
    if (found == tag) {
      return &tally;
    }
    if (found == 0) {
      break;  // places are taken in turn, and stay taken
    }
  }
  return nullptr;
}

Tally *make_tally(std::span<Tally> table, std::uint64_t tag) {
  const std::span<Tally> places = places_of(table, tag);
  for (Tally &tally : places) {
    std::uint64_t found = load_acquire(&tally.tag);
    if (found == 0) {
      if (compare_and_swap(&tally.tag, 0, tag)) {
        return &tally;
      }
      found = load_acquire(&tally.tag);  // another process was faster
    }
    if (found == tag) {
      return &tally;
    }
  }
  return replace_earliest(places, tag);
}

}  // namespace pbstoken
