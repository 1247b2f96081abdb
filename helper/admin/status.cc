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
  std::optional<int> id;
  shmid_ds kernel{};
  std::optional<CacheStatus> cache;
};

SegmentStatus segment_status(const Store &store, Verifier *verifier) {
  SegmentStatus status;
  if (const auto id = find_segment_id(store); id) {
    status.id = *id;
  }
  if (status.id && shmctl(*status.id, IPC_STAT, &status.kernel) != 0) {
    status.id = std::nullopt;
  }
  if (status.id) {
    status.cache = verifier->cache().status();
  }
  return status;
}

}  // namespace

ExitStatus show_status(Context *context) {
  const Store &store = context->store;
  const SegmentStatus segment = segment_status(store, &context->verifier);
  const Totals totals = context->verifier.counters().totals();
  const auto mode = octal(segment.kernel.shm_perm.mode);
  const auto if_segment = [&](std::string_view name, std::uint64_t number) {
    return segment.id ? Field::count(name, number) : Field::unknown(name);
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
  const std::array<Field, 15> fields = {
      Field::string("store", store.name.view()),
      Field::count("key", static_cast<std::uint32_t>(store.shm_key)),
      if_segment("id", static_cast<std::uint64_t>(segment.id.value_or(0))),
      if_segment("size", segment.kernel.shm_segsz),
      segment.id ? Field::string("mode", mode.view()) : Field::unknown("mode"),
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
