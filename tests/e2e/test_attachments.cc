// SPDX-License-Identifier: BSD-3-Clause
// The attachments that a process keeps: any number of them, each until it has
// been replaced, its user is another, or nobody asks for it.
#include "pbstoken/os/attachments.h"

#include <sys/shm.h>

#include <thread>
#include <vector>

#include "e2e/cache_hooks.h"
#include "e2e/cache_support.h"

namespace pbstoken {
namespace {

using testing::advance_seconds;
using testing::in_child;
using testing::Process;
using testing::require;

constexpr int kMany = 1000;

int make_segment() {
  const int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
  require(id >= 0);
  return id;
}

void remove_segment(int id) {
  shmctl(id, IPC_RMID, nullptr);
}

AttachmentUse keep(key_t key, int id) {
  auto attachment = ShmAttachment::attach(id, Access::kRead);
  require(static_cast<bool>(attachment));
  return keep_attachment(key, std::move(*attachment));
}

AttachmentUse use(int id) {
  const auto identity = trusted_segment(id);
  require(static_cast<bool>(identity));
  return use_attachment(*identity);
}

bool is_kept(int id) {
  return use(id).address() != nullptr;
}

bool is_attached(int id) {
  shmid_ds status{};
  require(shmctl(id, IPC_STAT, &status) == 0);
  return status.shm_nattch != 0;
}

// Under a key each.
std::vector<int> make_segments(int count) {
  std::vector<int> ids;
  for (int i = 0; i < count; ++i) {
    ids.push_back(make_segment());
  }
  return ids;
}

void keep_all(const std::vector<int> &ids) {
  key_t key = 0;
  for (const int id : ids) {
    require(keep(++key, id).address() != nullptr);
  }
}

void require_all_kept(const std::vector<int> &ids) {
  for (const int id : ids) {
    require(is_kept(id) && is_attached(id));
  }
}

void remove_all(const std::vector<int> &ids) {
  for (const int id : ids) {
    remove_segment(id);
  }
}

void any_number_is_kept(void ** /*state*/) {
  in_child([] {
    const auto ids = make_segments(kMany);
    keep_all(ids);
    require_all_kept(ids);
    remove_all(ids);
  });
}

// Among others, which stay.
void replaced_ones_go(void ** /*state*/) {
  in_child([] {
    const auto others = make_segments(40);
    keep_all(others);
    for (int i = 0; i < kMany; ++i) {
      const auto ids = make_segments(2);
      const AttachmentUse old = keep(4711, ids[0]);
      require(old.address() != nullptr);
      require(keep(4711, ids[1]).address() != nullptr);
      require(old.address() == nullptr);
      require(!is_kept(ids[0]) && is_kept(ids[1]));
      require(is_attached(ids[0]));  // for as long as the use lives
      remove_all(ids);
    }
    require_all_kept(others);
    remove_all(others);
  });
}

// Of directories that were replaced each has a key of its own.
void unused_ones_go_after_a_minute(void ** /*state*/) {
  in_child([] {
    const auto ids = make_segments(kMany);
    keep_all(ids);
    const AttachmentUse used = use(ids[7]);
    advance_seconds(40);
    require(is_kept(ids[8]));
    advance_seconds(40);
    drop_stale_attachments();
    for (const int id : ids) {
      require(is_attached(id) == (id == ids[7] || id == ids[8]));
    }
    require(used.address() != nullptr);
    remove_all(ids);
  });
}

void child_keeps_its_own(void ** /*state*/) {
  in_child([] {
    const auto ids = make_segments(kMany);
    keep_all(ids);
    const AttachmentUse used = use(ids[0]);
    for (int i = 0; i < 2; ++i) {
      const Process child([&] {
        require(used.address() == nullptr);
        for (const int id : ids) {
          require(!is_kept(id));
        }
        keep_all(ids);
        require_all_kept(ids);
        require(used.address() == nullptr);
      });
      require(child.wait() == 0);
    }
    require(used.address() != nullptr);
    require_all_kept(ids);
    remove_all(ids);
  });
}

void another_user_has_none(void ** /*state*/) {
  in_child([] {
    const auto ids = make_segments(kMany);
    keep_all(ids);
    require(seteuid(testing::kNobody) == 0);
    drop_stale_attachments();
    require(seteuid(0) == 0);
    for (const int id : ids) {
      require(!is_attached(id));
    }
    keep_all(ids);
    require_all_kept(ids);
    remove_all(ids);
  });
}

// Each thread replaces a segment of its own, while all use the others.
void threads_keep_and_replace(void ** /*state*/) {
  in_child([] {
    constexpr int kThreads = 8;
    const auto shared = make_segments(100);
    std::vector<std::thread> threads;
    for (int number = 0; number < kThreads; ++number) {
      threads.emplace_back([&shared, number] {
        for (int i = 0; i < 100; ++i) {
          const int own = make_segment();
          const AttachmentUse mine = keep(10'000 + number, own);
          require(mine.address() != nullptr && *mine.address() == std::byte(0));
          remove_segment(own);
          for (const int id : shared) {
            AttachmentUse one = use(id);
            if (one.address() == nullptr) {
              one = keep(id, id);
            }
            // Another thread may have dropped it, but not unmapped.
            const std::byte *address = one.address();
            require(address == nullptr || *address == std::byte(0));
          }
        }
      });
    }
    for (std::thread &thread : threads) {
      thread.join();
    }
    require_all_kept(shared);
    // No use is left over.
    advance_seconds(61);
    drop_stale_attachments();
    for (const int id : shared) {
      require(!is_attached(id));
    }
    remove_all(shared);
  });
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(any_number_is_kept),
      cmocka_unit_test(replaced_ones_go),
      cmocka_unit_test(unused_ones_go_after_a_minute),
      cmocka_unit_test(child_keeps_its_own),
      cmocka_unit_test(another_user_has_none),
      cmocka_unit_test(threads_keep_and_replace),
  };
  return cmocka_run_group_tests_name("attachments", tests, nullptr, nullptr);
}
