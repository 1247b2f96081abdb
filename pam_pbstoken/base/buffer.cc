// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/base/buffer.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "pbstoken/base/wipe.h"

namespace pbstoken {

void Buffer::clear() {
  if (bytes_ != nullptr) {
    wipe(bytes_, capacity_);
    std::free(bytes_);
  }
  bytes_ = nullptr;
  size_ = 0;
  capacity_ = 0;
}

bool Buffer::reserve(std::size_t capacity) {
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

bool Buffer::append(std::string_view text) {
  if (text.empty()) {
    return true;
  }
  if (text.size() > capacity_ - size_) {
    const std::size_t needed = size_ + text.size();
    // Exactly what the first text needs, with a NUL: often there is no second.
    const std::size_t wanted = size_ == 0 ? needed + 1 : needed * 2;
    if (needed > SIZE_MAX / 2 || !reserve(wanted)) {
      return false;
    }
  }
  std::memcpy(bytes_ + size_, text.data(), text.size());
  size_ += text.size();
  return true;
}

bool Buffer::terminate() {
  constexpr std::string_view kNul("\0", 1);
  if (!append(kNul)) {
    return false;
  }
  drop_last();
  return true;
}

}  // namespace pbstoken
