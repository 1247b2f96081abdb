// SPDX-License-Identifier: BSD-3-Clause
// The verification: a token id and a secret against a store.
//
// Every outcome other than kMatch is a refusal, and so is every Error.
//
// Thread safety: one thread per object.
#ifndef PBSTOKEN_VERIFIER_H_
#define PBSTOKEN_VERIFIER_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/cache/cache.h"
#include "pbstoken/limits/fail_limit.h"
#include "pbstoken/limits/hash_gate.h"
#include "pbstoken/limits/use.h"
#include "pbstoken/store/store.h"
#include "pbstoken/store/stored_hash.h"
#include "pbstoken/store/token_id.h"
#include "pbstoken/verify/outcome.h"

namespace pbstoken {

// Where an answer came from, for debug lines.
enum class Source : std::uint8_t {
  kSegment,  // the segment alone
  kFact,     // the file was read, a known fact saved the hash
  kHash,     // a password hash was computed
  kFile,     // token.shadow, or nothing at all, was enough
  kHelper    // the helper
};

// How a verification ended.
struct Verification {
  Outcome outcome;  // of Topic::kVerification
  Source source;
};

// Verifies the tokens of one store, and judges their accounts.
class Verifier {
 public:
  // Returns crypt_rn(3), or a null pointer if it cannot be had.
  using CryptLoader = CryptFunction (*)();

  // `store` must outlive the object.
  Verifier(const Store &store, CryptLoader load_crypt)
      : store_(store),
        load_crypt_(load_crypt),
        cache_(store, Kind::kSecrets),
        accounts_(store, Kind::kAccounts),
        use_(store) {}

  // Verifies a secret.  It may be any text: one that cannot be any token's is
  // refused, as upstream does, after the token is known to exist.  The answer
  // comes from the segment where it can.  Returns an error if there is no
  // answer: the file or libcrypt cannot be read (kSystem and others), memory is
  // short (kNoMemory), too many hashes are under way (kBusy), or the store has
  // a lease that is not in force (kLease).
  Result<Verification> verify(const TokenId &id, std::string_view secret,
                              const Client &client = {});

  // Does the part of verify() that any process can do that may read the
  // segment.  Returns nullopt if the segment alone does not know the answer.
  std::optional<Verification> verify_in_segment(const TokenId &id,
                                                std::string_view secret);

  // Does the rest of verify(), after verify_in_segment() has returned nullopt.
  Result<Verification> verify_beyond_segment(const TokenId &id,
                                             std::string_view secret,
                                             const Client &client);

  // Does the same as verify(), but always against token.shadow as it is now.
  // Appends to *out_stored_hash the stored hash of the token, if the file has
  // the token.
  Result<Verification> verify_in_file(const TokenId &id,
                                      std::string_view secret,
                                      Buffer *out_stored_hash,
                                      const Client &client = {});

  // Returns what user.cfg says of the token, which was verified before.  The
  // store has a user_cfg.  Returns an error if the file cannot be read.
  Result<AccountVerdict> judge(const TokenId &id);

  // Does the part of judge() that any process can do that may read the segment.
  // Returns nullopt if the segment alone does not know the answer.
  std::optional<AccountVerdict> judge_in_segment(const TokenId &id);

  // Does the rest of judge(), after judge_in_segment() has returned nullopt.
  Result<AccountVerdict> judge_beyond_segment(const TokenId &id);

  // Calls Cache::heal() and the like.  The caller does so before it verifies
  // what the segment does not know.
  void heal() {
    use_.heal();
    cache_.heal();
    if (!store_.user_cfg.empty()) {
      accounts_.heal();
    }
  }

  // Calls Cache::take_no_lock().
  void take_no_lock() {
    cache_.take_no_lock();
    accounts_.take_no_lock();
  }

  // Returns the cache of the secrets.
  [[nodiscard]] Cache &cache() { return cache_; }

  // Returns the cache of the accounts.
  [[nodiscard]] Cache &accounts() { return accounts_; }

  // Returns why a limit was this process's own only, in what it has verified so
  // far; nullopt if no limit was.
  [[nodiscard]] const std::optional<Error> &lost_limit() const {
    return lost_limit_;
  }

  // Returns why this process could not make a segment, see Cache::problem();
  // nullopt if there was no such problem.
  [[nodiscard]] const std::optional<Error> &lost_cache() const {
    return cache_.problem() ? cache_.problem() : accounts_.problem();
  }

  // Returns the record of use.
  [[nodiscard]] Use &use() { return use_; }

 private:
  // What is verified, and the place in the gate once the process holds it.
  struct Attempt {
    const TokenId &id;
    std::string_view secret;
    const Client &client;
    std::optional<GatePass> pass = {};
  };

  // The parts of verify_beyond_segment(), verify_in_file() and
  // judge_beyond_segment() that run under the lease, see under_lease().
  Result<Verification> verify_by_file(const TokenId &id,
                                      std::string_view secret,
                                      const Client &client);
  Result<Verification> verify_by_entry(const TokenId &id,
                                       std::string_view secret,
                                       Buffer *out_stored_hash,
                                       const Client &client);
  Result<AccountVerdict> judge_by_file(const TokenId &id);
  void count_known(const TokenId &id, Fact fact, Event if_match);
  Result<void> pass_gate(Attempt *attempt);
  Result<Verification> verify_in(const Snapshot &snapshot, Attempt *attempt);
  std::optional<Verification> recall(const Snapshot &snapshot,
                                     const Attempt &attempt,
                                     std::string_view stored);
  Result<Verification> hash_through_gate(const Snapshot &snapshot,
                                         Attempt *attempt,
                                         std::string_view stored);
  Result<std::optional<Fact>> hash(std::string_view secret,
                                   std::string_view stored_hash);

  const Store &store_;
  CryptLoader load_crypt_;
  Cache cache_;
  Cache accounts_;
  Use use_;
  std::optional<Error> lost_limit_;
};

}  // namespace pbstoken

#endif  // PBSTOKEN_VERIFIER_H_
