// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/verify/helper_protocol.h"

#include <bit>
#include <cstring>

#include "pbstoken/base/secret.h"
#include "pbstoken/base/text.h"

namespace pbstoken {

namespace {

using Words = std::array<std::uint64_t, kOutcomes + 1>;

// The words are scattered by the finalizer of splitmix64: each bit of the
// version and of the number reaches every bit of the word.
constexpr std::uint64_t scatter(std::uint64_t x) {
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

// The seed is "pbstoken", so that no other protocol has the same words.
constexpr std::uint64_t kSeed = 0x706273746f6b656eU;

// Makes one word for each outcome and, last, that of the request.  Every
// version knows the word of kOtherVersion.
constexpr Words make_words() {
  Words words{};
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i] = scatter(kSeed + (std::uint64_t{kProtocolVersion} << 16U) + i);
  }
  words[static_cast<std::size_t>(Outcome::kOtherVersion)] = scatter(kSeed);
  return words;
}

constexpr Words kWords = make_words();

constexpr bool are_far_apart(const Words &words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (std::popcount(words[i] ^ words[j]) < kMinWordDistance) {
        return false;
      }
    }
    // Nor is one of them what a page of zeros or ones would say.
    if (std::popcount(words[i]) < kMinWordDistance ||
        std::popcount(~words[i]) < kMinWordDistance) {
      return false;
    }
  }
  return true;
}
static_assert(are_far_apart(kWords), "another seed is needed");

// Returns nullopt if no outcome has this word.
std::optional<Outcome> find_outcome(std::string_view bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data(), sizeof(word));
  for (std::size_t i = 0; i < kOutcomes; ++i) {
    if (kWords[i] == word) {
      return static_cast<Outcome>(i);
    }
  }
  return std::nullopt;
}

constexpr std::size_t kWord = sizeof(AnswerWord);

}  // namespace

AnswerWord word_of(Outcome outcome) {
  return std::bit_cast<AnswerWord>(kWords[static_cast<std::size_t>(outcome)]);
}

std::optional<Answer> parse_answer(std::string_view bytes) {
  if (bytes.size() < kWord || bytes.size() > kWord + kMaxAnswerText) {
    return std::nullopt;
  }
  const auto outcome = find_outcome(bytes);
  const std::string_view text = slice(bytes, kWord);
  if (!outcome || *outcome == Outcome::kOffer ||
      (lets_in(*outcome) && !text.empty())) {
    return std::nullopt;
  }
  return Answer{*outcome, text};
}

std::optional<std::string_view> parse_offer(std::string_view bytes) {
  if (bytes.size() < kWord || find_outcome(bytes) != Outcome::kOffer ||
      !bytes.ends_with('\n')) {
    return std::nullopt;
  }
  const std::string_view secret = slice(bytes, kWord, bytes.size() - kWord - 1);
  return is_acceptable_secret(secret) ? std::optional(secret) : std::nullopt;
}

// --- requests

namespace {

template <typename Number>
bool append_number(Buffer *out, Number number) {
  const auto bytes = std::bit_cast<std::array<char, sizeof(number)>>(number);
  return out->append({bytes.data(), bytes.size()});
}

bool append_field(Buffer *out, std::string_view field) {
  return append_number(out, static_cast<std::uint16_t>(field.size())) &&
         out->append(field);
}

}  // namespace

std::uint64_t request_word() {
  return kWords[kOutcomes];
}

Result<Buffer> make_request(const HelperRequest &request) {
  constexpr const char *kWhat = "cannot ask the helper";
  if (request.host.size() > kMaxRequestHost ||
      request.token_id.size() > kMaxRequestId ||
      request.secret.size() > kMaxRequestSecret) {
    return plain_error(Errc::kMalformed, kWhat, {}, "too long");
  }
  const std::array<std::string_view, 4> fields = {
      request.store, request.host, request.token_id, request.secret};
  std::size_t size = 2 + 2 * sizeof(std::uint64_t) + sizeof(std::uint32_t);
  for (const std::string_view field : fields) {
    size += sizeof(std::uint16_t) + field.size();
  }
  Buffer out;
  bool ok =
      out.reserve(kRequestHead + size) && append_number(&out, request_word()) &&
      append_number(&out, static_cast<std::uint32_t>(size)) &&
      append_number(&out, static_cast<std::uint8_t>(request.command)) &&
      append_number(&out, request.nocache ? kNoCacheFlag : std::uint8_t{0}) &&
      append_number(&out, request.directory_device) &&
      append_number(&out, request.directory_inode) &&
      append_number(&out, request.real_uid);
  for (const std::string_view field : fields) {
    ok = ok && append_field(&out, field);
  }
  if (!ok) {
    return no_memory(kWhat);
  }
  return out;
}

}  // namespace pbstoken
