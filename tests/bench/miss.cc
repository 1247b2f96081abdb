// SPDX-License-Identifier: BSD-3-Clause
// What the file is to a service: that a hit does not see its size, what a miss
// costs beside its hash, in a process that has hashed before and in a new one,
// by oneself and through the helper, and what a helper costs that hashes
// nothing.
#include <crypt.h>
#include <dlfcn.h>
#include <grp.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <csignal>

#include "program.h"
#include "service.h"

namespace pbstoken::bench {
namespace {

// --- a hit beside a large file

void hit_whatever_the_size() {
  const auto transactions = [](const char *service) {
    return [=] { return typical_time_of(20, [=] { transact(service); }); };
  };
  enum { kOne, kMany };
  const Rounds took(rounds(), {transactions("one"), transactions("many")});
  row(4, "transaction: cached of 100000 tokens / of one", "ratio",
      took.ratio(kMany, kOne), at_most(1.05));
}

void hit_on_one_handle_whatever_the_size() {
  Handle one("one", kId, kSecret);
  Handle many("many", kId, kSecret);
  const auto calls_on = [](Handle *handle) {
    return [=] { return typical_time_of(100, [=] { accept_once(handle); }); };
  };
  enum { kOne, kMany };
  const Rounds took(rounds(), {calls_on(&one), calls_on(&many)});
  row(4, "one handle: cached of 100000 tokens / of one", "ratio",
      took.ratio(kMany, kOne), at_most(1.05));
}

// --- misses

// How one of so many calls is measured.
using Measure =
    std::function<double(int calls, const std::function<void()> &call)>;

double by_the_clock(int calls, const std::function<void()> &call) {
  return typical_time_of(calls, call);
}

// Of this process and of those that it has waited for.  A helper goes by the
// ordinary priority, whatever its caller's: on a machine that has other work it
// waits, and that is not what it costs.
double in_processor_time(int calls, const std::function<void()> &call) {
  const auto used = [] {
    double sum = 0;
    for (const auto who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
      rusage usage{};
      require(getrusage(who, &usage) == 0);
      for (const timeval &time : {usage.ru_utime, usage.ru_stime}) {
        sum += static_cast<double>(time.tv_sec) * 1e9 +
               static_cast<double>(time.tv_usec) * 1e3;
      }
    }
    return sum;
  };
  const double start = used();
  for (int i = 0; i < calls; ++i) {
    call();
  }
  return (used() - start) / calls;
}

// A secret that nobody has seen before.  Processes do not share the count, and
// must not: their ids are part of it.
std::string new_secret() {
  static int count = 0;
  return std::string(kCheapSecret) + std::to_string(getpid()) + "." +
         std::to_string(++count);
}

void miss_on(Handle *handle) {
  const std::string secret = new_secret();
  handle->set_secret(secret.c_str());
  require(handle->authenticate() == PAM_SUCCESS);
}

// In ns, of the hash alone.
using Crypt = char *(*)(const char *, const char *, void *, int);
double hash_alone(Crypt crypt) {
  static crypt_data data;
  return time_of(10, [=] {
    const char *hash = crypt(kCheapSecret, kCheapHash, &data, sizeof(data));
    require(hash != nullptr && std::strcmp(hash, kCheapHash) == 0);
  });
}

Crypt load_crypt() {
  void *library = dlopen("libcrypt.so.1", RTLD_NOW | RTLD_LOCAL);
  require(library != nullptr);
  const auto function = reinterpret_cast<Crypt>(dlsym(library, "crypt_rn"));
  require(function != nullptr);
  return function;
}

// The time of one miss, of pam_permit's pam_authenticate, and of the hash.
void misses(const std::string &figure, const Measure &measure,
            const Goal &goal) {
  Handle permit = kept("permit");
  Handle handle("cached", kCheapId, kCheapSecret);
  const Crypt crypt = load_crypt();
  enum { kMissed, kPermit };
  const Rounds took(
      rounds(), {[&] {
                   return measure(5, [&] { miss_on(&handle); }) -
                          hash_alone(crypt);
                 },
                 [&] { return measure(5, [&] { accept_once(&permit); }); }});
  row(4, figure, "us", took.difference(kMissed, kPermit, kMicrosecond), goal);
}

// In a child that has loaded the module and used nothing of it; the hash's own
// cost is what the last round of misses found: here it would be loaded, too.
void first_misses() {
  auto *time = static_cast<double *>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                                          MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  require(time != MAP_FAILED);
  const auto first_call = [=](const char *service) {
    return [=] {
      in_child([=] {
        const std::string secret = new_secret();
        Handle handle(service, kCheapId, secret.c_str());
        time[0] = time_of(1, [&] { accept_once(&handle); });
        time[1] = hash_alone(load_crypt());
      });
      return time[0] - (std::strcmp(service, "permit") == 0 ? 0 : time[1]);
    };
  };
  enum { kMissed, kPermit };
  const Rounds took(rounds(), {first_call("cached"), first_call("permit")});
  row(4, "first miss of a process - pam_permit and its hash", "us",
      took.difference(kMissed, kPermit, kMicrosecond), at_most(400));
}

// --- a member of verify_group

void become_member() {
  const gid_t group = kMembers;
  require(setgroups(1, &group) == 0 &&
          setresgid(kMember, kMember, kMember) == 0 &&
          setresuid(kMember, kMember, kMember) == 0);
}

void bare_helpers(const char *how, const Measure &measure) {
  const std::string path = helper();
  enum { kHelper, kTrue };
  const Rounds took(
      rounds() / 3 + 1,
      {[&] {
         return measure(3, [&] {
           run({path.c_str(), "--store=cached", "verify", "--", kId}, kSecret);
         });
       },
       [&] { return measure(3, [&] { run({"/bin/true"}); }); }});
  row(4, std::string("a run of the helper for a member; secret cached") + how,
      "us", took.of(kHelper, kMicrosecond));
  row(4, std::string("a run of /bin/true") + how, "us",
      took.of(kTrue, kMicrosecond));
}

// --- after a rotation

double hashes_so_far() {
  const std::string path = module_of("pbstoken");
  const std::string status = run({path.c_str(), "--store=rotated", "status"});
  const std::size_t at = status.find("\nhashes:");
  require(at != std::string::npos);
  return std::atof(status.c_str() + at + std::strlen("\nhashes:"));
}

void rotation() {
  constexpr int kTokens = 102;  // ours, the one that is rotated, 100 others
  make_store("rotated", kTokens);
  write_store_stack("rotated");
  wait_until_old();
  const auto serve_others = [](const char *service) {
    for (int i = 2; i < kTokens; ++i) {
      transact(service, other_id(i).c_str(), kSecret);
    }
  };
  serve_others("rotated");
  transact("rotated");
  const std::string path = helper();
  double hashes = 0;
  const auto rotate_and_serve = [&] {
    run({path.c_str(), "--store=rotated", "set", "--", kId}, kSecret);
    const double before = hashes_so_far();
    const double time = time_of(1, [&] { serve_others("rotated"); });
    hashes += hashes_so_far() - before;
    return time;
  };
  enum { kOurs, kPermit };
  const Rounds took(std::max(1, rounds() / 3),
                    {rotate_and_serve, [&] {
                       return time_of(1, [&] { serve_others("permit"); });
                     }});
  row(5, "hashes for 100 other tokens after all rotations", "hashes",
      exactly(hashes), at_most(0));
  row(5, "100 other tokens after the rotation of one", "ms",
      took.of(kOurs, kMillisecond), at_most(12));
  row(5, "100 other tokens after the rotation of one / pam_permit", "ratio",
      took.ratio(kOurs, kPermit));
}

}  // namespace
}  // namespace pbstoken::bench

int main() {
  using namespace pbstoken::bench;
  make_scene();
  // Who helps a member may have ended before it reads.
  std::signal(SIGPIPE, SIG_IGN);
  make_store("one", 1);
  make_store("many", 100000);
  write_store_stack("one");
  write_store_stack("many");
  wait_until_old();
  in_child([] {
    transact("cached");
    transact("one");
    transact("many");
  });
  in_child(hit_whatever_the_size);
  in_child(hit_on_one_handle_whatever_the_size);
  first_misses();
  in_child([] {
    misses("miss with 10 tokens - pam_permit and its hash", by_the_clock,
           at_most(100));
  });
  in_child([] {
    become_member();
    const std::string figure =
        "miss through the helper - pam_permit and its hash";
    misses(figure, by_the_clock, at_most(1000));
    misses(figure + "; processor time", in_processor_time, {});
  });
  in_child([] {
    become_member();
    bare_helpers("", by_the_clock);
    bare_helpers("; processor time", in_processor_time);
  });
  in_child(rotation);
  return 0;
}
