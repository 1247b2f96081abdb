// SPDX-License-Identifier: BSD-3-Clause
// The module's side of a dialogue with the helper (helper_protocol.h), for
// processes that may not read token.shadow, and for everything that writes.
//
// The resident helper behind its socket comes first: it does not depend on what
// the service may do.  The setuid program is started instead if the socket
// cannot be used, if its peer is not root, or if the answer is kOtherVersion or
// kOtherView.  Every other answer of the socket is final.  With config= or
// helper= the program alone is asked, and so it is for a file that something is
// mounted over, which other processes may not see.  Every wait is bounded.
#ifndef PBSTOKEN_HELPER_H_
#define PBSTOKEN_HELPER_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/module/launch.h"
#include "pbstoken/verify/helper_protocol.h"
#include "pbstoken/verify/options.h"

namespace pbstoken {

// The helper's answer in the end, with its text, which an Error escapes.
struct HelperAnswer {
  Outcome outcome;
  FixedText<kMaxAnswerText> text = {};
};

// One dialogue, one thread.  It may hold a secret, which it wipes.
class HelperDialogue {
 public:
  explicit HelperDialogue(const ModuleOptions &options) : options_(options) {}
  HelperDialogue(const HelperDialogue &) = delete;
  HelperDialogue &operator=(const HelperDialogue &) = delete;
  // Tells the helper at once that this side waits no longer.
  ~HelperDialogue();

  // Returns the answer, or kOffer in the middle of a rotation.  An error says
  // why there is no answer.
  Result<HelperAnswer> ask(const HelperRequest &request);

  // The secret that was offered.
  [[nodiscard]] std::string_view offered() const;

  // Acknowledges the offer; returns the answer.
  Result<HelperAnswer> acknowledge();

 private:
  // The reason why the socket is of no use, for the message if the program is
  // of no use either.
  using NoSocket = FixedText<kMaxAnswerText>;

  // Returns nullopt if the program is to be asked.
  Result<std::optional<HelperAnswer>> ask_socket(std::string_view request,
                                                 NoSocket *out_reason);
  Result<HelperAnswer> ask_program(std::string_view request);
  Result<HelperAnswer> exchange(std::string_view request);
  Result<void> send(std::string_view bytes);
  Result<HelperAnswer> receive();
  Result<HelperAnswer> judge(bool whole);

  const ModuleOptions &options_;
  HelperProcess process_;
  UniqueFd socket_;
  bool more_to_come_ = false;  // the acknowledgement of a rotation
  std::uint64_t deadline_ = 0;
  Buffer received_;
};

// Returns an error if the helper can be had by neither way, as far as one can
// tell without asking it.
Result<void> look_for_helper(const ModuleOptions &options);

}  // namespace pbstoken

#endif  // PBSTOKEN_HELPER_H_
