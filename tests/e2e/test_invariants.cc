// SPDX-License-Identifier: BSD-3-Clause
// The invariants of the cache, I1 to I7, each by its name.  Other tests go
// further into most of them; each of these fails when what its invariant rests
// on is taken out.
#include <fcntl.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <span>
#include <thread>
#include <vector>

#include "e2e/cache_hooks.h"
#include "e2e/stress_support.h"
#include "pbstoken/cache/cache.h"
#include "pbstoken/cache/generation.h"

namespace pbstoken {
namespace {

using testing::advance_seconds;
using testing::answer;
using testing::hash_of;
using testing::in_child;
using testing::leave_settling_time;
using testing::load_crypt;
using testing::open_segment;
using testing::Process;
using testing::require;
using testing::Scene;
using testing::scene_in;
using testing::Shared;
using testing::Token;
using testing::verdict;

const std::string kId = "john@pbs!client1";
const std::string kOtherId = "jane@pbs!t";
const std::string kSecret = "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11";
const std::string kOther = "0c1e9a55-19f2-4d0e-8d3c-aa0b7a1f0e42";
const std::string kThird = "3d9c1f60-27aa-4f0b-b0c5-5ad0e1f6b7a8";
const std::string kHash = hash_of(kSecret);
const std::string kOtherHash = hash_of(kOther);
const std::string kThirdHash = hash_of(kThird);

constexpr std::uint64_t kLong = 3600;  // seconds

int setup(void **state) {
  if (testing::make_stress_scene(state) != 0) {
    return -1;
  }
  testing::ahead = {};
  testing::after_look = nullptr;
  testing::after_end_of_file = nullptr;
  testing::before_rename = nullptr;
  testing::after_rename = nullptr;
  return 0;
}

// --- I1

// What a service that has been there before says to secrets of kId.
class Observer {
 public:
  Observer(const Scene &scene, bool member)
      : process_([&, member] { serve(scene, member); }) {}

  [[nodiscard]] std::string ask(const std::string &secret) const {
    const std::string question = secret + '\0';
    std::copy(question.begin(), question.end(), talk_->question.begin());
    const int asked = ++talk_->asked;
    while (talk_->answered != asked) {
      usleep(50);
    }
    return talk_->answer.data();
  }

 private:
  struct Talk {
    std::array<char, 64> question;
    std::array<char, 64> answer;
    std::atomic<int> asked;
    std::atomic<int> answered;
  };

  void serve(const Scene &scene, bool member) const {
    if (member) {
      testing::become(testing::kNobody, testing::kVerifyGroup);
    }
    testing::limit_life();
    Verifier verifier(scene.store, load_crypt);
    while (true) {
      while (talk_->answered == talk_->asked) {
        usleep(50);
      }
      const std::string said =
          verdict(&verifier, kId, talk_->question.data()) + '\0';
      std::copy(said.begin(), said.end(), talk_->answer.begin());
      ++talk_->answered;
    }
  }

  Shared<Talk> talk_;
  Process process_;  // ends with the test
};

// As set (nothing expected), rotate and delete (no stored hash) write it.
bool change(const Scene &scene, std::string_view secret,
            std::optional<std::string_view> stored,
            std::optional<std::string_view> expected) {
  Cache cache(scene.store, Kind::kSecrets);
  const auto written = write_token(scene.store, &cache,
                                   {.token_id = *parse_token_id(kId),
                                    .stored_hash = stored,
                                    .secret = secret,
                                    .expected_hash = expected});
  return written && *written == Outcome::kDone;
}

void i1_after_set_rotate_and_delete_the_old_secret_is_refused_everywhere(
    void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = kLong;  // no stamp runs out
  scene.write({{kId, kHash}});
  Verifier verifier(scene.store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  const Observer root(scene, /*member=*/false);
  const Observer member(scene, /*member=*/true);
  const auto assert_everywhere = [&](const std::string &secret, bool right) {
    Verifier fresh(scene.store, load_crypt);
    for (const std::string &said :
         {root.ask(secret), member.ask(secret), verdict(&verifier, kId, secret),
          verdict(&fresh, kId, secret)}) {
      if (right) {
        assert_text_equal(said, "match");
      } else {
        assert_true(said == "mismatch" || said == "unknown" || said == "error");
      }
    }
  };
  assert_everywhere(kSecret, true);
  assert_true(change(scene, kOther, kOtherHash, {}));
  assert_everywhere(kSecret, false);
  assert_everywhere(kOther, true);
  assert_true(change(scene, kThird, kThirdHash, kOtherHash));
  assert_everywhere(kSecret, false);
  assert_everywhere(kOther, false);
  assert_everywhere(kThird, true);
  assert_true(change(scene, {}, {}, {}));
  assert_everywhere(kOther, false);
  assert_everywhere(kThird, false);
}

// --- I2

void i2_a_killed_writer_leaves_old_or_new_and_the_next_process_repairs(
    void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = kLong;
  for (const bool renamed : {false, true}) {
    scene.replace({{kId, kHash}});
    scene.remove_segment();
    Verifier verifier(scene.store, load_crypt);
    assert_text_equal(verdict(&verifier, kId, kSecret), "match");
    const Process writer([&] {
      std::function<void()> die = [] { raise(SIGKILL); };
      (renamed ? testing::after_rename : testing::before_rename) = &die;
      static_cast<void>(scene.set(kId, kOther, kOtherHash));
    });
    const int status = writer.wait();
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    const auto shadow = TokenShadow::read(scene.store.token_shadow);
    assert_true(static_cast<bool>(shadow));
    assert_true(shadow->find(kId) == (renamed ? kOtherHash : kHash));
    const std::string &right = renamed ? kOther : kSecret;
    assert_text_equal(verdict(&verifier, kId, renamed ? kSecret : kOther),
                      "mismatch");
    assert_text_equal(verdict(&verifier, kId, right), "match");
    assert_text_equal(answer(&verifier, kId, right), "match (segment)");
  }
}

// --- I3

void i3_an_edit_by_hand_counts_within_the_ttl_and_at_once_with_0(void **state) {
  Scene &scene = scene_in(state);
  for (const std::uint64_t ttl : {std::uint64_t{5}, std::uint64_t{0}}) {
    scene.store.cache_ttl = ttl;
    scene.replace({{kId, kHash}});
    scene.remove_segment();
    Verifier verifier(scene.store, load_crypt);
    assert_text_equal(verdict(&verifier, kId, kSecret), "match");
    leave_settling_time();
    assert_text_equal(verdict(&verifier, kId, kSecret), "match");
    advance_seconds(ttl);  // a stamp that was renewed by comparing, too
    assert_text_equal(answer(&verifier, kId, kSecret), "match (segment)");
    scene.replace({{kId, kOtherHash}});
    advance_seconds(ttl);
    in_child([&] {
      Verifier other(scene.store, load_crypt);
      require(verdict(&other, kId, kSecret) == "mismatch");
      require(verdict(&other, kId, kOther) == "match");
    });
    assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
    assert_text_equal(verdict(&verifier, kId, kOther), "match");
  }
}

// --- I4

using Word = std::uint64_t;
constexpr std::size_t kSlotWords = sizeof(Slot) / sizeof(Word);

// A segment in which everything stands beside everything else: the present
// matches of two tokens, the one that the first had before, mismatches, account
// verdicts.
class SmallSegment {
 public:
  explicit SmallSegment(Scene *scene) : scene_(*scene) {
    scene_.store.cache_slots = kWays;
    scene_.store.cache_ttl = kLong;
    scene_.store.user_cfg = PathText(scene_.directory() + "/user.cfg");
    std::ofstream(scene_.store.user_cfg.c_str())
        << "user: john@pbs\n\ntoken: " + kId +
               "\n\nuser: jane@pbs\n\ntoken: " + kOtherId + "\n\tenable 0\n";
    make();
  }

  // All of its words, of which many are never used.
  [[nodiscard]] std::span<Word> words() const {
    return {reinterpret_cast<Word *>(opened_->attachment.address()),
            opened_->attachment.size() / sizeof(Word)};
  }
  [[nodiscard]] std::span<const Word> whole() const { return whole_; }

  // As it was; a new one if it has been replaced.
  void restore() {
    if (testing::segment_id(scene_.store) != id_) {
      make();
    }
    std::copy(whole_.begin(), whole_.end(), words().begin());
  }

  // Every answer is right, whatever the segment says.
  void assert_right() const {
    Verifier verifier(scene_.store, load_crypt);
    assert_text_equal(verdict(&verifier, kId, kThird), "mismatch");
    assert_text_equal(verdict(&verifier, kId, kOther), "mismatch");
    assert_text_equal(verdict(&verifier, kOtherId, kSecret), "mismatch");
    assert_text_equal(verdict(&verifier, kId, kSecret), "match");
    assert_text_equal(verdict(&verifier, kOtherId, kOther), "match");
    const auto allowed = verifier.judge(*parse_token_id(kId));
    assert_true(allowed && allowed->status == AccountStatus::kAllowed);
    const auto disabled = verifier.judge(*parse_token_id(kOtherId));
    assert_true(disabled && disabled->status == AccountStatus::kDisabledToken);
  }

 private:
  void make() {
    opened_.reset();
    // One without a key, too, that was made while this one was unknown by it.
    const Subject subject = testing::subject_of(scene_.store);
    while (const auto found = find_segment(subject)) {
      shmctl(found->identity.id, IPC_RMID, nullptr);
    }
    scene_.replace({{kId, kThirdHash}, {kOtherId, kOtherHash}});
    Verifier verifier(scene_.store, load_crypt);
    assert_text_equal(verdict(&verifier, kId, kThird), "match");
    opened_ = open_segment(scene_.store);
    id_ = *testing::segment_id(scene_.store);
    Word *slots = words().data() + kSlotsOffset / sizeof(Word);
    Word *old = slots;
    while (*old == 0) {
      old += kSlotWords;
    }
    std::array<Word, kSlotWords> kept{};
    std::copy_n(old, kSlotWords, kept.begin());
    assert_true(scene_.set(kId, kSecret, kHash));
    assert_right();
    // Into a place that nobody has used.
    Word *place = slots;
    while (*place != 0) {
      place += kSlotWords;
    }
    std::copy(kept.begin(), kept.end(), place);
    whole_.assign(words().begin(), words().end());
  }

  Scene &scene_;
  std::optional<testing::Opened> opened_;
  int id_ = -1;
  std::vector<Word> whole_;
};

// Where used slots begin, in words.
std::vector<std::size_t> used_slots(const SmallSegment &segment) {
  std::vector<std::size_t> used;
  for (std::size_t at = kSlotsOffset / sizeof(Word);
       at < segment.whole().size(); at += kSlotWords) {
    if (segment.whole()[at] != 0) {
      used.push_back(at);
    }
  }
  return used;
}

void i4_any_word_overwritten_and_any_slot_copied_is_a_miss_at_worst(
    void **state) {
  SmallSegment segment(&scene_in(state));
  const auto assert_harmless = [&](std::size_t at, Word value) {
    segment.restore();
    segment.words()[at] = value;
    segment.assert_right();
  };
  for (std::size_t at = 0; at < sizeof(SegmentHeader) / sizeof(Word); ++at) {
    if (const Word word = segment.whole()[at]; word != 0) {
      for (const Word value : {Word{0}, ~Word{0}, word + 1, word + 2}) {
        assert_harmless(at, value);
      }
    }
  }
  const std::vector<std::size_t> used = used_slots(segment);
  assert_true(used.size() >= 4);
  for (const std::size_t slot : used) {
    for (std::size_t i = 0; i < kSlotWords; ++i) {
      const Word word = segment.whole()[slot + i];
      for (const Word value : {Word{0}, ~Word{0}, word ^ 1}) {
        assert_harmless(slot + i, value);
      }
      for (const std::size_t other : used) {
        assert_harmless(slot + i, segment.whole()[other + i]);
      }
    }
    for (const std::size_t other : used) {
      segment.restore();
      std::copy_n(segment.whole().begin() + static_cast<std::ptrdiff_t>(other),
                  kSlotWords,
                  segment.words().begin() + static_cast<std::ptrdiff_t>(slot));
      segment.assert_right();
    }
  }
}

// One that says of the file, as it is by now, what a good one would.
void i4_a_stamp_that_was_not_made_with_the_key_is_none(void **state) {
  Scene &scene = scene_in(state);
  scene.store.cache_ttl = kLong;
  for (const bool racy : {false, true}) {
    scene.replace({{kId, kHash}});
    scene.remove_segment();
    Verifier verifier(scene.store, load_crypt);
    assert_text_equal(verdict(&verifier, kId, kSecret), "match");
    scene.replace({{kId, kOtherHash}});
    auto opened = *open_segment(scene.store);
    auto *header =
        reinterpret_cast<SegmentHeader *>(opened.attachment.address());
    header->stamp.stamp =
        testing::stamp_of_file(scene.store, opened.segment.generation());
    header->stamp.stamp.first_seen -= racy ? 0 : kSettlingTime;
    assert_text_equal(verdict(&verifier, kId, kSecret), "mismatch");
    assert_text_equal(verdict(&verifier, kId, kOther), "match");
  }
}

// --- I5

// A text that nobody in this program has in clear.
struct Masked {
  std::array<unsigned char, 64> bytes;
  std::size_t size;

  static constexpr unsigned char kMask = 0xa5;

  void hide(std::string_view text) {
    size = text.size();
    for (std::size_t i = 0; i < size; ++i) {
      bytes[i] = static_cast<unsigned char>(text[i]) ^ kMask;
    }
  }
  void show(char *out_text) const {
    for (std::size_t i = 0; i < size; ++i) {
      out_text[i] = static_cast<char>(bytes[i] ^ kMask);
    }
  }
  // Whether its first or last 16 bytes stand there.
  [[nodiscard]] bool is_in(std::span<const unsigned char> place) const {
    constexpr std::size_t kPart = 16;
    for (const std::size_t from : {std::size_t{0}, size - kPart}) {
      for (std::size_t at = 0; at + kPart <= place.size(); ++at) {
        std::size_t same = 0;
        while (same < kPart &&
               (place[at + same] ^ kMask) == bytes[from + same]) {
          ++same;
        }
        if (same == kPart) {
          return true;
        }
      }
    }
    return false;
  }
};

struct Hidden {
  Masked secret;
  Masked wrong;
  Masked stored;  // without its salt
};

// In a process of its own, which takes what it knows with it.
void write_hidden_token(const Scene &scene, Hidden *out_hidden) {
  testing::Random random(std::random_device{}());
  const auto make = [&random] {
    std::string text;
    while (text.size() < 36) {
      text += "0123456789abcdef"[testing::below(16, &random)];
    }
    return text;
  };
  const std::string secret = make();
  const std::string stored = hash_of(secret);
  scene.write({{kId, stored}});
  out_hidden->secret.hide(secret);
  out_hidden->wrong.hide(make());
  out_hidden->stored.hide(stored.substr(stored.rfind('$') + 1));
}

// Asks out of memory that is gone afterwards.
std::string ask_hidden(Verifier *verifier, const Masked &secret) {
  constexpr std::size_t kPage = 4096;
  void *page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  secret.show(static_cast<char *>(page));
  const auto verification = verifier->verify(
      *parse_token_id(kId), {static_cast<const char *>(page), secret.size});
  munmap(page, kPage);
  return testing::verdict_text(verification);
}

// What of it can be read in this process, segments included; *out_segments:
// how many of those there are.
bool is_anywhere(const Hidden &hidden, int *out_segments) {
  static std::array<unsigned char, 1 << 16> part;
  const int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx", &begin, &end) != 2) {
      return true;
    }
    const bool is_segment = line.find("/SYSV") != std::string::npos;
    *out_segments += is_segment ? 1 : 0;
    // Programs and libraries are on the disk for all to see.
    if (line[line.find(' ') + 2] != 'w' && !is_segment) {
      continue;
    }
    const auto own = reinterpret_cast<std::uint64_t>(part.data());
    for (std::uint64_t at = begin; at < end;) {
      const std::size_t size = std::min<std::uint64_t>(part.size(), end - at);
      part = {};
      const ssize_t count =
          pread(memory, part.data(), size, static_cast<off_t>(at));
      if (count > 0 && (at + size <= own || at >= own + part.size()) &&
          (hidden.secret.is_in({part.data(), size}) ||
           hidden.wrong.is_in({part.data(), size}) ||
           hidden.stored.is_in({part.data(), size}))) {
        std::fprintf(stderr, "found in %s\n", line.c_str());
        return true;
      }
      // With what lies over the border twice.
      at += size == part.size() && at + size < end ? size - 64 : size;
    }
  }
  return memory < 0;
}

// How many segments a core dump would hold: those without the kernel's "dd".
int segments_to_be_dumped() {
  std::ifstream smaps("/proc/self/smaps");
  int count = 0;
  bool is_segment = false;
  for (std::string line; std::getline(smaps, line);) {
    if (line.find("/SYSV") != std::string::npos) {
      is_segment = true;
    } else if (line.rfind("VmFlags:", 0) == 0) {
      count += is_segment && line.find(" dd") == std::string::npos ? 1 : 0;
      is_segment = false;
    }
  }
  return count;
}

// Asks in a thread of its own, which stays until it is told, so that nobody
// uses its stack again.
class Asking {
 public:
  Asking(Verifier *verifier, const Masked &secret, const char *right)
      : thread_([this, verifier, &secret, right] {
          require(ask_hidden(verifier, secret) == right);
          asked_ = true;
          while (!end_) {
            usleep(50);
          }
        }) {
    while (!asked_) {
      usleep(50);
    }
  }
  Asking(const Asking &) = delete;
  Asking &operator=(const Asking &) = delete;
  ~Asking() {
    end_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> asked_ = false;
  std::atomic<bool> end_ = false;
  std::thread thread_;
};

void i5_no_secret_and_no_stored_hash_stays_in_segment_or_memory(void **state) {
  const Scene &scene = scene_in(state);
  const Shared<Hidden> hidden;
  in_child([&] { write_hidden_token(scene, &*hidden); });
  in_child([&] {
    // Without the cache little is done after the hash, and little of what it
    // left overwritten.
    Store store = scene.store;
    store.cache = false;
    Verifier without(store, load_crypt);
    const Asking by_hash_alone(&without, hidden->secret, "match");
    const Asking by_another_hash_alone(&without, hidden->wrong, "mismatch");
    Verifier verifier(scene.store, load_crypt);
    const Asking by_hash(&verifier, hidden->secret, "match");
    const Asking by_another_hash(&verifier, hidden->wrong, "mismatch");
    const Asking by_segment(&verifier, hidden->secret, "match");
    const Asking by_segment_too(&verifier, hidden->wrong, "mismatch");
    int segments = 0;
    require(!is_anywhere(*hidden, &segments));
    require(segments == 2);  // the secrets', the counters'
    require(segments_to_be_dumped() == 0);
  });
}

// --- I6

void i6_nobody_waits_for_who_holds_the_lock_and_the_generation(void **state) {
  Scene &scene = scene_in(state);
  for (const std::uint64_t ttl : {kLong, std::uint64_t{0}}) {
    scene.store.cache_ttl = ttl;
    scene.replace({{kId, kHash}});
    scene.remove_segment();
    Verifier verifier(scene.store, load_crypt);
    assert_text_equal(verdict(&verifier, kId, kSecret), "match");
    for (const bool claimed : {false, true}) {
      const Shared<std::atomic<bool>> holds;
      const Process holder([&] {
        testing::limit_life();
        const auto lock = FileLock::acquire(scene.store, 0);
        require(static_cast<bool>(lock));
        if (claimed) {
          auto claim = testing::claim_for_write(scene.store, *lock);
          require(claim && *claim);
          *holds = true;
          pause();
        }
        *holds = true;
        pause();
      });
      while (!*holds) {
        usleep(50);
      }
      holder.stop();
      testing::waits = 0;
      for (int i = 0; i < 3; ++i) {
        assert_text_equal(verdict(&verifier, kId, kSecret), "match");
        assert_text_equal(verdict(&verifier, kId, kOther), "mismatch");
      }
      assert_int_equal(testing::waits, 0);
      holder.kill();
      static_cast<void>(holder.wait());
    }
  }
}

// --- I7

struct Question {
  std::string id;
  std::string secret;
};

std::vector<std::string> answers_to(const Scene &scene,
                                    const std::vector<Question> &questions) {
  std::vector<std::string> answers;
  for (int round = 0; round < 2; ++round) {
    Verifier verifier(scene.store, load_crypt);
    for (const auto &[id, secret] : questions) {
      answers.push_back(verdict(&verifier, id, secret));
    }
  }
  return answers;
}

// What may be the matter with the segment.
void forbid_segments(Scene * /*scene*/) {
  std::ofstream("/proc/sys/kernel/shmmni") << "0";
}
void fill_segment(Scene *scene) {
  scene->store.cache_slots = 1;
  Verifier verifier(scene->store, load_crypt);
  for (int i = 0; i < 50; ++i) {
    const std::string id = "user" + std::to_string(i) + "@pbs!t";
    assert_text_equal(verdict(&verifier, id, kSecret), "match");
    assert_text_equal(verdict(&verifier, id, kOther), "mismatch");
  }
}
void squat(Scene *scene) {
  in_child([&] {
    testing::become(testing::kNobody, testing::kOtherGroup);
    require(shmget(key_of(testing::subject_of(scene->store)), 1 << 20,
                   IPC_CREAT | IPC_EXCL | 0666) >= 0);
  });
}
void upgrade(Scene *scene) {
  Verifier verifier(scene->store, load_crypt);
  assert_text_equal(verdict(&verifier, kId, kSecret), "match");
  open_segment(scene->store)->prefix()->layout_version = kLayoutVersion + 1;
}
void leave_as_it_is(Scene * /*scene*/) {}

void i7_without_a_good_segment_every_answer_is_the_same(void **state) {
  Scene &scene = scene_in(state);
  const std::vector<Question> questions = {
      {kId, kSecret},       {kId, kOther},
      {kId, "short"},       {kId, ""},
      {kOtherId, kOther},   {kOtherId, kSecret},
      {"no@pbs!t", kOther}, {"broken@pbs!t", kOther}};
  std::vector<Token> tokens = {
      {kId, kHash}, {kOtherId, kOtherHash}, {"broken@pbs!t", "*"}};
  for (int i = 0; i < 50; ++i) {
    tokens.push_back({"user" + std::to_string(i) + "@pbs!t", kHash});
  }
  std::vector<Token> changed = tokens;
  changed[0].stored = kThirdHash;
  scene.replace(tokens);
  scene.store.cache = false;
  const std::vector<std::string> right = answers_to(scene, questions);
  assert_true(std::count(right.begin(), right.end(), "match") == 4);
  scene.replace(changed);
  const std::vector<std::string> right_changed = answers_to(scene, questions);
  assert_true(right != right_changed);
  scene.store.cache = true;
  const Store store = scene.store;
  for (void (*const trouble)(Scene *) :
       {forbid_segments, fill_segment, squat, upgrade, leave_as_it_is}) {
    scene.remove_segment();
    scene.store = store;
    scene.replace(tokens);
    trouble(&scene);
    const std::vector<std::string> answers = answers_to(scene, questions);
    const bool set = scene.set(kId, kThird, kThirdHash);
    const std::vector<std::string> answers_changed =
        answers_to(scene, questions);
    std::ofstream("/proc/sys/kernel/shmmni") << "4096";
    assert_true(answers == right);
    assert_true(set);
    assert_true(answers_changed == right_changed);
  }
}

}  // namespace
}  // namespace pbstoken

#define invariant(test) \
  cmocka_unit_test_setup_teardown(test, setup, testing::remove_stress_scene)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      invariant(
          i1_after_set_rotate_and_delete_the_old_secret_is_refused_everywhere),
      invariant(
          i2_a_killed_writer_leaves_old_or_new_and_the_next_process_repairs),
      invariant(i3_an_edit_by_hand_counts_within_the_ttl_and_at_once_with_0),
      invariant(i4_any_word_overwritten_and_any_slot_copied_is_a_miss_at_worst),
      invariant(i4_a_stamp_that_was_not_made_with_the_key_is_none),
      invariant(i5_no_secret_and_no_stored_hash_stays_in_segment_or_memory),
      invariant(i6_nobody_waits_for_who_holds_the_lock_and_the_generation),
      invariant(i7_without_a_good_segment_every_answer_is_the_same),
  };
  return cmocka_run_group_tests_name("invariants", tests, nullptr, nullptr);
}
