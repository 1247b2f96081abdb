// SPDX-License-Identifier: BSD-3-Clause
// A host where services still run with the module of an earlier version: their
// segment is retired before a change of a token counts, and nothing stays.
//
// That segment is laid down here word for word: of that version, the first 64
// bytes are all that a later one reads.
#include <sys/shm.h>

#include "e2e_pam.h"
#include "pbstoken/cache/segment_layout.h"
#include "pbstoken/os/ipc.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr std::uint64_t kFormerVersion = 2;
constexpr std::size_t kFormerSize = 1U << 20U;
constexpr std::uint64_t kInForce = 4;

// Returns its identifier.
int lay_down_former_segment() {
  const int id =
      shmget(derive_key("pbstoken", kShadow), kFormerSize, IPC_CREAT | 0600);
  auto *prefix = static_cast<SegmentPrefix *>(shmat(id, nullptr, 0));
  prefix->layout_version = kFormerVersion;
  prefix->generation = kInForce;
  prefix->size = kFormerSize;
  prefix->magic = kSegmentMagic;
  shmdt(prefix);
  return id;
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
    const int former = lay_down_former_segment();
    const FormerService service(former);
    assert_true(service.may_use_it());
    helper_output({command, "--", kId});
    assert_false(service.may_use_it());
    tool_output({"retire"});
  }
}

// Both answer side by side, and the first that makes its own retires the other.
void maker_retires_the_former_segment(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const int former = lay_down_former_segment();
  const FormerService service(former);
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_false(service.may_use_it());
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_int_equal(counter("hits"), 1);
}

void nothing_of_it_stays(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const int former = lay_down_former_segment();
  assert_pam(authenticate(kId, kSecret), PAM_SUCCESS);
  assert_false(is_there(former));
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
