// SPDX-License-Identifier: BSD-3-Clause
// Hundreds of changes, by the writer and by hand, beside processes that verify
// without a pause: each counts from the moment at which it is done (I1, I3).
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <vector>

#include "e2e/stress_support.h"
#include "pbstoken/cache/cache.h"

namespace pbstoken {
namespace {

using testing::answer;
using testing::check_rotated;
using testing::hash_of;
using testing::hashes_computed;
using testing::in_child;
using testing::load_crypt;
using testing::numbered;
using testing::Process;
using testing::Progress;
using testing::require;
using testing::Rotation;
using testing::Rounds;
using testing::Scene;
using testing::scene_in;
using testing::Shared;
using testing::Token;
using testing::verdict;

const std::string kId = testing::kRotatedId;
constexpr std::uint64_t kLong = 3600;  // seconds

// --- rotations

// Some of them deletions and what follows them; 500 and some are rotations.
constexpr int kChanges = 550;
constexpr int kSoakChanges = 50;  // more, for each second of a soak

// The ways in which a service may go about it.
enum class Service : std::uint8_t {
  kLongLived,
  kLooksEveryTime,
  kOneHandleEach,   // a new PAM handle for each authentication
  kOneProcessEach,  // a new process
  kMember           // of verify_group, who cannot read token.shadow
};

void serve(const Scene &scene, Service service, Progress *progress) {
  testing::limit_life();
  Store store = scene.store;
  store.cache_ttl = service == Service::kLooksEveryTime ? 0 : kLong;
  if (service == Service::kMember) {
    testing::become(testing::kNobody, testing::kVerifyGroup);
    testing::limit_life();
  }
  Verifier verifier(store, load_crypt);
  while (!progress->stop) {
    switch (service) {
      case Service::kOneHandleEach: {
        Verifier own(store, load_crypt);
        check_rotated(&own, false, progress);
        break;
      }
      case Service::kOneProcessEach:
        require(Process([&] {
                  check_rotated(&verifier, false, progress);
                }).wait() == 0);
        break;
      default:
        check_rotated(&verifier, service == Service::kMember, progress);
    }
  }
}

void rotation_500_times_beside_8_processes_counts_when_it_is_done(
    void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = kLong;
  const int changes =
      kChanges + kSoakChanges * static_cast<int>(testing::soak_seconds());
  const Shared<Progress> progress;
  Rotation rotation(scene.store, &*progress, changes);
  scene.write({{kId, rotation.first_hash()}});
  constexpr std::array kServices = {
      Service::kLongLived,      Service::kLongLived,
      Service::kLongLived,      Service::kLongLived,
      Service::kLooksEveryTime, Service::kOneHandleEach,
      Service::kOneProcessEach, Service::kMember};
  std::vector<Process> services;
  for (const Service service : kServices) {
    services.emplace_back([&] { serve(scene, service, &*progress); });
  }
  bool all_done = true;
  while (progress->done < changes && all_done) {
    all_done = rotation.change();
    // Until somebody has found out.
    const std::uint64_t verified = progress->verified;
    while (progress->verified < verified + kServices.size()) {
      usleep(100);
    }
  }
  progress->stop = true;
  for (const Process &service : services) {
    assert_int_equal(service.wait(), 0);
  }
  assert_true(all_done);
  assert_true(progress->from_segment > 0);
  print_message(
      "%d changes beside %ju verifications, %ju of them out of the "
      "segment\n",
      changes - 1, static_cast<uintmax_t>(progress->verified),
      static_cast<uintmax_t>(progress->from_segment));
}

// --- edits by hand

// Somebody who edits in place and leaves size and modification time as they
// were.
class QuietEditor {
 public:
  explicit QuietEditor(const Scene &scene)
      : fd_(open(scene.path().c_str(), O_WRONLY | O_CLOEXEC)) {
    struct stat status = {};
    if (!fd_ || fstat(fd_.get(), &status) != 0) {
      std::abort();
    }
    size_ = static_cast<std::size_t>(status.st_size);
    times_ = {status.st_atim, status.st_mtim};
  }

  // False if that could not be done.
  bool write(const std::string &text) const {
    return text.size() == size_ &&
           pwrite(fd_.get(), text.data(), text.size(), 0) ==
               static_cast<ssize_t>(text.size()) &&
           futimens(fd_.get(), times_.data()) == 0;
  }

 private:
  UniqueFd fd_;
  std::size_t size_ = 0;
  std::array<timespec, 2> times_{};
};

// Others look, re-read and store at the same time.
void edits_1000_in_place_with_times_restored_are_all_seen(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = 0;
  constexpr int kEdits = 1000;
  constexpr std::size_t kSecrets = 7;  // which do not come in pairs
  std::array<std::string, kSecrets> secrets;
  std::array<std::string, kSecrets> texts;
  for (std::size_t i = 0; i < kSecrets; ++i) {
    secrets[i] = numbered(static_cast<int>(i));
    texts[i] = testing::shadow_text({{kId, hash_of(secrets[i])}});
  }
  scene.write(texts[0]);
  const QuietEditor editor(scene);
  const Shared<Progress> progress;
  std::vector<Process> others;
  for (int i = 0; i < 2; ++i) {
    others.emplace_back([&] {
      testing::limit_life();
      Verifier verifier(scene.store, load_crypt);
      for (std::size_t at = 0; !progress->stop; at = (at + 1) % kSecrets) {
        const std::string said = verdict(&verifier, kId, secrets[at]);
        require(said == "match" || said == "mismatch");
      }
    });
  }
  int missed = 0;
  Verifier long_lived(scene.store, load_crypt);
  for (Rounds edits(kEdits); edits.next();) {
    const auto before = static_cast<std::size_t>(edits.number()) % kSecrets;
    const std::size_t after = (before + 1) % kSecrets;
    Verifier fresh(scene.store, load_crypt);
    Verifier *verifier = edits.number() % 2 == 0 ? &long_lived : &fresh;
    const bool edited = editor.write(texts[after]);
    missed += !edited || verdict(verifier, kId, secrets[before]) != "mismatch"
                  ? 1
                  : 0;
    missed += verdict(verifier, kId, secrets[after]) != "match" ? 1 : 0;
  }
  progress->stop = true;
  for (const Process &other : others) {
    assert_int_equal(other.wait(), 0);
  }
  assert_int_equal(missed, 0);
}

// --- one of many

void rotation_of_one_of_1000_costs_the_others_no_hash(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = kLong;
  // So many that no two tokens' buckets are full: keys, and so places, differ
  // from run to run.
  scene.store.cache_slots = 32768;
  constexpr std::size_t kTokens = 1000;
  constexpr std::size_t kRotated = 617;
  std::vector<Token> tokens;
  std::vector<std::string> secrets;
  for (std::size_t i = 0; i < kTokens; ++i) {
    secrets.push_back(numbered(static_cast<int>(i)));
    tokens.push_back(
        {"user" + std::to_string(i) + "@pbs!t", hash_of(secrets[i])});
  }
  scene.write(tokens);
  Verifier verifier(scene.store, load_crypt);
  for (std::size_t i = 0; i < kTokens; ++i) {
    assert_text_equal(verdict(&verifier, tokens[i].id, secrets[i]), "match");
  }
  const std::string revoked = secrets[kRotated];
  secrets[kRotated] = numbered(kTokens);
  const std::uint64_t begin = boottime_now();
  assert_true(scene.set(tokens[kRotated].id, secrets[kRotated],
                        hash_of(secrets[kRotated])));
  const std::uint64_t rotated = boottime_now();
  const auto serve_others = [&](Verifier *by) {
    std::size_t served = 0;
    for (std::size_t i = 0; i < kTokens; ++i) {
      served += i != kRotated && answer(by, tokens[i].id, secrets[i]) ==
                                     "match (segment)"
                    ? 1
                    : 0;
    }
    return served;
  };
  const int hashes = hashes_computed;
  assert_int_equal(serve_others(&verifier), kTokens - 1);
  const std::uint64_t served = boottime_now();
  assert_int_equal(hashes_computed - hashes, 0);
  in_child([&] {
    Verifier other(scene.store, load_crypt);
    require(serve_others(&other) == kTokens - 1);
    require(hashes_computed == hashes);
  });
  assert_text_equal(answer(&verifier, tokens[kRotated].id, secrets[kRotated]),
                    "match (segment)");
  assert_text_equal(verdict(&verifier, tokens[kRotated].id, revoked),
                    "mismatch");
  print_message(
      "one of 1000 rotated in %ju us (its hash and the re-binding "
      "included), the other 999 served again in %ju us, 0 hashes\n",
      static_cast<uintmax_t>((rotated - begin) / 1000),
      static_cast<uintmax_t>((served - rotated) / 1000));
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_stress(rotation_500_times_beside_8_processes_counts_when_it_is_done),
      with_stress(edits_1000_in_place_with_times_restored_are_all_seen),
      with_stress(rotation_of_one_of_1000_costs_the_others_no_hash),
  };
  return cmocka_run_group_tests_name("stress, changes", tests, nullptr,
                                     nullptr);
}
