// SPDX-License-Identifier: BSD-3-Clause
// The commands of pbstoken, the administrator's tool.  Each prints what it has
// to say, complains where something failed, and returns the exit status.
#ifndef PBSTOKEN_ADMIN_H_
#define PBSTOKEN_ADMIN_H_

#include "io/command.h"

namespace pbstoken {

// constinit in the source.
// NOLINTNEXTLINE(bugprone-dynamic-static-initializers)
extern const Program kAdminProgram;

// Returns `before`, the status that a command has so far.  If the result is an
// error, complains of it and returns kUnavailable.
ExitStatus note(const Result<void> &result, ExitStatus before);

// Makes the configuration, the directory and the files of a store where they
// are not there, with the owners and modes that its configuration gives them,
// and says which.  What is there stays as it is.
ExitStatus init_store(const CommandLine &line);

// Puts the token.shadow from standard input in the place of the one that is
// there, unless both are the same, and renews the lease.  Returns kRefused if
// its revision is lower than the one before, or if the whole file is needed.
ExitStatus adopt_file(Context *context);

// Prints every token of token.shadow and of user.cfg, sorted by id, and whether
// it counts.  Members of token.shadow with names that are no token ids are left
// out: they might be anything, and `check` has them.  A store without user_cfg
// has token.shadow alone.
ExitStatus list_tokens(Context *context);

// Prints what the segment is, and what verifications cost.  If the line has a
// token, does what show_throttling() does instead.  Changes nothing.
ExitStatus show_status(Context *context);

// Prints what fail_limit has counted of the line's token.  Changes nothing.
ExitStatus show_throttling(Context *context);

// Ends the windows of fail_limit that a token has, and prints what there was.
ExitStatus reset_token(Context *context);

// Looks at every file that the store names, and at its segment, and prints a
// line for each problem, or an array of objects.  Changes nothing.  Returns
// kRefused if there are problems, kUnavailable if something could not be looked
// at.
ExitStatus check_store(Context *context);

// Says whether the line's token is let in now, or why not, and what was looked
// at; with a service in the line, for the stack of that.  Changes nothing.
// Returns kDone, kRefused or kNoSuchToken; kUnavailable if it cannot tell.
ExitStatus explain_token(Context *context);

// Does so for a store that has a configuration which cannot be used.
ExitStatus explain_bad_store(const CommandLine &line, const Error &error);

// Makes what the store would otherwise get at first use: its segments, and all
// that for_each_object() visits.  What is there stays.  Goes on past a failure.
ExitStatus prepare_store(Context *context);

// Saves what was counted, so that it survives the segment that counts.  What
// was never counted is not saved.
ExitStatus save_use(Context *context);

// Does the same, for a command that does more.  `use` is the store's.  Returns
// an error if nothing was saved.
Result<void> save_use(const Store &store, Use *use);

// How a command is run for the store of a line.
using RunCommand = ExitStatus (*)(const CommandEntry &entry,
                                  const CommandLine &line);

// Prints the numbers of each store, or of the one that the line names, for a
// collector.  For a store that cannot be read pbstoken_up is 0: the child
// complains, and print_metrics() returns kDone all the same.  `run` is called
// in a child for each store, for `entry`, whose function is tell_metrics().
ExitStatus print_metrics(const CommandEntry &entry, const CommandLine &line,
                         RunCommand run);

// Writes the numbers of one store to standard output, for print_metrics(): the
// bytes of a StoreMetrics.
ExitStatus tell_metrics(Context *context);

// Retires the segment and makes a new one with a new HMAC key.
ExitStatus flush_cache(Context *context);

// Saves what was counted, and then removes every IPC object of the store, as
// before the program is removed.  First it prints the IPC key of each object,
// there or not: a service that still has the module loaded may make one anew at
// any time, and ipcrm(1) finds it by the key.  Goes on past a failure.
ExitStatus retire_store(Context *context);

}  // namespace pbstoken

#endif  // PBSTOKEN_ADMIN_H_
