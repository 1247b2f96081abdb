// SPDX-License-Identifier: BSD-3-Clause
#include <sys/shm.h>

#include <array>

#include "admin/admin.h"
#include "admin/report.h"
#include "io/message.h"
#include "io/output.h"
#include "pbstoken/cache/segment_life.h"

namespace pbstoken {

ExitStatus show_status(Context *context) {
  const Store &store = context->store;
  // An error where the directory of token.shadow cannot be found.
  const auto view = view_of(path_of(Kind::kSecrets, store));
  std::optional<CacheStatus> segment = context->verifier.cache().status();
  shmid_ds kernel{};
  if (segment && shmctl(segment->id, IPC_STAT, &kernel) != 0) {
    segment = std::nullopt;
  }
  const Totals totals = context->verifier.use().totals(Party::kRoot);
  const auto mode = octal(kernel.shm_perm.mode);
  const CacheStatus cache = segment.value_or(CacheStatus{});
  const auto if_segment = [&](std::string_view name, std::uint64_t number) {
    return segment ? Field::count(name, number) : Field::unknown(name);
  };
  const auto counter = [&](std::string_view name, Event event) {
    return Field::count(name, totals[static_cast<std::size_t>(event)]);
  };
  const std::array fields = {
      Field::string("store", store.name.view()),
      view ? Field::count("key", static_cast<std::uint32_t>(
                                     key_of({Kind::kSecrets, *view})))
           : Field::unknown("key"),
      if_segment("id", static_cast<std::uint64_t>(cache.id)),
      if_segment("size", kernel.shm_segsz),
      segment ? Field::string("mode", mode.view()) : Field::unknown("mode"),
      if_segment("generation", cache.generation),
      cache.stamp_age ? Field::count("stamp_age", *cache.stamp_age)
                      : Field::unknown("stamp_age"),
      if_segment("slots", cache.slots),
      if_segment("slots_used", cache.slots_used),
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
