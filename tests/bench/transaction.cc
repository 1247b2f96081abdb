// SPDX-License-Identifier: BSD-3-Clause
// What a request costs that brings a token whose secret is cached, beside the
// cheapest module there is and beside those that hash.
#include <dlfcn.h>

#include "service.h"

namespace pbstoken::bench {
namespace {

Rounds::Contestant transactions(const char *service, int calls) {
  return [=] { return typical_time_of(calls, [=] { transact(service); }); };
}

Rounds::Contestant calls_on(Handle *handle, int calls) {
  return [=] { return typical_time_of(calls, [=] { accept_once(handle); }); };
}

// Of those that hash, beside the clock on the wall for ours: whoever is
// favoured by that, it is not us.
Rounds::Contestant cpu_of_transactions(const char *service, int calls) {
  return [=] { return cpu_time_of(calls, [=] { transact(service); }); };
}

Rounds::Contestant cpu_of_calls_on(Handle *handle, int calls) {
  return [=] { return cpu_time_of(calls, [=] { accept_once(handle); }); };
}

// From fork(2) until it has been waited for: a service that forks for each
// connection and has loaded no module itself.
Rounds::Contestant children(const char *service, int calls) {
  return [=] {
    return typical_time_of(calls,
                           [=] { in_child([=] { transact(service); }); });
  };
}

void long_lived_host() {
  enum { kPermit, kCached, kWord, kNamed };
  const Rounds took(rounds(),
                    {transactions("permit", 10), transactions("cached", 10),
                     transactions("word", 10), transactions("named", 10)});
  row(1, "transaction: pam_permit", "us", took.of(kPermit, kMicrosecond));
  row(1, "transaction: cached", "us", took.of(kCached, kMicrosecond));
  row(1, "transaction: cached / pam_permit", "ratio",
      took.ratio(kCached, kPermit), at_most(0.70));
  row(1, "transaction: cached and upstream's word / pam_permit", "ratio",
      took.ratio(kWord, kPermit));
  row(1, "transaction: cached; names in the configuration / pam_permit",
      "ratio", took.ratio(kNamed, kPermit), at_most(0.70));
}

void one_handle() {
  enum { kPermit, kCached, kWord, kTrusting };
  Handle permit = kept("permit");
  Handle cached = kept("cached");
  Handle word = kept("word");
  Handle trusting = kept("trusting");
  const Rounds took(rounds(), {calls_on(&permit, 100), calls_on(&cached, 100),
                               calls_on(&word, 100), calls_on(&trusting, 100)});
  row(1, "one handle: pam_permit", "us", took.of(kPermit, kMicrosecond));
  row(1, "one handle: cached", "us", took.of(kCached, kMicrosecond));
  row(1, "one handle: cached - pam_permit", "us",
      took.difference(kCached, kPermit, kMicrosecond), at_most(3.0));
  row(1, "one handle: cached and upstream's word - pam_permit", "us",
      took.difference(kWord, kPermit, kMicrosecond), at_most(3.0));
  row(1, "one handle: cached; look = no - pam_permit", "us",
      took.difference(kTrusting, kPermit, kMicrosecond), at_most(1.6));
}

void fresh_children(const char *what) {
  enum { kPermit, kCached };
  const Rounds took(rounds(), {children("permit", 5), children("cached", 5)});
  row(1, std::string("fresh child ") + what + ": pam_permit", "us",
      took.of(kPermit, kMicrosecond));
  row(1, std::string("fresh child ") + what + ": cached / pam_permit", "ratio",
      took.ratio(kCached, kPermit), at_most(1.20));
}

// Apart from the handles that are kept, which keep every module loaded.
void transactions_beside_hashes() {
  enum { kCached, kPwdfile, kUnix };
  const Rounds took(
      rounds(), {transactions("cached", 10), cpu_of_transactions("pwdfile", 1),
                 cpu_of_transactions("unix", 1)});
  row(2, "transaction: pam_pwdfile", "us", took.of(kPwdfile, kMicrosecond));
  row(2, "transaction: pam_unix", "us", took.of(kUnix, kMicrosecond));
  row(2, "transaction: pam_pwdfile / cached", "ratio",
      took.ratio(kPwdfile, kCached), at_least(120));
  row(2, "transaction: pam_unix / cached", "ratio", took.ratio(kUnix, kCached));
}

void one_handle_beside_hashes() {
  enum { kCached, kPwdfile, kUnix };
  Handle cached = kept("cached");
  Handle pwdfile = kept("pwdfile");
  Handle unix_handle = kept("unix");
  const Rounds took(rounds(),
                    {calls_on(&cached, 100), cpu_of_calls_on(&pwdfile, 1),
                     cpu_of_calls_on(&unix_handle, 1)});
  row(2, "one handle: pam_pwdfile", "us", took.of(kPwdfile, kMicrosecond));
  row(2, "one handle: pam_unix", "us", took.of(kUnix, kMicrosecond));
  row(2, "one handle: pam_pwdfile / cached", "ratio",
      took.ratio(kPwdfile, kCached), at_least(1000));
  row(2, "one handle: pam_unix / cached", "ratio", took.ratio(kUnix, kCached));
}

}  // namespace
}  // namespace pbstoken::bench

int main() {
  using namespace pbstoken::bench;
  make_scene();
  for (const char *store : {"cached", "word", "named", "trusting"}) {
    in_child([=] { transact(store); });
  }
  fresh_children("without libcrypto");
  in_child([] {
    require(dlopen("libcrypto.so.3", RTLD_NOW) != nullptr);
    fresh_children("with libcrypto");
  });
  in_child(long_lived_host);
  in_child(one_handle);
  in_child(transactions_beside_hashes);
  in_child(one_handle_beside_hashes);
  return 0;
}
