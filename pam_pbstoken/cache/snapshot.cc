// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/cache/snapshot.h"

#include <algorithm>
#include <utility>

#include "pbstoken/store/token_id.h"

namespace pbstoken {

namespace {

// These hold with cache_slots = auto.
constexpr std::size_t kLeastSlots = 8192;
constexpr std::size_t kSlotsForEach = 2;

}  // namespace

Result<Snapshot> read_snapshot(Kind kind, const Result<UniqueFd> &file,
                               const PathText &path) {
  Snapshot snapshot;
  if (kind == Kind::kSecrets) {
    auto tokens = TokenShadow::read(file, path);
    if (!tokens) {
      return tokens.error();
    }
    snapshot.sighting = tokens->sighting();
    snapshot.tokens = std::move(*tokens);
  } else {
    auto users = UserCfg::read(file, path);
    if (!users) {
      return users.error();
    }
    snapshot.sighting = users->sighting();
    snapshot.users = std::move(*users);
  }
  return snapshot;
}

std::size_t tokens_in(Kind kind, const Snapshot &snapshot) {
  return kind == Kind::kSecrets ? snapshot.tokens.entries().size()
                                : snapshot.users.tokens().size();
}

std::uint32_t slots_for(const Store &store, std::size_t tokens) {
  return store.cache_slots.value_or(static_cast<std::uint32_t>(
      std::clamp(tokens * kSlotsForEach, kLeastSlots,
                 static_cast<std::size_t>(kMostSlots))));
}

void rebind_all(WritableSegment *segment, Kind kind, const Snapshot &snapshot,
                std::uint64_t generation) {
  if (kind == Kind::kSecrets) {
    for (const TokenShadow::Entry &entry : snapshot.tokens.entries()) {
      segment->rebind(entry.token_id, entry.stored_hash, generation);
    }
    return;
  }
  for (const UserCfg::Section &token : snapshot.users.tokens()) {
    if (const auto id = parse_token_id(token.id); id) {
      segment->rebind_account(token.id, snapshot.users.judge(*id), generation);
    }
  }
}

}  // namespace pbstoken
