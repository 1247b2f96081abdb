// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/log.h"

#include <pthread.h>
#include <security/pam_ext.h>
#include <syslog.h>

#include <atomic>
#include <ctime>

#include "pbstoken/module/call.h"
#include "pbstoken/module/cancel.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/recent_hashes.h"
#include "pbstoken/store/token_id.h"

namespace pbstoken {

namespace {

// It is longer than any host name: one that was cut would be another host's.
using Host = FixedText<255>;
// The text of what else a client has chosen.
using Field = FixedText<128>;

Field escaped(std::string_view text) {
  return Field().append_escaped(text);
}

template <typename Text = Field>
Text item(const pam_handle_t *pamh, int type) {
  // Fields end at a blank, so a client's own words must have none.
  Text field;
  std::string_view rest = text_of_item(pamh, type);
  for (std::size_t end = rest.find(' '); end != std::string_view::npos;
       end = rest.find(' ')) {
    field.append_escaped(slice(rest, 0, end)).append("\\x20");
    rest.remove_prefix(end + 1);
  }
  field.append_escaped(rest);
  return field;
}

Host host(const pam_handle_t *pamh) {
  return item<Host>(pamh, PAM_RHOST);
}

// syslog(3) has a lock, and fork(2) copies it as it is: a child that was forked
// while another thread of the host was logging would wait for ever when it
// logs.  So a fork waits for our lines, and our lines wait for a fork.  Neither
// waits for more than a second: a log daemon that was stopped must not stop the
// host, and the host may hold a lock of its own around both.
constinit pthread_mutex_t the_log = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
// True while a fork holds the_log; only its holder writes this.
constinit bool is_held_by_fork = false;

bool lock_log() {
  timespec end{};
  return clock_gettime(CLOCK_MONOTONIC, &end) == 0 && (++end.tv_sec, true) &&
         pthread_mutex_clocklock(&the_log, CLOCK_MONOTONIC, &end) == 0;
}

void before_fork() {
  if (lock_log()) {
    is_held_by_fork = true;
  }
}

// Of this kind of mutex, a thread that does not hold it cannot unlock it.
void after_fork() {
  if (is_held_by_fork) {
    is_held_by_fork = false;
    static_cast<void>(pthread_mutex_unlock(&the_log));
  }
}

// The child has one thread, and no line of ours is under way in it.
void after_fork_in_child() {
  the_log = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
  is_held_by_fork = false;
}

// While a line is logged.
class NoFork {
 public:
  NoFork() {
    static constinit std::atomic<bool> is_registered = false;
    if (!is_registered.exchange(true)) {
      // This is never undone: the module stays mapped.
      static_cast<void>(
          pthread_atfork(before_fork, after_fork, after_fork_in_child));
    }
    is_held_ = lock_log();
  }
  NoFork(const NoFork &) = delete;
  NoFork &operator=(const NoFork &) = delete;
  ~NoFork() {
    if (is_held_) {
      static_cast<void>(pthread_mutex_unlock(&the_log));
    }
  }

 private:
  const NotCancellable while_held_;
  bool is_held_ = false;
};

// A busy service with a bad configuration must not flood the log.  Of two
// threads that come at the same time both may log.
bool was_just_logged(std::string_view text) {
  static constinit RecentHashes logged;
  const std::uint64_t hash = quick_hash(text);
  const bool was_logged = logged.has(hash);
  if (!was_logged) {
    logged.add(hash);
  }
  return was_logged;
}

void log_at_times(const pam_handle_t *pamh, int priority,
                  const ErrorText &text) {
  if (was_just_logged(text.view())) {
    return;
  }
  const NoFork meanwhile;
  pam_syslog(pamh, priority, "%s", text.c_str());
}

}  // namespace

void log_refusal(const pam_handle_t *pamh, std::string_view token_id,
                 Outcome outcome) {
  const std::string_view reason = info_of(outcome).reason;
  if (reason.empty()) {
    return;
  }
  const NoFork meanwhile;
  pam_syslog(pamh, LOG_NOTICE,
             "authentication failure; tokenid=%s rhost=%s tty=%s ruser=%s "
             "reason=%s",
             escaped(token_id).c_str(), host(pamh).c_str(),
             item(pamh, PAM_TTY).c_str(), item(pamh, PAM_RUSER).c_str(),
             Field(reason).c_str());
}

void log_missed_form(const pam_handle_t *pamh, std::string_view user) {
  if (const char *missed = missed_form(user); missed != nullptr) {
    log_at_times(pamh, LOG_NOTICE,
                 ErrorText("the user name is no token id: ").append(missed));
  }
}

void log_other_store(const pam_handle_t *pamh, std::string_view configuration) {
  log_at_times(pamh, LOG_NOTICE,
               ErrorText("not judged here: another store has verified it, ")
                   .append_escaped(configuration));
}

void log_broken(const pam_handle_t *pamh, const char *what,
                const Error &error) {
  const ErrorText text = describe(error);
  if (error.code == Errc::kBadConfiguration && was_just_logged(text.view())) {
    return;
  }
  const NoFork meanwhile;
  pam_syslog(pamh, LOG_ERR, "%s: %s", what, text.c_str());
}

void log_lost_limit(const pam_handle_t *pamh, const Error &error) {
  log_at_times(pamh, LOG_ERR,
               ErrorText("max_hashes and fail_limit count without System V "
                         "objects: ")
                   .append(describe(error).view()));
}

void log_lost_cache(const pam_handle_t *pamh, const Error &error) {
  log_at_times(pamh, LOG_WARNING,
               ErrorText("the cache is off, and every request reads the file: ")
                   .append(describe(error).view())
                   .append("; see 'pbstoken check'"));
}

void log_no_segment(const pam_handle_t *pamh) {
  log_at_times(pamh, LOG_WARNING,
               ErrorText("every request starts the helper: there is no segment "
                         "of verified secrets that this process may use; see "
                         "'pbstoken check', and 'pbstoken prepare', which "
                         "makes one"));
}

void log_success(const pam_handle_t *pamh, std::string_view token_id) {
  const NoFork meanwhile;
  pam_syslog(pamh, LOG_INFO, "authenticated; tokenid=%s rhost=%s",
             escaped(token_id).c_str(), host(pamh).c_str());
}

void log_change(const pam_handle_t *pamh, std::string_view token_id) {
  const NoFork meanwhile;
  pam_syslog(pamh, LOG_INFO, "secret changed; tokenid=%s rhost=%s",
             escaped(token_id).c_str(), host(pamh).c_str());
}

void log_debug(const pam_handle_t *pamh, std::string_view text,
               std::uint64_t duration) {
  constexpr std::uint64_t kNanosecondsPerMicrosecond = 1000;
  const NoFork meanwhile;
  pam_syslog(pamh, LOG_DEBUG, "%s, %s us", Field(text).c_str(),
             Field().append(duration / kNanosecondsPerMicrosecond).c_str());
}

}  // namespace pbstoken
