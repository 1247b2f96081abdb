// SPDX-License-Identifier: BSD-3-Clause
// The module's log lines, through pam_syslog(3) to authpriv.
//
// No line holds a secret, a stored hash or file content; what clients chose is
// escaped and cut.  A user name that is no token id is never logged, since
// people paste secrets there.
#ifndef PBSTOKEN_LOG_H_
#define PBSTOKEN_LOG_H_

#include <security/pam_modules.h>

#include <cstdint>
#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/verify/outcome.h"

namespace pbstoken {

// Logs an outcome that is a refusal of the token id, by LOG_NOTICE.  The line
// has the form that pam_unix(8) has made known, for programs that read logs:
//   authentication failure; tokenid=... rhost=... tty=... ruser=... reason=...
void log_refusal(const pam_handle_t *pamh, std::string_view token_id,
                 Outcome outcome);

// Logs by LOG_NOTICE, at most once a minute in a process, that a user name was
// meant as a token id and misses the form.  The line says which form, and
// nothing of the name.
void log_missed_form(const pam_handle_t *pamh, std::string_view user);

// Logs by LOG_NOTICE, at most once a minute in a process, that account left a
// token alone that another store, of this configuration, has verified.
void log_other_store(const pam_handle_t *pamh, std::string_view configuration);

// Logs by LOG_ERR what is broken: `what` and why.  The same process does not
// log a bad configuration again for a minute.
void log_broken(const pam_handle_t *pamh, const char *what, const Error &error);

// Logs by LOG_ERR, at most once a minute in a process, that max_hashes or
// fail_limit is this process's own only, for want of what it needs in the
// kernel.
void log_lost_limit(const pam_handle_t *pamh, const Error &error);

// Logs by LOG_WARNING, at most once a minute in a process, that there is no
// segment, and that this process could not make one.
void log_lost_cache(const pam_handle_t *pamh, const Error &error);

// Logs by LOG_WARNING, at most once a minute in a process, that the helper has
// answered, but there is no segment that this process may use: each request
// costs a run of the helper.
void log_no_segment(const pam_handle_t *pamh);

// Logs by LOG_INFO a token that was accepted.
void log_success(const pam_handle_t *pamh, std::string_view token_id);

// Logs by LOG_INFO a token that has a new secret from now on.
void log_change(const pam_handle_t *pamh, std::string_view token_id);

// Logs by LOG_DEBUG.  `text` is ours; `duration` is how long it took, in ns.
void log_debug(const pam_handle_t *pamh, std::string_view text,
               std::uint64_t duration);

}  // namespace pbstoken

#endif  // PBSTOKEN_LOG_H_
