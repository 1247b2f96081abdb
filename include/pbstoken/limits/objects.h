// SPDX-License-Identifier: BSD-3-Clause
// What a store has in the kernel beside its segments: all of it is a
// NamedSegment or a NamedSet (named_object.h), which any process of root makes
// that misses it.
#ifndef PBSTOKEN_OBJECTS_H_
#define PBSTOKEN_OBJECTS_H_

#include <cstddef>

#include "pbstoken/limits/fail_limit.h"
#include "pbstoken/limits/hash_gate.h"
#include "pbstoken/limits/turn.h"
#include "pbstoken/limits/use.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

constexpr std::size_t kObjects = 5;

// Calls visit(name, object) for each.
template <typename Visit>
void for_each_object(const Store &store, Visit visit) {
  visit("use", use_segment(store));
  visit("failures", failures_segment(store));
  visit("gate", gate_set(store, GateShare::kRoots));
  visit("gate_users", gate_set(store, GateShare::kUsers));
  visit("turns", turns_set(store));
}

}  // namespace pbstoken

#endif  // PBSTOKEN_OBJECTS_H_
