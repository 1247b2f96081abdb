// SPDX-License-Identifier: BSD-3-Clause
// The trail of changes in the system log: the token and the caller of each.
//
// A line goes to /dev/log in the form of syslog(3), which is not called: it
// would load more into the program.  A line that cannot be sent within a second
// is lost, and a message says so; the change is done all the same.  One thread.
#ifndef PBSTOKEN_AUDIT_H_
#define PBSTOKEN_AUDIT_H_

#include <sys/types.h>

#include <string_view>

#include "pbstoken/verify/outcome.h"

namespace pbstoken {

// Connects to the log.  It is called before the process confines itself.
// Without a connection audit() does nothing.
void open_audit_log();

// Returns the descriptor of that connection; -1 if it has failed.
int audit_log();

// A change, as its line has it.
struct AuditedChange {
  std::string_view command;
  std::string_view subject;  // the token's id, or what the label says
  std::string_view store;
  uid_t caller;
  std::string_view label = "tokenid";
};

// Logs a change by LOG_AUTHPRIV and LOG_NOTICE, if its outcome is a success:
//   pbstoken-helper[PID]: delete; uid=... loginuid=... store=... tokenid=...
//   pbstoken[PID]: user disable; uid=... loginuid=... store=... userid=...
//   pbstoken[PID]: adopt; uid=... loginuid=... store=... revision=...
// uid is the caller's.  loginuid is that of the caller's session; it is left
// out if the kernel does not know one.
void audit(const AuditedChange &change, Outcome outcome);

}  // namespace pbstoken

#endif  // PBSTOKEN_AUDIT_H_
