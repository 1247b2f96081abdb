// SPDX-License-Identifier: BSD-3-Clause
// The messages between the module and the helper, over one connected stream
// socket: the setuid program's standard input and output, or the socket of
// pbstoken-helper.socket.  Numbers are in the machine's own byte order.
//
//  1. The module sends the request in one piece, the same to both.
//  2. Before the helper answers a rotate, it sends an offer: the word of
//     kOffer, the new secret, newline.  It changes nothing before it has read
//     kAcknowledgement.
//  3. The helper answers with the word of an outcome (8 bytes) and end of file.
//     Between the two, some outcomes have a short text for the log.
//
// The request:
//
//   8 bytes   the request word
//   4 bytes   the size of the rest
//   1 byte    the command
//   1 byte    flags
//   16 bytes  device and inode of the directory in which the module sees
//             token.shadow, of an account request user.cfg; zeros if it sees
//             no such directory
//   4 bytes   the real uid of the module's process, which counts where the
//             caller is root: su(1) is, whichever user has started it
//   4 fields  each 2 bytes of size and its bytes: store, remote host, token
//             id, secret
//
// The version is part of every word but that of kOtherVersion.  Any two words
// differ in at least kMinWordDistance bits: a few flipped bits turn a refusal
// into nonsense.
//
// Thread safety: any thread may call any function in here.
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

// The version of the protocol: the words of two versions have only that of
// kOtherVersion in common.
constexpr std::uint32_t kProtocolVersion = 5;

// The path of the setuid program, as the Makefile knows it.
#ifndef PBSTOKEN_HELPER
#define PBSTOKEN_HELPER "/usr/sbin/pbstoken-helper"
#endif
constexpr const char *kHelperProgramPath = PBSTOKEN_HELPER;

// The path where pbstoken-helper.socket listens.
constexpr const char *kHelperSocket = "/run/pbstoken/helper.sock";

// --- answers

using AnswerWord = std::array<char, 8>;
// The least number of bits in which two words differ.
constexpr int kMinWordDistance = 16;

// Returns the word of an outcome.
AnswerWord word_of(Outcome outcome);

// The longest text, in bytes, that may follow the word of an outcome that is no
// success.  The text is for the log, and the module does not trust it.
constexpr std::size_t kMaxAnswerText = 255;

// An answer of the helper.
struct Answer {
  Outcome outcome;
  std::string_view text;  // a view into the bytes
};

// Parses all bytes that came until end of file.  Returns nullopt unless they
// are exactly one answer.
std::optional<Answer> parse_answer(std::string_view bytes);

// Returns the new secret, a view into the bytes; nullopt unless the bytes that
// came so far are one offer.
std::optional<std::string_view> parse_offer(std::string_view bytes);

// The module's reply to an offer.
constexpr std::string_view kAcknowledgement = "ack\n";

// --- requests

// The commands of a request.
enum class HelperCommand : std::uint8_t { kVerify = 1, kAccount, kRotate };

constexpr std::uint8_t kNoCacheFlag = 1;  // the helper bypasses the segment

// The longest fields, in bytes.  A secret in a request may be longer than a
// secret can be, for the helper to say so.
constexpr std::size_t kMaxRequestHost = 255;
constexpr std::size_t kMaxRequestId = 32768;
constexpr std::size_t kMaxRequestSecret = 1024;
constexpr std::size_t kRequestHead = 12;        // the word and the size
constexpr std::size_t kMaxRequestBody = 36864;  // bytes that follow the head

// A request, before it is one piece.  The views must outlive it.
struct HelperRequest {
  HelperCommand command = HelperCommand::kVerify;
  bool nocache = false;    // bypass the segment
  std::string_view store;  // its name
  std::string_view host;   // the remote host, or empty
  std::string_view token_id;
  std::string_view secret = {};
  std::uint64_t directory_device = 0;  // both 0: none is seen
  std::uint64_t directory_inode = 0;
  std::uint32_t real_uid = 0;  // of the module's process
  // True if something is mounted over the file: only a process of the module's
  // mount namespace sees what it sees.  Not sent.
  bool is_mounted_over = false;
};

// Returns the word that a request begins with.
std::uint64_t request_word();

// Returns the request in one piece; kMalformed if a field is too long,
// kNoMemory without memory.
Result<Buffer> make_request(const HelperRequest &request);

}  // namespace pbstoken

#endif  // PBSTOKEN_HELPER_PROTOCOL_H_
