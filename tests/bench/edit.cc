// SPDX-License-Identifier: BSD-3-Clause
// What eight clients of a service get done in the seconds after somebody has
// changed a secret by hand, or PBS has, beside those before.
#include <sys/mman.h>
#include <sys/prctl.h>

#include <csignal>

#include "program.h"
#include "service.h"

namespace pbstoken::bench {
namespace {

constexpr std::array<const char *, 2> kSecrets = {
    kSecret, "5d0c0b8a-7e4f-4c3b-9a19-283746556473"};
constexpr int kClients = 8;
constexpr unsigned kSeconds = 5;  // cache_ttl

// In memory that all of them share.
struct Shared {
  unsigned secret;   // that all clients have
  bool is_changing;  // some of them may be refused
  unsigned long requests;
};

[[noreturn]] void be_a_client(Shared *shared) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;;) {
    const unsigned secret = __atomic_load_n(&shared->secret, __ATOMIC_ACQUIRE);
    Handle handle("edited", kId, kSecrets[secret]);
    if (handle.authenticate() == PAM_SUCCESS) {
      __atomic_fetch_add(&shared->requests, 1, __ATOMIC_RELAXED);
    } else {
      require(__atomic_load_n(&shared->is_changing, __ATOMIC_ACQUIRE));
    }
  }
}

// As an editor does it, and PBS: by a rename.
void edit(const std::string &content) {
  const std::string path = shadow_of("edited");
  write_file(path + ".new", content, 0640);
  std::filesystem::rename(path + ".new", path);
}

double requests_in_time(Shared *shared) {
  const unsigned long before =
      __atomic_load_n(&shared->requests, __ATOMIC_RELAXED);
  const double begin = now_ns();
  sleep(kSeconds);
  const unsigned long after =
      __atomic_load_n(&shared->requests, __ATOMIC_RELAXED);
  return static_cast<double>(after - before) / (now_ns() - begin) * 1e9;
}

std::array<std::string, 2> files_with_both_secrets() {
  std::array<std::string, 2> contents;
  for (std::size_t i = 0; i < kSecrets.size(); ++i) {
    run({helper().c_str(), "--store=edited", "set", "--", kId}, kSecrets[i]);
    std::ifstream file(shadow_of("edited"), std::ios::binary);
    contents[i].assign(std::istreambuf_iterator<char>(file), {});
  }
  return contents;
}

void measure() {
  make_store("edited", 10);
  write_store_stack("edited");
  const auto contents = files_with_both_secrets();
  auto *shared = static_cast<Shared *>(mmap(nullptr, sizeof(Shared),
                                            PROT_READ | PROT_WRITE,
                                            MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  require(shared != MAP_FAILED);
  shared->secret = 1;
  std::vector<pid_t> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(fork());
    if (clients.back() == 0) {
      be_a_client(shared);
    }
  }
  constexpr int kEdits = 5;
  std::vector<double> before;
  std::vector<double> after;
  std::vector<double> ratio;
  for (int i = 0; i < kEdits; ++i) {
    wait_until_old();
    before.push_back(requests_in_time(shared));
    const unsigned secret = shared->secret ^ 1U;
    __atomic_store_n(&shared->is_changing, true, __ATOMIC_RELEASE);
    __atomic_store_n(&shared->secret, secret, __ATOMIC_RELEASE);
    edit(contents[secret]);
    after.push_back(requests_in_time(shared));
    __atomic_store_n(&shared->is_changing, false, __ATOMIC_RELEASE);
    ratio.push_back(after.back() / before.back());
  }
  for (const pid_t client : clients) {
    kill(client, SIGKILL);
    waitpid(client, nullptr, 0);
  }
  row(4, "requests of 8 clients", "1/s", spread_of(before));
  row(4, "requests in the 5 s after an edit by hand", "1/s", spread_of(after));
  row(4, "requests after an edit by hand / before", "ratio", spread_of(ratio),
      at_least(0.9));
}

}  // namespace
}  // namespace pbstoken::bench

int main() {
  using namespace pbstoken::bench;
  make_scene();
  measure();
  return 0;
}
