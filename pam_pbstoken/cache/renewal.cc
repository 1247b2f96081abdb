// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/cache/renewal.h"

#include <utility>

#include "pbstoken/cache/segment_life.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/privilege.h"
#include "pbstoken/store/token_id.h"
#include "pbstoken/store/version_word.h"

namespace pbstoken {

std::optional<Writing> attach_for_writing(int id, const Store &store) {
  auto attachment = ShmAttachment::attach(id, Access::kWrite);
  if (!attachment) {
    return std::nullopt;
  }
  const auto segment = WritableSegment::open(
      attachment->address(), attachment->size(), store.token_shadow);
  if (!segment) {
    return std::nullopt;
  }
  return Writing{id, std::move(*attachment), *segment};
}

void set_version(std::optional<std::uint64_t> version, Stamp *stamp) {
  stamp->has_version = version ? 1 : 0;
  stamp->version = version.value_or(0);
}

std::optional<std::uint64_t> version_of(
    Watched file, const std::optional<VersionWords> &words) {
  if (!words) {
    return std::nullopt;
  }
  return file == Watched::kTokenShadow ? words->token_shadow : words->user_cfg;
}

namespace {

void rebind_all(WritableSegment *segment, const TokenShadow &shadow,
                std::uint64_t generation) {
  for (const TokenShadow::Entry &entry : shadow.entries()) {
    segment->rebind(entry.token_id, entry.stored_hash, generation);
  }
}

void rebind_all(WritableSegment *segment, const UserCfg &users,
                std::uint64_t generation) {
  for (const UserCfg::Section &token : users.tokens()) {
    if (const auto id = parse_token_id(token.id); id) {
      segment->rebind_account(token.id, users.judge(*id), generation);
    }
  }
}

}  // namespace

template <typename File>
Result<SnapshotOf<File>> reread(Writing *writing, GenerationClaim *claim,
                                const Store &store) {
  constexpr Watched kWhich = WatchedFile<File>::kWhich;
  WritableSegment *segment = &writing->segment;
  const auto version =
      version_of(kWhich, read_version_words(store.version_cache));
  const std::uint64_t now = boottime_now();
  const std::uint64_t wall = realtime_now();
  auto file = File::read(path_of(kWhich, store));
  if (!file) {
    // In force from here on: no binding at all, and no stamp to trust.
    claim->end();
    return file.error();
  }
  rebind_all(segment, *file, claim->next());
  const FileIdentity &identity = file->identity();
  const bool racy = identity.is_racy(wall);
  if (claim->is_ours()) {
    Stamp stamp = {.generation = claim->next(),
                   .time = now,
                   .device = identity.device,
                   .inode = identity.inode,
                   .size = identity.size,
                   .modified = identity.modified,
                   .changed = identity.changed,
                   .racy = racy ? 1U : 0U,
                   .has_version = 0,
                   .version = 0};
    set_version(version, &stamp);
    segment->set_stamp(stamp, kWhich);
  }
  std::optional<std::uint64_t> generation;
  if (claim->end()) {
    generation = claim->next();
  }
  return SnapshotOf<File>{std::move(*file), generation, writing->id};
}

template Result<Snapshot> reread<TokenShadow>(Writing *, GenerationClaim *,
                                              const Store &);
template Result<UserSnapshot> reread<UserCfg>(Writing *, GenerationClaim *,
                                              const Store &);

// --- for writers, who hold the lock

Result<std::optional<Cache::WriteClaim>> Cache::claim_for_write(
    const FileLock &lock) {
  auto claimed = claim_named(lock);
  if (claimed && !*claimed) {
    const auto origin = origin_of(store_);
    if (!origin) {
      return origin.error();
    }
    if (const auto retired = retire_orphans(*origin, lock); !retired) {
      return retired.error();
    }
  }
  return claimed;
}

// The generation of the segment that the key names.
Result<std::optional<Cache::WriteClaim>> Cache::claim_named(
    const FileLock &lock) {
  using Claimed = std::optional<WriteClaim>;
  const auto id = find_segment_id(store_);
  if (!id) {
    return id.error();
  }
  if (!*id) {
    return Claimed();
  }
  auto attached = ShmAttachment::attach(**id, Access::kWrite);
  if (!attached) {
    // One that is not root's alone is trusted by nobody; one that has just
    // been removed is an orphan.
    return attached.error().code == Errc::kUnsafe
               ? Result<Claimed>(Claimed())
               : Result<Claimed>(attached.error());
  }
  // Of any layout version: these words mean the same in all of them.
  auto *prefix = reinterpret_cast<SegmentPrefix *>(attached->address());
  if (attached->size() < sizeof(SegmentPrefix) ||
      load_acquire(&prefix->magic) != kSegmentMagic) {
    return Claimed();  // its maker died; nobody uses it
  }
  const auto claim = GenerationClaim::under_lock(&prefix->generation, lock);
  if (!claim) {
    return Claimed();  // retired
  }
  return Claimed(WriteClaim(std::move(*attached), *claim));
}

template <typename File>
Result<SnapshotOf<File>> Cache::renew(const FileLock &lock) {
  constexpr Watched kWhich = WatchedFile<File>::kWhich;
  const Attached attached = attach();
  if (attached == Attached::kNone || attached == Attached::kReplaceable) {
    if (const auto origin = origin_of(store_); origin) {
      if (const auto id = replace_segment(store_, *origin, lock); id) {
        attach();
      }
    }
  }
  if (segment_of(kWhich) == nullptr) {
    return read_alone<File>();
  }
  auto writing = attach_for_writing(id_, store_);
  if (!writing) {
    return read_alone<File>();
  }
  auto claim = GenerationClaim::under_lock(
      writing->segment.generation_word(kWhich), lock);
  if (!claim) {
    return read_alone<File>();
  }
  // Whoever left it odd may have changed token.shadow and not told upstream.
  // If that fails its daemons find out by themselves, later.
  if (kWhich == Watched::kTokenShadow && claim->took_over()) {
    static_cast<void>(bump_version_word(store_.version_cache));
  }
  return reread<File>(&*writing, &*claim, store_);
}

template Result<Snapshot> Cache::renew<TokenShadow>(const FileLock &);
template Result<UserSnapshot> Cache::renew<UserCfg>(const FileLock &);

Result<void> Cache::flush(const FileLock &lock) {
  const auto origin = origin_of(store_);
  if (!origin) {
    return origin.error();
  }
  if (!store_.cache) {
    return retire_segment(store_, *origin, lock);
  }
  if (const auto id = replace_segment(store_, *origin, lock); !id) {
    return id.error();
  }
  attach();
  return {};
}

}  // namespace pbstoken
