// SPDX-License-Identifier: BSD-3-Clause
// pbstoken adopt: a token.shadow that was delivered from elsewhere takes the
// place of this host's, and renews the lease (lease.h).
//
// The lease is replaced after the file, so that it is never newer than the
// file: a process that dies in between leaves the earlier lease, which ends
// sooner.  The segments get their copies last.
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "admin/admin.h"
#include "io/audit.h"
#include "io/held_signals.h"
#include "io/message.h"
#include "pbstoken/cache/hmac.h"
#include "pbstoken/cache/writer.h"
#include "pbstoken/os/boot_id.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/ipc.h"
#include "pbstoken/store/lease.h"
#include "pbstoken/store/token_shadow.h"
#include "write/file_writer.h"
#include "write/replacement_file.h"

namespace pbstoken {

namespace {

// What came, and the lease that it gives.
struct Delivery {
  Lease lease;
  std::optional<Buffer> text;  // nullopt: the file that is there, unchanged
  std::string_view over;  // the digest of what it may replace; empty: of any
};

FixedText<64> sha256_of(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256_CTX state{};
  SHA256_Init(&state);
  SHA256_Update(&state, text.data(), text.size());
  SHA256_Final(digest.data(), &state);
  FixedText<64> hex;
  for (const unsigned char byte : digest) {
    hex.append_hex(byte);
  }
  return hex;
}

// Reads standard input, which must be what any reader of token.shadow takes.
Result<Buffer> read_delivery() {
  const PathText name("standard input");
  UniqueFd input(STDIN_FILENO);
  auto text = read_whole(input, name, kMaxShadowSize);
  static_cast<void>(input.take());
  Buffer copy;
  if (text && (!copy.append(text->view()) || !copy.terminate())) {
    return no_memory("cannot read", name.view());
  }
  if (text) {
    if (const auto parsed = TokenShadow::parse(std::move(copy), name);
        !parsed) {
      return parsed.error();
    }
  }
  return text;
}

// Returns what the line delivers.
Result<Delivery> take_delivery(const CommandLine &line, const Store &store) {
  Delivery delivery;
  delivery.lease.revision = *line.revision;
  delivery.lease.term = {.asked = *line.asked, .seconds = store.lease};
  delivery.over = line.over;
  const auto boot = boot_id();
  if (!boot) {
    return boot.error();
  }
  delivery.lease.boot = *boot;
  delivery.lease.clock = namespace_inode("time");
  if (delivery.lease.clock == 0) {
    return plain_error(Errc::kUnsafe, "cannot adopt", {},
                       "/proc does not tell the time namespace");
  }
  if (!line.unchanged) {
    auto text = read_delivery();
    if (!text) {
      return text.error();
    }
    delivery.lease.digest = sha256_of(text->view());
    delivery.text = std::move(*text);
  }
  return delivery;
}

// Returns why it may not be adopted; null if it may.  before: the lease that is
// there; local: the file that is there, or null.
const char *refusal_of(const Delivery &delivery,
                       const std::optional<Lease> &before,
                       const Buffer *local) {
  const Lease &lease = delivery.lease;
  const FixedText<64> found =
      sha256_of(local != nullptr ? local->view() : std::string_view());
  if (!delivery.over.empty() && delivery.over != found.view()) {
    return "the file that is there is not that of --over";
  }
  if (!delivery.text) {
    return before && before->revision == lease.revision && local != nullptr &&
                   before->digest.view() == found.view()
               ? nullptr
               : "the whole file is needed: the one that is there is not of "
                 "this revision";
  }
  if (before && before->revision > lease.revision) {
    return "a higher revision has been adopted";
  }
  return before && before->revision == lease.revision &&
                 before->digest.view() != lease.digest.view()
             ? "another file of the same revision has been adopted"
             : nullptr;
}

// Returns the lease that is there; nullopt if there is no lease, or what is
// there is none.
Result<std::optional<Lease>> lease_before(const Store &store) {
  const auto before = read_lease(store);
  if (before) {
    return std::optional(*before);
  }
  const Errc code = before.error().code;
  return code == Errc::kNotFound || code == Errc::kMalformed ||
                 code == Errc::kUnsafe
             ? Result<std::optional<Lease>>(std::nullopt)
             : before.error();
}

// The lease only grows: an earlier question renews nothing.  That of a question
// yet to come is not in force, and gives way.
void merge_lease(const std::optional<Lease> &before, Delivery *delivery) {
  if (!before) {
    return;
  }
  Lease *lease = &delivery->lease;
  if (before->boot.view() == lease->boot.view() &&
      before->clock == lease->clock && before->term.asked > lease->term.asked &&
      before->term.asked <= boottime_now() / kNanosecondsPerMillisecond) {
    lease->term = before->term;
  }
  if (!delivery->text) {
    lease->digest = before->digest;
  }
}

// Writes the lease beside its place.  Who may read token.shadow may read it.
Result<ReplacementFile> write_lease(const Store &store, const Lease &lease,
                                    const WatchedPlace &place) {
  auto file = ReplacementFile::create(place);
  if (!file) {
    return file.error();
  }
  if (const auto given = set_access(store, Kind::kAccounts, file->fd(), place);
      !given) {
    return given.error();
  }
  const auto filled = file->fill(text_of(lease).view());
  return filled ? std::move(file) : filled.error();
}

// How it ended, of what was adopted.
struct Adopted {
  const char *refused = nullptr;
  bool replaced = false;  // the file
  // The segments may know another file than that of this revision.
  bool is_new = false;
  Outcome outcome = Outcome::kDone;
  Result<void> leased;
};

// Renews the lease of a file that stays.
Result<void> put_in_place(ReplacementFile *record, const WatchedPlace &place,
                          const Store &store, const FileLock &lock) {
  if (!lock.is_still_named(store.lock_file)) {
    return plain_error(Errc::kUnsafe, "cannot use", store.lock_file.view(),
                       "another process has replaced it");
  }
  const auto renamed = record->rename_into_place();
  return !renamed || fsync(place.directory()) == 0
             ? renamed
             : system_error("cannot replace", place.path.view());
}

Result<Adopted> adopt_under(const FileLock &lock, const Store &store,
                            Delivery *delivery) {
  const PathText path = lease_path(store);
  const auto place = open_place(path);
  auto writer = FileWriter::open(store, Kind::kSecrets, lock);
  if (!place || !writer) {
    return place ? writer.error() : place.error();
  }
  const auto known = lease_before(store);
  if (!known) {
    return known.error();
  }
  const std::optional<Lease> &before = *known;
  merge_lease(before, delivery);
  auto record = write_lease(store, delivery->lease, *place);
  if (!record) {
    return record.error();
  }
  writer->put_beside(&*record);
  Adopted adopted;
  const auto written = writer->change(
      [&](const Buffer *local, Buffer *out) -> Result<bool> {
        adopted.refused = refusal_of(*delivery, before, local);
        if (adopted.refused != nullptr || !delivery->text ||
            (local != nullptr && local->view() == delivery->text->view())) {
          return false;
        }
        return out->append(delivery->text->view())
                   ? Result<bool>(true)
                   : no_memory("cannot adopt", store.token_shadow.view());
      },
      EndSignals::kHeeded);
  if (!written) {
    return written.error();
  }
  adopted.replaced = written->has_value();
  adopted.is_new = adopted.replaced || !before ||
                   before->revision != delivery->lease.revision;
  adopted.outcome = written->value_or(Outcome::kDone);
  if (adopted.refused == nullptr) {
    adopted.leased = adopted.replaced
                         ? writer->recorded()
                         : put_in_place(&*record, *place, store, lock);
  }
  return adopted;
}

// Nothing depends on it: what the segments do not know is a miss.
void renew_segments(const Store &store, const FileLock &lock,
                    const Adopted &adopted, const LeaseTerm &term) {
  CacheWriter cache(store, Kind::kSecrets, lock);
  if (adopted.is_new) {
    static_cast<void>(cache.renew());
  } else {
    static_cast<void>(cache.prepare());
  }
  if (adopted.leased) {
    renew_lease(store, Kind::kSecrets, term);
    if (!store.user_cfg.empty()) {
      renew_lease(store, Kind::kAccounts, term);
    }
  }
}

Result<Adopted> adopt(const Store &store, Delivery *delivery) {
  if (const auto permitted = permit_writing(store, Kind::kSecrets);
      !permitted) {
    return permitted.error();
  }
  const auto lock = FileLock::acquire(store, store.lock_file, kWriterSeconds,
                                      HeldSignals::has_end_signal);
  if (!lock) {
    return lock.error();
  }
  auto adopted = adopt_under(*lock, store, delivery);
  if (adopted && adopted->refused == nullptr) {
    renew_segments(store, *lock, *adopted, delivery->lease.term);
  }
  return adopted;
}

// Tells how it ended, when no lock is held any more.
ExitStatus conclude(const Context &context, const Adopted &adopted) {
  const Store &store = context.store;
  if (adopted.refused != nullptr) {
    complain(plain_error(Errc::kUnsafe, "cannot adopt for",
                         store.token_shadow.view(), adopted.refused));
    return ExitStatus::kRefused;
  }
  const FixedText<20> revision = FixedText<20>().append(*context.line.revision);
  if (adopted.replaced) {
    audit({.command = "adopt",
           .subject = revision.view(),
           .store = store.name.view(),
           .caller = getuid(),
           .label = "revision"},
          adopted.outcome);
  }
  const OutcomeInfo &info = info_of(adopted.outcome);
  if (!info.message.empty()) {
    complain(info.message);
  }
  if (!adopted.leased) {
    complain(adopted.leased.error());
    return adopted.replaced ? ExitStatus::kNotDurable
                            : ExitStatus::kUnavailable;
  }
  return info.exit_status;
}

}  // namespace

ExitStatus adopt_file(Context *context) {
  const CommandLine &line = context->line;
  if (!line.revision || !line.asked) {
    complain("'adopt' needs --revision and --asked");
    return ExitStatus::kUsage;
  }
  if (*line.asked > boottime_now() / kNanosecondsPerMillisecond) {
    complain(
        "--asked is in the future: it is CLOCK_BOOTTIME in milliseconds, read "
        "before the question");
    return ExitStatus::kUsage;
  }
  auto delivery = take_delivery(line, context->store);
  if (!delivery) {
    complain(delivery.error());
    return delivery.error().code == Errc::kMalformed ? ExitStatus::kUsage
                                                     : ExitStatus::kUnavailable;
  }
  HeldSignals signals;
  const auto adopted = adopt(context->store, &*delivery);
  if (!adopted) {
    complain(adopted.error());
    return ExitStatus::kUnavailable;
  }
  if (adopted->replaced) {
    signals.hold_for_good();
  }
  return conclude(*context, *adopted);
}

}  // namespace pbstoken
