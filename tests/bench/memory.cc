// SPDX-License-Identifier: BSD-3-Clause
// How much memory a service has resident that it had not before it loaded the
// module: after hits, and after its first miss, which loads libcrypt.
//
// Shared pages count in full; those of the segment, which the host has once, do
// not.
#include <sys/mman.h>

#include "service.h"

namespace pbstoken::bench {
namespace {

constexpr double kKibibyte = 1024;

// In KiB.  Without an allocation that would be seen in what it counts.
double resident() {
  static char line[1024];
  std::FILE *file = std::fopen("/proc/self/smaps", "re");
  require(file != nullptr);
  double sum = 0;
  bool counts = true;
  while (std::fgets(line, sizeof(line), file) != nullptr) {
    double size = 0;
    if (std::sscanf(line, "Rss: %lf kB", &size) == 1) {
      sum += counts ? size : 0;
    } else if (std::strchr(line, '-') != nullptr &&
               std::strchr("0123456789abcdef", line[0]) != nullptr) {
      counts = std::strstr(line, "/SYSV") == nullptr;
    }
  }
  std::fclose(file);
  return sum;
}

// One of each kind, so that what differs is the module.
double growth(const std::function<void()> &body) {
  auto *grown =
      static_cast<double *>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  require(grown != MAP_FAILED);
  in_child([&] {
    resident();
    transact("permit");
    const double before = resident();
    body();
    *grown = resident() - before;
  });
  const double value = *grown;
  munmap(grown, 4096);
  return value;
}

void hits() {
  for (int i = 0; i < 10; ++i) {
    transact("cached");
  }
}

// A wrong secret of this size is remembered by nobody.
void hits_and_a_miss() {
  hits();
  Handle handle("cached", kId, "a wrong secret");
  require(handle.authenticate() == PAM_AUTH_ERR);
}

void permits() {
  for (int i = 0; i < 11; ++i) {
    transact("permit");
  }
}

}  // namespace
}  // namespace pbstoken::bench

int main() {
  using namespace pbstoken::bench;
  make_scene();
  in_child([] { transact("cached"); });
  enum { kHits, kMiss, kPermit };
  const Rounds grown(
      std::max(1, rounds() / 10),
      {[] { return growth(hits); }, [] { return growth(hits_and_a_miss); },
       [] { return growth(permits); }});
  row(8, "resident after 10 hits - pam_permit", "KiB",
      grown.difference(kHits, kPermit), at_most(100));
  row(8, "resident after the first miss - pam_permit", "KiB",
      grown.difference(kMiss, kPermit), at_most(400));
  const auto size = static_cast<double>(
      std::filesystem::file_size(module_of("pam_pbstoken.so")));
  row(8, "the module; stripped", "KiB", exactly(size / kKibibyte), at_most(96));
  return 0;
}
