// SPDX-License-Identifier: BSD-3-Clause
// What this process may do for the whole host.
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_PRIVILEGE_H_
#define PBSTOKEN_PRIVILEGE_H_

#include <sys/prctl.h>
#include <unistd.h>

namespace pbstoken {

// True if it may write what is root's alone: the segment, the counters.
inline bool is_root() {
  return geteuid() == 0;
}

// True if, besides, root alone may stop it, so that it may hold what others
// wait for.  A user may stop the su(1) that he started: its real uid is his.
inline bool is_only_root() {
  uid_t real = 0;
  uid_t effective = 0;
  uid_t saved = 0;
  return getresuid(&real, &effective, &saved) == 0 && real == 0 &&
         effective == 0 && saved == 0;
}

// True if a filter judges its system calls.  The filter may kill for a call
// that it has not foreseen.  The filters of services foresee prctl(2) itself:
// so many libraries use it.
inline bool is_filtered() {
  return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0;
}

}  // namespace pbstoken

#endif  // PBSTOKEN_PRIVILEGE_H_
