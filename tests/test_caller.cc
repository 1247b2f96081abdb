// SPDX-License-Identifier: BSD-3-Clause
// Who may do what: every command, every kind of caller.
#include "caller.h"

#include <array>
#include <string>
#include <vector>

#include "admin/admin.h"
#include "commands.h"
#include "support.h"

namespace pbstoken {
namespace {

constexpr gid_t kVerifiers = 3001;
constexpr gid_t kAdmins = 3002;

Principal numbered(gid_t id) {
  return {.name = FixedText<32>().append(std::uint64_t{id}), .id = id};
}

Store make_store(bool member_rotate) {
  Store store;
  store.verify_group = numbered(kVerifiers);
  store.admin_group = numbered(kAdmins);
  store.member_rotate = member_rotate;
  return store;
}

Caller caller(uid_t uid, gid_t gid, const std::vector<gid_t> &groups = {}) {
  Caller made;
  made.uid = uid;
  made.gid = gid;
  for (const gid_t group : groups) {
    assert_true(made.groups.append(group));
  }
  return made;
}

const CommandEntry *entry_of(Command command) {
  return find_command(kHelperProgram, command);
}

bool may(const Caller &who, const Store &store, Command command) {
  const auto permitted = permits(who, store, entry_of(command));
  assert_true(static_cast<bool>(permitted));
  return *permitted;
}

struct CommandRight {
  const char *name;
  Command command;
  bool member;           // may members of verify_group?
  bool rotating_member;  // and where the store has member_rotate?
};

constexpr std::array<CommandRight, 6> kCommands = {{
    {"generate", Command::kGenerate, false, false},
    {"set", Command::kSet, false, false},
    {"delete", Command::kDelete, false, false},
    {"rotate", Command::kRotate, false, true},
    {"verify", Command::kVerify, true, true},
    {"account", Command::kAccount, true, true},
}};

void assert_may(const Caller &who, bool expected_for_all) {
  for (const CommandRight &right : kCommands) {
    for (const bool member_rotate : {false, true}) {
      if (may(who, make_store(member_rotate), right.command) !=
          expected_for_all) {
        fail_msg("%s", right.name);
      }
    }
  }
}

void assert_may_what_members_may(const Caller &who) {
  for (const CommandRight &right : kCommands) {
    if (may(who, make_store(false), right.command) != right.member ||
        may(who, make_store(true), right.command) != right.rotating_member) {
      fail_msg("%s", right.name);
    }
  }
}

void permits_root_everything(void ** /*state*/) {
  assert_may(caller(0, 0), true);
  assert_may(caller(0, 100, {200}), true);
}

void permits_admin_everything(void ** /*state*/) {
  assert_may(caller(1000, kAdmins), true);
  assert_may(caller(1000, 1000, {5, kAdmins, 6}), true);
  assert_may(caller(1000, kVerifiers, {kAdmins}), true);
}

void permits_member_what_members_may(void ** /*state*/) {
  assert_may_what_members_may(caller(1000, kVerifiers));
  assert_may_what_members_may(caller(1000, 1000, {5, kVerifiers, 6}));
  assert_may_what_members_may(caller(1, 0, {kVerifiers}));
}

void permits_anybody_else_nothing(void ** /*state*/) {
  assert_may(caller(1000, 1000), false);
  // Nor by group 0, nor by a uid that is a group's number.
  assert_may(caller(1000, 0, {0, 1}), false);
  assert_may(caller(kAdmins, 1000), false);
  assert_may(caller(kVerifiers, 1000, {kVerifiers + 2}), false);
  assert_may(caller(65534, 65534, {}), false);
}

// A command that the program's table does not have is not even root's.
void permits_command_without_an_entry_nobody(void ** /*state*/) {
  for (const Command command :
       {Command::kNone, Command::kList, Command::kStatus, Command::kCheck,
        Command::kFlush, Command::kRetire}) {
    for (const Caller &who :
         {caller(0, 0), caller(1000, kAdmins), caller(1000, kVerifiers)}) {
      assert_false(may(who, make_store(true), command));
    }
  }
}

void permits_commands_of_root_root_alone(void ** /*state*/) {
  const auto allowed = [](const Caller &who, const CommandEntry *entry) {
    const auto permitted = permits(who, make_store(true), entry);
    return permitted && *permitted;
  };
  std::vector<const CommandEntry *> entries = {entry_of(Command::kServe)};
  for (const CommandEntry &entry : kAdminProgram.commands) {
    entries.push_back(&entry);
  }
  for (const CommandEntry *entry : entries) {
    assert_true(allowed(caller(0, 0), entry));
    assert_false(allowed(caller(1000, kAdmins), entry));
    assert_false(allowed(caller(1000, kVerifiers), entry));
    assert_text_equal(refusal(caller(1000, 0), make_store(true), entry).view(),
                      "not permitted: only root may do this, not uid 1000");
  }
}

// An empty name is no group: not even that of a process without any.
void permits_by_groups_that_are_empty_nobody(void ** /*state*/) {
  Store store = make_store(true);
  store.admin_group = {};
  store.verify_group = {};
  for (const CommandRight &right : kCommands) {
    assert_false(may(caller(1000, 0), store, right.command));
    assert_false(
        may(caller(1000, kAdmins, {kVerifiers}), store, right.command));
    assert_true(may(caller(0, 0), store, right.command));
  }
}

void permits_by_a_name_that_nobody_knows_nobody(void ** /*state*/) {
  Store store = make_store(true);
  store.verify_group = {.name = FixedText<32>("no-such-group-here"), .id = {}};
  for (const CommandRight &right : kCommands) {
    assert_false(may(caller(1000, 0, {kVerifiers}), store, right.command));
    assert_true(may(caller(1000, kAdmins), store, right.command));
  }
}

void permits_by_a_name_its_number(void ** /*state*/) {
  Store store = make_store(false);
  store.verify_group = {.name = FixedText<32>("root"), .id = {}};
  assert_true(may(caller(1000, 0), store, Command::kVerify));
  assert_true(may(caller(1000, 5, {0}), store, Command::kVerify));
  assert_false(may(caller(1000, kVerifiers), store, Command::kVerify));
}

void refusal_names_who_may(void ** /*state*/) {
  Store store = make_store(true);
  store.admin_group.name = FixedText<32>("tokenadmins");
  store.verify_group.name = FixedText<32>("pbstoken");
  assert_text_equal(
      refusal(caller(1000, 0), store, entry_of(Command::kSet)).view(),
      "not permitted: only root or group tokenadmins may do "
      "this, not uid 1000");
  assert_text_equal(
      refusal(caller(1000, 0), store, entry_of(Command::kVerify)).view(),
      "not permitted: only root or group tokenadmins or group "
      "pbstoken may do this, not uid 1000");
  assert_text_equal(
      refusal(caller(1000, 0), store, entry_of(Command::kRotate)).view(),
      refusal(caller(1000, 0), store, entry_of(Command::kVerify)).view());
  store.member_rotate = false;
  assert_text_equal(
      refusal(caller(1000, 0), store, entry_of(Command::kRotate)).view(),
      refusal(caller(1000, 0), store, entry_of(Command::kSet)).view());
  store.admin_group = {};
  assert_text_equal(
      refusal(caller(1000, 0), store, entry_of(Command::kDelete)).view(),
      "not permitted: only root may do this, not uid 1000");
}

void configuration_is_roots_to_name(void ** /*state*/) {
  assert_true(may_name_configuration(caller(0, 1000)));
  assert_false(may_name_configuration(caller(1000, 0, {kAdmins, kVerifiers})));
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(permits_root_everything),
      cmocka_unit_test(permits_admin_everything),
      cmocka_unit_test(permits_member_what_members_may),
      cmocka_unit_test(permits_anybody_else_nothing),
      cmocka_unit_test(permits_command_without_an_entry_nobody),
      cmocka_unit_test(permits_commands_of_root_root_alone),
      cmocka_unit_test(permits_by_groups_that_are_empty_nobody),
      cmocka_unit_test(permits_by_a_name_that_nobody_knows_nobody),
      cmocka_unit_test(permits_by_a_name_its_number),
      cmocka_unit_test(refusal_names_who_may),
      cmocka_unit_test(configuration_is_roots_to_name),
  };
  return cmocka_run_group_tests_name("caller", tests, nullptr, nullptr);
}
