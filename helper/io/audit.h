// SPDX-License-Identifier: BSD-3-Clause
// The trail of changes in the system log: the token and the caller of each.
//
// A line goes to /dev/log as syslog(3) sends it, which would load more into the
// program.  One that cannot be sent within a second is lost, and the caller is
// told; it keeps no change from being done.  One thread.
#ifndef PBSTOKEN_AUDIT_H_
#define PBSTOKEN_AUDIT_H_

#include <sys/types.h>

#include <string_view>

#include "pbstoken/verify/outcome.h"

namespace pbstoken {

// Connects to the log, while the process still may.
void open_audit_log();

// The number of that connection; -1 before it was opened, or in vain.
int audit_log();

// LOG_AUTHPRIV, LOG_NOTICE, for a change that counts:
//   pbstoken-helper[PID]: delete; uid=... loginuid=... store=... tokenid=...
//   pbstoken[PID]: user disable; uid=... loginuid=... store=... userid=...
//   pbstoken[PID]: adopt; uid=... loginuid=... store=... revision=...
// uid is the caller's; loginuid, of the session that it works in, is left out
// where the kernel does not know one.
struct AuditedChange {
  std::string_view command;
  std::string_view subject;  // the token's id, or what the label says
  std::string_view store;
  uid_t caller;
  std::string_view label = "tokenid";
};
void audit(const AuditedChange &change, Outcome outcome);

}  // namespace pbstoken

#endif  // PBSTOKEN_AUDIT_H_
