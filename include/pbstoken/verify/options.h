// SPDX-License-Identifier: BSD-3-Clause
// The module's options, as they stand behind pam_pbstoken.so in a stack.
//
// Thread safety: one thread per object; any thread may call the function.
#ifndef PBSTOKEN_OPTIONS_H_
#define PBSTOKEN_OPTIONS_H_

#include <span>

#include "pbstoken/base/result.h"
#include "pbstoken/store/store.h"
#include "pbstoken/verify/helper_protocol.h"

namespace pbstoken {

struct ModuleOptions {
  FixedText<32> store = FixedText<32>(kDefaultStore);  // store=NAME
  PathText config;  // config=PATH; empty: the store's own
  PathText helper = PathText(kHelperProgramPath);
  bool helper_is_named = false;  // helper=PATH
  bool try_first_pass = false;   // a password asked for earlier, else ask
  bool use_first_pass = false;   // a password asked for earlier, or refuse
  bool nocache = false;          // bypass the segment
  bool combined = false;         // the password is TOKENID:SECRET
  FixedText<32> realm;           // realm=REALM; empty: any
  FixedText<32> map_user;        // map_user=NAME; empty: none
  bool check_account = false;    // auth applies the account rules, too
  bool debug = false;            // more log lines
  bool quiet = false;            // no log lines about acceptances
  bool log_hits = false;         // acceptances out of the segment, too

  // Returns where the configuration of the store is.
  [[nodiscard]] PathText configuration() const {
    return config.empty() ? configuration_path(store.view()) : config;
  }

  // True if the socket is asked before the program.  The helper behind it is
  // the host's own, and knows the host's own configurations.
  [[nodiscard]] bool asks_socket() const {
    return !helper_is_named && config.empty();
  }

  // True if an acceptance out of the segment is logged.  Where the service logs
  // a local user's name, only this module's line tells which token it was.
  [[nodiscard]] bool logs_hits() const {
    return log_hits || debug || combined || !map_user.empty();
  }

  // True if PAM_USER becomes the user part of the token id after success.
  [[nodiscard]] bool maps_to_user_part() const {
    return map_user.view() == "user";
  }
};

// Sets *out_options, which are the defaults, by the arguments of a line of a
// stack.  Returns kBadConfiguration, with the option's name, if one is unknown
// or malformed: a misspelt option must not silently weaken a stack.
Result<void> parse_module_options(std::span<const char *const> argv,
                                  ModuleOptions *out_options);

}  // namespace pbstoken

#endif  // PBSTOKEN_OPTIONS_H_
