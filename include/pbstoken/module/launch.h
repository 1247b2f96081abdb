// SPDX-License-Identifier: BSD-3-Clause
// Starting the setuid helper from a host that knows nothing of it.
//
// A keeper stands between the host and the helper: a copy of the host that has
// no exit signal.  The host gets no SIGCHLD for it, and a wait(2) for "any
// child" does not find it (clone(2), __WCLONE).  The helper cannot be started
// like that, since execve(2) gives it an exit signal; it is the keeper's child.
// So the host is not disturbed, whatever it does about SIGCHLD, and the exit
// status is there.
#ifndef PBSTOKEN_LAUNCH_H_
#define PBSTOKEN_LAUNCH_H_

#include <sys/types.h>

#include <optional>
#include <utility>

#include "pbstoken/base/result.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

// The exit status of a helper that a signal ended is this plus the number of
// the signal.
constexpr int kSignalled = 128;

// A helper that is running, or a keeper that says why it could not be started,
// by Outcome::kNotStarted.  One thread per object.
class HelperProcess {
 public:
  HelperProcess() = default;
  HelperProcess(HelperProcess &&other) noexcept
      : keeper_(std::exchange(other.keeper_, -1)) {}
  HelperProcess &operator=(HelperProcess &&other) noexcept {
    std::swap(keeper_, other.keeper_);
    return *this;
  }
  HelperProcess(const HelperProcess &) = delete;
  HelperProcess &operator=(const HelperProcess &) = delete;
  // Ends keeper and helper, if they are not done and the helper may be killed.
  ~HelperProcess();

  // Executes path with these arguments, no environment, all signals as by
  // default, standard error nowhere and no other descriptor than *out_socket's
  // peer, which is its standard input and output.  as_root: with uid 0 three
  // times, which takes an effective uid of 0.
  static Result<HelperProcess> start(const char *path, const char *const *argv,
                                     bool as_root, UniqueFd *out_socket);

  // Waits for the end of the helper, after the end of file on the socket.
  // Returns the exit status, or kSignalled plus the number of the signal that
  // ended the helper.  Returns nullopt if another part of the process took the
  // status, or no helper was started.
  std::optional<int> wait();

 private:
  explicit HelperProcess(pid_t keeper) : keeper_(keeper) {}

  pid_t keeper_ = -1;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_LAUNCH_H_
