// SPDX-License-Identifier: BSD-3-Clause
// Opening and reading what somebody else may have put there.
#include "pbstoken/os/file.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <iterator>

#include "support.h"

namespace pbstoken {
namespace {

using testing::TempDir;

const TempDir &directory(void **state) {
  return *static_cast<TempDir *>(*state);
}

Errc code_of_opening(const std::string &path) {
  const auto file = open_regular(PathText(path));
  if (file) {
    fail_msg("opened: %s", path.c_str());
  }
  // What is told names the file.
  assert_true(describe(file.error()).view().find(path.substr(0, 100)) !=
              std::string_view::npos);
  return file.error().code;
}

void open_regular_file_is_opened_close_on_exec(void **state) {
  const auto file =
      open_regular(PathText(directory(state).write("file", "text")));
  assert_true(static_cast<bool>(file));
  assert_true(file->get() >= 0);
  assert_true((fcntl(file->get(), F_GETFD) & FD_CLOEXEC) != 0);
  assert_int_equal(fcntl(file->get(), F_GETFL) & O_ACCMODE, O_RDONLY);
}

void open_regular_missing_file_is_not_found(void **state) {
  assert_true(code_of_opening(directory(state).path("none")) ==
              Errc::kNotFound);
  assert_true(code_of_opening(directory(state).path("none/below")) ==
              Errc::kNotFound);
}

void open_regular_directory_is_unsafe(void **state) {
  assert_true(code_of_opening(directory(state).path("")) == Errc::kUnsafe);
  assert_true(code_of_opening("/") == Errc::kUnsafe);
}

void open_regular_device_is_unsafe(void ** /*state*/) {
  assert_true(code_of_opening("/dev/null") == Errc::kUnsafe);
  assert_true(code_of_opening("/dev/zero") == Errc::kUnsafe);
}

void open_regular_fifo_is_unsafe_and_does_not_block(void **state) {
  const std::string path = directory(state).path("fifo");
  assert_int_equal(mkfifo(path.c_str(), 0600), 0);
  assert_true(code_of_opening(path) == Errc::kUnsafe);
}

void open_regular_socket_is_unsafe(void **state) {
  const std::string path = directory(state).path("socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  assert_true(path.size() < sizeof(address.sun_path));
  path.copy(address.sun_path, path.size());
  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  assert_int_equal(bind(listener.get(), reinterpret_cast<sockaddr *>(&address),
                        sizeof(address)),
                   0);
  assert_true(code_of_opening(path) == Errc::kUnsafe);
}

void open_regular_symbolic_link_is_refused(void **state) {
  const TempDir &dir = directory(state);
  std::filesystem::create_symlink(dir.write("real", "x"), dir.path("link"));
  std::filesystem::create_symlink(dir.path("none"), dir.path("dangling"));
  std::filesystem::create_symlink("loop", dir.path("loop"));
  for (const char *name : {"link", "dangling", "loop"}) {
    // Not "it is not there": that would be no tokens, or no configuration.
    assert_true(code_of_opening(dir.path(name)) != Errc::kNotFound);
  }
}

void open_regular_file_as_a_directory_is_an_error(void **state) {
  const std::string path = directory(state).write("file", "x");
  assert_true(code_of_opening(path + "/below") == Errc::kUnsafe);
  assert_true(code_of_opening(path + "/") == Errc::kUnsafe);
}

void open_regular_too_long_name_is_an_error(void **state) {
  const TempDir &dir = directory(state);
  // Its first NAME_MAX bytes are a file.
  dir.write(std::string(NAME_MAX, 'n'), "x");
  assert_true(code_of_opening(dir.path(std::string(NAME_MAX + 1, 'n'))) ==
              Errc::kSystem);
}

void open_regular_relative_path_is_unsafe(void ** /*state*/) {
  assert_true(code_of_opening("") == Errc::kUnsafe);
  assert_true(code_of_opening("etc/passwd") == Errc::kUnsafe);
}

bool is_roots_alone(const char *path) {
  struct stat status = {};
  return lstat(path, &status) == 0 && status.st_uid == 0 &&
         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

void open_trusted_file_of_root_is_opened(void ** /*state*/) {
  // In some containers / is not root's; then nothing is to be trusted.
  const bool trusted = is_roots_alone("/") && is_roots_alone("/etc") &&
                       is_roots_alone("/etc/passwd");
  for (const char *path : {"/etc/passwd", "//etc///passwd", "/etc/./passwd",
                           "/etc/../etc/passwd"}) {
    const auto file = open_trusted(PathText(path));
    assert_true(static_cast<bool>(file) == trusted);
    if (file) {
      assert_true((fcntl(file->get(), F_GETFD) & FD_CLOEXEC) != 0);
      struct stat expected = {};
      struct stat actual = {};
      assert_int_equal(stat("/etc/passwd", &expected), 0);
      assert_int_equal(fstat(file->get(), &actual), 0);
      assert_true(identity_of(actual) == identity_of(expected));
    } else {
      assert_true(file.error().code == Errc::kUnsafe);
    }
  }
}

void assert_unsafe(const std::string &path) {
  const auto file = open_trusted(PathText(path));
  if (file) {
    fail_msg("opened: %s", path.c_str());
  }
  if (file.error().code != Errc::kUnsafe) {
    fail_msg("%s", describe(file.error()).c_str());
  }
}

void open_trusted_below_a_directory_of_others_is_unsafe(void **state) {
  const TempDir &dir = directory(state);
  // So that it is nobody's alone, whoever runs this and wherever it is.
  assert_int_equal(chmod(dir.path(".").c_str(), 0777), 0);
  const std::string path = dir.write("file", "x");
  assert_int_equal(chmod(path.c_str(), 0600), 0);
  std::filesystem::create_directory(dir.path("sub"));
  assert_int_equal(chmod(dir.path("sub").c_str(), 0700), 0);
  const std::string below = dir.write("sub/file", "x");
  assert_int_equal(chmod(below.c_str(), 0600), 0);
  assert_unsafe(path);
  assert_unsafe(below);
  // It tells nothing of what is there.
  assert_unsafe(dir.path("none"));
  assert_unsafe(dir.path("sub/none"));
}

void open_trusted_below_tmp_is_unsafe(void ** /*state*/) {
  // World-writable; that it is sticky does not make it root's alone.
  if (!is_roots_alone("/tmp")) {
    assert_unsafe("/tmp/none");
  }
}

void open_trusted_symbolic_link_on_the_way_is_unsafe(void ** /*state*/) {
  // /proc/self is one everywhere, and root's.
  assert_unsafe("/proc/self/status");
}

void open_trusted_symbolic_link_at_the_end_is_unsafe(void ** /*state*/) {
  assert_unsafe("/proc/mounts");
}

void open_trusted_what_is_no_regular_file_is_unsafe(void ** /*state*/) {
  for (const char *path : {"/dev/null", "/etc", "/proc"}) {
    assert_unsafe(path);
  }
}

void open_trusted_missing_file_is_not_found(void ** /*state*/) {
  if (!is_roots_alone("/") || !is_roots_alone("/etc")) {
    assert_unsafe("/etc/no-such-file-here");
    return;
  }
  for (const char *path :
       {"/no-such-directory-here/file", "/etc/no-such-file-here",
        "/etc/no-such-directory-here/file"}) {
    const auto file = open_trusted(PathText(path));
    assert_false(static_cast<bool>(file));
    assert_true(file.error().code == Errc::kNotFound);
  }
}

void open_trusted_too_long_name_is_an_error(void ** /*state*/) {
  const std::string name(NAME_MAX + 1, 'n');
  for (const std::string &path :
       {"/" + name, "/" + name + "/file", "/etc/" + name}) {
    const auto file = open_trusted(PathText(path));
    assert_false(static_cast<bool>(file));
    // Never "it is not there", whatever stands at the first NAME_MAX bytes.
    assert_true(file.error().code != Errc::kNotFound);
    assert_true(file.error().saved_errno == ENAMETOOLONG ||
                file.error().code == Errc::kUnsafe);
  }
  // One byte less can be looked for.
  const auto file = open_trusted(PathText("/" + std::string(NAME_MAX, 'n')));
  assert_false(static_cast<bool>(file));
  assert_true(file.error().saved_errno != ENAMETOOLONG);
}

void look_at_missing_file_is_the_empty_identity(void **state) {
  directory(state).write("file", "x");
  for (const char *name : {"none", "none/below", "file/below"}) {
    const auto identity = look_at(PathText(directory(state).path(name)));
    assert_true(static_cast<bool>(identity));
    assert_true(*identity == FileIdentity{});
  }
}

void look_at_what_cannot_be_asked_is_an_error(void **state) {
  // A name that cannot be looked for is not one that is not there.
  const TempDir &dir = directory(state);
  const std::string name(NAME_MAX + 1, 'n');
  assert_false(static_cast<bool>(look_at(PathText(dir.path(name)))));
}

void look_at_file_is_identity_of_its_descriptor(void **state) {
  const PathText path(directory(state).write("file", "text"));
  const auto file = open_regular(path);
  assert_true(static_cast<bool>(file));
  struct stat status = {};
  assert_int_equal(fstat(file->get(), &status), 0);
  const auto identity = look_at(path);
  assert_true(static_cast<bool>(identity));
  assert_true(*identity == identity_of(status));
  assert_int_equal(identity->size, 4);
  assert_int_equal(identity->inode, status.st_ino);
  assert_int_equal(identity->device, status.st_dev);
}

void look_at_symbolic_link_is_judged_as_itself(void **state) {
  const TempDir &dir = directory(state);
  const std::string real = dir.write("real", "text");
  std::filesystem::create_symlink(real, dir.path("link"));
  const auto link = look_at(PathText(dir.path("link")));
  assert_true(static_cast<bool>(link));
  assert_false(*link == *look_at(PathText(real)));
  assert_int_equal(link->size, real.size());
  std::filesystem::create_symlink("none", dir.path("dangling"));
  assert_false(*look_at(PathText(dir.path("dangling"))) == FileIdentity{});
}

void look_at_every_difference_is_seen(void **state) {
  const PathText path(directory(state).write("file", "text"));
  const auto first = look_at(path);
  // Same length, and a nanosecond apart.
  std::array<timespec, 2> times = {
      {{.tv_sec = 1000, .tv_nsec = 1}, {.tv_sec = 1000, .tv_nsec = 1}}};
  assert_int_equal(utimensat(AT_FDCWD, path.c_str(), times.data(), 0), 0);
  const auto second = look_at(path);
  times[1].tv_nsec = 2;
  assert_int_equal(utimensat(AT_FDCWD, path.c_str(), times.data(), 0), 0);
  const auto third = look_at(path);
  assert_false(*first == *second);
  assert_false(*second == *third);
  assert_int_equal(second->modified, 1000000000001);
  assert_int_equal(third->modified, 1000000000002);
  // Another file with the same content, length and time.
  const PathText other(directory(state).write("other", "text"));
  assert_int_equal(utimensat(AT_FDCWD, other.c_str(), times.data(), 0), 0);
  assert_false(*look_at(other) == *third);
}

void identity_every_field_counts(void ** /*state*/) {
  const FileIdentity all = {
      .device = 1, .inode = 2, .size = 3, .modified = 4, .changed = 5};
  for (std::uint64_t FileIdentity::*field :
       {&FileIdentity::device, &FileIdentity::inode, &FileIdentity::size,
        &FileIdentity::modified, &FileIdentity::changed}) {
    FileIdentity other = all;
    assert_true(other == all);
    ++(other.*field);
    assert_false(other == all);
  }
}

Result<Buffer> read_with_limit(const PathText &path, std::size_t limit) {
  const auto file = open_regular(path);
  assert_true(static_cast<bool>(file));
  return read_whole(*file, path, limit);
}

// The clock of a host may be set back by more than any file is old.
void may_change_unseen_is_about_the_time_between(void ** /*state*/) {
  constexpr std::uint64_t kHour = 3600 * kNanosecondsPerSecond;
  const struct {
    std::uint64_t changed;
    bool may_change;
  } cases[] = {
      {kHour, true},
      {kHour - kSettlingTime + 1, true},
      {kHour - kSettlingTime, false},
      {kHour + kSettlingTime - 1, true},
      {kHour + kSettlingTime, false},
      {0, false},
      {2 * kHour, false},
      {UINT64_MAX, false},
  };
  for (const auto &c : cases) {
    assert_true(may_change_unseen({.changed = c.changed}, kHour) ==
                c.may_change);
  }
}

void read_whole_around_the_limit_is_bounded(void **state) {
  for (const std::size_t limit : {0U, 1U, 2U, 100U, 4096U, 70000U}) {
    for (const std::size_t size : {limit - 1, limit, limit + 1, limit + 2}) {
      if (size > limit + 2) {
        continue;  // 0 - 1
      }
      const std::string text(size, 'x');
      const PathText path(directory(state).write("file", text));
      const auto content = read_with_limit(path, limit);
      assert_true(static_cast<bool>(content) == (size <= limit));
      if (content) {
        assert_true(content->view() == text);
        assert_int_equal(content->view().data()[size], 0);
      } else {
        assert_true(content.error().code == Errc::kMalformed);
      }
    }
  }
}

void read_whole_empty_file_is_a_nul_byte(void **state) {
  const PathText path(directory(state).write("file", ""));
  const auto content = read_with_limit(path, 10);
  assert_true(static_cast<bool>(content));
  assert_int_equal(content->size(), 0);
  assert_int_equal(content->view().data()[0], 0);
}

void read_whole_any_bytes_are_kept(void **state) {
  std::string text;
  for (unsigned i = 0; i < 1000; ++i) {
    text += static_cast<char>(i);
  }
  const PathText path(directory(state).write("file", text));
  const auto content = read_with_limit(path, 1000);
  assert_true(static_cast<bool>(content));
  assert_true(content->view() == text);
}

void read_whole_file_that_hides_its_size_is_read(void ** /*state*/) {
  // In /proc every size is 0, so the buffer has to grow.
  const PathText path("/proc/version");
  std::ifstream stream(path.c_str(), std::ios::binary);
  const std::string expected{std::istreambuf_iterator<char>(stream), {}};
  assert_true(expected.size() > 2);
  for (const std::size_t more : {0U, 1U, 2U, 10000U}) {
    const auto content = read_with_limit(path, expected.size() + more);
    assert_true(static_cast<bool>(content));
    assert_true(content->view() == expected);
    assert_int_equal(content->view().data()[expected.size()], 0);
  }
  for (const std::size_t limit :
       {expected.size() - 1, expected.size() / 2, std::size_t{0}}) {
    const auto content = read_with_limit(path, limit);
    assert_false(static_cast<bool>(content));
    assert_true(content.error().code == Errc::kMalformed);
  }
}

void read_whole_directory_is_an_error(void **state) {
  const PathText path(directory(state).path("."));
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  assert_true(static_cast<bool>(file));
  assert_false(static_cast<bool>(read_whole(file, path, 1 << 20)));
}

void read_whole_no_descriptor_is_an_error(void ** /*state*/) {
  const auto content = read_whole(UniqueFd(), PathText("/some/file"), 10);
  assert_false(static_cast<bool>(content));
  assert_int_equal(content.error().saved_errno, EBADF);
}

void unique_fd_closes_what_it_owns_once(void **state) {
  const std::string path = directory(state).write("file", "x");
  int number = -1;
  {
    UniqueFd first(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    number = first.get();
    assert_true(static_cast<bool>(first));
    const UniqueFd second(std::move(first));
    assert_false(static_cast<bool>(first));  // NOLINT: the moved-from one
    assert_int_equal(second.get(), number);
    assert_true(fcntl(number, F_GETFD) != -1);
  }
  assert_int_equal(fcntl(number, F_GETFD), -1);
  assert_false(static_cast<bool>(UniqueFd()));
}

}  // namespace
}  // namespace pbstoken

// Every test may have a directory: it costs little.
#define test_in_directory(test)                                           \
  cmocka_unit_test_setup_teardown(test, pbstoken::testing::make_temp_dir, \
                                  pbstoken::testing::remove_temp_dir)

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      test_in_directory(open_regular_file_is_opened_close_on_exec),
      test_in_directory(open_regular_missing_file_is_not_found),
      test_in_directory(open_regular_directory_is_unsafe),
      cmocka_unit_test(open_regular_device_is_unsafe),
      test_in_directory(open_regular_fifo_is_unsafe_and_does_not_block),
      test_in_directory(open_regular_socket_is_unsafe),
      test_in_directory(open_regular_symbolic_link_is_refused),
      test_in_directory(open_regular_file_as_a_directory_is_an_error),
      test_in_directory(open_regular_too_long_name_is_an_error),
      cmocka_unit_test(open_regular_relative_path_is_unsafe),
      cmocka_unit_test(open_trusted_file_of_root_is_opened),
      test_in_directory(open_trusted_below_a_directory_of_others_is_unsafe),
      cmocka_unit_test(open_trusted_below_tmp_is_unsafe),
      cmocka_unit_test(open_trusted_symbolic_link_on_the_way_is_unsafe),
      cmocka_unit_test(open_trusted_symbolic_link_at_the_end_is_unsafe),
      cmocka_unit_test(open_trusted_what_is_no_regular_file_is_unsafe),
      cmocka_unit_test(open_trusted_missing_file_is_not_found),
      cmocka_unit_test(open_trusted_too_long_name_is_an_error),
      test_in_directory(look_at_missing_file_is_the_empty_identity),
      test_in_directory(look_at_what_cannot_be_asked_is_an_error),
      test_in_directory(look_at_file_is_identity_of_its_descriptor),
      test_in_directory(look_at_symbolic_link_is_judged_as_itself),
      test_in_directory(look_at_every_difference_is_seen),
      cmocka_unit_test(identity_every_field_counts),
      cmocka_unit_test(may_change_unseen_is_about_the_time_between),
      test_in_directory(read_whole_around_the_limit_is_bounded),
      test_in_directory(read_whole_empty_file_is_a_nul_byte),
      test_in_directory(read_whole_any_bytes_are_kept),
      cmocka_unit_test(read_whole_file_that_hides_its_size_is_read),
      test_in_directory(read_whole_directory_is_an_error),
      cmocka_unit_test(read_whole_no_descriptor_is_an_error),
      test_in_directory(unique_fd_closes_what_it_owns_once),
  };
  return cmocka_run_group_tests_name("file", tests, nullptr, nullptr);
}
