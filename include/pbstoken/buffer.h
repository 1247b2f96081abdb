// SPDX-License-Identifier: BSD-3-Clause
// Buffer: bytes on the heap that are wiped before they are freed.
//
// For file contents (they hold stored hashes) and for what is written.
// Growing copies and wipes the old place, which realloc would not.
#ifndef PBSTOKEN_BUFFER_H_
#define PBSTOKEN_BUFFER_H_

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "pbstoken/wipe.h"

namespace pbstoken {

class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer &&other) noexcept { swap(other); }
  Buffer &operator=(Buffer &&other) noexcept {
    Buffer(std::move(other)).swap(*this);
    return *this;
  }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  ~Buffer() {
    if (bytes_ != nullptr) {
      wipe(bytes_, capacity_);
      std::free(bytes_);
    }
  }

  // Room for capacity bytes in all; false, and unchanged, without memory.
  [[nodiscard]] bool reserve(std::size_t capacity) {
    if (capacity <= capacity_) {
      return true;
    }
    Buffer larger;
    larger.bytes_ = static_cast<char *>(std::malloc(capacity));
    if (larger.bytes_ == nullptr) {
      return false;
    }
    larger.capacity_ = capacity;
    larger.size_ = size_;
    if (size_ != 0) {
      std::memcpy(larger.bytes_, bytes_, size_);
    }
    swap(larger);
    return true;
  }

  // False, and unchanged, without memory.
  [[nodiscard]] bool append(std::string_view text) {
    if (text.size() > capacity_ - size_ &&
        !reserve((size_ + text.size()) * 2)) {
      return false;
    }
    if (!text.empty()) {
      std::memcpy(bytes_ + size_, text.data(), text.size());
      size_ += text.size();
    }
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
  void swap(Buffer &other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  char *bytes_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_BUFFER_H_
