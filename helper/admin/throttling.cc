// SPDX-License-Identifier: BSD-3-Clause
// What fail_limit has counted of one token, and its end.  The windows do not
// tell which clients they are of: only how many these are.
#include <array>

#include "admin/admin.h"
#include "io/audit.h"
#include "io/output.h"
#include "pbstoken/limits/fail_limit.h"
#include "pbstoken/os/privilege.h"

namespace pbstoken {

namespace {

template <std::size_t kCount>
ExitStatus print_all(const std::array<Field, kCount> &fields,
                     OutputFormat format) {
  return note(print_fields(fields, format) ? Result<void>() : output_error(),
              ExitStatus::kDone);
}

}  // namespace

ExitStatus show_throttling(Context *context) {
  const Store &store = context->store;
  const std::string_view id = context->line.token_id.text;
  const auto found = failures_of(store, id);
  if (!found) {
    return note(found.error(), ExitStatus::kDone);
  }
  // The windows are root's alone.
  const auto number = [](std::string_view name, std::uint64_t value) {
    return is_root() ? Field::count(name, value) : Field::unknown(name);
  };
  return print_all(
      std::array{Field::string("store", store.name.view()),
                 Field::string("tokenid", id),
                 Field::count("fail_limit", store.fail_limit),
                 Field::count("fail_window", store.fail_window),
                 number("clients", found->clients),
                 number("throttled", found->throttled),
                 number("mismatches", found->mismatches),
                 found->throttled != 0 ? number("ends_in", found->seconds)
                                       : Field::unknown("ends_in")},
      context->line.format);
}

ExitStatus reset_token(Context *context) {
  const Store &store = context->store;
  const std::string_view id = context->line.token_id.text;
  const auto ended = end_failures(store, id);
  if (!ended) {
    return note(ended.error(), ExitStatus::kDone);
  }
  if (ended->clients != 0) {
    audit({.command = "reset",
           .subject = id,
           .store = store.name.view(),
           .caller = 0},
          Outcome::kDone);
  }
  return print_all(std::array{Field::string("store", store.name.view()),
                              Field::string("tokenid", id),
                              Field::count("clients", ended->clients),
                              Field::count("throttled", ended->throttled),
                              Field::count("mismatches", ended->mismatches)},
                   context->line.format);
}

}  // namespace pbstoken
