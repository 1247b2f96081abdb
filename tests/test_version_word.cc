// SPDX-License-Identifier: BSD-3-Clause
// Upstream's generation word, in pages of its layout and in others.
#include "pbstoken/store/version_word.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <thread>
#include <vector>

#include "pbstoken/os/unique_fd.h"
#include "support.h"

namespace pbstoken {
namespace {

using testing::TempDir;

constexpr std::string_view kMagic("\x19\xc6\xa8\xe6\x9a\x84\x8f\x83", 8);
constexpr std::size_t kPage = 4096;
constexpr std::size_t kWord = 32;
constexpr std::size_t kUserWord = 8;
constexpr VersionWord kShadow = VersionWord::kTokenShadow;

std::string page(std::uint64_t word) {
  std::string bytes(kPage, '\0');
  bytes.replace(0, kMagic.size(), kMagic);
  // Neighbours that must stay as they are.
  bytes.replace(8, 24, std::string(24, 'n'));
  std::memcpy(bytes.data() + kWord, &word, sizeof(word));
  bytes.replace(kWord + 8, 8, std::string(8, 'n'));
  return bytes;
}

std::string content(const PathText &path) {
  std::ifstream file(path.c_str(), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::uint64_t word_in(const PathText &path, std::size_t offset) {
  std::uint64_t word = 0;
  const std::string bytes = content(path);
  std::memcpy(&word, bytes.data() + offset, sizeof(word));
  return word;
}

void bump_page_adds_one_and_changes_nothing_else(void **state) {
  const auto *dir = static_cast<TempDir *>(*state);
  const PathText path(dir->write("page", page(41)));
  assert_true(static_cast<bool>(bump_version_word(path, kShadow)));
  assert_true(content(path) == page(42));
}

// That of user.cfg is another, and raised alone, too.
void bump_for_user_cfg_raises_its_word(void **state) {
  const auto *dir = static_cast<TempDir *>(*state);
  const PathText path(dir->write("page", page(41)));
  const std::uint64_t before = word_in(path, kUserWord);
  assert_true(
      static_cast<bool>(bump_version_word(path, VersionWord::kUserCfg)));
  assert_true(word_in(path, kUserWord) == before + 1);
  std::string rest = content(path);
  rest.replace(kUserWord, 8, std::string(8, 'n'));
  assert_true(rest == page(41));
}

void bump_by_many_threads_loses_none(void **state) {
  const auto *dir = static_cast<TempDir *>(*state);
  const PathText path(dir->write("page", page(0)));
  constexpr unsigned kThreads = 4;
  constexpr unsigned kEach = 1000;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kThreads; ++i) {
    threads.emplace_back([&path] {
      for (unsigned j = 0; j < kEach; ++j) {
        static_cast<void>(bump_version_word(path, kShadow));
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  assert_true(word_in(path, kWord) == kThreads * kEach);
}

// What is not such a page is neither read nor touched, and is no error: the
// host has no such daemon.
void what_is_no_page_is_left_alone(void **state) {
  const auto *dir = static_cast<TempDir *>(*state);
  std::string other_magic = page(7);
  other_magic[7] = 0;
  for (const std::string &bytes : {std::string(), page(7).substr(0, kPage - 1),
                                   other_magic, std::string(kPage, '\0')}) {
    const PathText path(dir->write("page", bytes));
    assert_true(static_cast<bool>(bump_version_word(path, kShadow)));
    assert_true(content(path) == bytes);
  }
}

void what_is_no_file_is_left_alone(void **state) {
  const auto *dir = static_cast<TempDir *>(*state);
  assert_int_equal(mkfifo(dir->path("fifo").c_str(), 0600), 0);
  std::filesystem::create_directory(dir->path("directory"));
  std::filesystem::create_symlink(dir->write("real", page(7)),
                                  dir->path("link"));
  std::filesystem::create_symlink(".", dir->path("here"));
  for (const char *name : {"none", "none/page", "fifo", "directory", "link"}) {
    const PathText path(dir->path(name));
    assert_true(static_cast<bool>(bump_version_word(path, kShadow)));
  }
  assert_true(static_cast<bool>(bump_version_word(PathText(), kShadow)));
  // Nor is another's link on the way followed to write.
  static_cast<void>(
      bump_version_word(PathText(dir->path("here/real")), kShadow));
  assert_true(content(PathText(dir->path("real"))) == page(7));
}

// The page's owner may truncate it at any moment: an error at worst, where an
// instruction of ours would have ended the process with SIGBUS.
void bump_of_a_page_that_is_truncated_meanwhile_survives(void **state) {
  const auto *dir = static_cast<TempDir *>(*state);
  const std::string bytes = page(0);
  const PathText path(dir->write("page", bytes));
  const UniqueFd file(open(path.c_str(), O_RDWR | O_CLOEXEC));
  int truncated = 0;
  std::thread owner([&] {
    for (int i = 0; i < 20000; ++i) {
      truncated += ftruncate(file.get(), 0) == 0 &&
                           pwrite(file.get(), bytes.data(), bytes.size(), 0) ==
                               static_cast<ssize_t>(bytes.size())
                       ? 1
                       : 0;
    }
  });
  int failed = 0;
  for (int i = 0; i < 50000; ++i) {
    failed += bump_version_word(path, kShadow) ? 0 : 1;
  }
  owner.join();
  assert_int_equal(truncated, 20000);
  assert_in_range(failed, 0, 49999);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  using testing::make_temp_dir;
  using testing::remove_temp_dir;
  const CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(bump_for_user_cfg_raises_its_word,
                                      make_temp_dir, remove_temp_dir),
      cmocka_unit_test_setup_teardown(
          bump_page_adds_one_and_changes_nothing_else, make_temp_dir,
          remove_temp_dir),
      cmocka_unit_test_setup_teardown(bump_by_many_threads_loses_none,
                                      make_temp_dir, remove_temp_dir),
      cmocka_unit_test_setup_teardown(what_is_no_page_is_left_alone,
                                      make_temp_dir, remove_temp_dir),
      cmocka_unit_test_setup_teardown(what_is_no_file_is_left_alone,
                                      make_temp_dir, remove_temp_dir),
      cmocka_unit_test_setup_teardown(
          bump_of_a_page_that_is_truncated_meanwhile_survives, make_temp_dir,
          remove_temp_dir),
  };
  return cmocka_run_group_tests_name("version_word", tests, nullptr, nullptr);
}
