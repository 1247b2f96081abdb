// SPDX-License-Identifier: BSD-3-Clause
// Finds and makes System V objects of root that no user can take away.
//
// A key is the short way to an object, and any user may have made something
// under it before.  So each object holds a name as well: a number that a store
// and a purpose make.  Where the key is a stranger's, the object has no key,
// and is found by a walk through the kernel's table.  An object is removed only
// after another has taken its place:
//
//  1. Makes an object without a key.
//  2. Removes the stranger's object, if this process may.
//  3. Makes an object under the key, if that works now.
//  4. Removes the object without a key.
//
// An object is ready once it has its name.  The name is stored in one step
// together with all that the object begins with, by whichever process comes
// first.  A maker that dies before leaves an empty object under the key, and
// the next maker fills it.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_NAMED_OBJECT_H_
#define PBSTOKEN_NAMED_OBJECT_H_

#include <sys/ipc.h>

#include "pbstoken/base/result.h"
#include "pbstoken/os/ipc_table.h"

namespace pbstoken {

// A kind of object, NamedSet or NamedSegment, has:
//   Entry                 its table in ipc_table.h
//   key                   the short way
//   get(key, flags)       its get call; -1 and errno
//   has_name(id)          true if it is root's alone and has the name
//   is_ready(id)          gives it the name if it has none, then has_name(id)
//   owner_of(id, *out)    its owner and mode; false if that cannot be told
//   remove(id)            false if this process may not

// Returns the id of the object that the key leads to, else of the first one in
// the table, which every process takes; -1 if the kernel has no such object.
// With `remove_others`, removes all other objects of that name.
template <typename Object>
int find_named(const Object &object, bool remove_others = false) {
  const int named = object.get(object.key, 0);
  int found = named >= 0 && object.has_name(named) ? named : -1;
  if (found >= 0 && !remove_others) {
    return found;
  }
  // An object that the kernel does not show cannot be used either.
  static_cast<void>(walk_table<typename Object::Entry>([&](const auto &entry) {
    if (entry.owner().cuid == 0 && entry.id != found &&
        object.has_name(entry.id)) {
      if (found < 0) {
        found = entry.id;
      } else if (remove_others) {
        static_cast<void>(object.remove(entry.id));
      }
    }
    return true;
  }));
  return found;
}

// True if a stranger's object has the key.
template <typename Object>
bool is_key_taken(const Object &object) {
  ipc_perm owner{};
  const int id = object.get(object.key, 0);
  return id >= 0 && object.owner_of(id, &owner) && owner.cuid != 0;
}

// Makes an object under this key, or without a key if that is IPC_PRIVATE,
// unless there is one.  Returns the id of the ready object; -1 if there is no
// room, or if the key is another's.
template <typename Object>
int make_named(const Object &object, key_t key) {
  const int id = object.get(key, IPC_CREAT | 0600);
  if (id < 0 || object.is_ready(id)) {
    return id;
  }
  if (key == IPC_PRIVATE) {
    static_cast<void>(object.remove(id));
  }
  return -1;
}

// Returns the id of the object, which it makes if it is not there.  Returns the
// system's error if the object can be neither found nor made.
template <typename Object>
Result<int> open_named(const Object &object) {
  if (const int id = object.get(object.key, 0);
      id >= 0 && object.is_ready(id)) {
    return id;
  }
  bool is_new = make_named(object, object.key) >= 0;
  if (!is_new) {
    Error error = system_error("cannot make", Object::kWhat);
    const bool is_another_there = object.get(object.key, 0) >= 0;
    const int found = find_named(object);
    is_new = found < 0 && make_named(object, IPC_PRIVATE) >= 0;
    if (is_another_there) {  // its key says nothing about room
      error = system_error("cannot make", Object::kWhat);
    }
    if (is_key_taken(object) && object.remove(object.get(object.key, 0))) {
      is_new = make_named(object, object.key) >= 0 || is_new;
    }
    if (!is_new) {
      return found >= 0 ? Result<int>(found) : Result<int>(error);
    }
  }
  const int found = find_named(object, /*remove_others=*/true);
  return found >= 0 ? Result<int>(found)
                    : Result<int>(system_error("cannot find", Object::kWhat));
}

// How often a process asks again for an object that another one has just
// replaced.
constexpr int kTries = 5;

// Removes what is under the key and every object of the name.  Returns an error
// if the object under the key cannot be removed, or the table cannot be read.
template <typename Object>
Result<void> remove_named(const Object &object) {
  const int id = object.get(object.key, 0);
  if ((id < 0 || !object.remove(id)) && errno != ENOENT && errno != EIDRM &&
      errno != EINVAL) {
    return system_error("cannot remove", Object::kWhat);
  }
  return walk_table<typename Object::Entry>([&](const auto &entry) {
    if (entry.owner().cuid == 0 && object.has_name(entry.id)) {
      static_cast<void>(object.remove(entry.id));
    }
    return true;
  });
}

}  // namespace pbstoken

#endif  // PBSTOKEN_NAMED_OBJECT_H_
