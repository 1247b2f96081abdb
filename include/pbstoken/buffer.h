// SPDX-License-Identifier: BSD-3-Clause
// Buffer: bytes on the heap that are wiped before they are freed.
//
// For file contents (they hold stored hashes) and for what is written.
// Growing copies and wipes the old place, which realloc would not.
#ifndef PBSTOKEN_BUFFER_H_
#define PBSTOKEN_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "pbstoken/wipe.h"

namespace pbstoken {

class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer &&other) noexcept { take(&other); }
  Buffer &operator=(Buffer &&other) noexcept {
    if (this != &other) {
      clear();
      take(&other);
    }
    return *this;
  }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  ~Buffer() { clear(); }

  // Empty again, and what was there is wiped.
  void clear() {
    if (bytes_ != nullptr) {
      wipe(bytes_, capacity_);
      std::free(bytes_);
    }
    bytes_ = nullptr;
    size_ = 0;
    capacity_ = 0;
  }

  // Room for capacity bytes in all; false, and unchanged, without memory.
  [[nodiscard]] bool reserve(std::size_t capacity) {
    if (capacity <= capacity_) {
      return true;
    }
    auto *larger = static_cast<char *>(std::malloc(capacity));
    if (larger == nullptr) {
      return false;
    }
    const std::size_t size = size_;
    if (size != 0) {
      std::memcpy(larger, bytes_, size);
    }
    clear();
    bytes_ = larger;
    size_ = size;
    capacity_ = capacity;
    return true;
  }

  // False, and unchanged, without memory.
  [[nodiscard]] bool append(std::string_view text) {
    if (text.empty()) {
      return true;
    }
    if (text.size() > capacity_ - size_) {
      const std::size_t needed = size_ + text.size();
      if (needed > SIZE_MAX / 2 || !reserve(needed * 2)) {
        return false;
      }
    }
    std::memcpy(bytes_ + size_, text.data(), text.size());
    size_ += text.size();
    return true;
  }

  // The bytes that are reserved but not yet used, to be filled by read(2),
  // and how many of them have been.
  char *free_space() { return bytes_ + size_; }
  [[nodiscard]] std::size_t free_size() const { return capacity_ - size_; }
  void add_filled(std::size_t count) { size_ += count; }

  // Of a buffer that is not empty.
  void drop_last() { --size_; }

  [[nodiscard]] char *data() { return bytes_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::string_view view() const { return {bytes_, size_}; }

 private:
  // Of an empty buffer.
  void take(Buffer *other) {
    bytes_ = std::exchange(other->bytes_, nullptr);
    size_ = std::exchange(other->size_, 0);
    capacity_ = std::exchange(other->capacity_, 0);
  }

  char *bytes_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_BUFFER_H_
