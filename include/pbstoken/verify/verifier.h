// SPDX-License-Identifier: BSD-3-Clause
// The verification: a token id and a secret against a store.
//
// One thread per object.  Every outcome other than kMatch is a refusal, and so
// is every Error.
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

struct Verification {
  Outcome outcome;  // of Topic::kVerification
  Source source;
};

class Verifier {
 public:
  // Gives crypt_rn(3), or a null pointer if it cannot be had.
  using CryptLoader = CryptFunction (*)();

  // `store` must outlive the object.
  Verifier(const Store &store, CryptLoader load_crypt)
      : store_(store),
        load_crypt_(load_crypt),
        cache_(store, Kind::kSecrets),
        accounts_(store, Kind::kAccounts),
        use_(store) {}

  // secret may be anything: one that cannot be any token's is refused, once it
  // is known that there is the token, as upstream has it.  The answer comes
  // from the segment where it can.
  Result<Verification> verify(const TokenId &id, std::string_view secret,
                              const Client &client = {});

  // The part of it that any process can do that may read the segment: nothing
  // if the answer is not to be had from the segment alone.
  std::optional<Verification> verify_in_segment(const TokenId &id,
                                                std::string_view secret);

  // The rest of it, for which that has just had no answer.
  Result<Verification> verify_beyond_segment(const TokenId &id,
                                             std::string_view secret,
                                             const Client &client);

  // The same as verify(), but always against token.shadow as it is now;
  // *out_stored_hash becomes the stored hash that was compared with.
  Result<Verification> verify_in_file(const TokenId &id,
                                      std::string_view secret,
                                      Buffer *out_stored_hash,
                                      const Client &client = {});

  // What user.cfg says of the token, which was verified before; the store has a
  // user_cfg.
  Result<AccountVerdict> judge(const TokenId &id);

  // The part of it that any process can do that may read the segment, and the
  // rest of it, for which that has just had no answer.
  std::optional<AccountVerdict> judge_in_segment(const TokenId &id);
  Result<AccountVerdict> judge_beyond_segment(const TokenId &id);

  // See Cache::heal(); before what the segment does not know is verified.
  void heal() {
    use_.heal();
    cache_.heal();
    if (!store_.user_cfg.empty()) {
      accounts_.heal();
    }
  }

  // See Cache::take_no_lock().
  void take_no_lock() {
    cache_.take_no_lock();
    accounts_.take_no_lock();
  }

  // That of the secrets, and that of the accounts.
  [[nodiscard]] Cache &cache() { return cache_; }
  [[nodiscard]] Cache &accounts() { return accounts_; }
  // Why a limit was this process's own only, in what it has verified so far.
  [[nodiscard]] const std::optional<Error> &lost_limit() const {
    return lost_limit_;
  }

  // Why there is no segment, where this process could not make one: see
  // Cache::problem().
  [[nodiscard]] const std::optional<Error> &lost_cache() const {
    return cache_.problem() ? cache_.problem() : accounts_.problem();
  }

  [[nodiscard]] Use &use() { return use_; }

 private:
  // What is verified, and the place in the gate once it is held.
  struct Attempt {
    const TokenId &id;
    std::string_view secret;
    const Client &client;
    std::optional<GatePass> pass = {};
  };

  [[nodiscard]] Use::Moment moment() const {
    return {.attached = cache_.attached(),
            .ipc_namespace = cache_.ipc_namespace()};
  }
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
