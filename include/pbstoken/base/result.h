// SPDX-License-Identifier: BSD-3-Clause
// Result<T>: a value, or an Error that says what failed, where and why.
//
// Every fallible function of the core returns one; nothing throws.  An Error
// owns its text and never holds a secret, a stored hash or file content.
//
// Thread safety: one thread per object; any thread may call the functions.
#ifndef PBSTOKEN_RESULT_H_
#define PBSTOKEN_RESULT_H_

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "pbstoken/base/text.h"

namespace pbstoken {

// The kinds of error.
enum class Errc : std::uint8_t {
  kSystem,            // a system call failed: saved_errno has the reason
  kNotFound,          // the file is not there
  kNoMemory,          // memory ran out, for a password hash too
  kBadConfiguration,  // the store's configuration cannot be used
  kMalformed,         // a file's content is not what it must be
  kUnsafe,            // wrong type, owner or mode: not to be used
  kOtherVersion,      // a request of another version of the protocol
  kTimedOut,          // another process held the lock for too long
  kBusy,              // too many password hashes at once
  kLease,             // the store has a lease, and it is not in force
};

// Room for the longest path that a store may name.
constexpr std::size_t kMaxPath = 1023;
using PathText = FixedText<kMaxPath>;

// Returns the directory of an absolute path, which is "/" for one that has no
// other; below, its last component.
PathText directory_of(const PathText &path);
std::string_view last_component(const PathText &path);

// Why a call has failed.
struct Error {
  Errc code = Errc::kSystem;
  int saved_errno = 0;         // 0: none
  const char *what = "";       // static: "cannot open"
  const char *why = nullptr;   // static; instead of saved_errno's text
  FixedText<255> where = {};   // the file
  std::uint64_t line = 0;      // 1-based; 0: no place in the file
  std::uint64_t column = 0;    // in bytes, 1-based; 0: the whole line
  FixedText<63> subject = {};  // the key or option, escaped
};

// Returns the Error of a system call that has just failed, with its errno.
Error system_error(const char *what, std::string_view where);

// Returns an Error that has no errno.
Error plain_error(Errc code, const char *what, std::string_view where,
                  const char *why = nullptr);
Error no_memory(const char *what, std::string_view where = {});

using ErrorText = FixedText<511>;

// Returns one line for people, without a full stop:
//   cannot open /etc/proxmox-backup/token.shadow: Permission denied
//   /etc/pbstoken/pbs.conf:3: cache_tll: unknown key
ErrorText describe(const Error &error);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit
  explicit operator bool() const { return value_.has_value(); }
  T &operator*() { return *value_; }
  const T &operator*() const { return *value_; }
  T *operator->() { return &*value_; }
  const T *operator->() const { return &*value_; }
  [[nodiscard]] const Error &error() const { return error_; }

 private:
  std::optional<T> value_;
  Error error_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), failed_(true) {}  // NOLINT
  explicit operator bool() const { return !failed_; }
  [[nodiscard]] const Error &error() const { return error_; }

 private:
  Error error_;
  bool failed_ = false;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_RESULT_H_
