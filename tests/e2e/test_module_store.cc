// SPDX-License-Identifier: BSD-3-Clause
// The configuration is read once for all handles of a process, and every change
// to it shows at the next handle; one to who may make one, within a second.
#include <sys/inotify.h>

#include <functional>

#include "e2e_pam.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/os/unique_fd.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kOther = "/etc/proxmox-backup/other.shadow";

std::string configuration(const std::string &store) {
  return "/etc/pbstoken/" + store + ".conf";
}

// A store in which kId has kSecret, and one line of settings more.
void make_store(const std::string &store, const std::string &setting = "") {
  write_file(configuration(store),
             "token_shadow = /etc/proxmox-backup/token.shadow\n" + setting);
}

// Younger files are never remembered: they may change within a tick.
void wait_until_old() {
  usleep(2'100'000);
}

int authenticate_in(const std::string &store) {
  write_service("store=" + store);
  return authenticate(kId, kSecret);
}

// Whether the file is opened while the function runs.
bool opens(const std::string &path, const std::function<void()> &function) {
  const UniqueFd watch(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  assert_true(watch.get() >= 0);
  assert_true(inotify_add_watch(watch.get(), path.c_str(), IN_OPEN) >= 0);
  function();
  inotify_event event{};
  return read(watch.get(), &event, sizeof(event)) == sizeof(event);
}

void store_is_read_once_when_it_is_old(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  make_store("old");
  const auto opens_once_more = [] {
    return opens(configuration("old"),
                 [] { assert_pam(authenticate_in("old"), PAM_SUCCESS); });
  };
  assert_true(opens_once_more());
  assert_true(opens_once_more());
  wait_until_old();
  assert_true(opens_once_more());
  assert_false(opens_once_more());
  assert_false(opens_once_more());
  // A child has it from its parent.
  assert_int_equal(in_child([&] { return opens_once_more() ? 1 : 0; }), 0);
}

// But for the first all are hits, which need no names.
void store_is_read_each_time_while_it_is_young(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  int opened = 0;
  std::uint64_t begun = 0;
  do {  // until it was young all the time
    make_store("young");
    begun = boottime_now();
    opened = 0;
    for (int i = 0; i < 4; ++i) {
      opened += opens(configuration("young"),
                      [] { assert_pam(authenticate_in("young"), PAM_SUCCESS); })
                    ? 1
                    : 0;
    }
  } while (boottime_now() - begun > kNanosecondsPerSecond);
  assert_int_equal(opened, 4);
}

void store_changes_show_at_the_next_handle(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  write_file(kOther, shadow_of({{kId, kOldHash}}));
  struct Change {
    const char *store;
    std::function<void(const std::string &path)> make;
    int then;
  };
  const std::vector<Change> changes = {
      {"text",
       [](const std::string &path) {
         write_file(path, std::string("token_shadow = ") + kOther + "\n");
       },
       PAM_AUTH_ERR},
      {"same-size",
       [](const std::string &path) {
         std::string text = read_file(path);
         text.replace(text.find("token.shadow"), 5, "other");
         write_file(path, text);
       },
       PAM_AUTH_ERR},
      {"bad", [](const std::string &path) { write_file(path, "no setting\n"); },
       PAM_AUTHINFO_UNAVAIL},
      {"gone", [](const std::string &path) { unlink(path.c_str()); },
       PAM_AUTHINFO_UNAVAIL},
      {"mode",
       [](const std::string &path) {
         assert_int_equal(chmod(path.c_str(), 0664), 0);
       },
       PAM_AUTHINFO_UNAVAIL},
      {"owner",
       [](const std::string &path) {
         assert_int_equal(chown(path.c_str(), 1, 0), 0);
       },
       PAM_AUTHINFO_UNAVAIL},
      {"renamed",
       [](const std::string &path) {
         assert_int_equal(
             rename(configuration("another").c_str(), path.c_str()), 0);
       },
       PAM_AUTH_ERR},
      {"linked",
       [](const std::string &path) {
         const std::string target = path + ".moved";
         assert_int_equal(rename(path.c_str(), target.c_str()), 0);
         assert_int_equal(symlink(target.c_str(), path.c_str()), 0);
       },
       PAM_AUTHINFO_UNAVAIL},
      {"directory",
       [](const std::string & /*path*/) {
         assert_int_equal(chmod("/etc/pbstoken", 0775), 0);
         usleep(1'000'000);  // for as long as the last look may count
       },
       PAM_AUTHINFO_UNAVAIL},
  };
  for (const Change &change : changes) {
    make_store(change.store);
  }
  write_file(configuration("another"),
             std::string("token_shadow = ") + kOther + "\n");
  wait_until_old();
  for (const Change &change : changes) {
    const std::string path = configuration(change.store);
    assert_pam(authenticate_in(change.store), PAM_SUCCESS);
    assert_false(opens(
        path, [&] { assert_pam(authenticate_in(change.store), PAM_SUCCESS); }));
    change.make(path);
    for (int i = 0; i < 2; ++i) {
      if (const int status = authenticate_in(change.store);
          status != change.then) {
        fail_msg("%s: %s", change.store, pam_code_name(status).c_str());
      }
    }
  }
  assert_int_equal(chmod("/etc/pbstoken", 0755), 0);
  assert_pam(authenticate_in("directory"), PAM_SUCCESS);
}

// Names are looked up where they are needed: a hit opens neither the
// configuration again nor /etc/group, and what is no hit finds a name out that
// means nobody.
void store_with_a_groups_name_looks_it_up_for_no_hit(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const std::string groups = read_file("/etc/group");
  write_file("/etc/group", groups + "visitors:x:4242:\n");
  make_store("named", "admin_group = visitors\n");
  wait_until_old();
  for (int i = 0; i < 3; ++i) {
    assert_pam(authenticate_in("named"), PAM_SUCCESS);
  }
  for (const std::string &path :
       {configuration("named"), std::string("/etc/group")}) {
    assert_false(
        opens(path, [] { assert_pam(authenticate_in("named"), PAM_SUCCESS); }));
  }
  write_file("/etc/group", groups);
  assert_pam(authenticate_in("named"), PAM_SUCCESS);
  assert_pam(authenticate(kId, kWrongSecret), PAM_AUTHINFO_UNAVAIL);
}

void stores_in_turn_are_not_mixed_up(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  make_store("mine");
  write_file(kOther, shadow_of({{kId, kOldHash}}));
  write_file(configuration("other"),
             std::string("token_shadow = ") + kOther + "\n");
  wait_until_old();
  for (int i = 0; i < 4; ++i) {
    assert_pam(authenticate_in("mine"), PAM_SUCCESS);
    assert_pam(authenticate_in("other"), PAM_AUTH_ERR);
    write_service("config=" + configuration("other"));
    assert_pam(authenticate(kId, kSecret), PAM_AUTH_ERR);
  }
}

// What one service wants is no part of what is remembered.
void store_of_a_service_without_the_cache_is_the_same(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  make_store("shared");
  wait_until_old();
  assert_pam(authenticate_in("shared"), PAM_SUCCESS);
  write_service("store=shared nocache");
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  const auto hits = counter("hits");
  assert_pam(authenticate_in("shared"), PAM_SUCCESS);
  assert_int_equal(counter("hits"), hits + 1);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      PAM_TEST(store_is_read_once_when_it_is_old),
      PAM_TEST(store_is_read_each_time_while_it_is_young),
      PAM_TEST(store_changes_show_at_the_next_handle),
      PAM_TEST(store_with_a_groups_name_looks_it_up_for_no_hit),
      PAM_TEST(stores_in_turn_are_not_mixed_up),
      PAM_TEST(store_of_a_service_without_the_cache_is_the_same),
  };
  return cmocka_run_group_tests_name("module_store", tests, nullptr, nullptr);
}
