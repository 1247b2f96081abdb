// SPDX-License-Identifier: BSD-3-Clause
// The list command: every token of token.shadow and of user.cfg, sorted by id,
// and whether it counts.
#ifndef PBSTOKEN_LIST_H_
#define PBSTOKEN_LIST_H_

#include "io/command_line.h"
#include "io/exit_status.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// Members of token.shadow whose names are no token ids are left out: they
// might be anything, and `check` has them.  Without a user_cfg: token.shadow
// alone.
ExitStatus print_list(const Store &store, OutputFormat format);

}  // namespace pbstoken

#endif  // PBSTOKEN_LIST_H_
