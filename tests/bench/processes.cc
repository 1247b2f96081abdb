// SPDX-License-Identifier: BSD-3-Clause
// How much more several processes of a service get done than one, beside the
// same with pam_permit: whether they are in each other's way.
#include "service.h"
#include "workers.h"

namespace pbstoken::bench {
namespace {

Workers::MakeWork transactions(const char *service) {
  return [=] { return [=] { transact(service); }; };
}

Workers::MakeWork calls_on_one_handle(const char *service) {
  return [=] {
    auto *handle = new Handle(service, kId, kSecret);  // for good
    return [=] { accept_once(handle); };
  };
}

}  // namespace
}  // namespace pbstoken::bench

int main() {
  using namespace pbstoken::bench;
  make_scene();
  in_child([] { transact("cached"); });
  compare_speed_up("transaction: cached", transactions("cached"), "pam_permit",
                   transactions("permit"));
  compare_speed_up("one handle: cached", calls_on_one_handle("cached"),
                   "pam_permit", calls_on_one_handle("permit"));
  return 0;
}
