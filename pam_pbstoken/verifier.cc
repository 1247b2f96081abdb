// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/verifier.h"

#include "pbstoken/hash_gate.h"

namespace pbstoken {

namespace {

Verdict verdict_of(Fact fact) {
  return fact == Fact::kMatch ? Verdict::kMatch : Verdict::kMismatch;
}

}  // namespace

std::optional<Verification> Verifier::verify_in_segment(
    const TokenId &id, std::string_view secret) {
  if (!is_acceptable_secret(secret)) {
    return Verification{Verdict::kUnacceptableSecret, Source::kFile};
  }
  const auto fact = cache_.look_up(id.text, secret);
  if (!fact) {
    return std::nullopt;
  }
  counters_.count(*fact == Fact::kMatch ? Event::kHit : Event::kKnownMismatch);
  return Verification{verdict_of(*fact), Source::kSegment};
}

Result<Verification> Verifier::verify(const TokenId &id,
                                      std::string_view secret) {
  if (const auto known = verify_in_segment(id, secret); known) {
    return *known;
  }
  const auto snapshot = cache_.read();
  if (!snapshot) {
    return snapshot.error();
  }
  return verify_in(*snapshot, id, secret);
}

Result<Verification> Verifier::verify_in_file(const TokenId &id,
                                              std::string_view secret,
                                              Buffer *out_stored_hash) {
  if (!is_acceptable_secret(secret)) {
    return Verification{Verdict::kUnacceptableSecret, Source::kFile};
  }
  const auto snapshot = cache_.read();
  if (!snapshot) {
    return snapshot.error();
  }
  if (const auto stored = snapshot->shadow.find(id.text);
      stored && !out_stored_hash->append(*stored)) {
    return no_memory("cannot verify");
  }
  return verify_in(*snapshot, id, secret);
}

Result<Verification> Verifier::verify_in(const Snapshot &snapshot,
                                         const TokenId &id,
                                         std::string_view secret) {
  const auto stored = snapshot.shadow.find(id.text);
  if (!stored) {
    return Verification{Verdict::kUnknownToken, Source::kFile};
  }
  if (store_.cache && !cache_.is_usable()) {
    counters_.count(Event::kBypassed);
  }
  if (const auto known = recall(snapshot, id, secret, *stored); known) {
    return *known;
  }
  if (hash_method(*stored).empty()) {
    return Verification{Verdict::kUnusableHash, Source::kFile};
  }
  // Held until the result is remembered, so that whoever waits finds it.
  const auto pass = enter_hash_gate(store_, &counters_);
  if (!pass) {
    return pass.error();
  }
  if (pass->waited) {
    if (const auto known = recall(snapshot, id, secret, *stored); known) {
      return *known;
    }
  }
  const auto computed = hash(secret, *stored);
  // Only a hash that was computed to its end is a fact.
  if (computed && computed->source == Source::kHash) {
    const bool match = computed->verdict == Verdict::kMatch;
    cache_.remember(match ? Fact::kMatch : Fact::kMismatch, id.text, secret,
                    *stored, snapshot);
  }
  return computed;
}

// What the segment knows of this secret and this stored hash, which was just
// read; it is in force again then.
std::optional<Verification> Verifier::recall(const Snapshot &snapshot,
                                             const TokenId &id,
                                             std::string_view secret,
                                             std::string_view stored) {
  const auto fact = cache_.find_fact(id.text, secret, stored);
  if (!fact) {
    return std::nullopt;
  }
  counters_.count(*fact == Fact::kMatch ? Event::kRecheck
                                        : Event::kKnownMismatch);
  if (snapshot.generation) {
    cache_.remember(*fact, id.text, secret, stored, snapshot);
  }
  return Verification{verdict_of(*fact), Source::kFact};
}

Result<Verification> Verifier::hash(std::string_view secret,
                                    std::string_view stored_hash) {
  const CryptFunction crypt = load_crypt_();
  if (crypt == nullptr) {
    return plain_error(Errc::kSystem, "cannot load", "libcrypt.so.1");
  }
  Secret phrase;
  if (!phrase.assign(secret)) {
    return Verification{Verdict::kUnacceptableSecret, Source::kFile};
  }
  const auto check = check_secret(crypt, phrase, stored_hash);
  if (!check) {
    return check.error();
  }
  counters_.count(Event::kHash);
  switch (*check) {
    case HashCheck::kMatch:
      return Verification{Verdict::kMatch, Source::kHash};
    case HashCheck::kMismatch:
      return Verification{Verdict::kMismatch, Source::kHash};
    case HashCheck::kUnusable:
      break;
  }
  return Verification{Verdict::kUnusableHash, Source::kFile};
}

}  // namespace pbstoken
