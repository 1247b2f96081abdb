// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/verify/verifier.h"

#include <utility>

#include "pbstoken/store/lease.h"

namespace pbstoken {

namespace {

Outcome known_outcome(Fact fact) {
  return fact == Fact::kMatch ? Outcome::kMatch : Outcome::kKnownMismatch;
}

}  // namespace

// Counts a secret about which the segment has a fact, as `if_match` if it is
// the right one.
void Verifier::count_known(const TokenId &id, Fact fact, Event if_match) {
  const bool matches = fact == Fact::kMatch;
  use_.count(matches ? if_match : Event::kKnownMismatch,
             matches ? id.text : std::string_view(), cache_.attach_time());
}

std::optional<Verification> Verifier::verify_in_segment(
    const TokenId &id, std::string_view secret) {
  // Otherwise a client could have a megabyte digested once for each slot.
  if (!is_acceptable_secret(secret)) {
    return std::nullopt;
  }
  const auto fact = cache_.look_up(id.text, secret);
  if (!fact) {
    use_.let_go_if_dropped();
    return std::nullopt;
  }
  count_known(id, *fact, Event::kHit);
  return Verification{known_outcome(*fact), Source::kSegment};
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
  return under_lease(store_,
                     [&] { return verify_by_file(id, secret, client); });
}

Result<Verification> Verifier::verify_by_file(const TokenId &id,
                                              std::string_view secret,
                                              const Client &client) {
  Attempt attempt = {.id = id, .secret = secret, .client = client};
  auto snapshot = cache_.read_for_all();
  // Reading a large file costs as much as a hash, and any client can make up
  // ids: a request for an id that the segment does not know passes the gate; so
  // does one that fail_limit will not count.
  if (!snapshot &&
      (!is_acceptable_secret(secret) || !cache_.has_slot(id.text))) {
    if (const auto passed = pass_gate(&attempt); !passed) {
      return passed.error();
    }
    if (const auto known = verify_in_segment(id, secret); known) {
      return *known;
    }
  }
  if (!snapshot) {
    snapshot.emplace(cache_.read());
  }
  return *snapshot ? verify_in(**snapshot, &attempt)
                   : Result<Verification>(snapshot->error());
}

Result<Verification> Verifier::verify_in_file(const TokenId &id,
                                              std::string_view secret,
                                              Buffer *out_stored_hash,
                                              const Client &client) {
  return under_lease(store_, [&] {
    return verify_by_entry(id, secret, out_stored_hash, client);
  });
}

Result<Verification> Verifier::verify_by_entry(const TokenId &id,
                                               std::string_view secret,
                                               Buffer *out_stored_hash,
                                               const Client &client) {
  Attempt attempt = {.id = id, .secret = secret, .client = client};
  const auto snapshot = cache_.read();
  if (!snapshot) {
    return snapshot.error();
  }
  if (const auto stored = snapshot->tokens.find(id.text);
      stored && !out_stored_hash->append(*stored)) {
    return no_memory("cannot verify");
  }
  return verify_in(*snapshot, &attempt);
}

// The attempt holds its place until the answer is remembered.  So a process
// that has passed looks into the segment once more, whether or not it has
// waited: it finds the answer of each process that had a place before.
Result<void> Verifier::pass_gate(Attempt *attempt) {
  auto pass = enter_hash_gate(store_, attempt->client);
  if (!pass) {
    return pass.error();
  }
  if (pass->no_gate) {
    lost_limit_ = pass->no_gate;
  }
  attempt->pass.emplace(std::move(*pass));
  return {};
}

Result<Verification> Verifier::verify_in(const Snapshot &snapshot,
                                         Attempt *attempt) {
  const auto stored = snapshot.tokens.find(attempt->id.text);
  if (!stored) {
    return Verification{Outcome::kUnknownToken, Source::kFile};
  }
  if (!is_acceptable_secret(attempt->secret)) {
    return Verification{Outcome::kUnacceptableSecret, Source::kFile};
  }
  if (store_.cache && !cache_.is_usable()) {
    use_.count(Event::kBypassed, {}, cache_.attach_time());
  }
  if (const auto known = recall(snapshot, *attempt, *stored); known) {
    return *known;
  }
  if (hash_method(*stored).empty()) {
    return Verification{Outcome::kUnusableHash, Source::kFile};
  }
  return hash_through_gate(snapshot, attempt, *stored);
}

// Returns what the segment knows of this secret and this stored hash, which was
// just read; puts it in force again then.  Returns nullopt if the segment does
// not know.
std::optional<Verification> Verifier::recall(const Snapshot &snapshot,
                                             const Attempt &attempt,
                                             std::string_view stored) {
  const std::string_view id = attempt.id.text;
  const auto fact = cache_.find_fact(id, attempt.secret, stored);
  if (!fact) {
    return std::nullopt;
  }
  count_known(attempt.id, *fact, Event::kRecheck);
  if (snapshot.permit) {
    cache_.remember(*fact, id, attempt.secret, stored, snapshot);
  }
  return Verification{known_outcome(*fact), Source::kFact};
}

Result<Verification> Verifier::hash_through_gate(const Snapshot &snapshot,
                                                 Attempt *attempt,
                                                 std::string_view stored) {
  const FailLimit limit(store_, attempt->id.text, attempt->client);
  if (limit.lost()) {
    lost_limit_ = limit.lost();
    if (is_beyond_own_limits(attempt->client)) {
      return busy_error("there is no memory for fail_limit, reason=busy");
    }
  }
  if (!attempt->pass && !limit.is_reached()) {
    if (const auto passed = pass_gate(attempt); !passed) {
      return passed.error();
    }
    if (const auto known = recall(snapshot, *attempt, stored); known) {
      return *known;
    }
  }
  // The limit is asked after the wait: others may have failed meanwhile.
  if (limit.is_reached()) {
    use_.count(Event::kThrottled, {}, cache_.attach_time());
    return Verification{Outcome::kThrottled, Source::kFile};
  }
  const auto fact = hash(attempt->secret, stored);
  if (!fact) {
    return fact.error();
  }
  const bool matches = *fact == Fact::kMatch;
  use_.count(Event::kHash, matches ? attempt->id.text : std::string_view(),
             cache_.attach_time());
  if (!*fact) {
    return Verification{Outcome::kUnusableHash, Source::kFile};
  }
  if (**fact == Fact::kMismatch) {
    limit.count();
  }
  cache_.remember(**fact, attempt->id.text, attempt->secret, stored, snapshot);
  return Verification{
      **fact == Fact::kMatch ? Outcome::kMatch : Outcome::kWrongSecret,
      Source::kHash};
}

Result<std::optional<Fact>> Verifier::hash(std::string_view secret,
                                           std::string_view stored_hash) {
  const CryptFunction crypt = load_crypt_();
  if (crypt == nullptr) {
    return plain_error(Errc::kSystem, "cannot load", "libcrypt.so.1");
  }
  Secret phrase;
  if (!phrase.assign(secret)) {
    return plain_error(Errc::kMalformed, "cannot hash", {},
                       "the secret is too long");
  }
  return compare_with_hash(crypt, phrase, stored_hash);
}

// --- the account

Result<AccountVerdict> Verifier::judge(const TokenId &id) {
  const auto verdict = judge_in_segment(id);
  return verdict ? Result<AccountVerdict>(*verdict) : judge_beyond_segment(id);
}

std::optional<AccountVerdict> Verifier::judge_in_segment(const TokenId &id) {
  return accounts_.look_up_account(id.text);
}

Result<AccountVerdict> Verifier::judge_beyond_segment(const TokenId &id) {
  return under_lease(store_, [&] { return judge_by_file(id); });
}

Result<AccountVerdict> Verifier::judge_by_file(const TokenId &id) {
  const auto snapshot = accounts_.read();
  if (!snapshot) {
    return snapshot.error();
  }
  const AccountVerdict verdict = snapshot->users.judge(id);
  accounts_.remember_account(id.text, verdict, *snapshot);
  return verdict;
}

}  // namespace pbstoken
