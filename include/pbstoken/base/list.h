// SPDX-License-Identifier: BSD-3-Clause
// List: a growing array of values without constructors, in memory that is wiped
// before it is freed.
//
// Thread safety: one thread per object.
#ifndef PBSTOKEN_LIST_H_
#define PBSTOKEN_LIST_H_

#include <cstddef>
#include <span>
#include <type_traits>

#include "pbstoken/base/buffer.h"

namespace pbstoken {

template <typename T>
class List {
  static_assert(std::is_trivially_copyable_v<T>);
  static_assert(alignof(T) <= alignof(std::max_align_t));

 public:
  // Returns false, and changes nothing, without memory.
  [[nodiscard]] bool append(const T &value) {
    return bytes_.append(
        {reinterpret_cast<const char *>(&value), sizeof(value)});
  }

  // Adds so many items, for the caller to fill in.  Returns null, and changes
  // nothing, without memory.
  [[nodiscard]] T *extend(std::size_t count) {
    if (!bytes_.reserve(bytes_.size() + count * sizeof(T))) {
      return nullptr;
    }
    T *first = reinterpret_cast<T *>(bytes_.free_space());
    bytes_.add_filled(count * sizeof(T));
    return first;
  }

  [[nodiscard]] std::span<const T> items() const {
    return {reinterpret_cast<const T *>(bytes_.view().data()),
            bytes_.size() / sizeof(T)};
  }

  [[nodiscard]] std::span<T> mutable_items() {
    return {reinterpret_cast<T *>(bytes_.data()), bytes_.size() / sizeof(T)};
  }

 private:
  Buffer bytes_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_LIST_H_
