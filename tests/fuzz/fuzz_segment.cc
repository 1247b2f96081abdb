// SPDX-License-Identifier: BSD-3-Clause
// The segment's bytes under a reader and under a writer that repairs: whatever
// is scribbled there, also by somebody who copies, mixes and re-tags what
// stands there already, nobody is told what a writer with the key did not put
// there for just that token, secret, stored hash and generation.
//
// Input: which kind of segment; then steps, a choice and its operands each.
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>
#include <vector>

#include "fuzz.h"
#include "pbstoken/cache/writable_segment.h"

namespace pbstoken::fuzz {
namespace {

constexpr std::array<std::string_view, 3> kIds = {"a@pbs!t", "b@pbs!t",
                                                  "a@pbs!tt"};
constexpr std::array<std::string_view, 2> kSecrets = {
    "5b5d4a3e-8f6c-4f0a-9a57-3f1f6f9d2c11", "short"};
constexpr std::array<std::string_view, 2> kHashes = {"$1$a$1", "$1$a$12"};
constexpr View kView = {.directory_device = 1, .directory_inode = 2, .name = 3};

// What writers have stored.  Indices into the tables above.
struct Truth {
  // A fact: what, of which token, secret and stored hash.
  std::set<std::tuple<Fact, unsigned, unsigned, unsigned>> facts;
  // A binding: token, stored hash, generation.
  std::set<std::tuple<unsigned, unsigned, std::uint64_t>> bindings;
  // An account: token, status, expires, generation.
  std::set<std::tuple<unsigned, AccountStatus, std::uint64_t, std::uint64_t>>
      accounts;
  std::vector<Stamp> stamps;
  // Since somebody has scribbled nothing need be found any more.
  bool is_disturbed = false;
};

class World {
 public:
  World()
      : largest_(SegmentShape::for_slots(16).size()),
        bytes_(static_cast<std::byte *>(
            std::aligned_alloc(alignof(SegmentHeader), largest_))) {
    require(bytes_ != nullptr, "there is memory, and not a byte more");
  }

  void play(Input input) {
    start(input.take_choice(4) == 0 ? Kind::kAccounts : Kind::kSecrets);
    while (!input.empty()) {
      step(&input);
    }
    look();
    truth_ = Truth();  // libFuzzer takes what stays for a leak
  }

 private:
  void start(Kind kind) {
    subject_ = {kind, kView};
    shape_ = SegmentShape::for_slots(16, kind);
    std::memset(bytes_, 0, largest_);
    require(WritableSegment::format(bytes_, shape_, subject_, {}),
            "there are random bytes");
    // The same for each run, so that a find can be had again.
    header()->key.fill(0x5a);
    header()->instance = 1;
    reader_ = Segment::open(bytes_, size(), subject_);
    require(reader_.has_value(), "a new segment can be read");
  }

  [[nodiscard]] std::size_t size() const { return shape_.size(); }
  [[nodiscard]] SegmentHeader *header() const {
    return reinterpret_cast<SegmentHeader *>(bytes_);
  }
  [[nodiscard]] std::uint64_t *words() const {
    return reinterpret_cast<std::uint64_t *>(bytes_);
  }

  void step(Input *input) {
    switch (input->take_choice(13)) {
      case 0:
      case 1:
        return insert(input);
      case 2:
        return rebind(input);
      case 3:
        return insert_account(input);
      case 4:
        return set_stamp(input);
      case 5:
        return set_generation(input->take_choice(16));
      case 6:
        return copy_words(input);
      case 7:
        return copy_slot(input);
      case 8:
        return scribble(input);
      case 9:
        return retag(input);
      case 10:
        return spoil_header(input);
      case 11:
        return look();
      default:
        return reopen(input);
    }
  }

  // --- what root does

  // Nothing where the header is spoiled: then nobody writes.
  std::optional<WritableSegment> writer() {
    return WritableSegment::open(bytes_, size(), subject_);
  }

  // It only grows: what was stored under a later one is not replaced.
  void set_generation(std::uint64_t generation) {
    note_later(header()->prefix.generation, generation);
    header()->prefix.generation = generation;
  }
  void note_later(std::uint64_t stored, std::uint64_t present) {
    truth_.is_disturbed = truth_.is_disturbed || stored > present;
  }

  void insert(Input *input) {
    const Fact fact =
        input->take_choice(2) == 0 ? Fact::kMatch : Fact::kMismatch;
    const unsigned id = input->take_choice(kIds.size());
    const unsigned secret = input->take_choice(kSecrets.size());
    const unsigned hash = input->take_choice(kHashes.size());
    const std::uint64_t generation = input->take_choice(16);
    auto segment = writer();
    if (!segment || !has_secrets()) {
      return;
    }
    note_later(generation, header()->prefix.generation);
    truth_.facts.insert({fact, id, secret, hash});
    truth_.bindings.insert({id, hash, generation});
    segment->insert(fact, kIds[id], kSecrets[secret],
                    segment->binding_of(kIds[id], kHashes[hash]), generation);
    if (!truth_.is_disturbed && generation == header()->prefix.generation) {
      require(segment->find_in_force(kIds[id], kSecrets[secret], generation)
                  .has_value(),
              "what was just stored is found");
    }
  }

  void rebind(Input *input) {
    const std::uint64_t generation = input->take_choice(16);
    auto segment = writer();
    for (unsigned id = 0; segment && has_secrets() && id < kIds.size(); ++id) {
      const unsigned hash = input->take_choice(kHashes.size() + 1);
      if (hash < kHashes.size()) {
        note_later(generation, header()->prefix.generation);
        truth_.bindings.insert({id, hash, generation});
        segment->rebind(kIds[id], kHashes[hash], generation);
      }
    }
  }

  void insert_account(Input *input) {
    const unsigned id = input->take_choice(kIds.size());
    const bool is_new = input->take_choice(2) == 0;
    const AccountVerdict verdict = {
        .status = static_cast<AccountStatus>(input->take_choice(5)),
        .expires = input->take_choice(4)};
    const std::uint64_t generation = input->take_choice(16);
    if (auto segment = writer(); segment && !has_secrets()) {
      truth_.accounts.insert({id, verdict.status, verdict.expires, generation});
      if (is_new) {
        segment->insert_account(kIds[id], verdict, generation);
      } else {
        segment->rebind_account(kIds[id], verdict, generation);
      }
    }
  }

  void set_stamp(Input *input) {
    Stamp stamp{};
    stamp.generation = input->take_choice(16);
    stamp.time = input->take_byte();
    stamp.inode = input->take_byte();
    stamp.first_seen = input->take_choice(2);
    if (auto segment = writer(); segment) {
      truth_.stamps.push_back(stamp);
      segment->set_stamp(stamp);
    }
  }

  // --- what nobody should

  // A word of the slots, of the stamps or of anything.
  std::size_t take_word(Input *input) {
    constexpr std::size_t kFirst = kSlotsOffset / sizeof(std::uint64_t);
    const std::size_t count = size() / sizeof(std::uint64_t);
    const unsigned high = input->take_byte();
    const unsigned low = input->take_byte();
    return high % 8 == 7 ? (high / 8 * 256 + low) % count
                         : kFirst + (high * 256 + low) % (count - kFirst);
  }

  void copy_words(Input *input) {
    truth_.is_disturbed = true;
    const std::size_t from = take_word(input);
    const std::size_t to = take_word(input);
    const std::size_t most =
        size() / sizeof(std::uint64_t) - std::max(from, to);
    const std::size_t count =
        std::min<std::size_t>(1 + input->take_choice(16), most);
    std::memmove(words() + to, words() + from, count * sizeof(*words()));
  }

  Slot *take_slot(Input *input) {
    const std::size_t count = (size() - kSlotsOffset) / sizeof(Slot);
    return reinterpret_cast<Slot *>(bytes_ + kSlotsOffset) +
           input->take_byte() % count;
  }

  // Some words of one slot into another's place.
  void copy_slot(Input *input) {
    truth_.is_disturbed = true;
    const Slot from = *take_slot(input);
    Slot *to = take_slot(input);
    const unsigned mask = ~input->take_byte();
    std::array<std::uint64_t, 8> mixed{};
    std::array<std::uint64_t, 8> source{};
    std::memcpy(mixed.data(), to, sizeof(*to));
    std::memcpy(source.data(), &from, sizeof(from));
    for (unsigned i = 0; i < mixed.size(); ++i) {
      mixed[i] = (mask >> i & 1U) != 0 ? source[i] : mixed[i];
    }
    std::memcpy(to, mixed.data(), sizeof(*to));
  }

  void scribble(Input *input) {
    truth_.is_disturbed = true;
    std::uint64_t *word = words() + take_word(input);
    const unsigned how = input->take_byte();
    *word = how == 0   ? 0
            : how == 1 ? ~std::uint64_t{0}
                       : *word ^ std::uint64_t{1} << how % 64;
  }

  // So that a slot is compared whose digests are another's.
  void retag(Input *input) {
    truth_.is_disturbed = true;
    const Slot *from = take_slot(input);
    Slot *to = take_slot(input);
    to->tag = from->tag;
    to->generation = input->take_choice(16);
  }

  void spoil_header(Input *input) {
    truth_.is_disturbed = true;
    // The counts of buckets above all, which say where the slots are.
    const std::size_t word = input->take_choice(2) == 0
                                 ? input->take_byte() % 16
                                 : 8 + input->take_choice(3);
    words()[word] = input->take_choice(2) == 0
                        ? input->take_choice(16)
                        : words()[word] << (input->take_byte() % 64);
  }

  // A new process, which may be told another size than there is memory for
  // what the header says.
  void reopen(Input *input) {
    const std::size_t all = size();
    const std::size_t told =
        input->take_choice(2) == 0 ? all : input->take_byte() * 64 % (all + 1);
    reader_ = Segment::open(bytes_, told, subject_);
  }

  // --- what anybody may ask

  void look() {
    if (!reader_) {
      return;
    }
    for (unsigned id = 0; id < kIds.size(); ++id) {
      for (unsigned secret = 0; has_secrets() && secret < kSecrets.size();
           ++secret) {
        look_in_force(id, secret);
        look_for_facts(id, secret);
      }
      if (!has_secrets()) {
        look_at_account(id);
      }
    }
    look_at_stamps();
    const std::uint64_t generation = reader_->generation();
    require(reader_->slots_in_force(generation) <= reader_->slots(),
            "no more slots than there are");
  }

  void look_in_force(unsigned id, unsigned secret) {
    const std::uint64_t generation = reader_->generation();
    const auto found =
        reader_->find_in_force(kIds[id], kSecrets[secret], generation);
    // Nobody asks for that one: no whole stamp has it.
    if (!found || generation == kNeverInForce) {
      return;
    }
    bool is_true = false;
    for (unsigned hash = 0; hash < kHashes.size(); ++hash) {
      is_true = is_true || (truth_.facts.contains({*found, id, secret, hash}) &&
                            truth_.bindings.contains({id, hash, generation}));
    }
    require(is_true, "what is in force was put in force");
  }

  void look_for_facts(unsigned id, unsigned secret) {
    for (unsigned hash = 0; hash < kHashes.size(); ++hash) {
      const auto found =
          reader_->find_fact(kIds[id], kSecrets[secret],
                             reader_->binding_of(kIds[id], kHashes[hash]));
      require(!found || truth_.facts.contains({*found, id, secret, hash}),
              "a fact is one");
    }
  }

  void look_at_account(unsigned id) {
    const std::uint64_t generation = reader_->generation();
    const auto found = reader_->find_account(kIds[id], generation);
    require(!found || truth_.accounts.contains(
                          {id, found->status, found->expires, generation}),
            "an account is what user.cfg said");
  }

  void look_at_stamps() {
    const auto found = reader_->stamp();
    require(!found || std::find(truth_.stamps.begin(), truth_.stamps.end(),
                                *found) != truth_.stamps.end(),
            "a stamp is one");
  }

  [[nodiscard]] bool has_secrets() const {
    return subject_.kind == Kind::kSecrets;
  }

  std::size_t largest_;
  Subject subject_{};
  SegmentShape shape_;
  std::byte *bytes_;
  std::optional<Segment> reader_;
  Truth truth_;
};

}  // namespace
}  // namespace pbstoken::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data,
                                      std::size_t size) {
  static auto *world = new pbstoken::fuzz::World();
  world->play(pbstoken::fuzz::Input(data, size));
  return 0;
}
