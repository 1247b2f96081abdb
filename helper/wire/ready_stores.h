// SPDX-License-Identifier: BSD-3-Clause
// What the resident service and its children find out of the host's stores
// before there is a connection: their settings, the rules that confine a child
// to each, and their segments.
//
// None of it is believed later without a look: a request is judged by what is
// there then.
#ifndef PBSTOKEN_READY_STORES_H_
#define PBSTOKEN_READY_STORES_H_

#include <string_view>

#include "pbstoken/store/store.h"

namespace pbstoken {

// For the service, which is not confined yet: reads the settings of the first
// few stores, with the numbers of their groups.
void get_stores_ready();

// For a child that has no connection yet: attaches the segments of these
// stores, looks for the gate, where they are there, and makes the rules that it
// may be confined by.  No other process has its rules.  It takes its
// capabilities into use for that, and lays them down again.
void get_child_ready();

// Returns the settings of this store; null if it is not ready, or if anything
// that they were made of is another by now.
const Store *ready_store(std::string_view name);

}  // namespace pbstoken

#endif  // PBSTOKEN_READY_STORES_H_
