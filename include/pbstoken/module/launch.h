// SPDX-License-Identifier: BSD-3-Clause
// Starting the setuid helper from a host that knows nothing of it.
//
// Between the host and the helper stands a keeper, a copy of the host that is
// no ordinary child: its exit signal is none, so that the host gets no SIGCHLD
// for it and no wait(2) for "any child" finds it (see clone(2), __WCLONE).  The
// helper itself cannot be started like that, since execve(2) makes it an
// ordinary child of whoever executes it; it is the keeper's.  So whatever the
// host does about SIGCHLD, it is not disturbed, and the exit status is there.
#ifndef PBSTOKEN_LAUNCH_H_
#define PBSTOKEN_LAUNCH_H_

#include <sys/types.h>

#include <optional>
#include <utility>

#include "pbstoken/base/result.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {

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
  static Result<HelperProcess> start(const char *path, char *const *argv,
                                     bool as_root, UniqueFd *out_socket);

  // After the end of file on the socket: the exit status, 128 and the number
  // of the signal that ended it, or nothing if somebody else took it, or no
  // helper was started.
  std::optional<int> wait();

 private:
  explicit HelperProcess(pid_t keeper) : keeper_(keeper) {}

  pid_t keeper_ = -1;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_LAUNCH_H_
