// SPDX-License-Identifier: BSD-3-Clause
// The cache over processes: each authentication is a pamtester(1) of its own,
// from a service in /etc/pam.d.
#include <string>

#include "e2e_support.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kPamService = "/etc/pam.d/pbstoken-test";

int write_pam_service(void **state) {
  if (clean_host(state) != 0) {
    return -1;
  }
  write_file(kPamService, "auth required " + module_path() + "\n");
  return 0;
}

RunResult pamtester(const std::string &id, const std::string &secret,
                    const std::function<void()> &prepare = {}) {
  return run({.path = "/usr/bin/pamtester",
              .arguments = {"pbstoken-test", id, "authenticate"},
              .input = secret + "\n",
              .prepare = prepare});
}

void assert_accepted(const std::string &id, const std::string &secret) {
  const RunResult outcome = pamtester(id, secret);
  if (outcome.status != 0) {
    fail_msg("%s: %s", id.c_str(), outcome.err.c_str());
  }
}

void assert_refused(const std::string &id, const std::string &secret) {
  const RunResult outcome = pamtester(id, secret);
  if (outcome.status != 1) {
    fail_msg("%s: exit status %d", id.c_str(), outcome.status);
  }
}

void authenticate_second_process_computes_no_hash(void ** /*state*/) {
  const std::string secret = generate(kId);
  // A cold segment: the helper has put the new secret into the old one.
  tool_output({"flush"});
  const auto hashes = counter("hashes");
  const auto hits = counter("hits");
  assert_accepted(kId, secret);
  assert_int_equal(counter("hashes"), hashes + 1);
  assert_int_equal(counter("hits"), hits);
  assert_accepted(kId, secret);
  assert_int_equal(counter("hashes"), hashes + 1);
  assert_int_equal(counter("hits"), hits + 1);
}

// The helper has hashed it once, and nobody has to again.
void authenticate_generated_secret_computes_no_hash(void ** /*state*/) {
  const std::string secret = generate(kId);
  const auto hashes = counter("hashes");
  assert_accepted(kId, secret);
  assert_int_equal(counter("hashes"), hashes);
}

void authenticate_without_a_segment_makes_one(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_true(status_json()["id"].IsNull());
  assert_accepted(kId, kSecret);
  assert_true(status_json()["id"].IsNumber());
  assert_accepted(kId, kSecret);
  assert_int_equal(counter("hashes"), 1);
}

void authenticate_refusals_are_refused_in_every_process(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  for (int i = 0; i < 2; ++i) {
    assert_refused(kId, kWrongSecret);
    assert_refused("other@pbs!t", kSecret);
    assert_refused("john@pbs", kSecret);
    assert_refused(kId, "");
    assert_accepted(kId, kSecret);
  }
}

void authenticate_after_rotate_takes_the_new_secret_alone(void ** /*state*/) {
  const std::string old = generate(kId);
  assert_accepted(kId, old);
  const std::string printed =
      helper_output({"--output-format", "json", "rotate", kId}, old);
  const std::string fresh = parse_json(printed)["value"].GetString();
  assert_refused(kId, old);
  assert_accepted(kId, fresh);
  helper_output({"delete", kId});
  assert_refused(kId, fresh);
}

void authenticate_one_of_20000_tokens_is_cached(void ** /*state*/) {
  Tokens tokens;
  for (int i = 0; i < 20000; ++i) {
    tokens.emplace_back("u" + std::to_string(i) + "@pbs!t", kHash);
  }
  write_shadow(tokens);
  for (const char *id : {"u0@pbs!t", "u12345@pbs!t", "u19999@pbs!t"}) {
    assert_accepted(id, kSecret);
    const auto hashes = counter("hashes");
    const auto hits = counter("hits");
    assert_accepted(id, kSecret);
    assert_int_equal(counter("hashes"), hashes);
    assert_int_equal(counter("hits"), hits + 1);
    assert_refused(id, kOldSecret);
  }
  assert_refused("u20000@pbs!t", kSecret);
}

std::string numbered(int i) {
  return "u" + std::to_string(i) + "@pbs!t";
}

constexpr int kTokens = 50;

void write_and_verify_50_tokens() {
  Tokens tokens;
  for (int i = 0; i < kTokens; ++i) {
    tokens.emplace_back(numbered(i), kOldHash);
  }
  write_shadow(tokens);
  for (int i = 0; i < kTokens; ++i) {
    assert_accepted(numbered(i), kOldSecret);
  }
  assert_int_equal(counter("hashes"), kTokens);
}

void change_one_of_50_by_the_helper_costs_the_others_no_hash(
    void ** /*state*/) {
  write_and_verify_50_tokens();
  helper_output({"set", numbered(7)}, kSecret);
  for (int i = 0; i < kTokens; ++i) {
    assert_accepted(numbered(i), i == 7 ? kSecret : kOldSecret);
  }
  assert_int_equal(counter("hashes"), kTokens);
  assert_refused(numbered(7), kOldSecret);
}

void change_one_of_50_by_hand_costs_one_hash(void ** /*state*/) {
  look_every_time();
  write_and_verify_50_tokens();
  std::string text = read_file(kShadow);
  const std::string member = "\"" + numbered(7) + "\":\"";
  text.replace(text.find(member) + member.size(), std::string(kOldHash).size(),
               kHash);
  write_file(kShadow, text, 0640);
  for (int i = 0; i < kTokens; ++i) {
    assert_accepted(numbered(i), i == 7 ? kSecret : kOldSecret);
  }
  assert_int_equal(counter("hashes"), kTokens + 1);
  assert_refused(numbered(7), kOldSecret);
}

// A host that brings functions of the same names as libcrypto's, which find
// every two things equal and every digest the same.
constexpr const char *kHostileLibrary = R"(
#include <stddef.h>
#include <string.h>
#include <unistd.h>
int SHA256_Init(void *c) { return 1; }
int SHA256_Update(void *c, const void *d, size_t n) { return 1; }
int SHA256_Final(unsigned char *m, void *c) { memset(m, 0, 32); return 1; }
void SHA256_Transform(void *c, const unsigned char *d) {}
void sha256_block_data_order(void *c, const void *d, size_t n) {}
int CRYPTO_memcmp(const void *a, const void *b, size_t n) { return 0; }
void OPENSSL_cleanse(void *p, size_t n) {}
__attribute__((constructor)) static void say(void) {
  (void)!write(2, "hostile\n", 8);
}
)";

void authenticate_host_with_its_own_sha256_changes_nothing(void ** /*state*/) {
  write_file(scratch("hostile.c"), kHostileLibrary);
  const RunResult compiled =
      run({.path = "/usr/bin/cc",
           .arguments = {"-shared", "-fPIC", "-w", "-o", scratch("hostile.so"),
                         scratch("hostile.c")}});
  assert_int_equal(compiled.status, 0);
  const auto in_hostile_host = [](const char *secret) {
    const RunResult outcome = pamtester(kId, secret, [] {
      setenv("LD_PRELOAD", scratch("hostile.so").c_str(), 1);
    });
    assert_true(outcome.err.starts_with("hostile\n"));
    return outcome.status;
  };
  write_shadow({{kId, kHash}});
  // Without a segment, and with one that another host has made.
  for (int i = 0; i < 2; ++i) {
    assert_int_equal(in_hostile_host(kWrongSecret), 1);
    assert_int_equal(in_hostile_host(kSecret), 0);
    assert_int_equal(in_hostile_host(kWrongSecret), 1);
    remove_segments();
    assert_accepted(kId, kSecret);
  }
  // Its digests are those of the others, too.
  const auto hashes = counter("hashes");
  assert_int_equal(in_hostile_host(kSecret), 0);
  assert_int_equal(counter("hashes"), hashes);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
#define PAMTESTER_TEST(name) cmocka_unit_test_setup(name, write_pam_service)
  const CMUnitTest tests[] = {
      PAMTESTER_TEST(authenticate_second_process_computes_no_hash),
      PAMTESTER_TEST(authenticate_generated_secret_computes_no_hash),
      PAMTESTER_TEST(authenticate_without_a_segment_makes_one),
      PAMTESTER_TEST(authenticate_refusals_are_refused_in_every_process),
      PAMTESTER_TEST(authenticate_after_rotate_takes_the_new_secret_alone),
      PAMTESTER_TEST(authenticate_one_of_20000_tokens_is_cached),
      PAMTESTER_TEST(change_one_of_50_by_the_helper_costs_the_others_no_hash),
      PAMTESTER_TEST(change_one_of_50_by_hand_costs_one_hash),
      PAMTESTER_TEST(authenticate_host_with_its_own_sha256_changes_nothing),
  };
  return cmocka_run_group_tests_name("pamtester", tests, nullptr, nullptr);
}
