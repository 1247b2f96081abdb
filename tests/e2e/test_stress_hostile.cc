// SPDX-License-Identifier: BSD-3-Clause
// Somebody who overwrites the segment while others verify (I4): no crash, no
// hang, nothing wrong accepted, nothing right refused.
//
// What no bytes can be kept from saying is left out: it does not put a key into
// the header together with slots that were made with that key (which only root
// could, and is as good as a segment of root's own), nor does it set the
// generation back while tokens change.
#include <sys/shm.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <vector>

#include "e2e/stress_support.h"
#include "pbstoken/cache/cache.h"
#include "pbstoken/cache/generation.h"
#include "segment_support.h"

namespace pbstoken {
namespace {

using testing::answer;
using testing::ask;
using testing::below;
using testing::check_rotated;
using testing::hash_of;
using testing::load_crypt;
using testing::MemorySegment;
using testing::Process;
using testing::Progress;
using testing::Random;
using testing::require;
using testing::require_text_equal;
using testing::Rotation;
using testing::Scene;
using testing::scene_in;
using testing::Shared;
using testing::Token;
using testing::verdict;

// So few that everything is beside everything else.
constexpr std::uint32_t kSlots = 64;
constexpr std::size_t kTokens = 6;
constexpr std::uint64_t kLong = 3600;  // seconds
constexpr std::uint64_t kSeconds = 7;  // of each test, if it is no soak

std::string id_of(std::size_t number) {
  return "john@pbs!t" + std::to_string(number);
}

// Each token has had another one before.
std::string secret_of(std::size_t number) {
  return "0c1e9a55-19f2-4d0e-8d3c-aa0b7a1f0e4" + std::to_string(number);
}
std::string old_secret_of(std::size_t number) {
  return "77777777-19f2-4d0e-8d3c-aa0b7a1f0e4" + std::to_string(number);
}

const std::array<std::string, kTokens> &hashes() {
  static const std::array<std::string, kTokens> all = [] {
    std::array<std::string, kTokens> made;
    for (std::size_t i = 0; i < kTokens; ++i) {
      made[i] = hash_of(secret_of(i));
    }
    return made;
  }();
  return all;
}

constexpr std::array<const char *, 3> kProperties = {"", "\tenable 0\n",
                                                     "\texpire 1\n"};
constexpr std::array<AccountVerdict, 3> kVerdicts = {
    {{.status = AccountStatus::kAllowed, .expires = 0},
     {.status = AccountStatus::kDisabledToken, .expires = 0},
     {.status = AccountStatus::kAllowed, .expires = 1}}};

// --- the vandal

using Word = std::uint64_t;
constexpr std::size_t kSlotWords = sizeof(Slot) / sizeof(Word);
using SlotWords = std::array<Word, kSlotWords>;
static_assert(sizeof(AccountSlot) == sizeof(SlotWords));

// What it may touch.
enum class Reach : std::uint8_t {
  kSlotsAndStamps,
  kEverything  // the header as well, which it puts back after a while
};

// Works with words as the product does, so that what it breaks is what is
// stored, not how.
class Vandal {
 public:
  Vandal(const Store &store, Kind kind, Reach reach)
      : store_(store),
        kind_(kind),
        reach_(reach),
        random_(testing::seed()),
        lies_(kSlots, kind == Kind::kSecrets ? testing::kSecretsSubject
                                             : testing::kAccountsSubject) {
    write_lies();
    if (attach()) {
      keep();
    }
  }

  // One piece of damage.  Nothing if there is no segment just now.
  void strike() {
    if (!attach()) {
      return;
    }
    if (below(64, &random_) == 0) {
      keep();
    }
    using Damage = void (Vandal::*)();
    constexpr std::array<Damage, 10> kDamages = {
        &Vandal::fill,         &Vandal::fill,        &Vandal::swap_slots,
        &Vandal::copy_slot,    &Vandal::copy_part,   &Vandal::exchange_parts,
        &Vandal::lie,          &Vandal::replay_slot, &Vandal::spoil_stamp,
        &Vandal::replay_stamp,
    };
    if (reach_ == Reach::kEverything && below(16, &random_) == 0) {
      spoil_header();
    } else {
      (this->*kDamages[below(kDamages.size(), &random_)])();
    }
  }

  // Puts the header back.
  void mend() {
    if (reach_ == Reach::kEverything && attach() && has_header_) {
      std::memcpy(address_, &header_, sizeof(header_));
    }
  }

 private:
  // The segment that the key names now: a damaged one may be replaced.
  bool attach() {
    const auto id = testing::segment_id(store_, kind_);
    if (id && *id == id_ && address_ != nullptr) {
      return true;
    }
    if (address_ != nullptr) {
      shmdt(address_);
      address_ = nullptr;
    }
    shmid_ds status{};
    if (!id || shmctl(*id, IPC_STAT, &status) != 0 ||
        status.shm_segsz != shape_.size()) {
      return false;
    }
    void *address = shmat(*id, nullptr, 0);
    if (reinterpret_cast<std::intptr_t>(address) == -1) {
      return false;
    }
    address_ = static_cast<std::byte *>(address);
    size_ = status.shm_segsz;
    id_ = *id;
    has_header_ = false;
    kept_.clear();
    return true;
  }

  [[nodiscard]] SegmentHeader *header() const {
    return reinterpret_cast<SegmentHeader *>(address_);
  }
  // Of matches and mismatches, or of accounts.
  [[nodiscard]] std::span<SlotWords> slots() const {
    return {reinterpret_cast<SlotWords *>(address_ + kSlotsOffset),
            (size_ - kSlotsOffset) / sizeof(SlotWords)};
  }

  // A slot that somebody uses, as often as not.
  SlotWords *any_slot() {
    const std::span<SlotWords> all = slots();
    SlotWords *slot = nullptr;
    for (int attempt = 0; attempt < 8; ++attempt) {
      slot = &all[below(all.size(), &random_)];
      if ((*slot)[0] != 0) {
        break;
      }
    }
    return slot;
  }

  // Bytes, words, slots or all of them: random ones, zeros or ones.
  void fill() {
    const std::span<SlotWords> all = slots();
    constexpr std::array<std::size_t, 5> kLengths = {1, 8, 24, 64, 512};
    const std::size_t whole = all.size_bytes();
    const std::size_t length = below(200, &random_) == 0
                                   ? whole
                                   : kLengths[below(kLengths.size(), &random_)];
    auto *place = reinterpret_cast<std::byte *>(any_slot());
    const auto room = static_cast<std::size_t>(
        reinterpret_cast<std::byte *>(all.data()) + whole - place);
    if (length == whole) {
      place = reinterpret_cast<std::byte *>(all.data());
      fill_bytes({place, whole});
    } else {
      const std::size_t offset = below(sizeof(SlotWords), &random_);
      fill_bytes({place + std::min(offset, room - 1),
                  std::min(length, room - std::min(offset, room - 1))});
    }
  }
  void fill_bytes(std::span<std::byte> place) {
    const auto how = below(3, &random_);
    for (std::byte &byte : place) {
      byte = how == 0   ? std::byte{0}
             : how == 1 ? std::byte{0xff}
                        : static_cast<std::byte>(random_());
    }
  }

  void swap_slots() { std::swap(*any_slot(), *any_slot()); }
  void copy_slot() { *any_slot() = *any_slot(); }

  void copy_part() {
    const SlotWords &from = *any_slot();
    SlotWords &to = *any_slot();
    const Word mask = random_();
    for (std::size_t i = 0; i < kSlotWords; ++i) {
      if ((mask >> i & 1U) != 0) {
        to[i] = from[i];
      }
    }
  }

  // Each match over a mismatch, and the other way round.  There are fewer
  // mismatches, so it goes round.
  void exchange_parts() {
    const std::span<SlotWords> matches =
        slots().first(shape_.match_buckets * kWays);
    const std::span<SlotWords> mismatches = slots().subspan(matches.size());
    if (mismatches.empty()) {
      return;  // a segment of accounts
    }
    const bool keep_tag = below(2, &random_) == 0;
    for (std::size_t i = 0; i < matches.size(); ++i) {
      SlotWords &match = matches[i];
      SlotWords &mismatch = mismatches[i % mismatches.size()];
      std::swap(match, mismatch);
      if (keep_tag) {
        std::swap(match[0], mismatch[0]);
      }
    }
  }

  // A slot of a segment with another key, that says that other secrets match;
  // under the tag and the generation that stand there, too.
  void lie() {
    const std::span<Slot> lies = lies_.slots();
    const auto number = below(lies.size(), &random_);
    SlotWords lie{};
    std::memcpy(lie.data(), &lies[number], sizeof(lie));
    SlotWords &place = *any_slot();
    if (below(2, &random_) == 0) {
      lie[0] = place[0];
      lie[1] = place[1];
    }
    place = lie;
  }
  void write_lies() const {
    for (std::size_t i = 0; i < kTokens; ++i) {
      if (kind_ == Kind::kAccounts) {
        lies_.open().insert_account(id_of(i), kVerdicts[(i + 1) % 3], 4);
        continue;
      }
      lies_.insert({.id = id_of(i),
                    .secret = secret_of((i + 1) % kTokens),
                    .stored = hashes()[i]},
                   4);
      lies_.insert({.id = id_of(i),
                    .secret = secret_of(i),
                    .stored = hashes()[i],
                    .fact = Fact::kMismatch},
                   4);
    }
  }

  // What stood there at some time, or its words.
  struct Kept {
    std::vector<SlotWords> slots;
    CheckedStamp stamp;
  };
  void keep() {
    const std::span<SlotWords> all = slots();
    Kept kept = {.slots = {all.begin(), all.end()}, .stamp = header()->stamp};
    constexpr std::size_t kMostKept = 256;
    if (kept_.size() == kMostKept) {
      kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(
                                      1 + below(kMostKept - 1, &random_)));
    }
    kept_.push_back(std::move(kept));
    if (!has_header_ && header()->prefix.magic == kSegmentMagic) {
      std::memcpy(&header_, address_, sizeof(header_));
      has_header_ = true;
    }
  }
  // The first, which has what every token had before, one of the last, or any.
  const Kept *any_kept() {
    if (kept_.empty()) {
      return nullptr;
    }
    const std::size_t last = kept_.size() - 1;
    constexpr std::size_t kRecent = 8;
    switch (below(3, &random_)) {
      case 0:
        return &kept_.front();
      case 1:
        return &kept_[last - below(std::min(last + 1, kRecent), &random_)];
      default:
        return &kept_[below(last + 1, &random_)];
    }
  }
  void replay_slot() {
    const Kept *kept = any_kept();
    if (kept == nullptr) {
      return;
    }
    const std::span<SlotWords> all = slots();
    const auto how = below(3, &random_);
    for (std::size_t i = 0; i < all.size(); ++i) {
      SlotWords old = kept->slots[i];
      if (old[0] == 0 || below(4, &random_) == 0) {
        continue;
      }
      if (how == 1) {
        old[1] = all[i][1];  // as if it were in force
      } else if (how == 2) {
        old[1] = header()->prefix.generation;
      }
      all[i] = old;
    }
  }

  void spoil_stamp() {
    CheckedStamp *stamp = &header()->stamp;
    const auto how = below(4, &random_);
    if (how == 0) {
      ++stamp->stamp.generation;
      return;
    }
    if (how == 1) {
      stamp->stamp.time += kLong * kNanosecondsPerSecond;
      return;
    }
    if (how == 2) {
      stamp->stamp.first_seen = 1;
      return;
    }
    auto *bytes = reinterpret_cast<std::byte *>(stamp);
    const std::size_t offset = below(sizeof(*stamp), &random_);
    const std::size_t length = 1 + below(sizeof(*stamp) - offset, &random_);
    fill_bytes({bytes + offset, length});
  }
  void replay_stamp() {
    if (const Kept *kept = any_kept(); kept != nullptr) {
      header()->stamp = kept->stamp;
    }
  }

  // For as long as some verifications take.
  void spoil_header() {
    if (!has_header_) {
      return;
    }
    Word *tokens = &header()->prefix.generation;
    Word *note = &header()->note;
    switch (below(6, &random_)) {
      case 0:
        *tokens += below(5, &random_) - 2;
        break;
      case 1:
        *note += below(5, &random_) << 16U;
        break;
      case 2:
        *(below(2, &random_) == 0 ? tokens : note) = random_();
        break;
      case 3:
        *tokens = kLastGeneration - 2 + below(8, &random_);
        break;
      default: {
        const std::size_t offset = below(sizeof(SegmentHeader), &random_);
        const std::size_t length = std::min<std::size_t>(
            1 + below(64, &random_), sizeof(SegmentHeader) - offset);
        fill_bytes({address_ + offset, length});
      }
    }
    testing::spin(below(1'000'000, &random_));
    if (below(4, &random_) != 0) {
      mend();
    }
  }

  const Store &store_;
  Kind kind_;
  Reach reach_;
  Random random_;
  SegmentShape shape_ = SegmentShape::for_slots(kSlots, kind_);
  int id_ = -1;
  std::byte *address_ = nullptr;
  std::size_t size_ = 0;
  SegmentHeader header_{};
  bool has_header_ = false;
  std::vector<Kept> kept_;
  MemorySegment lies_;
};

void strike_until_stopped(std::array<Vandal, 2> *vandals, Progress *progress,
                          std::atomic<std::uint64_t> *strikes) {
  testing::limit_life();
  Random random(testing::seed() + 1);
  while (!progress->stop) {
    for (auto burst = below(20, &random); burst > 0; --burst) {
      (*vandals)[below(vandals->size(), &random)].strike();
      ++*strikes;
    }
    // So that there is something to break.
    usleep(static_cast<useconds_t>(below(400, &random)));
  }
  for (Vandal &vandal : *vandals) {
    vandal.mend();
  }
}

// --- those who verify

enum class Service : std::uint8_t {
  kLongLived,
  kLooksEveryTime,
  kOneHandleEach,
  kMember  // of verify_group, who cannot read the files
};
constexpr std::array kServices = {Service::kLongLived, Service::kLooksEveryTime,
                                  Service::kOneHandleEach, Service::kMember};

void check_tokens(Verifier *verifier, bool unreadable, Progress *progress) {
  const auto check = [&](const std::string &id, const std::string &secret,
                         const char *right) {
    const std::string said = ask(verifier, id, secret, progress);
    if (!(unreadable && said == "error")) {
      require_text_equal(said, right);
    }
  };
  for (std::size_t i = 0; i < kTokens; ++i) {
    check(id_of(i), secret_of(i), "match");
    check(id_of(i), secret_of((i + 1) % kTokens), "mismatch");
    check(id_of(i), old_secret_of(i), "mismatch");
    const auto judged = verifier->judge(*parse_token_id(id_of(i)));
    require(judged ? *judged == kVerdicts[i % kVerdicts.size()] : unreadable);
  }
  check("john@pbs!none", secret_of(0), "unknown");
}

void serve(const Scene &scene, Service service, bool rotated,
           Progress *progress) {
  testing::limit_life();
  Store store = scene.store;
  store.cache_ttl = service == Service::kLooksEveryTime ? 0 : kLong;
  const bool unreadable = service == Service::kMember;
  if (unreadable) {
    testing::become(testing::kNobody, testing::kVerifyGroup);
    testing::limit_life();
  }
  const auto check_all = [&](Verifier *verifier) {
    check_tokens(verifier, unreadable, progress);
    if (rotated) {
      check_rotated(verifier, unreadable, progress);
    }
  };
  Verifier verifier(store, load_crypt);
  while (!progress->stop) {
    if (service == Service::kOneHandleEach) {
      Verifier own(store, load_crypt);
      check_all(&own);
    } else {
      check_all(&verifier);
    }
  }
}

// --- the tests

int setup(void **state) {
  if (testing::make_stress_scene(state) != 0) {
    return -1;
  }
  Scene &scene = scene_in(state);
  scene.store.cache_slots = kSlots;
  scene.store.cache_ttl = kLong;
  scene.store.user_cfg = PathText(scene.directory() + "/user.cfg");
  std::string users = "user: john@pbs\n\n";
  for (std::size_t i = 0; i < kTokens; ++i) {
    users += "token: " + id_of(i) + "\n" + kProperties[i % 3] + "\n";
  }
  std::ofstream(scene.store.user_cfg.c_str(), std::ios::binary) << users;
  chmod(scene.store.user_cfg.c_str(), S_IRUSR | S_IWUSR);
  return 0;
}

// The tokens with what they had before: their slots are to be found again.
void warm_up(const Scene &scene, std::vector<Token> others) {
  std::vector<Token> old = others;
  for (std::size_t i = 0; i < kTokens; ++i) {
    old.push_back({id_of(i), hash_of(old_secret_of(i))});
    others.push_back({id_of(i), hashes()[i]});
  }
  Store store = scene.store;
  store.cache_ttl = 0;
  Verifier verifier(store, load_crypt);
  scene.write(old);
  for (std::size_t i = 0; i < kTokens; ++i) {
    assert_text_equal(verdict(&verifier, id_of(i), old_secret_of(i)), "match");
    assert_text_equal(verdict(&verifier, id_of(i), secret_of(i)), "mismatch");
  }
  scene.replace(others);
  // Of an id without a slot, which leaves those that there are alone.
  assert_text_equal(verdict(&verifier, "john@pbs!none", secret_of(0)),
                    "unknown");
}

// A stamp that was put back is good for its time, and longer than we have.
void assert_cached(const Scene &scene) {
  Store eager = scene.store;
  eager.cache_ttl = 0;
  Verifier first(eager, load_crypt);
  Verifier verifier(scene.store, load_crypt);
  for (std::size_t i = 0; i < kTokens; ++i) {
    assert_text_equal(verdict(&first, id_of(i), secret_of(i)), "match");
    assert_text_equal(answer(&verifier, id_of(i), secret_of(i)),
                      "match (segment)");
  }
}

// No writer of user.cfg comes who could claim at once: what a damaged note says
// of a re-reader's time has to pass.
void assert_accounts_cached(const Scene &scene) {
  Store eager = scene.store;
  eager.cache_ttl = 0;
  Verifier first(eager, load_crypt);
  Verifier verifier(scene.store, load_crypt);
  constexpr int kMostTries = 150;  // 15 s
  for (std::size_t i = 0; i < kTokens; ++i) {
    const std::string text = id_of(i);
    const TokenId id = *parse_token_id(text);
    std::optional<AccountVerdict> known;
    for (int left = kMostTries; !known && left > 0; --left) {
      assert_true(static_cast<bool>(first.judge(id)));
      known = verifier.judge_in_segment(id);
      usleep(known ? 0 : 100'000);
    }
    assert_true(known == kVerdicts[i % kVerdicts.size()]);
  }
}

// `meanwhile` goes on until it says that it failed.
void verify_beside_a_vandal(const Scene &scene, Reach reach, bool rotated,
                            Progress *progress,
                            const std::function<bool()> &meanwhile) {
  const Shared<std::atomic<std::uint64_t>> strikes;
  // They see what comes first.
  std::array<Vandal, 2> vandals = {{{scene.store, Kind::kSecrets, reach},
                                    {scene.store, Kind::kAccounts, reach}}};
  std::vector<Process> services;
  for (const Service service : kServices) {
    services.emplace_back(
        [&, service] { serve(scene, service, rotated, progress); });
  }
  const Process striking(
      [&] { strike_until_stopped(&vandals, progress, &*strikes); });
  const std::uint64_t seconds =
      testing::soak_seconds() != 0 ? testing::soak_seconds() : kSeconds;
  const std::uint64_t end = boottime_now() + seconds * kNanosecondsPerSecond;
  bool good = true;
  while (good && boottime_now() < end) {
    usleep(2000);
    good = meanwhile();
  }
  progress->stop = true;
  for (const Process &service : services) {
    assert_int_equal(service.wait(), 0);
  }
  assert_int_equal(striking.wait(), 0);
  assert_true(good);
  assert_true(progress->from_segment > 0);
  print_message(
      "%ju pieces of damage beside %ju verifications, %ju of them out of the "
      "segment\n",
      static_cast<uintmax_t>(*strikes),
      static_cast<uintmax_t>(progress->verified),
      static_cast<uintmax_t>(progress->from_segment));
  assert_cached(scene);
  assert_accounts_cached(scene);
}

void verify_beside_damage_to_slots_and_stamps_is_right_while_a_token_rotates(
    void **state) {
  const Scene &scene = scene_in(state);
  const Shared<Progress> progress;
  const auto most =
      static_cast<int>(500 * (testing::soak_seconds() + kSeconds));
  Rotation rotation(scene.store, &*progress, most);
  warm_up(scene, {{testing::kRotatedId, rotation.first_hash()}});
  verify_beside_a_vandal(
      scene, Reach::kSlotsAndStamps, /*rotated=*/true, &*progress,
      [&] { return progress->done == most || rotation.change(); });
}

void verify_beside_damage_to_everything_is_right(void **state) {
  const Scene &scene = scene_in(state);
  const Shared<Progress> progress;
  const std::string other = "jane@pbs!t";
  warm_up(scene, {{other, hashes()[0]}});
  std::size_t number = 0;
  verify_beside_a_vandal(
      scene, Reach::kEverything, /*rotated=*/false, &*progress, [&] {
        // Somebody changes another token; whose generation it was in the end
        // nobody knows.
        number = (number + 1) % kTokens;
        Cache cache(scene.store, Kind::kSecrets);
        const std::string secret = secret_of(number);
        const Change change = {.token_id = *parse_token_id(other),
                               .stored_hash = hashes()[number],
                               .secret = secret,
                               .expected_hash = {}};
        const auto written = write_token(scene.store, &cache, change);
        return written &&
               (*written == Outcome::kDone || *written == Outcome::kTakenOver);
      });
}

}  // namespace
}  // namespace pbstoken

#define with_tokens(test) \
  cmocka_unit_test_setup_teardown(test, setup, testing::remove_stress_scene)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      with_tokens(
          verify_beside_damage_to_slots_and_stamps_is_right_while_a_token_rotates),
      with_tokens(verify_beside_damage_to_everything_is_right),
  };
  return cmocka_run_group_tests_name("stress, hostile", tests,
                                     testing::print_seed, nullptr);
}
