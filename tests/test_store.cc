// SPDX-License-Identifier: BSD-3-Clause
// The configuration of a store, good and bad.
#include "pbstoken/store/store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "support.h"

namespace pbstoken {
namespace {

using testing::TempDir;

const PathText kPath("/some/pbs.conf");

Result<Store> parse(std::string_view text, std::string_view name = "pbs") {
  return parse_store(name, text, kPath);
}

Store parsed(std::string_view text, std::string_view name = "pbs") {
  const auto store = parse(text, name);
  if (!store) {
    fail_msg("%s: %s", std::string(text).c_str(),
             describe(store.error()).c_str());
  }
  return *store;
}

// The message, or "accepted".
std::string complaint(std::string_view text) {
  const auto store = parse(text);
  if (store) {
    return "accepted";
  }
  assert_true(store.error().code == Errc::kBadConfiguration);
  return std::string(describe(store.error()).view());
}

// What names file, line and key.
void assert_bad(const std::string &text, int line, const std::string &key) {
  const std::string start =
      "/some/pbs.conf:" + std::to_string(line) + ": " + key + ": ";
  const std::string message = complaint(text);
  if (!message.starts_with(start) || message.size() == start.size()) {
    fail_msg("'%.80s': %s", text.c_str(), message.c_str());
  }
}

std::string long_path(std::size_t size) {
  return "/" + std::string(size - 1, 'p');
}

void parse_store_nothing_given_is_the_default(void ** /*state*/) {
  for (const char *text : {"", "\n", "\n\n", "# nothing", " \t\r\n#\n"}) {
    const Store store = parsed(text);
    assert_text_equal(store.name.view(), "pbs");
    assert_text_equal(store.token_shadow.view(),
                      "/etc/proxmox-backup/token.shadow");
    assert_text_equal(store.lock_file.view(),
                      "/etc/proxmox-backup/token.shadow.lock");
    assert_text_equal(store.file_owner.name.view(), "backup");
    assert_text_equal(store.file_group.name.view(), "backup");
    assert_int_equal(store.file_mode, 0640);
    assert_true(store.cache);
    assert_int_equal(store.cache_ttl, 5);
    assert_false(store.cache_slots.has_value());
    assert_false(store.has_shm_key);
    assert_true(store.look);
    assert_false(store.shared_fs);
    assert_int_equal(store.lease, 0);
    assert_text_equal(store.user_lock.view(), "/etc/proxmox-backup/.user.lck");
    assert_text_equal(store.verify_group.name.view(), "pbstoken");
    assert_false(store.verify_group.is_nobody());
  }
}

void parse_store_every_key_is_taken(void ** /*state*/) {
  const Store store = parsed(
      "token_shadow = /a/token.shadow\n"
      "lock_file = /b/the.lock\n"
      "file_owner = root\n"
      "file_group = root\n"
      "file_mode = 0600\n"
      "cache = no\n"
      "cache_ttl = 60\n"
      "look = no\n"
      "shared_fs = yes\n"
      "lease = 60\n"
      "cache_slots = 16\n"
      "user_lock = /c/the.lck\n"
      "shm_key = 0x1234\n"
      "verify_group = root\n",
      "other");
  assert_text_equal(store.name.view(), "other");
  assert_text_equal(store.token_shadow.view(), "/a/token.shadow");
  assert_text_equal(store.lock_file.view(), "/b/the.lock");
  assert_int_equal(*user_id(store.file_owner), 0);
  assert_int_equal(*group_id(store.file_group), 0);
  assert_int_equal(store.file_mode, 0600);
  assert_true(store.shared_fs);
  assert_int_equal(store.lease, 60);
  assert_false(store.cache);
  assert_int_equal(store.cache_ttl, 60);
  assert_true(store.cache_slots == 16U);
  assert_false(store.look);
  assert_text_equal(store.user_lock.view(), "/c/the.lck");
  assert_true(store.has_shm_key);
  assert_int_equal(*group_id(store.verify_group), 0);
}

struct NumberCase {
  const char *value;
  std::uint64_t number;
};

void parse_store_file_mode_is_octal_up_to_0777(void ** /*state*/) {
  for (const NumberCase &c : std::array<NumberCase, 7>{{{"0640", 0640},
                                                        {"640", 0640},
                                                        {"0", 0},
                                                        {"0000", 0},
                                                        {"0777", 0777},
                                                        {"777", 0777},
                                                        {"00000600", 0600}}}) {
    assert_int_equal(parsed(std::string("file_mode=") + c.value).file_mode,
                     c.number);
  }
  for (const char *value :
       {"", "1000", "0o640", "0x1a0", "640 ,", "8", "0648", "-1", "+640",
        "rw-r-----", "u=rw", "4755", "06 40", "999999999999999999999999"}) {
    assert_bad(std::string("file_mode=") + value, 1, "file_mode");
  }
}

void parse_store_cache_is_yes_or_no(void ** /*state*/) {
  assert_true(parsed("cache=yes").cache);
  assert_false(parsed("cache=no").cache);
  for (const char *value : {"", "1", "0", "true", "false", "on", "off", "Yes",
                            "NO", "y", "yes no", "yess", "\"yes\""}) {
    assert_bad(std::string("cache=") + value, 1, "cache");
  }
}

void parse_store_cache_ttl_is_zero_to_a_day(void ** /*state*/) {
  for (const NumberCase &c : std::array<NumberCase, 5>{{{"0", 0},
                                                        {"1", 1},
                                                        {"86399", 86399},
                                                        {"86400", 86400},
                                                        {"0005", 5}}}) {
    assert_int_equal(parsed(std::string("cache_ttl=") + c.value).cache_ttl,
                     c.number);
  }
  for (const char *value :
       {"", "86401", "-1", "+5", "5s", "5.0", "0x5", "5 5", "five",
        "18446744073709551616", "18446744073709551621", "99999999999999999999",
        "1e1"}) {
    assert_bad(std::string("cache_ttl=") + value, 1, "cache_ttl");
  }
}

void parse_store_lease_is_zero_to_a_day(void ** /*state*/) {
  for (const NumberCase &c : std::array<NumberCase, 4>{
           {{"0", 0}, {"1", 1}, {"60", 60}, {"86400", 86400}}}) {
    assert_int_equal(parsed(std::string("lease=") + c.value).lease, c.number);
  }
  for (const char *value : {"", "86401", "-1", "+6", "6s", "6.0", "0x6", "no",
                            "18446744073709551616"}) {
    assert_bad(std::string("lease=") + value, 1, "lease");
  }
}

void parse_store_cache_slots_is_auto_or_one_to_a_mebi(void ** /*state*/) {
  for (const NumberCase &c :
       std::array<NumberCase, 4>{{{"1", 1},
                                  {"8192", 8192},
                                  {"1048575", 1048575},
                                  {"1048576", 1048576}}}) {
    assert_int_equal(*parsed(std::string("cache_slots=") + c.value).cache_slots,
                     c.number);
  }
  assert_false(parsed("cache_slots = auto").cache_slots.has_value());
  for (const char *value :
       {"", "0", "00", "1048577", "-1", "4294967297", "18446744073709551617",
        "8k", "0x10", "Auto", "auto 1", "automatic"}) {
    assert_bad(std::string("cache_slots=") + value, 1, "cache_slots");
  }
}

void parse_store_shm_key_is_any_number_but_zero(void ** /*state*/) {
  for (const NumberCase &c :
       std::array<NumberCase, 6>{{{"1", 1},
                                  {"0x1", 1},
                                  {"4294967295", 0xffffffff},
                                  {"0xffffffff", 0xffffffff},
                                  {"0xFFFFFFFF", 0xffffffff},
                                  {"0x00000010", 16}}}) {
    assert_true(parsed(std::string("shm_key=") + c.value).has_shm_key);
  }
  for (const char *value :
       {"", "0", "0x0", "00", "0x", "x1", "0x100000000", "4294967296", "-1",
        "0x-1", "1f", "0xg", "0x1 ,", "IPC_PRIVATE", "18446744073709551617"}) {
    assert_bad(std::string("shm_key=") + value, 1, "shm_key");
  }
}

void parse_store_paths_are_absolute_and_bounded(void ** /*state*/) {
  for (const char *key : {"token_shadow", "lock_file"}) {
    const std::string start = std::string(key) + "=";
    for (const char *value :
         {"", "token.shadow", "./a", "../a", "~/a", "\"/a\"", "file:///a"}) {
      assert_bad(start + value, 1, key);
    }
    assert_bad(start + long_path(1024), 1, key);
    assert_bad(start + long_path(5000), 1, key);
    assert_bad(start + std::string("/a\0b", 4), 1, key);
    assert_bad(start + std::string("/a\0", 3), 1, key);
  }
  assert_int_equal(
      parsed("lock_file=" + long_path(1023)).lock_file.view().size(), 1023);
  assert_text_equal(
      parsed("token_shadow=" + long_path(1018)).token_shadow.view(),
      long_path(1018));
  assert_text_equal(
      parsed("token_shadow = /with a space/é=x").token_shadow.view(),
      "/with a space/é=x");
}

void parse_store_lock_file_stands_beside_token_shadow(void ** /*state*/) {
  assert_text_equal(parsed("token_shadow=/a/b").lock_file.view(), "/a/b.lock");
  assert_text_equal(parsed("token_shadow=" + long_path(1018)).lock_file.view(),
                    long_path(1018) + ".lock");
  // The order of the lines does not matter.
  assert_text_equal(parsed("lock_file=/l\ntoken_shadow=/a/b").lock_file.view(),
                    "/l");
}

void parse_store_no_room_for_the_lock_file_is_bad(void ** /*state*/) {
  for (const std::size_t size : {1019U, 1023U}) {
    assert_bad("cache=yes\ntoken_shadow=" + long_path(size), 2, "token_shadow");
  }
}

void parse_store_known_names_have_numbers(void ** /*state*/) {
  assert_int_equal(*user_id(parsed("file_owner=root").file_owner), 0);
  assert_int_equal(*group_id(parsed("file_group=root").file_group), 0);
  assert_int_equal(*group_id(parsed("verify_group=root").verify_group), 0);
}

void parse_store_numbers_need_not_be_known(void ** /*state*/) {
  for (const NumberCase &c :
       std::array<NumberCase, 5>{{{"0", 0},
                                  {"34", 34},
                                  {"0034", 34},
                                  {"3999999999", 3999999999},
                                  {"4294967294", 4294967294}}}) {
    const std::string value = c.value;
    assert_int_equal(*user_id(parsed("file_owner=" + value).file_owner),
                     c.number);
    assert_int_equal(*group_id(parsed("file_group=" + value).file_group),
                     c.number);
    assert_int_equal(*group_id(parsed("verify_group=" + value).verify_group),
                     c.number);
  }
}

void parse_store_unknown_names_are_bad(void ** /*state*/) {
  for (const char *key : {"file_owner", "file_group", "verify_group"}) {
    for (const char *value :
         {"no-such-name-here", "Root", "ROOT", "root ,", "root:", "root:x",
          "roo", "root root", "-1", "0x0", "4294967295", "4294967296",
          "18446744073709551616", "+0", ":", "*",
          "root-and-more-than-thirty-two-characters"}) {
      assert_bad(std::string(key) + "=" + value, 1, key);
    }
  }
  assert_bad("file_owner=", 1, "file_owner");
  assert_bad("file_group=", 1, "file_group");
  assert_bad("file_owner=#root", 1, "file_owner");
}

void parse_store_name_with_nul_is_bad(void ** /*state*/) {
  for (const char *key : {"file_owner", "file_group", "verify_group"}) {
    for (const std::string_view value :
         {std::string_view("root\0", 5), std::string_view("root\0x", 6),
          std::string_view("\0root", 5), std::string_view("\0", 1),
          std::string_view("0\0", 2)}) {
      assert_bad(std::string(key) + "=" + std::string(value), 1, key);
    }
  }
}

void parse_store_empty_verify_group_is_nobody(void ** /*state*/) {
  assert_true(parsed("verify_group=").verify_group.is_nobody());
  assert_true(parsed("verify_group = # nobody").verify_group.is_nobody());
}

void group_id_default_group_unknown_is_an_error(void ** /*state*/) {
  // As the default verify_group, where no package made it.
  const Principal unknown = {.name = FixedText<32>("no-such-name-here"),
                             .id = {}};
  for (const Errc code :
       {user_id(unknown).error().code, group_id(unknown).error().code}) {
    assert_true(code == Errc::kBadConfiguration);
  }
  assert_false(static_cast<bool>(user_id(unknown)));
  assert_false(static_cast<bool>(group_id(unknown)));
  const std::string message(describe(group_id(unknown).error()).view());
  assert_true(message.find("no-such-name-here") != std::string::npos);
  assert_true(message.find("/etc/group") != std::string::npos);
}

void parse_store_unknown_key_is_bad(void ** /*state*/) {
  for (const char *key :
       {"cache_tll", "Cache", "CACHE", "cache_", "cach", "cache ttl",
        "token-shadow", "[pbs]", "export cache", "store.cache"}) {
    assert_bad(std::string(key) + " = 1", 1, key);
  }
  assert_text_equal(complaint("cache_tll = 5"),
                    "/some/pbs.conf:1: cache_tll: unknown key");
  assert_true(complaint("= 1") != "accepted");
  assert_true(complaint("=") != "accepted");
}

void parse_store_unknown_key_is_shown_escaped_and_bounded(void ** /*state*/) {
  assert_bad("ca\033[2Jche = 1", 1, "ca\\x1b[2Jche");
  assert_bad("ca\x7f\\che = 1", 1, "ca\\x7f\\x5cche");
  assert_bad(std::string("ca\0che = 1", 10), 1, "ca\\x00che");
  assert_bad(std::string("cache\0 = yes", 12), 1, "cache\\x00");
  const std::string message = complaint(std::string(60000, 'k') + " = 1");
  assert_true(message.starts_with("/some/pbs.conf:1: kkk"));
  assert_true(message.size() < 200);
}

void parse_store_key_given_twice_is_bad(void ** /*state*/) {
  for (const char *line :
       {"token_shadow=/a", "lock_file=/a", "file_owner=0", "file_group=0",
        "file_mode=0600", "cache=yes", "cache_ttl=1", "cache_slots=1",
        "shm_key=1", "verify_group=0"}) {
    const std::string text = line;
    const std::string key = text.substr(0, text.find('='));
    assert_bad(text + "\n" + text, 2, key);
    assert_bad(text + "\n# between\n\n " + text + " ", 4, key);
  }
  assert_bad("verify_group=\nverify_group=", 2, "verify_group");
}

void parse_store_line_without_equals_is_bad(void ** /*state*/) {
  assert_bad("cache", 1, "cache");
  assert_bad("cache yes", 1, "cache yes");
  assert_bad("cache # = yes", 1, "cache");
  assert_bad("cache: yes", 1, "cache: yes");
  assert_bad("cache=yes\n\n\ncache_ttl", 4, "cache_ttl");
  assert_bad("; cache", 1, "; cache");
  assert_bad("\xef\xbb\xbf", 1, "\\xef\\xbb\\xbf");
}

void parse_store_first_bad_line_is_named(void ** /*state*/) {
  assert_bad("# one\ncache = yes\n\ncache_ttl = x\ncache_slots = y\n", 4,
             "cache_ttl");
  assert_bad("cache = yes\r\ncache_ttl = x\r\n", 2, "cache_ttl");
  assert_bad(std::string(30000, '\n') + "cache = x", 30001, "cache");
}

void parse_store_white_space_and_comments_are_dropped(void ** /*state*/) {
  for (const char *text :
       {"cache_ttl=7", "cache_ttl = 7\n", "cache_ttl\t=\t7\t", "  cache_ttl =7",
        "cache_ttl = 7\r\n", "cache_ttl = 7   \r\n", "cache_ttl = 7 # seconds",
        "cache_ttl = 7# seconds", "# cache_ttl = 8\ncache_ttl = 7",
        "#cache_ttl = 8\r\n\r\ncache_ttl = 7\r\n", "\r\n \r\ncache_ttl = 7",
        "cache_ttl = 7 # = 8 # = 9", "cache_ttl = 7\n\n\n"}) {
    if (parsed(text).cache_ttl != 7) {
      fail_msg("%s", text);
    }
  }
  assert_text_equal(parsed("token_shadow = /a b/c \t").token_shadow.view(),
                    "/a b/c");
}

void parse_store_value_may_hold_equals(void ** /*state*/) {
  assert_text_equal(parsed("token_shadow = /a=b=").token_shadow.view(),
                    "/a=b=");
  assert_bad("token_shadow==/a", 1, "token_shadow");
}

void parse_store_nul_in_a_value_is_bad(void ** /*state*/) {
  for (const char *line : {"cache=yes", "cache_ttl=5", "cache_slots=5",
                           "shm_key=5", "file_mode=0600"}) {
    const std::string text = line;
    const std::string key = text.substr(0, text.find('='));
    assert_bad(text + std::string("\0", 1), 1, key);
    assert_bad(text + std::string("\0x", 2), 1, key);
    assert_bad(key + "=" + std::string("\0", 1) + "5", 1, key);
  }
}

void parse_store_nul_does_not_end_the_file(void ** /*state*/) {
  const std::string nul(1, '\0');
  assert_true(complaint(nul) != "accepted");
  assert_true(complaint("cache=yes\n" + nul + "\n") != "accepted");
  // Behind a NUL the file goes on.
  assert_bad("# " + nul + "\ncache=x", 2, "cache");
}

// Beside user.cfg, wherever that is; none without it.
void parse_store_user_lock_is_beside_user_cfg(void ** /*state*/) {
  assert_text_equal(parsed("user_cfg=/a/b/c").user_lock.view(),
                    "/a/b/.user.lck");
  assert_text_equal(parsed("user_cfg=/a").user_lock.view(), "/.user.lck");
  assert_true(parsed("user_cfg=").user_lock.empty());
  assert_true(parsed("user_cfg=\nuser_lock=/l").user_lock.empty());
}

void is_store_name_only_of_the_grammar(void ** /*state*/) {
  for (const char *name : {"pbs", "pdm", "a", "0", "9z", "a-b", "a_b", "a-",
                           "a_", "0-_", "abcdefghijklmnopqrstuvwxyz012345"}) {
    assert_true(is_store_name(name));
  }
  for (const std::string_view name :
       {std::string_view(""),
        std::string_view("-a"),
        std::string_view("_a"),
        std::string_view("-"),
        std::string_view("_"),
        std::string_view("A"),
        std::string_view("aB"),
        std::string_view("a.b"),
        std::string_view("."),
        std::string_view(".."),
        std::string_view("../a"),
        std::string_view("a/b"),
        std::string_view("/"),
        std::string_view("a b"),
        std::string_view("a "),
        std::string_view(" a"),
        std::string_view("a\n"),
        std::string_view("a\0", 2),
        std::string_view("a\0b", 3),
        std::string_view("\0", 1),
        std::string_view("ä"),
        std::string_view("a@b"),
        std::string_view("abcdefghijklmnopqrstuvwxyz0123456")}) {
    if (is_store_name(name)) {
      fail_msg("accepted: %s", std::string(name).c_str());
    }
  }
}

void is_store_name_every_byte_is_judged(void ** /*state*/) {
  constexpr std::string_view kFirst = "abcdefghijklmnopqrstuvwxyz0123456789";
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool first = kFirst.find(c) != std::string_view::npos;
    const bool later = first || c == '_' || c == '-';
    assert_true(is_store_name(std::string(1, c)) == first);
    assert_true(is_store_name(std::string("a") + c) == later);
  }
}

void configuration_path_is_below_etc(void ** /*state*/) {
  assert_text_equal(configuration_path("pbs").view(), "/etc/pbstoken/pbs.conf");
  assert_text_equal(configuration_path("a-b").view(), "/etc/pbstoken/a-b.conf");
}

void assert_not_loaded(std::string_view name, const std::string &path) {
  const auto store = load_store(name, PathText(path));
  if (store) {
    fail_msg("%s was loaded", path.c_str());
  }
  assert_true(store.error().code == Errc::kBadConfiguration);
}

void load_store_directory_that_others_may_write_is_bad(void **state) {
  const auto *dir = static_cast<TempDir *>(*state);
  // So that it is nobody's alone, whoever runs this and wherever it is.
  assert_int_equal(chmod(dir->path(".").c_str(), 0777), 0);
  const std::string path = dir->write("pbs.conf", "cache = no\n");
  assert_int_equal(chmod(path.c_str(), 0600), 0);
  assert_not_loaded("pbs", path);
  assert_not_loaded("other", path);
  // Nor does it count as no configuration at all.
  assert_not_loaded("pbs", dir->path("missing.conf"));
}

void load_store_what_is_no_file_is_bad(void ** /*state*/) {
  for (const char *path : {"/", "/etc", "/etc/", "/dev/null", "",
                           "/etc/passwd/pbs.conf", "/proc/self/status"}) {
    assert_not_loaded("pbs", path);
  }
}

void load_store_missing_file_of_another_store_is_bad(void ** /*state*/) {
  const std::string name = "no-such-store-0123456789";
  assert_not_loaded(name, std::string(configuration_path(name).view()));
  assert_not_loaded("pbs", std::string(configuration_path(name).view()));
  assert_not_loaded("pbs", "/no-such-directory/pbs.conf");
  // The file of the default store, for a store that is not.
  const std::string file(configuration_path("pbs").view());
  if (access(file.c_str(), F_OK) != 0) {
    assert_not_loaded(name, file);
  }
}

void load_store_missing_file_of_the_default_store_is_the_default(
    void ** /*state*/) {
  const PathText path = configuration_path("pbs");
  const auto store = load_store("pbs", path);
  // On a host that has the file its content is that of its administrator.
  if (access(path.c_str(), F_OK) != 0) {
    assert_true(static_cast<bool>(store));
    assert_text_equal(store->token_shadow.view(),
                      "/etc/proxmox-backup/token.shadow");
  }
}

void load_store_file_that_is_no_configuration_is_bad(void ** /*state*/) {
  // Root's alone, but /etc/passwd has no 'key = value' lines.
  assert_not_loaded("pbs", "/etc/passwd");
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  using testing::make_temp_dir;
  using testing::remove_temp_dir;
  const CMUnitTest tests[] = {
      cmocka_unit_test(parse_store_nothing_given_is_the_default),
      cmocka_unit_test(parse_store_every_key_is_taken),
      cmocka_unit_test(parse_store_file_mode_is_octal_up_to_0777),
      cmocka_unit_test(parse_store_cache_is_yes_or_no),
      cmocka_unit_test(parse_store_cache_ttl_is_zero_to_a_day),
      cmocka_unit_test(parse_store_lease_is_zero_to_a_day),
      cmocka_unit_test(parse_store_cache_slots_is_auto_or_one_to_a_mebi),
      cmocka_unit_test(parse_store_shm_key_is_any_number_but_zero),
      cmocka_unit_test(parse_store_paths_are_absolute_and_bounded),
      cmocka_unit_test(parse_store_lock_file_stands_beside_token_shadow),
      cmocka_unit_test(parse_store_no_room_for_the_lock_file_is_bad),
      cmocka_unit_test(parse_store_known_names_have_numbers),
      cmocka_unit_test(parse_store_numbers_need_not_be_known),
      cmocka_unit_test(parse_store_unknown_names_are_bad),
      cmocka_unit_test(parse_store_name_with_nul_is_bad),
      cmocka_unit_test(parse_store_empty_verify_group_is_nobody),
      cmocka_unit_test(group_id_default_group_unknown_is_an_error),
      cmocka_unit_test(parse_store_unknown_key_is_bad),
      cmocka_unit_test(parse_store_unknown_key_is_shown_escaped_and_bounded),
      cmocka_unit_test(parse_store_key_given_twice_is_bad),
      cmocka_unit_test(parse_store_line_without_equals_is_bad),
      cmocka_unit_test(parse_store_first_bad_line_is_named),
      cmocka_unit_test(parse_store_white_space_and_comments_are_dropped),
      cmocka_unit_test(parse_store_value_may_hold_equals),
      cmocka_unit_test(parse_store_nul_in_a_value_is_bad),
      cmocka_unit_test(parse_store_nul_does_not_end_the_file),
      cmocka_unit_test(parse_store_user_lock_is_beside_user_cfg),
      cmocka_unit_test(is_store_name_only_of_the_grammar),
      cmocka_unit_test(is_store_name_every_byte_is_judged),
      cmocka_unit_test(configuration_path_is_below_etc),
      cmocka_unit_test_setup_teardown(
          load_store_directory_that_others_may_write_is_bad, make_temp_dir,
          remove_temp_dir),
      cmocka_unit_test(load_store_what_is_no_file_is_bad),
      cmocka_unit_test(load_store_missing_file_of_another_store_is_bad),
      cmocka_unit_test(
          load_store_missing_file_of_the_default_store_is_the_default),
      cmocka_unit_test(load_store_file_that_is_no_configuration_is_bad),
  };
  return cmocka_run_group_tests_name("store", tests, nullptr, nullptr);
}
