// SPDX-License-Identifier: BSD-3-Clause
// Buffer: bytes on the heap that are wiped before they are freed.
//
// For file contents (they hold stored hashes) and for what is written.
// Growing copies and wipes the old place, which realloc would not.
//
// Thread safety: one thread per object; any thread may call the functions.
#ifndef PBSTOKEN_BUFFER_H_
#define PBSTOKEN_BUFFER_H_

#include <cstddef>
#include <string_view>
#include <utility>

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

  // Empties it, and wipes what was there.
  void clear();

  // Makes room for `capacity` bytes in all.  Returns false, and changes
  // nothing, without memory.
  [[nodiscard]] bool reserve(std::size_t capacity);

  // Returns false, and changes nothing, without memory.
  [[nodiscard]] bool append(std::string_view text);

  // The bytes that are reserved but not yet used, to be filled by read(2),
  // and how many of them have been.
  char *free_space() { return bytes_ + size_; }
  [[nodiscard]] std::size_t free_size() const { return capacity_ - size_; }
  void add_filled(std::size_t count) { size_ += count; }

  // Puts a NUL byte behind the text, which does not count; false without
  // memory.
  [[nodiscard]] bool terminate();

  // Drops the last byte of a buffer that is not empty.
  void drop_last() { --size_; }

  [[nodiscard]] char *data() { return bytes_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::string_view view() const { return {bytes_, size_}; }

 private:
  // Takes over the content of another buffer.  This one is empty.
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
