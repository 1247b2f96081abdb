// SPDX-License-Identifier: BSD-3-Clause
#include <sys/shm.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "admin/admin.h"
#include "admin/report.h"
#include "admin/use_history.h"
#include "admin/verdict.h"
#include "io/output.h"
#include "pbstoken/base/list.h"
#include "pbstoken/cache/segment_life.h"
#include "pbstoken/os/accounts.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/privilege.h"
#include "pbstoken/store/lease.h"

namespace pbstoken {

namespace {

Field key_field(std::optional<key_t> key) {
  return key ? Field::key("key", *key) : Field::unknown("key");
}

Field time_field(std::string_view name, std::optional<std::uint64_t> time,
                 std::string_view date, OutputFormat format) {
  return !time                           ? Field::unknown(name)
         : format == OutputFormat::kText ? Field::string(name, date)
                                         : Field::count(name, *time);
}

// An object of the kernel; the fields are valid while this stays where it is.
class KernelObject {
 public:
  explicit KernelObject(int id) {
    is_there_ = id >= 0 && shmctl(id, IPC_STAT, &status_) == 0;
    id_ = id;
    mode_ = octal(status_.shm_perm.mode);
  }
  KernelObject(const KernelObject &) = delete;
  KernelObject &operator=(const KernelObject &) = delete;

  [[nodiscard]] bool is_there() const { return is_there_; }
  [[nodiscard]] Field id() const {
    return number("id", static_cast<std::uint64_t>(id_));
  }
  [[nodiscard]] Field size() const {
    return is_there_ ? Field::size("size", status_.shm_segsz)
                     : Field::unknown("size");
  }
  [[nodiscard]] Field mode() const {
    return is_there_ ? Field::string("mode", mode_.view())
                     : Field::unknown("mode");
  }
  [[nodiscard]] Field number(std::string_view name, std::uint64_t value) const {
    return is_there_ ? Field::count(name, value) : Field::unknown(name);
  }

 private:
  shmid_ds status_{};
  int id_;
  bool is_there_;
  FixedText<8> mode_;
};

// A cache and its segment; as KernelObject.
class CacheReport {
 public:
  CacheReport(const Store &store, Kind kind, Cache *cache, Use *use)
      : status_(cache->status().value_or(CacheStatus{})), segment_(status_.id) {
    // This is an error where the directory of the file cannot be found.
    const auto view = view_of(path_of(kind, store));
    // There may be one that this process cannot attach.
    const bool is_known = is_root() || !store.cache || segment_.is_there();
    const auto root = is_known ? std::optional(judge_for_root(store, kind, use))
                               : std::nullopt;
    const auto members =
        root ? judge_for_members(store, kind, *root) : std::nullopt;
    root_ = root ? text_of(*root) : ProblemText();
    members_ = members ? text_of(*members) : ProblemText();
    fields_ = {
        root ? Field::string("cache_root", root_.view())
             : Field::unknown("cache_root"),
        members ? Field::string("cache_members", members_.view())
                : Field::unknown("cache_members"),
        key_field(view ? std::optional(key_of({kind, *view})) : std::nullopt),
        segment_.id(),
        segment_.size(),
        segment_.mode(),
        segment_.number("generation", status_.generation),
        status_.stamp_age ? Field::count("stamp_age", *status_.stamp_age)
                          : Field::unknown("stamp_age"),
        segment_.number("slots", status_.slots),
        segment_.number("slots_used", status_.slots_used),
    };
  }

  static constexpr std::size_t kFields = 10;
  [[nodiscard]] const std::array<Field, kFields> &fields() const {
    return fields_;
  }

 private:
  CacheStatus status_;
  KernelObject segment_;
  ProblemText root_;
  ProblemText members_;
  std::array<Field, kFields> fields_;
};

constexpr std::size_t kCounters = kEvents + 1;

// What the segments alone could answer, in percent of what was answered;
// rounded down, so that 100 says that nothing was read and nothing hashed.
Field share_of(const Totals &totals) {
  const auto at = [&totals](Event event) {
    return totals[static_cast<std::size_t>(event)];
  };
  const std::uint64_t known = at(Event::kHit) + at(Event::kKnownMismatch);
  const std::uint64_t all = known + at(Event::kRecheck) + at(Event::kHash);
  constexpr std::uint64_t kPercent = 100;
  return all != 0 && all >= known && known <= UINT64_MAX / kPercent
             ? Field::count("hit_share", known * kPercent / all)
             : Field::unknown("hit_share");
}

std::array<Field, kCounters> counters_of(const Totals &totals, bool is_known) {
  const auto counter = [&](std::string_view name, Event event) {
    return is_known
               ? Field::count(name, totals[static_cast<std::size_t>(event)])
               : Field::unknown(name);
  };
  return {counter("hits", Event::kHit),
          counter("rechecks", Event::kRecheck),
          counter("hashes", Event::kHash),
          counter("known_mismatches", Event::kKnownMismatch),
          counter("throttled", Event::kThrottled),
          counter("bypassed", Event::kBypassed),
          share_of(totals)};
}

// The record of use; as KernelObject.
class UseReport {
 public:
  UseReport(const Store &store, const UseHistory &use, OutputFormat format)
      : record_(use_segment(store)),
        since_(use.since()),
        saved_(use.saved()),
        object_(record_.get(record_.key, 0)),
        since_date_(iso_date(since_.value_or(0))),
        saved_date_(iso_date(saved_.value_or(0))) {
    const Totals root = use.totals(Party::kRoot);
    const Totals members = use.totals(Party::kMembers);
    Totals all = root;
    for (std::size_t i = 0; i < kEvents; ++i) {
      all[i] += members[i];
    }
    const bool is_known = is_root() || object_.is_there();
    root_ = counters_of(root, is_known);
    members_ = counters_of(members, is_known);
    all_ = counters_of(all, is_known);
    fields_ = {
        key_field(record_.key),
        object_.id(),
        object_.size(),
        object_.mode(),
        time_field("since", since_, since_date_.view(), format),
        time_field("saved", saved_, saved_date_.view(), format),
        Field::object("root", root_),
        Field::object("members", members_),
    };
  }

  using Counters = std::array<Field, kCounters>;
  [[nodiscard]] const Counters &all() const { return all_; }
  static constexpr std::size_t kFields = 8;
  [[nodiscard]] const std::array<Field, kFields> &fields() const {
    return fields_;
  }

 private:
  SharedSegment record_;
  std::optional<std::uint64_t> since_;
  std::optional<std::uint64_t> saved_;
  KernelObject object_;
  FixedText<20> since_date_;
  FixedText<20> saved_date_;
  Counters root_;
  Counters members_;
  Counters all_;
  std::array<Field, kFields> fields_;
};

// How the lease stands: a word, or the time at which it ends by the wall clock
// of today.  Empty if this process may not read it.
FixedText<64> text_of_lease(const Store &store) {
  const auto standing = lease_standing(store);
  if (!standing) {
    return {};
  }
  FixedText<64> text(word_of(standing->state));
  if (standing->state == LeaseState::kInForce) {
    const std::uint64_t left =
        milliseconds_left(standing->term, store.lease, boottime_now());
    text = FixedText<64>("valid until ");
    text.append(iso_date((realtime_now() + left * kNanosecondsPerMillisecond) /
                         kNanosecondsPerSecond)
                    .view());
  }
  return text;
}

// The members of a group; the field is valid while this stays where it is.
class GroupReport {
 public:
  GroupReport(std::string_view name, const Principal &group,
              OutputFormat format)
      : field_(Field::unknown(name)) {
    const auto id =
        group.is_nobody() ? Result<gid_t>(no_memory("")) : group_id(group);
    auto names = id ? members_of(*id) : Result<Buffer>(id.error());
    if (!names) {
      return;
    }
    names_ = std::move(*names);
    if (split()) {
      field_ = format == OutputFormat::kText
                   ? Field::string(name, joined_.view())
                   : Field::array(name, elements_.items());
    }
  }
  GroupReport(const GroupReport &) = delete;
  GroupReport &operator=(const GroupReport &) = delete;

  [[nodiscard]] const Field &field() const { return field_; }

 private:
  bool split() {
    bool ok = true;
    for (std::string_view rest = names_.view(); ok && !rest.empty();) {
      const std::string_view name = take_until('\n', &rest);
      ok = joined_.append(joined_.size() == 0 ? "" : ", ") &&
           joined_.append(name) && elements_.append(Field::string({}, name));
    }
    return ok;
  }

  Field field_;
  Buffer names_;
  Buffer joined_;
  List<Field> elements_;
};

}  // namespace

ExitStatus show_status(Context *context) {
  if (!context->line.token_id.text.empty()) {
    return show_throttling(context);
  }
  const Store &store = context->store;
  Verifier &verifier = context->verifier;
  // This makes the record, if it is not there.
  const UseHistory history =
      UseHistory::read_what_can_be(store, &verifier.use());
  const UseReport use(store, history, context->line.format);
  const CacheReport secrets(store, Kind::kSecrets, &verifier.cache(),
                            &verifier.use());
  std::optional<CacheReport> accounts;
  if (!store.user_cfg.empty()) {
    accounts.emplace(store, Kind::kAccounts, &verifier.accounts(),
                     &verifier.use());
  }
  const OutputFormat format = context->line.format;
  const GroupReport verifiers("verify_group_members", store.verify_group,
                              format);
  const GroupReport admins("admin_group_members", store.admin_group, format);
  const FixedText<64> lease = text_of_lease(store);
  List<Field> fields;
  bool ok = true;
  const auto add = [&](const Field &field) { ok = ok && fields.append(field); };
  add(Field::string("store", store.name.view()));
  add(lease.empty() ? Field::unknown("lease")
                    : Field::string("lease", lease.view()));
  std::ranges::for_each(secrets.fields(), add);
  std::ranges::for_each(use.all(), add);
  add(accounts ? Field::object("accounts", accounts->fields())
               : Field::unknown("accounts"));
  add(Field::object("use", use.fields()));
  add(verifiers.field());
  add(admins.field());
  if (!ok) {
    errno = ENOMEM;
  }
  return note(ok && print_fields(fields.items(), format) ? Result<void>()
                                                         : output_error(),
              ExitStatus::kDone);
}

}  // namespace pbstoken
