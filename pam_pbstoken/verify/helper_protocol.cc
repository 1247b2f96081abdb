// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/verify/helper_protocol.h"

#include <bit>
#include <cstring>

namespace pbstoken {

namespace {

using Words = std::array<std::uint64_t, kReplies + 1>;

// The words are scattered by the finalizer of splitmix64: each bit of the
// version and of the number reaches every bit of the word.
constexpr std::uint64_t scatter(std::uint64_t x) {
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

// "pbstoken", so that the words are nobody else's.
constexpr std::uint64_t kSeed = 0x706273746f6b656eU;

// One for each reply and, last, the request's.
constexpr Words make_words() {
  Words words{};
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i] = scatter(kSeed + (std::uint64_t{kProtocolVersion} << 16U) + i);
  }
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
static_assert(static_cast<std::size_t>(Reply::kChangedMeanwhile) ==
              kReplies - 1);

// Nothing if no reply has this word.
std::optional<Reply> find_reply(std::string_view bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data(), sizeof(word));
  for (std::size_t i = 0; i < kReplies; ++i) {
    if (kWords[i] == word) {
      return static_cast<Reply>(i);
    }
  }
  return std::nullopt;
}

}  // namespace

ReplyWord word_of(Reply reply) {
  return std::bit_cast<ReplyWord>(kWords[static_cast<std::size_t>(reply)]);
}

bool lets_in(Reply reply) {
  return reply == Reply::kMatch || reply == Reply::kAllowed ||
         reply == Reply::kDone || reply == Reply::kDoneNotDurably;
}

std::optional<Answer> parse_answer(std::string_view bytes) {
  constexpr std::size_t kWord = sizeof(ReplyWord);
  if (bytes.size() < kWord || bytes.size() > kWord + kMaxReplyText) {
    return std::nullopt;
  }
  const auto reply = find_reply(bytes);
  const std::string_view text = slice(bytes, kWord);
  if (!reply || *reply == Reply::kOffer || (lets_in(*reply) && !text.empty())) {
    return std::nullopt;
  }
  return Answer{*reply, text};
}

std::optional<std::string_view> parse_offer(std::string_view bytes) {
  constexpr std::size_t kWord = sizeof(ReplyWord);
  if (bytes.size() < kWord || find_reply(bytes) != Reply::kOffer ||
      !bytes.ends_with('\n')) {
    return std::nullopt;
  }
  const std::string_view secret = slice(bytes, kWord, bytes.size() - kWord - 1);
  return is_acceptable_secret(secret) ? std::optional(secret) : std::nullopt;
}

Reply reply_of(const Verification &verification) {
  switch (verification.verdict) {
    case Verdict::kMatch:
      return Reply::kMatch;
    case Verdict::kMismatch:
      return verification.source == Source::kHash ? Reply::kWrongSecret
                                                  : Reply::kKnownMismatch;
    case Verdict::kUnknownToken:
      return Reply::kUnknownToken;
    case Verdict::kUnusableHash:
      return Reply::kUnusableHash;
    case Verdict::kUnacceptableSecret:
      return Reply::kUnacceptableSecret;
    case Verdict::kThrottled:
      return Reply::kThrottled;
  }
  return Reply::kUnavailable;
}

Reply reply_of(const AccountVerdict &verdict, std::uint64_t now) {
  switch (verdict.status) {
    case AccountStatus::kNoUser:
      return Reply::kNoSuchUser;
    case AccountStatus::kNoToken:
      return Reply::kNoSuchToken;
    case AccountStatus::kDisabledUser:
      return Reply::kUserDisabled;
    case AccountStatus::kDisabledToken:
      return Reply::kTokenDisabled;
    case AccountStatus::kAllowed:
      break;
  }
  return answer_at(verdict, now) == AccountAnswer::kAllowed ? Reply::kAllowed
                                                            : Reply::kExpired;
}

Reply reply_of(const Error &error) {
  return error.code == Errc::kBusy       ? Reply::kBusy
         : error.code == Errc::kNoMemory ? Reply::kNoMemory
                                         : Reply::kUnavailable;
}

std::optional<Verification> verification_of(Reply reply) {
  switch (reply) {
    case Reply::kMatch:
      return Verification{Verdict::kMatch, Source::kHelper};
    case Reply::kWrongSecret:
      return Verification{Verdict::kMismatch, Source::kHash};
    case Reply::kKnownMismatch:
      return Verification{Verdict::kMismatch, Source::kHelper};
    case Reply::kUnknownToken:
      return Verification{Verdict::kUnknownToken, Source::kHelper};
    case Reply::kUnusableHash:
      return Verification{Verdict::kUnusableHash, Source::kHelper};
    case Reply::kUnacceptableSecret:
      return Verification{Verdict::kUnacceptableSecret, Source::kHelper};
    case Reply::kThrottled:
      return Verification{Verdict::kThrottled, Source::kHelper};
    default:
      return std::nullopt;
  }
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
  return kWords[kReplies];
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
  std::size_t size = 2;
  for (const std::string_view field : fields) {
    size += sizeof(std::uint16_t) + field.size();
  }
  Buffer out;
  bool ok =
      out.reserve(kRequestHead + size) && append_number(&out, request_word()) &&
      append_number(&out, static_cast<std::uint32_t>(size)) &&
      append_number(&out, static_cast<std::uint8_t>(request.command)) &&
      append_number(&out, request.nocache ? kNoCacheFlag : std::uint8_t{0});
  for (const std::string_view field : fields) {
    ok = ok && append_field(&out, field);
  }
  if (!ok) {
    return no_memory(kWhat);
  }
  return out;
}

}  // namespace pbstoken
