// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/verify/verifier.h"

#include <utility>

namespace pbstoken {

namespace {

Verdict verdict_of(Fact fact) {
  return fact == Fact::kMatch ? Verdict::kMatch : Verdict::kMismatch;
}

}  // namespace

std::optional<Verification> Verifier::verify_in_segment(
    const TokenId &id, std::string_view secret) {
  // First: nobody digests a megabyte, once for each slot, for a client.
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
                                      std::string_view secret,
                                      const Client &client) {
  if (const auto known = verify_in_segment(id, secret); known) {
    return *known;
  }
  return verify_beyond_segment(id, secret, client);
}

Result<Verification> Verifier::verify_beyond_segment(const TokenId &id,
                                                     std::string_view secret,
                                                     const Client &client) {
  Request request = {.id = id, .secret = secret, .client = client};
  auto snapshot = cache_.read_for_all();
  // Reading a large file costs as much as a hash, and any client can make up
  // ids: who asks for one that the segment does not know passes the gate.
  if (!snapshot && !cache_.has_slot(id.text)) {
    if (const auto passed = pass_gate(&request); !passed) {
      return passed.error();
    }
    if (request.pass->waited) {
      if (const auto known = verify_in_segment(id, secret); known) {
        return *known;
      }
    }
  }
  if (!snapshot) {
    snapshot.emplace(cache_.read());
  }
  return *snapshot ? verify_in(**snapshot, &request)
                   : Result<Verification>(snapshot->error());
}

Result<Verification> Verifier::verify_in_file(const TokenId &id,
                                              std::string_view secret,
                                              Buffer *out_stored_hash,
                                              const Client &client) {
  if (!is_acceptable_secret(secret)) {
    return Verification{Verdict::kUnacceptableSecret, Source::kFile};
  }
  Request request = {.id = id, .secret = secret, .client = client};
  const auto snapshot = cache_.read();
  if (!snapshot) {
    return snapshot.error();
  }
  if (const auto stored = snapshot->file.find(id.text);
      stored && !out_stored_hash->append(*stored)) {
    return no_memory("cannot verify");
  }
  return verify_in(*snapshot, &request);
}

// Held until the answer is remembered, so that whoever waits finds it.
Result<void> Verifier::pass_gate(Request *request) {
  const bool for_user = request->client.caller.value_or(0) != 0;
  auto pass =
      enter_hash_gate(store_, for_user ? GateShare::kHalf : GateShare::kAll);
  if (!pass) {
    return pass.error();
  }
  request->pass.emplace(std::move(*pass));
  return {};
}

Result<Verification> Verifier::verify_in(const Snapshot &snapshot,
                                         Request *request) {
  const auto stored = snapshot.file.find(request->id.text);
  if (!stored) {
    return Verification{Verdict::kUnknownToken, Source::kFile};
  }
  if (store_.cache && !cache_.is_usable()) {
    counters_.count(Event::kBypassed);
  }
  if (const auto known = recall(snapshot, *request, *stored); known) {
    return *known;
  }
  if (hash_method(*stored).empty()) {
    return Verification{Verdict::kUnusableHash, Source::kFile};
  }
  return hash_through_gate(snapshot, request, *stored);
}

// What the segment knows of this secret and this stored hash, which was just
// read; it is in force again then.
std::optional<Verification> Verifier::recall(const Snapshot &snapshot,
                                             const Request &request,
                                             std::string_view stored) {
  const std::string_view id = request.id.text;
  const auto fact = cache_.find_fact(id, request.secret, stored);
  if (!fact) {
    return std::nullopt;
  }
  counters_.count(*fact == Fact::kMatch ? Event::kRecheck
                                        : Event::kKnownMismatch);
  if (snapshot.generation) {
    cache_.remember(*fact, id, request.secret, stored, snapshot);
  }
  return Verification{verdict_of(*fact), Source::kFact};
}

Result<Verification> Verifier::hash_through_gate(const Snapshot &snapshot,
                                                 Request *request,
                                                 std::string_view stored) {
  const FailLimit limit(store_, request->id.text, request->client);
  if (!request->pass && !limit.is_reached()) {
    if (const auto passed = pass_gate(request); !passed) {
      return passed.error();
    }
    if (request->pass->waited) {
      if (const auto known = recall(snapshot, *request, stored); known) {
        return *known;
      }
    }
  }
  // Asked after the wait: others may have failed meanwhile.
  if (limit.is_reached()) {
    counters_.count(Event::kThrottled);
    return Verification{Verdict::kThrottled, Source::kFile};
  }
  auto computed = hash(request->secret, stored);
  // Only a hash that was computed to its end is a fact.
  if (computed && computed->source == Source::kHash) {
    const bool match = computed->verdict == Verdict::kMatch;
    if (!match) {
      limit.count();
    }
    cache_.remember(match ? Fact::kMatch : Fact::kMismatch, request->id.text,
                    request->secret, stored, snapshot);
  }
  return computed;
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

// --- the account

Result<AccountVerdict> Verifier::judge(const TokenId &id) {
  if (const auto verdict = cache_.look_up_account(id.text); verdict) {
    return *verdict;
  }
  return judge_beyond_segment(id);
}

Result<AccountVerdict> Verifier::judge_beyond_segment(const TokenId &id) {
  const auto snapshot = cache_.read<UserCfg>();
  if (!snapshot) {
    return snapshot.error();
  }
  const AccountVerdict verdict = snapshot->file.judge(id);
  cache_.remember_account(id.text, verdict, *snapshot);
  return verdict;
}

}  // namespace pbstoken
