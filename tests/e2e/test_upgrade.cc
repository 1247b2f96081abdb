// SPDX-License-Identifier: BSD-3-Clause
// A host where services still run with the module of an earlier version: their
// segment is retired before a change of a token counts, and nothing stays.
//
// What they have made is laid down here word for word: of that version a
// segment's first 64 bytes, and from byte 328 on the directory that it is
// about.
#include <sys/sem.h>
#include <sys/shm.h>

#include <array>

#include "e2e_pam.h"
#include "pbstoken/cache/segment_layout.h"
#include "pbstoken/os/ipc.h"
#include "pbstoken/os/ipc_table.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr std::uint64_t kFormerVersion = 2;
constexpr std::size_t kFormerSize = 1U << 20U;
constexpr std::size_t kFormerOrigin = 328;
constexpr std::uint64_t kInForce = 4;

struct Former {
  int segment;
  int counters;
  std::array<int, 2> failures;
  int gate;
};

Former lay_down_former_objects() {
  const key_t key = derive_key("pbstoken", kShadow);
  const std::string number = std::to_string(static_cast<std::uint32_t>(key));
  const Former former = {
      shmget(key, kFormerSize, IPC_CREAT | 0600),
      shmget(derive_key("pbstoken counters 1", number), 4096, IPC_CREAT | 0600),
      {shmget(derive_key("pbstoken failures 1", number), 4096,
              IPC_CREAT | 0600),
       shmget(static_cast<key_t>(derive_number("pbstoken failures 3", kShadow) |
                                 1),
              4096, IPC_CREAT | 0600)},
      semget(derive_key("pbstoken gate 1", number), 2, IPC_CREAT | 0600)};
  auto *bytes = static_cast<std::byte *>(shmat(former.segment, nullptr, 0));
  const struct stat directory = status_of(kDirectory);
  auto *origin = reinterpret_cast<std::uint64_t *>(bytes + kFormerOrigin);
  origin[0] = directory.st_dev;
  origin[1] = directory.st_ino;
  auto *prefix = reinterpret_cast<SegmentPrefix *>(bytes);
  prefix->layout_version = kFormerVersion;
  prefix->generation = kInForce;
  prefix->size = kFormerSize;
  prefix->magic = kSegmentMagic;
  shmdt(bytes);
  return former;
}

bool is_there(int segment) {
  shmid_ds status{};
  return shmctl(segment, IPC_STAT, &status) == 0;
}

// A service that keeps the former segment attached, as it does for its life.
class FormerService {
 public:
  explicit FormerService(int segment)
      : prefix_(static_cast<const SegmentPrefix *>(
            shmat(segment, nullptr, SHM_RDONLY))) {}
  FormerService(const FormerService &) = delete;
  FormerService &operator=(const FormerService &) = delete;
  ~FormerService() { shmdt(prefix_); }

  [[nodiscard]] bool may_use_it() const {
    return load_acquire(&prefix_->generation) != UINT64_MAX;
  }

 private:
  const SegmentPrefix *prefix_;
};

void writer_retires_the_former_segment(void ** /*state*/) {
  for (const char *command : {"delete", "generate"}) {
    write_shadow({{kId, kHash}});
    const Former former = lay_down_former_objects();
    const FormerService service(former.segment);
    assert_true(service.may_use_it());
    helper_output({command, "--", kId});
    assert_false(service.may_use_it());
    tool_output({"retire"});
  }
}

// Both answer side by side, and the first that makes its own retires the other.
void maker_retires_the_former_segment(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const Former former = lay_down_former_objects();
  const FormerService service(former.segment);
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_false(service.may_use_it());
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_int_equal(counter("hits"), 1);
}

void nothing_of_it_stays(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const Former former = lay_down_former_objects();
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_false(is_there(former.segment));
  tool_output({"retire"});
  assert_false(is_there(former.counters));
  for (const int failures : former.failures) {
    assert_false(is_there(failures));
  }
  semid_ds status{};
  SemaphoreArgument argument{};
  argument.status = &status;
  assert_int_equal(semctl(former.gate, 0, IPC_STAT, argument), -1);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      PAM_TEST(writer_retires_the_former_segment),
      PAM_TEST(maker_retires_the_former_segment),
      PAM_TEST(nothing_of_it_stays),
  };
  return cmocka_run_group_tests_name("upgrade", tests, nullptr, nullptr);
}
