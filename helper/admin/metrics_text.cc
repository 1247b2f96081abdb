// SPDX-License-Identifier: BSD-3-Clause
#include <initializer_list>

#include "admin/metrics.h"

namespace pbstoken {

namespace {

constexpr std::array<std::string_view, kParties> kPartyNames = {"root",
                                                                "members"};
constexpr std::array<std::string_view, 2> kCacheNames = {"secrets", "accounts"};
constexpr std::array<std::string_view, kEvents> kEventNames = {
    "hit", "recheck", "hash", "known_mismatch", "throttled", "bypassed"};

struct Label {
  std::string_view name;
  std::string_view value;  // without anything that would need an escape
};

// The lines of one metric and one store.
class Samples {
 public:
  Samples(std::string_view metric, std::string_view store, Buffer *out)
      : metric_(metric), store_(store), out_(out) {}

  void add(std::uint64_t value, std::initializer_list<Label> labels = {}) {
    if (value == kUnknown) {
      return;
    }
    text(metric_);
    text("{store=\"");
    text(store_);
    for (const Label &label : labels) {
      text("\",");
      text(label.name);
      text("=\"");
      text(label.value);
    }
    text("\"} ");
    text(FixedText<20>().append(value).view());
    text("\n");
  }

  [[nodiscard]] bool ok() const { return ok_; }

 private:
  void text(std::string_view text) { ok_ = ok_ && out_->append(text); }

  std::string_view metric_;
  std::string_view store_;
  Buffer *out_;
  bool ok_ = true;
};

// --- what the samples of each metric are

using Metrics = StoreMetrics;

template <std::uint64_t Metrics::*kNumber>
void add_number(const Metrics &metrics, Samples *out) {
  out->add(metrics.*kNumber);
}

template <std::array<std::uint64_t, kParties> Metrics::*kNumbers>
void add_by_party(const Metrics &metrics, Samples *out) {
  for (std::size_t i = 0; i < kParties; ++i) {
    out->add((metrics.*kNumbers)[i], {{"party", kPartyNames[i]}});
  }
}

template <std::uint64_t CacheMetrics::*kNumber>
void add_by_cache(const Metrics &metrics, Samples *out) {
  for (std::size_t i = 0; i < kCacheNames.size(); ++i) {
    out->add(metrics.caches[i].*kNumber, {{"cache", kCacheNames[i]}});
  }
}

void add_events(const Metrics &metrics, Samples *out) {
  for (std::size_t party = 0; party < kParties; ++party) {
    for (std::size_t i = 0; i < kEvents; ++i) {
      out->add(metrics.events[party][i],
               {{"party", kPartyNames[party]}, {"event", kEventNames[i]}});
    }
  }
}

void add_tokens(const Metrics &metrics, Samples *out) {
  for (std::size_t i = 0; i < kTokenStates.size(); ++i) {
    out->add(metrics.tokens[i], {{"state", kTokenStates[i]}});
  }
}

void add_caches(const Metrics &metrics, Samples *out) {
  for (std::size_t i = 0; i < kCacheNames.size(); ++i) {
    for (std::size_t party = 0; party < kParties; ++party) {
      out->add(metrics.caches[i].is_on[party],
               {{"cache", kCacheNames[i]}, {"party", kPartyNames[party]}});
    }
  }
}

struct Family {
  std::string_view name;
  std::string_view suffix;  // of its samples: _total for a counter
  std::string_view unit;    // empty: it has none
  std::string_view help;
  void (*add)(const Metrics &metrics, Samples *out);
};

constexpr auto kFamilies = std::to_array<Family>({
    {"pbstoken_up", "", "", "1 if configuration and files could be read.",
     add_number<&Metrics::is_up>},
    {"pbstoken_events", "_total", "",
     "Verifications by how they were answered.", add_events},
    {"pbstoken_counting_since_timestamp_seconds", "", "seconds",
     "When the record of events and of use begins.",
     add_number<&Metrics::since>},
    {"pbstoken_counting_saved_timestamp_seconds", "", "seconds",
     "When that record was last saved.", add_number<&Metrics::saved>},
    {"pbstoken_tokens", "", "", "Tokens by state, as pbstoken list has it.",
     add_tokens},
    {"pbstoken_tokens_expiring", "", "",
     "Active tokens that expire within 14 days.",
     add_number<&Metrics::expiring>},
    {"pbstoken_tokens_weak", "", "", "Tokens with an old or unusable hash.",
     add_number<&Metrics::weak>},
    {"pbstoken_hashes_under_way", "", "",
     "Password hashes that are being computed.",
     add_by_party<&Metrics::hashes_under_way>},
    {"pbstoken_hash_places", "", "",
     "Password hashes that may be computed at once.",
     add_by_party<&Metrics::hash_places>},
    {"pbstoken_clients_throttled", "", "",
     "Clients that fail_limit keeps out now.", add_number<&Metrics::throttled>},
    {"pbstoken_lease_left_seconds", "", "seconds",
     "How long the lease lets tokens in if it is not renewed.",
     add_number<&Metrics::lease_left>},
    {"pbstoken_cache_on", "", "", "0 if something keeps the cache from use.",
     add_caches},
    {"pbstoken_stamp_age_seconds", "", "seconds",
     "How long ago the file was last looked at.",
     add_by_cache<&CacheMetrics::stamp_age>},
    {"pbstoken_slots", "", "", "Verified facts that there is room for.",
     add_by_cache<&CacheMetrics::slots>},
    {"pbstoken_slots_used", "", "", "Verified facts that are in force.",
     add_by_cache<&CacheMetrics::slots_used>},
});

bool append_line(Buffer *out, std::string_view keyword, std::string_view name,
                 std::string_view text) {
  return out->append("# ") && out->append(keyword) && out->append(" ") &&
         out->append(name) && out->append(" ") && out->append(text) &&
         out->append("\n");
}

bool append_family(const Family &family, std::span<const NamedMetrics> stores,
                   Buffer *out) {
  bool ok = append_line(out, "TYPE", family.name,
                        family.suffix.empty() ? "gauge" : "counter") &&
            (family.unit.empty() ||
             append_line(out, "UNIT", family.name, family.unit)) &&
            append_line(out, "HELP", family.name, family.help);
  FixedText<63> name(family.name);
  name.append(family.suffix);
  for (const NamedMetrics &store : stores) {
    Samples samples(name.view(), store.store(), out);
    family.add(store.metrics, &samples);
    ok = ok && samples.ok();
  }
  return ok;
}

}  // namespace

bool append_metrics(std::span<const NamedMetrics> stores, Buffer *out) {
  bool ok = true;
  for (const Family &family : kFamilies) {
    ok = ok && append_family(family, stores, out);
  }
  return ok && out->append("# EOF\n");
}

}  // namespace pbstoken
