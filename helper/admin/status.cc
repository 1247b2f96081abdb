// SPDX-License-Identifier: BSD-3-Clause
#include <sys/shm.h>

#include <array>

#include "admin/admin.h"
#include "admin/report.h"
#include "io/message.h"
#include "io/output.h"
#include "pbstoken/cache/segment_life.h"

namespace pbstoken {

namespace {

// What is known of the segment, if there is one.
struct SegmentStatus {
  std::optional<key_t> key;  // nullopt: its directory cannot be found
  std::optional<CacheStatus> cache;
  shmid_ds kernel{};
};

SegmentStatus segment_status(const Store &store, Kind kind, Cache *cache) {
  SegmentStatus status;
  if (const auto view = view_of(path_of(kind, store)); view) {
    status.key = key_of({kind, *view});
  }
  status.cache = cache->status();
  if (status.cache && shmctl(status.cache->id, IPC_STAT, &status.kernel) != 0) {
    status.cache = std::nullopt;
  }
  return status;
}

}  // namespace

ExitStatus show_status(Context *context) {
  const Store &store = context->store;
  const SegmentStatus segment =
      segment_status(store, Kind::kSecrets, &context->verifier.cache());
  const Totals totals = context->verifier.counters().totals();
  const auto mode = octal(segment.kernel.shm_perm.mode);
  const auto if_segment = [&](std::string_view name, std::uint64_t number) {
    return segment.cache ? Field::count(name, number) : Field::unknown(name);
  };
  const auto if_cache = [&](std::string_view name,
                            std::uint64_t CacheStatus::*member) {
    return segment.cache ? Field::count(name, (*segment.cache).*member)
                         : Field::unknown(name);
  };
  const auto counter = [&](std::string_view name, Event event) {
    return Field::count(name, totals[static_cast<std::size_t>(event)]);
  };
  const bool has_stamp = segment.cache && segment.cache->stamp_age;
  const std::array fields = {
      Field::string("store", store.name.view()),
      segment.key
          ? Field::count("key", static_cast<std::uint32_t>(*segment.key))
          : Field::unknown("key"),
      if_segment("id", segment.cache
                           ? static_cast<std::uint64_t>(segment.cache->id)
                           : 0),
      if_segment("size", segment.kernel.shm_segsz),
      segment.cache ? Field::string("mode", mode.view())
                    : Field::unknown("mode"),
      if_cache("generation", &CacheStatus::generation),
      has_stamp ? Field::count("stamp_age", *segment.cache->stamp_age)
                : Field::unknown("stamp_age"),
      if_cache("slots", &CacheStatus::slots),
      if_cache("slots_used", &CacheStatus::slots_used),
      counter("hits", Event::kHit),
      counter("rechecks", Event::kRecheck),
      counter("hashes", Event::kHash),
      counter("known_mismatches", Event::kKnownMismatch),
      counter("throttled", Event::kThrottled),
      counter("bypassed", Event::kBypassed),
  };
  if (!print_fields(fields, context->line.format)) {
    complain(system_error("cannot write to", "standard output"));
    return ExitStatus::kUnavailable;
  }
  return ExitStatus::kDone;
}

}  // namespace pbstoken
