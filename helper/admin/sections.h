// SPDX-License-Identifier: BSD-3-Clause
// Tokens and users with their sections in user.cfg: `token ...`, `user ...`.
//
// The changes are those of upstream's generate-token, delete-token and user
// commands.  acl.cfg is left alone.
#ifndef PBSTOKEN_SECTIONS_H_
#define PBSTOKEN_SECTIONS_H_

#include "io/command.h"

namespace pbstoken {

// Makes a token: a random secret, which it prints once, then a section with
// line.enable, line.expire and line.comment.  Returns kRefused if the token has
// a section, or its user has none.  It replaces a secret without a section, as
// an earlier run may have left it.
ExitStatus add_token(Context *context);

// Takes the secret away, then the section; either may be gone already.
ExitStatus remove_token(Context *context);

// Changes the section of the token or of the user that the line names.
ExitStatus change_section(Context *context);

// Makes a section of a user.  Returns kRefused if there is one.
ExitStatus add_user(Context *context);

}  // namespace pbstoken

#endif  // PBSTOKEN_SECTIONS_H_
