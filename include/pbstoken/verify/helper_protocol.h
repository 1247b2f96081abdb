// SPDX-License-Identifier: BSD-3-Clause
// What the module and the helper say to each other, over one connected stream
// socket: the setuid program's standard input and output, or the socket of
// pbstoken-helper.socket.  The request is the same to both, in one piece:
//   8 bytes  the request word
//   4 bytes  the size of the rest
//   1 byte   the command, 1 byte flags
//   16 bytes device and inode of the directory in which the module sees
//            token.shadow, of an account request user.cfg; zeros if it sees
//            none
//   4 bytes  the real uid of the module's process, which counts where the
//            caller is root: su(1) is, for whichever user has started it
//   four fields, each 2 bytes of size and its bytes: store, remote host,
//   token id, secret
// The helper answers with the word of an outcome (8 bytes), after some words a
// short text for the log, and end of file.  Before it answers a rotate, it
// sends an offer:
//   the word of kOffer, the new secret, newline
// and changes nothing before it has read kAcknowledgement.  Numbers are in the
// machine's own byte order.
//
// The version is part of every word but that of kOtherVersion, and any two
// words differ in at least kMinWordDistance bits: a few flipped bits turn a
// refusal into nonsense.
#ifndef PBSTOKEN_HELPER_PROTOCOL_H_
#define PBSTOKEN_HELPER_PROTOCOL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/base/buffer.h"
#include "pbstoken/base/result.h"
#include "pbstoken/verify/outcome.h"

namespace pbstoken {

constexpr std::uint32_t kProtocolVersion = 4;

// Where the setuid program is, as the Makefile knows.
#ifndef PBSTOKEN_HELPER
#define PBSTOKEN_HELPER "/usr/sbin/pbstoken-helper"
#endif
constexpr const char *kHelperProgramPath = PBSTOKEN_HELPER;

// Where pbstoken-helper.socket listens.
constexpr const char *kHelperSocket = "/run/pbstoken/helper.sock";

// --- answers

using AnswerWord = std::array<char, 8>;
constexpr int kMinWordDistance = 16;
AnswerWord word_of(Outcome outcome);

// The longest text that may follow the word of an outcome that is no success.
// The text is for the log, and the module does not trust it.
constexpr std::size_t kMaxAnswerText = 255;

struct Answer {
  Outcome outcome;
  std::string_view text;  // a view into the bytes
};

// All that came until end of file.  Returns nullopt unless it is exactly one
// answer.
std::optional<Answer> parse_answer(std::string_view bytes);

// Returns the new secret if what came so far is one offer.
std::optional<std::string_view> parse_offer(std::string_view bytes);

constexpr std::string_view kAcknowledgement = "ack\n";

// --- requests

enum class HelperCommand : std::uint8_t { kVerify = 1, kAccount, kRotate };

constexpr std::uint8_t kNoCacheFlag = 1;  // bypass the segment

// Longest fields; a secret may be too long to be one, for the helper to say.
constexpr std::size_t kMaxRequestHost = 255;
constexpr std::size_t kMaxRequestId = 32768;
constexpr std::size_t kMaxRequestSecret = 1024;
constexpr std::size_t kRequestHead = 12;  // the word and the size
constexpr std::size_t kMaxRequestBody = 36864;

struct HelperRequest {
  HelperCommand command = HelperCommand::kVerify;
  bool nocache = false;
  std::string_view store;
  std::string_view host;  // the remote host, or empty
  std::string_view token_id;
  std::string_view secret;
  std::uint64_t directory_device = 0;  // both 0: none is seen
  std::uint64_t directory_inode = 0;
  std::uint32_t real_uid = 0;
  // Something is mounted over the file: only a process of the module's mount
  // namespace sees what it sees.  Not sent.
  bool is_mounted_over = false;
};

std::uint64_t request_word();

// The request in one piece; kMalformed if a field is too long.
Result<Buffer> make_request(const HelperRequest &request);

}  // namespace pbstoken

#endif  // PBSTOKEN_HELPER_PROTOCOL_H_
