// SPDX-License-Identifier: BSD-3-Clause
// One process that uses many stores: the last one is cached and limited as the
// first one is, and its configuration is read once.
#include <crypt.h>
#include <sys/inotify.h>

#include <memory>

#include "e2e_pam.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr int kStores = 40;
constexpr int kManyStores = 200;
constexpr int kFailLimit = 3;

std::string name_of(int number) {
  const std::string digits = std::to_string(number);
  return "s" + std::string(3 - digits.size(), '0') + digits;
}

std::string configuration(int number) {
  return "/etc/pbstoken/" + name_of(number) + ".conf";
}

// md5crypt, the cheapest there is.
std::string cheap_hash() {
  crypt_data data{};
  return crypt_r(kSecret, "$1$saltsalt$", &data);
}

// Each with a directory and a service of its own.
void make_stores(int count) {
  const std::string shadow = shadow_of({{kId, cheap_hash()}});
  for (int i = 0; i < count; ++i) {
    const std::string directory = "/etc/proxmox-backup/" + name_of(i);
    std::filesystem::create_directory(directory);
    write_file(directory + "/token.shadow", shadow, 0600);
    write_file(configuration(i), "token_shadow = " + directory +
                                     "/token.shadow\nuser_cfg =\n"
                                     "version_cache =\nfail_limit = " +
                                     std::to_string(kFailLimit) + "\n");
    write_stack(name_of(i), {auth_line("required", "store=" + name_of(i))});
  }
}

// What a client from afar has of one store.
struct Call {
  explicit Call(int number)
      : handle(
            std::make_unique<PamHandle>(name_of(number), kId, &conversation)) {
    pam_set_item(handle->get(), PAM_RHOST, "192.0.2.1");
  }

  int authenticate(const std::string &secret) {
    conversation.answer = secret;
    return handle->authenticate();
  }

  Conversation conversation;
  std::unique_ptr<PamHandle> handle;
};

// One for each store, all open at once.
std::vector<std::unique_ptr<Call>> make_calls(int count) {
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < count; ++i) {
    calls.push_back(std::make_unique<Call>(i));
  }
  return calls;
}

// With a handle for each call.
void require_accepted(int count) {
  for (int i = 0; i < count; ++i) {
    assert_pam(Call(i).authenticate(kSecret), PAM_SUCCESS);
  }
}

struct Counted {
  std::uint64_t from_cache;
  std::uint64_t hashes;
  std::uint64_t throttled;
};

void require_counted(int number, const Counted &expected) {
  const auto status = parse_json(tool_output(
      {"--store", name_of(number), "status", "--output-format", "json"}));
  const std::string store = name_of(number) + " ";
  const auto text_of = [&store](const Counted &counted) {
    return store + std::to_string(counted.from_cache) + " from the cache, " +
           std::to_string(counted.hashes) + " hashes, " +
           std::to_string(counted.throttled) + " throttled";
  };
  // A file that has settled is read again once, and nothing hashed.
  const Counted now = {
      .from_cache = status["hits"].GetUint64() + status["rechecks"].GetUint64(),
      .hashes = status["hashes"].GetUint64(),
      .throttled = status["throttled"].GetUint64()};
  assert_text_equal(text_of(now), text_of(expected));
}

int attachments() {
  std::ifstream maps("/proc/self/maps");
  int found = 0;
  for (std::string line; std::getline(maps, line);) {
    found += line.find("/SYSV") != std::string::npos ? 1 : 0;
  }
  return found;
}

// Verified secrets, counters and failures of each.  The child has none at
// first.
void each_of_40_stores_stays_attached(void ** /*state*/) {
  make_stores(kStores);
  const auto use_all = [] {
    int accepted = 0;
    for (int i = 0; i < kStores; ++i) {
      accepted += Call(i).authenticate(kSecret) == PAM_SUCCESS ? 1 : 0;
    }
    return accepted == kStores ? attachments() : 0;
  };
  assert_int_equal(in_child([&use_all] {
                     const int first = use_all();
                     const int second = use_all();
                     return use_all() == second && second == first ? first : 0;
                   }),
                   3 * kStores);
  for (int i = 0; i < kStores; ++i) {
    require_counted(i, {.from_cache = 2, .hashes = 1, .throttled = 0});
  }
}

void each_of_200_stores_with_a_handle_is_cached(void ** /*state*/) {
  make_stores(kManyStores);
  auto calls = make_calls(kManyStores);
  for (int round = 0; round < 3; ++round) {
    for (auto &call : calls) {
      assert_pam(call->authenticate(kSecret), PAM_SUCCESS);
    }
  }
  for (int i = 0; i < kManyStores; i += 20) {
    require_counted(i, {.from_cache = 2, .hashes = 1, .throttled = 0});
  }
}

std::string wrong_secret(int number) {
  return std::string(kWrongSecret) + std::to_string(number);
}

// Another process knows how often this one has failed.
void each_of_40_stores_with_a_handle_is_limited(void ** /*state*/) {
  make_stores(kStores);
  auto calls = make_calls(kStores);
  for (auto &call : calls) {
    for (int wrong = 0; wrong < kFailLimit; ++wrong) {
      assert_pam(call->authenticate(wrong_secret(wrong)), PAM_AUTH_ERR);
    }
  }
  for (int i = 0; i < kStores; ++i) {
    in_child([i] { return Call(i).authenticate(wrong_secret(kFailLimit)); });
    require_counted(i, {.from_cache = 0, .hashes = kFailLimit, .throttled = 1});
  }
}

// How many of the stores' configurations are opened while the function runs.
template <typename Body>
int opened_during(Body body) {
  const UniqueFd watch(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  for (int i = 0; i < kStores; ++i) {
    assert_true(
        inotify_add_watch(watch.get(), configuration(i).c_str(), IN_OPEN) >= 0);
  }
  body();
  int opened = 0;
  inotify_event event{};
  while (read(watch.get(), &event, sizeof(event)) == sizeof(event)) {
    ++opened;
  }
  return opened;
}

void each_of_40_stores_is_read_once(void ** /*state*/) {
  make_stores(kStores);
  usleep(2'100'000);  // younger files are never remembered
  require_accepted(kStores);
  assert_int_equal(opened_during([] { require_accepted(1); }), 1);
  assert_int_equal(opened_during([] { require_accepted(kStores); }), 0);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      PAM_TEST(each_of_40_stores_is_read_once),
      PAM_TEST(each_of_40_stores_stays_attached),
      PAM_TEST(each_of_40_stores_with_a_handle_is_limited),
      PAM_TEST(each_of_200_stores_with_a_handle_is_cached),
  };
  return cmocka_run_group_tests_name("many_stores", tests, nullptr, nullptr);
}
