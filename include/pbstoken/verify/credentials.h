// SPDX-License-Identifier: BSD-3-Clause
// Which token, and which secret: what a user name and a password say under the
// options combined, realm= and map_user=.
//
//   plain      the user name is the token id, the password is the secret
//   combined   the password is TOKENID:SECRET, or the same as Proxmox has it in
//              an HTTP header, PBSAPIToken=TOKENID:SECRET; only there the
//              secret is percent-encoded.  The token must be one of the
//              user's own: PAM_USER@REALM!...
//   realm=     only tokens of that realm
//   map_user=  user: the user part of the id must be a name that a local user
//              may have, and not root's
//
// Thread safety: any thread may call any function in here.
#ifndef PBSTOKEN_CREDENTIALS_H_
#define PBSTOKEN_CREDENTIALS_H_

#include <optional>
#include <string_view>

#include "pbstoken/base/buffer.h"
#include "pbstoken/store/token_id.h"
#include "pbstoken/verify/options.h"
#include "pbstoken/verify/outcome.h"

namespace pbstoken {

struct Credentials {
  TokenId id;               // views into user or password
  std::string_view secret;  // a view into password or decoded
  Buffer decoded;
};

// Sets *out and returns nullopt.  Otherwise returns why not: kNoTokenId, so
// that a stack can go on with the same password, which may be a person's own;
// kNoTokenInHeader; kOtherRealm, kOtherUser or kNotMappable, with out->id;
// kNoMemory.
std::optional<Outcome> find_credentials(const ModuleOptions &options,
                                        std::string_view user,
                                        std::string_view password,
                                        Credentials *out);

// Returns why no user and no password let this token in under the options
// realm= and map_user=: kOtherRealm or kNotMappable; nullopt if they may.
std::optional<Outcome> refuse_id(const ModuleOptions &options,
                                 const TokenId &id);

// [a-z_][a-z0-9_-]{0,31}: what map_user may make of a token's user.
bool is_local_name(std::string_view name);

}  // namespace pbstoken

#endif  // PBSTOKEN_CREDENTIALS_H_
