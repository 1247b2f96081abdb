// SPDX-License-Identifier: BSD-3-Clause
#include "admin/metrics.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "admin/admin.h"
#include "admin/filter.h"
#include "admin/use_history.h"
#include "admin/verdict.h"
#include "io/message.h"
#include "io/output.h"
#include "io/stores.h"
#include "pbstoken/limits/fail_limit.h"
#include "pbstoken/limits/hash_gate.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/store/lease.h"

namespace pbstoken {

namespace {

// --- the child: the numbers of one store

void gather_use(const UseHistory &history, StoreMetrics *out) {
  out->events = {history.totals(Party::kRoot), history.totals(Party::kMembers)};
  out->since = history.since().value_or(kUnknown);
  out->saved = history.saved().value_or(kUnknown);
}

void gather_tokens(const Tokens &tokens, StoreMetrics *out) {
  constexpr std::uint64_t kSoon = std::uint64_t{14} * 24 * 3600;
  const std::uint64_t now = epoch_seconds();
  out->tokens.fill(0);
  out->expiring = 0;
  out->weak = 0;
  for (const TokenRow &row : tokens.rows()) {
    ++out->tokens[static_cast<std::size_t>(tokens.state_of(row, now))];
    out->expiring += is_expiring(row, tokens, now, kSoon) ? 1 : 0;
    out->weak += is_weak(row) ? 1 : 0;
  }
}

void gather_limits(const Store &store, StoreMetrics *out) {
  for (const auto &[party, share] :
       {std::pair(Party::kRoot, GateShare::kRoots),
        std::pair(Party::kMembers, GateShare::kUsers)}) {
    if (store.max_hashes == 0U) {
      continue;
    }
    const auto at = static_cast<std::size_t>(party);
    const auto gate = look_at_gate(store, share);
    out->hashes_under_way[at] = gate ? gate->held : 0;
    out->hash_places[at] = wanted_places(store, share);
  }
  if (const auto failures = failures_of(store, {}); failures) {
    out->throttled = failures->throttled;
  } else {
    complain(failures.error());
  }
}

void gather_lease(const Store &store, StoreMetrics *out) {
  if (store.lease == 0) {
    return;
  }
  // One that cannot be read lets no token in, either.
  out->lease_left = 0;
  const auto standing = lease_standing(store);
  if (!standing) {
    complain(standing.error());
  } else if (standing->state == LeaseState::kInForce) {
    out->lease_left =
        milliseconds_left(standing->term, store.lease, boottime_now()) /
        kMillisecondsPerSecond;
  }
}

CacheMetrics gather_cache(const Store &store, Kind kind, Cache *cache,
                          Use *use) {
  CacheMetrics metrics;
  const auto is_on = [](const CacheVerdict &verdict) {
    return std::uint64_t{verdict.state == CacheState::kOff ? 0U : 1U};
  };
  const CacheVerdict root = judge_for_root(store, kind, use);
  const auto members = judge_for_members(store, kind, root);
  metrics.is_on = {is_on(root), members ? is_on(*members) : kUnknown};
  if (const auto status = cache->status(); status) {
    metrics.stamp_age = status->stamp_age.value_or(kUnknown);
    metrics.slots = status->slots;
    metrics.slots_used = status->slots_used;
  }
  return metrics;
}

// --- the parent

// Runs the command for this store in a child, which prints the bytes.
StoreMetrics ask(const CommandEntry &entry, const CommandLine &line,
                 RunCommand run) {
  StoreMetrics metrics;
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    complain(system_error("cannot make a pipe", {}));
    return metrics;
  }
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t child = fork();
  if (child == 0) {
    const bool is_ready = dup2(writer.get(), STDOUT_FILENO) >= 0;
    _exit(static_cast<int>(is_ready ? run(entry, line)
                                    : ExitStatus::kUnavailable));
  }
  if (child < 0) {
    complain(system_error("cannot fork", {}));
    return metrics;
  }
  writer = UniqueFd();
  StoreMetrics told;
  const ssize_t size = read(reader.get(), &told, sizeof(told));
  waitpid(child, nullptr, 0);
  return size == static_cast<ssize_t>(sizeof(told)) ? told : metrics;
}

}  // namespace

ExitStatus tell_metrics(Context *context) {
  const Store &store = context->store;
  Verifier &verifier = context->verifier;
  StoreMetrics metrics;
  verifier.use().only_look();
  gather_use(UseHistory::read_what_can_be(store, &verifier.use()), &metrics);
  gather_limits(store, &metrics);
  gather_lease(store, &metrics);
  metrics.caches[0] =
      gather_cache(store, Kind::kSecrets, &verifier.cache(), &verifier.use());
  if (!store.user_cfg.empty()) {
    metrics.caches[1] = gather_cache(store, Kind::kAccounts,
                                     &verifier.accounts(), &verifier.use());
  }
  const auto tokens = Tokens::read(store);
  if (tokens) {
    gather_tokens(*tokens, &metrics);
    metrics.is_up = 1;
  } else {
    complain(tokens.error());
  }
  static_assert(sizeof(metrics) <= 4096, "a pipe takes it in one piece");
  return print({reinterpret_cast<const char *>(&metrics), sizeof(metrics)})
             ? ExitStatus::kDone
             : ExitStatus::kUnavailable;
}

ExitStatus print_metrics(const CommandEntry &entry, const CommandLine &line,
                         RunCommand run) {
  List<NamedMetrics> stores;
  bool ok = true;
  const auto add = [&](std::string_view name) {
    NamedMetrics store(name);
    CommandLine own = line;
    own.store = FixedText<32>(name);
    store.metrics = ask(entry, own, run);
    ok = ok && stores.append(store);
  };
  if (line.is_one_store) {
    add(line.store.view());
  } else {
    for_each_store(add);
  }
  const auto sorted = stores.mutable_items();
  std::sort(sorted.begin(), sorted.end(),
            [](const NamedMetrics &a, const NamedMetrics &b) {
              return a.name < b.name;
            });
  Buffer text;
  if (!ok || !append_metrics(stores.items(), &text)) {
    complain(no_memory("cannot tell the metrics"));
    return ExitStatus::kUnavailable;
  }
  return note(print(text.view()) ? Result<void>() : output_error(),
              ExitStatus::kDone);
}

}  // namespace pbstoken
