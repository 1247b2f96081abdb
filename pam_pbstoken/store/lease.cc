// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/store/lease.h"

#include <algorithm>
#include <array>

#include "pbstoken/os/file.h"
#include "pbstoken/os/ipc.h"

namespace pbstoken {

namespace {

constexpr std::string_view kTitle = "pbstoken lease 1";

// Takes a line off, and returns what stands in it behind the field's name.
std::string_view take_field(std::string_view name, std::string_view *rest) {
  return slice(take_until('\n', rest), name.size() + 1);
}

std::uint64_t take_number(std::string_view name, std::string_view *rest) {
  return parse_number(take_field(name, rest)).value_or(0);
}

struct StateText {
  LeaseState state;
  std::string_view word;
  const char *why;  // in a log
};
constexpr auto kStates = std::to_array<StateText>({
    {LeaseState::kOff, "off", ""},
    {LeaseState::kInForce, "in force", ""},
    {LeaseState::kPast, "past", "the lease is past, reason=lease"},
    {LeaseState::kMissing, "missing", "there is no lease, reason=lease"},
    {LeaseState::kMalformed, "malformed",
     "not what 'pbstoken adopt' writes, reason=lease"},
    {LeaseState::kOtherBoot, "of another boot",
     "the lease is of another boot, reason=lease"},
    {LeaseState::kOtherClock, "of another time namespace",
     "the lease is of another time namespace, reason=lease"},
});
static_assert(std::ranges::all_of(kStates, [](const StateText &row) {
  return &kStates[static_cast<std::size_t>(row.state)] == &row;
}));

const StateText &row_of(LeaseState state) {
  return kStates[static_cast<std::size_t>(state)];
}

// For a lease that was read.
Result<LeaseState> state_of(const Lease &lease, std::uint64_t configured) {
  const auto boot = boot_id();
  if (!boot) {
    return boot.error();
  }
  // A process that cannot tell its own clock has another one.
  const std::uint64_t clock = namespace_inode("time");
  return lease.boot.view() != boot->view()    ? LeaseState::kOtherBoot
         : lease.clock != clock || clock == 0 ? LeaseState::kOtherClock
         : lasts(lease.term, configured, boottime_now()) ? LeaseState::kInForce
                                                         : LeaseState::kPast;
}

}  // namespace

LeaseText text_of(const Lease &lease) {
  LeaseText text(kTitle);
  text.append("\nrevision ").append(lease.revision);
  text.append("\nasked ").append(lease.term.asked);
  text.append("\nseconds ").append(lease.term.seconds);
  text.append("\nboot ").append(lease.boot.view());
  text.append("\nclock ").append(lease.clock);
  return text.append("\nsha256 ").append(lease.digest.view()).append("\n");
}

std::optional<Lease> parse_lease(std::string_view text) {
  std::string_view rest = text;
  Lease lease;
  take_field(kTitle, &rest);
  lease.revision = take_number("revision", &rest);
  lease.term.asked = take_number("asked", &rest);
  lease.term.seconds = take_number("seconds", &rest);
  lease.boot = BootId(take_field("boot", &rest));
  lease.clock = take_number("clock", &rest);
  lease.digest = FixedText<64>(take_field("sha256", &rest));
  // A lease has one text: what reads otherwise is no lease.
  return text_of(lease).view() == text && lease.boot.view().size() == 36 &&
                 lease.digest.view().size() == 64
             ? std::optional(lease)
             : std::nullopt;
}

PathText lease_path(const Store &store) {
  PathText path = store.token_shadow;
  path.append(".lease");
  return path;
}

Result<Lease> read_lease(const Store &store) {
  const PathText path = lease_path(store);
  const auto file = open_regular(path);
  if (!file) {
    return file.error();
  }
  const auto text = read_whole(*file, path, kMaxLeaseSize);
  if (!text) {
    return text.error();
  }
  const auto lease = parse_lease(text->view());
  return lease ? Result<Lease>(*lease)
               : plain_error(Errc::kMalformed, "cannot use", path.view(),
                             "not what 'pbstoken adopt' writes");
}

Result<LeaseStanding> lease_standing(const Store &store) {
  if (store.lease == 0) {
    return LeaseStanding{};
  }
  const auto lease = read_lease(store);
  if (!lease) {
    const Errc code = lease.error().code;
    return code == Errc::kNotFound    ? LeaseStanding{LeaseState::kMissing}
           : code == Errc::kMalformed ? LeaseStanding{LeaseState::kMalformed}
                                      : Result<LeaseStanding>(lease.error());
  }
  const auto state = state_of(*lease, store.lease);
  return state ? Result<LeaseStanding>(LeaseStanding{*state, lease->term})
               : state.error();
}

std::string_view word_of(LeaseState state) {
  return row_of(state).word;
}

Result<void> permit(const LeaseStanding &standing, const Store &store) {
  return standing.state <= LeaseState::kInForce
             ? Result<void>()
             : plain_error(Errc::kLease, "cannot use", lease_path(store).view(),
                           row_of(standing.state).why);
}

}  // namespace pbstoken
