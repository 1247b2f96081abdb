// SPDX-License-Identifier: BSD-3-Clause
// Stored hashes of every method of libcrypt, whole and damaged.
#include "pbstoken/store/stored_hash.h"

#include <crypt.h>

#include <array>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "support.h"

namespace pbstoken {
namespace {

// The stored hashes of upstream's formats, by the bytes of their salt.
constexpr const char *kSalt00 =
    "$y$j9T$.2U.1EE/4Q.07ck0AoU1D.F2GA/3JMl3MYV4PkF5Sw/$"
    "n.wYJhoo2BUy78BysY1dv7H1xJj4PVGU5GYui8NJKFC";
constexpr const char *kSalt20 =
    "$y$j9T$U2W6XEG7aQ08dcm8goW9j.HAmA1BpMnBsYXCvkHDyw1$"
    "nXIXN48snfgx9.8AuQ.LTiW4/IC2DdC2lEEnmcGixI1";
constexpr const char *kOld =
    "$5$saltSALT./0$lefDTLH0tD5bgiDELk6yarkzMt1CuqoKl8nH.GWYUc/";
constexpr const char *kSalt40 =
    "$y$j9T$.3YE1FIF4R2G7doGApYHD/JIGB3JJNpJMZZKPlJLSx3$"
    "5xu.WNSqK8JkLnrlY.wiRrSNHfu9soMS6bE8Ov9DycA";
constexpr const char *kSalt60 =
    "$y$j9T$U3aMXFKNaR4OddqOgpaPj/LQmB5RpNrRsZbSvlLTyx5$"
    "mfWVXmnowfHymBldEeLokC/x.tc12GVW/1saYpmqpN8";

Result<std::optional<Fact>> check(CryptFunction crypt,
                                  std::string_view secret_text,
                                  std::string_view stored) {
  Secret secret;
  assert_true(is_acceptable_secret(secret_text));
  assert_true(secret.assign(secret_text));
  return compare_with_hash(crypt, secret, stored);
}

const char *name_of(const Result<std::optional<Fact>> &checked) {
  if (!checked) {
    return checked.error().code == Errc::kNoMemory ? "no memory" : "error";
  }
  if (!*checked) {
    return "unusable";
  }
  return **checked == Fact::kMatch ? "match" : "mismatch";
}

void assert_check(std::string_view secret, std::string_view stored,
                  const char *expected) {
  const auto checked = check(crypt_rn, secret, stored);
  if (std::string_view(name_of(checked)) != expected) {
    fail_msg("%s: %s, not %s", std::string(stored).c_str(), name_of(checked),
             expected);
  }
}

struct Vector {
  std::string secret;
  const char *stored;
  const char *expected;
};

void check_vectors_of_upstream_are_judged_alike(void ** /*state*/) {
  const std::vector<Vector> all = {
      {"0f1e2d3c-4b5a-4697-8877-665544332211", kSalt00, "match"},
      {"0F1E2D3C-4B5A-4697-8877-665544332211", kSalt00, "mismatch"},
      {"a1b2c3d4-0001-4002-8003-00000000abcd", kSalt20, "match"},
      {"a1b2c3d4-0001-4002-8003-00000000abcd", kSalt00, "mismatch"},
      {"5ec2e700-0000-4000-8000-00000000cafe", kOld, "match"},
      {"5ec2e700-0000-4000-8000-00000000caff", kOld, "mismatch"},
      {"päss wörd", kSalt40, "match"},
      {"pass word", kSalt40, "mismatch"},
      {std::string(511, 'a'), kSalt60, "match"},
      {std::string(510, 'a'), kSalt60, "mismatch"},
  };
  for (const Vector &vector : all) {
    assert_check(vector.secret, vector.stored, vector.expected);
  }
}

void hash_method_vectors_of_upstream_are_named(void ** /*state*/) {
  for (const char *stored : {kSalt00, kSalt20, kSalt40, kSalt60}) {
    assert_int_equal(std::strlen(stored), 94);
    assert_text_equal(hash_method(stored), "yescrypt");
  }
  assert_int_equal(std::strlen(kOld), 58);
  assert_text_equal(hash_method(kOld), "sha256crypt");
}

// Eight characters: all that descrypt looks at.
constexpr const char *kRight = "s3cret-A";

struct MethodCase {
  const char *name;
  // What crypt_gensalt(3) makes of prefix and cost; where its cheapest is
  // dear or it has none, a setting by hand.
  const char *prefix;
  unsigned long cost;
  const char *setting = nullptr;
};

constexpr std::array<MethodCase, 19> kMethodCases = {{
    {"yescrypt", "$y$", 1},
    {"gost-yescrypt", "$gy$", 1},
    // N = 256, r = 1, p = 1: gensalt's least takes 32 MiB.
    {"scrypt", nullptr, 0, "$7$6/..../....saltsalt"},
    {"bcrypt", "$2b$", 4},
    {"bcrypt-a", "$2a$", 4},
    {"bcrypt-y", "$2y$", 4},
    {"bcrypt-x", nullptr, 0, "$2x$04$abcdefghijklmnopqrstuu"},
    {"sha512crypt", "$6$", 1000},
    {"sha512crypt", nullptr, 0, "$6$s$"},
    {"sha256crypt", "$5$", 1000},
    {"sha256crypt", nullptr, 0, "$5$saltSALTsaltSALT$"},
    {"md5crypt", "$1$", 0},
    {"md5crypt", nullptr, 0, "$1$$"},
    {"sha1crypt", "$sha1", 4},
    {"sunmd5", nullptr, 0, "$md5$saltsalt$"},
    {"sunmd5", nullptr, 0, "$md5,rounds=1$saltsalt$"},
    {"bsdicrypt", "_", 1},
    {"descrypt", "", 0},
    {"nt", "$3$", 0},
}};

struct Made {
  const MethodCase *method;
  std::string stored;
  std::size_t tail;  // where the hash proper begins
};

std::size_t tail_of(std::string_view stored) {
  if (stored.front() == '$') {
    return stored.rfind('$') + 1;
  }
  return stored.front() == '_' ? 9 : 2;  // behind count and salt
}

// With as many bytes of salt as upstream takes, and always the same.
std::string make_hash(const MethodCase &method) {
  std::array<char, CRYPT_GENSALT_OUTPUT_SIZE> setting{};
  if (method.setting != nullptr) {
    // One byte less than there is: the last one stays NUL.
    std::string_view(method.setting).copy(setting.data(), setting.size() - 1);
  } else {
    std::array<char, 32> salt{};
    for (std::size_t i = 0; i < salt.size(); ++i) {
      salt[i] = static_cast<char>(17 + 29 * i);
    }
    assert_non_null(crypt_gensalt_rn(
        method.prefix, method.cost, salt.data(), static_cast<int>(salt.size()),
        setting.data(), static_cast<int>(setting.size())));
  }
  const auto data = std::make_unique<crypt_data>();
  const char *hash =
      crypt_rn(kRight, setting.data(), data.get(), sizeof(crypt_data));
  if (hash == nullptr) {
    fail_msg("libcrypt cannot make a hash of %s", method.name);
  }
  return hash;
}

int make_hashes(void **state) {
  auto *all = new std::vector<Made>;
  for (const MethodCase &method : kMethodCases) {
    const std::string stored = make_hash(method);
    all->push_back({&method, stored, tail_of(stored)});
  }
  *state = all;
  return 0;
}

int free_hashes(void **state) {
  delete static_cast<std::vector<Made> *>(*state);
  return 0;
}

const std::vector<Made> &hashes(void **state) {
  return *static_cast<std::vector<Made> *>(*state);
}

// Crypt functions that compute nothing.
char *crypt_must_not_run(const char * /*phrase*/, const char *setting,
                         void * /*data*/, int /*size*/) {
  fail_msg("a hash was computed for %s", setting);
  return nullptr;
}

void hash_method_every_method_is_named(void **state) {
  for (const Made &made : hashes(state)) {
    assert_text_equal(hash_method(made.stored), made.method->name);
  }
}

void check_every_method_right_secret_matches(void **state) {
  for (const Made &made : hashes(state)) {
    assert_check(kRight, made.stored, "match");
  }
}

void check_every_method_one_wrong_byte_is_a_mismatch(void **state) {
  for (const Made &made : hashes(state)) {
    for (const std::size_t at : {0U, 4U, 7U}) {
      std::string wrong = kRight;
      wrong[at] = static_cast<char>(wrong[at] ^ 1);
      assert_check(wrong, made.stored, "mismatch");
    }
    std::string other_case = kRight;
    other_case.back() = 'a';
    assert_check(other_case, made.stored, "mismatch");
    assert_check("s3cret-", made.stored, "mismatch");
  }
}

// Another character of the alphabet of hashes.
char another(char c) {
  return c == '.' ? '/' : '.';
}

char other_case(char c) {
  if (c >= 'a' && c <= 'z') {
    return static_cast<char>(c - 'a' + 'A');
  }
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

void check_every_method_changed_hash_is_a_mismatch(void **state) {
  for (const Made &made : hashes(state)) {
    const std::size_t size = made.stored.size();
    for (const std::size_t at :
         {made.tail, (made.tail + size) / 2, size - 2, size - 1}) {
      std::string changed = made.stored;
      changed[at] = another(changed[at]);
      assert_check(kRight, changed, "mismatch");
    }
    for (std::size_t at = made.tail; at < size; ++at) {
      std::string changed = made.stored;
      changed[at] = other_case(changed[at]);
      if (changed != made.stored) {
        assert_check(kRight, changed, "mismatch");
        break;
      }
    }
  }
}

// What crypt_of_this() answers whatever it is asked: the one hash that every
// damaged copy is compared with.
std::string *answer = nullptr;

char *crypt_of_this(const char * /*phrase*/, const char * /*setting*/,
                    void * /*data*/, int /*size*/) {
  return answer->data();
}

int make_hashes_and_answer(void **state) {
  answer = new std::string;
  return make_hashes(state);
}

int free_hashes_and_answer(void **state) {
  delete std::exchange(answer, nullptr);
  return free_hashes(state);
}

void check_any_changed_byte_never_matches(void **state) {
  for (const Made &made : hashes(state)) {
    *answer = made.stored;
    assert_string_equal(name_of(check(crypt_of_this, kRight, made.stored)),
                        "match");
    for (std::size_t at = 0; at < made.stored.size(); ++at) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        std::string changed = made.stored;
        changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
        const auto checked = check(crypt_of_this, kRight, changed);
        assert_true(static_cast<bool>(checked));
        assert_true(*checked != Fact::kMatch);
      }
    }
  }
}

void check_computed_text_of_other_length_is_a_mismatch(void ** /*state*/) {
  for (const std::string &text :
       {std::string(), std::string("$"), std::string(kOld) + "x",
        std::string(kOld).substr(0, 57), std::string(1000, 'a')}) {
    *answer = text;
    assert_string_equal(name_of(check(crypt_of_this, kRight, kOld)),
                        "mismatch");
  }
}

void hash_method_truncated_hash_is_empty(void **state) {
  std::string accepted;
  for (const Made &made : hashes(state)) {
    for (std::size_t size = 0; size < made.stored.size(); ++size) {
      const std::string cut = made.stored.substr(0, size);
      if (!hash_method(cut).empty()) {
        accepted += cut + "\n";
      }
    }
  }
  assert_text_equal(accepted, "");
}

void check_truncated_hash_is_unusable(void **state) {
  for (const Made &made : hashes(state)) {
    for (std::size_t size = 0; size < made.stored.size(); ++size) {
      assert_string_equal(name_of(check(crypt_must_not_run, kRight,
                                        made.stored.substr(0, size))),
                          "unusable");
    }
  }
}

void check_truncated_hash_never_matches(void **state) {
  for (const Made &made : hashes(state)) {
    for (std::size_t size = 0; size < made.stored.size(); ++size) {
      const auto checked = check(crypt_rn, kRight, made.stored.substr(0, size));
      assert_true(static_cast<bool>(checked));
      assert_true(*checked != Fact::kMatch);
    }
  }
}

void check_what_stands_around_a_hash_makes_it_unusable(void **state) {
  using namespace std::string_view_literals;
  for (const Made &made : hashes(state)) {
    for (const std::string_view more :
         {"."sv, "a"sv, "="sv, " "sv, "\n"sv, ":"sv, "!"sv, "*"sv, "\\"sv,
          "\0"sv, "\0x"sv, "\x7f"sv, "\xff"sv, "ä"sv}) {
      const std::string after = made.stored + std::string(more);
      assert_string_equal(name_of(check(crypt_must_not_run, kRight, after)),
                          "unusable");
      const std::string before = std::string(more) + made.stored;
      assert_string_equal(name_of(check(crypt_must_not_run, kRight, before)),
                          "unusable");
    }
    std::string inside = made.stored;
    inside[made.tail + 1] = '\0';
    assert_string_equal(name_of(check(crypt_must_not_run, kRight, inside)),
                        "unusable");
  }
}

const std::vector<std::string> &no_hashes() {
  static const auto *all = new std::vector<std::string>{
      "",
      "*",
      "*0",
      "*1",
      "x",
      "!",
      "!!",
      "!*",
      "$",
      "$$",
      "$y",
      "$y$",
      "$y$$",
      "$y$j9T",
      "$y$j9T$",
      "$y$j9T$$",
      "$1$",
      "$1$$",
      "$2b$05$",
      "$3$",
      "$3$$",
      "$5$",
      "$6$",
      "$7$",
      "$gy$j9T$",
      "$md5",
      "$md5$",
      "$sha1$",
      "_",
      // A tail that is complete but for the method's own '$'.
      "$y$" + std::string(43, 'a'),
      "$7$" + std::string(43, 'a'),
      "$5$" + std::string(43, 'a'),
      "$6$" + std::string(86, 'a'),
      "$1$" + std::string(22, 'a'),
      // No method of that name.
      "$9$salt$" + std::string(43, 'a'),
      "$Y$j9T$salt$" + std::string(43, 'a'),
      "$2$05$" + std::string(53, 'a'),
      "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$" + std::string(43, 'a'),
      "{SSHA}" + std::string(28, 'a'),
      "*0" + std::string(kSalt00),
      "!" + std::string(kSalt00),
      // A secret instead of its hash.
      "0f1e2d3c-4b5a-4697-8877-665544332211",
      // As long as the longest hash that libcrypt gives, and longer.
      std::string(383, 'a'),
      std::string(384, 'a'),
      std::string(1000, 'a'),
      std::string(1 << 20, 'a'),
      "$y$j9T$" + std::string(332, 'a') + "$" + std::string(43, 'a') + "a",
      "$y$j9T$" + std::string(333, 'a') + "$" + std::string(43, 'a'),
      "$y$j9T$" + std::string(1000, 'a') + "$" + std::string(43, 'a'),
      std::string(13, '$'),
      std::string(13, '\0'),
      std::string(13, ' '),
      std::string(13, '\xe4'),
  };
  return *all;
}

void check_what_is_no_hash_is_unusable(void ** /*state*/) {
  for (const std::string &stored : no_hashes()) {
    if (!hash_method(stored).empty()) {
      fail_msg("%s is a complete hash", stored.c_str());
    }
    assert_string_equal(name_of(check(crypt_must_not_run, kRight, stored)),
                        "unusable");
  }
}

constexpr std::string_view kAlphabet =
    "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

bool can_compute(const std::string &setting) {
  const auto data = std::make_unique<crypt_data>();
  return crypt_rn(kRight, setting.c_str(), data.get(), sizeof(crypt_data)) !=
         nullptr;
}

// What libcrypt refuses costs no memory, and so is no lack of it.  The salt's
// last character has bits to spare, which must be 0.
void hash_method_setting_is_as_libcrypt_takes_it(void **state) {
  for (const Made &made : hashes(state)) {
    const std::string_view method = made.method->name;
    if (!method.ends_with("yescrypt") && method != "scrypt") {
      continue;
    }
    std::vector<std::string> all;
    for (std::size_t at = 3; at + 1 < made.tail; ++at) {
      for (const char c : std::string_view("$#-+=,_%@{}~")) {
        all.push_back(made.stored);
        all.back()[at] = c;
      }
    }
    for (const char c : kAlphabet) {
      all.push_back(made.stored);
      all.back()[made.tail - 2] = c;
      // A salt of one character less, and of one more.
      all.push_back(made.stored);
      all.back().erase(made.tail - 2, 1)[made.tail - 3] = c;
      all.push_back(made.stored);
      all.back().insert(made.tail - 1, 1, c);
    }
    for (const std::string &stored : all) {
      if (hash_method(stored).empty() == can_compute(stored)) {
        fail_msg("%s: %s", stored.c_str(),
                 can_compute(stored) ? "refused" : "taken");
      }
    }
  }
}

// Numbers of more than one character, and those that a hash may have behind
// the usual three.
void hash_method_yescrypt_parameters_are_as_libcrypt_takes_them(
    void ** /*state*/) {
  const std::string tail = "$saltsalt$" + std::string(43, '.');
  for (const char *parameters :
       {"",      "j",      "j7",      "j75",  "j75.", "j75./", "j75/.", "j75..",
        "j752.", "j751..", "j751...", "j758", "./5",  "/75",   "075",   "z75",
        "zzz75", "jz5",    "jzz5",    "j7z",  "j7zz", "j7r.",  "j7",    "r.75",
        "y.75",  "y..75",  "j7555",   "j75n", "j75s."}) {
    const std::string stored = "$y$" + (parameters + tail);
    const bool taken = !hash_method(stored).empty();
    if (can_compute(stored) && !taken) {
      fail_msg("refused: %s", parameters);
    }
  }
  for (const char *parameters :
       {"", "j", "j7", "j75.", "jz5", "j7z", "zzz75"}) {
    assert_text_equal(hash_method("$y$" + (parameters + tail)), "");
  }
}

void is_old_hash_names_what_upstream_makes_no_more(void **state) {
  for (const char *today : {kSalt00, kSalt20, kSalt40, kSalt60}) {
    assert_false(is_old_hash(today));
  }
  assert_true(is_old_hash(kOld));
  const std::string tail = "$saltsalt$" + std::string(43, '.');
  // N and r; the default is 2^12 blocks of 32.
  for (const char *parameters : {"j8T", "j75", "j9S", "j/T"}) {
    assert_true(is_old_hash("$y$" + (parameters + tail)));
  }
  for (const char *parameters : {"j9T", "jAT", "jBG", "jzT"}) {
    assert_false(is_old_hash("$y$" + (parameters + tail)));
  }
  for (const Made &made : hashes(state)) {
    const std::string_view name = made.method->name;
    assert_true(is_old_hash(made.stored) ==
                (name == "yescrypt" || name == "sha256crypt"));
  }
  for (const std::string &stored : no_hashes()) {
    assert_false(is_old_hash(stored));
  }
}

void hash_method_bigcrypt_has_at_most_sixteen_blocks(void ** /*state*/) {
  // Its first 13 characters are a complete hash of descrypt, so a truncated
  // one cannot always be told.
  constexpr std::size_t kSalt = 2;
  constexpr std::size_t kBlock = 11;
  for (std::size_t size = 0; size < 384; ++size) {
    const std::string_view method = hash_method(std::string(size, 'a'));
    const std::size_t blocks = size < kSalt ? 0 : (size - kSalt) / kBlock;
    const bool whole = size == kSalt + blocks * kBlock;
    const std::string expected = !whole || blocks == 0 || blocks > 16 ? ""
                                 : blocks == 1 ? "descrypt"
                                               : "bigcrypt";
    if (method != expected) {
      fail_msg("%zu characters: %s", size, std::string(method).c_str());
    }
  }
}

void check_bigcrypt_counts_beyond_eight_characters(void ** /*state*/) {
  const auto data = std::make_unique<crypt_data>();
  const std::string stored =
      crypt_rn("s3cret-A and more", "abcdefghijklmnopqrstuvwxyzabcdefghi",
               data.get(), sizeof(crypt_data));
  assert_text_equal(hash_method(stored), "bigcrypt");
  assert_check("s3cret-A and more", stored, "match");
  assert_check("s3cret-A and mor!", stored, "mismatch");
  assert_check("s3cret-A and mor", stored, "mismatch");
  assert_check("s3cret-A", stored, "mismatch");
}

char *crypt_null(const char * /*phrase*/, const char * /*setting*/,
                 void * /*data*/, int /*size*/) {
  return nullptr;
}

std::array<char, 3> failure_token = {'*', '0', '\0'};

char *crypt_failure_token(const char * /*phrase*/, const char * /*setting*/,
                          void * /*data*/, int /*size*/) {
  return failure_token.data();
}

void check_computation_that_fails_is_no_mismatch(void ** /*state*/) {
  for (const char last : {'0', '1'}) {
    failure_token[1] = last;
    for (const CryptFunction failing : {crypt_null, crypt_failure_token}) {
      // What needs no memory can only have failed for its parameters.
      assert_string_equal(name_of(check(failing, kRight, kSalt00)),
                          "no memory");
      assert_string_equal(name_of(check(failing, kRight, kOld)), "unusable");
      for (const char *stored : {kSalt00, kOld}) {
        Secret secret;
        assert_true(secret.assign(kRight));
        const auto computed = compute_hash(failing, secret, stored);
        assert_false(static_cast<bool>(computed));
        assert_true(computed.error().code == Errc::kNoMemory);
      }
    }
  }
}

void check_failing_computation_is_not_asked_for_what_is_unusable(
    void ** /*state*/) {
  for (const char *stored : {"*0", "*1", "", "$y$"}) {
    assert_string_equal(name_of(check(crypt_null, kRight, stored)), "unusable");
    assert_string_equal(name_of(check(crypt_failure_token, kRight, stored)),
                        "unusable");
  }
}

void compute_hash_by_setting_is_what_crypt_makes(void **state) {
  Secret secret;
  assert_true(secret.assign(kRight));
  for (const Made &made : hashes(state)) {
    const auto computed = compute_hash(crypt_rn, secret, made.stored.c_str());
    assert_true(static_cast<bool>(computed));
    assert_text_equal(computed->view(), made.stored);
  }
}

// Fails unless it was handed a cleared crypt_data of the right size, with the
// secret and the setting as C strings.
char *crypt_that_looks(const char *phrase, const char *setting, void *data,
                       int size) {
  assert_string_equal(phrase, kRight);
  assert_string_equal(setting, kOld);
  assert_int_equal(size, sizeof(crypt_data));
  const std::vector<char> zeros(sizeof(crypt_data), '\0');
  assert_memory_equal(data, zeros.data(), zeros.size());
  char *output = static_cast<crypt_data *>(data)->output;
  std::memcpy(output, kOld, std::strlen(kOld) + 1);
  return output;
}

void check_crypt_gets_secret_setting_and_cleared_memory(void ** /*state*/) {
  // The stored hash need not be followed by a NUL byte.
  const std::string text = std::string(kOld) + "garbage";
  const std::string_view stored(text.data(), std::strlen(kOld));
  assert_string_equal(name_of(check(crypt_that_looks, kRight, stored)),
                      "match");
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(check_vectors_of_upstream_are_judged_alike),
      cmocka_unit_test(hash_method_vectors_of_upstream_are_named),
      cmocka_unit_test_setup_teardown(hash_method_every_method_is_named,
                                      make_hashes, free_hashes),
      cmocka_unit_test_setup_teardown(check_every_method_right_secret_matches,
                                      make_hashes, free_hashes),
      cmocka_unit_test_setup_teardown(
          check_every_method_one_wrong_byte_is_a_mismatch, make_hashes,
          free_hashes),
      cmocka_unit_test_setup_teardown(
          check_every_method_changed_hash_is_a_mismatch, make_hashes,
          free_hashes),
      cmocka_unit_test_setup_teardown(check_any_changed_byte_never_matches,
                                      make_hashes_and_answer,
                                      free_hashes_and_answer),
      cmocka_unit_test_setup_teardown(
          check_computed_text_of_other_length_is_a_mismatch,
          make_hashes_and_answer, free_hashes_and_answer),
      cmocka_unit_test_setup_teardown(hash_method_truncated_hash_is_empty,
                                      make_hashes, free_hashes),
      cmocka_unit_test_setup_teardown(check_truncated_hash_is_unusable,
                                      make_hashes, free_hashes),
      cmocka_unit_test_setup_teardown(check_truncated_hash_never_matches,
                                      make_hashes, free_hashes),
      cmocka_unit_test_setup_teardown(
          check_what_stands_around_a_hash_makes_it_unusable, make_hashes,
          free_hashes),
      cmocka_unit_test(check_what_is_no_hash_is_unusable),
      cmocka_unit_test_setup_teardown(
          hash_method_setting_is_as_libcrypt_takes_it, make_hashes,
          free_hashes),
      cmocka_unit_test(
          hash_method_yescrypt_parameters_are_as_libcrypt_takes_them),
      cmocka_unit_test_setup_teardown(
          is_old_hash_names_what_upstream_makes_no_more, make_hashes,
          free_hashes),
      cmocka_unit_test(hash_method_bigcrypt_has_at_most_sixteen_blocks),
      cmocka_unit_test(check_bigcrypt_counts_beyond_eight_characters),
      cmocka_unit_test(check_computation_that_fails_is_no_mismatch),
      cmocka_unit_test(
          check_failing_computation_is_not_asked_for_what_is_unusable),
      cmocka_unit_test_setup_teardown(
          compute_hash_by_setting_is_what_crypt_makes, make_hashes,
          free_hashes),
      cmocka_unit_test(check_crypt_gets_secret_setting_and_cleared_memory),
  };
  return cmocka_run_group_tests_name("stored_hash", tests, nullptr, nullptr);
}
