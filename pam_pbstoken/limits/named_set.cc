// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/limits/named_set.h"

#include <sys/stat.h>

#include <algorithm>
#include <tuple>

#include "pbstoken/os/ipc.h"

namespace pbstoken {

NamedSet::NamedSet(const Store &store, std::string_view purpose,
                   std::size_t count, const First &first)
    : key(derive_key(purpose, store.token_shadow.view())),
      count_(count),
      first_(first) {
  std::uint64_t number = derive_number(purpose, store.token_shadow.view());
  for (std::uint16_t &part : name_) {
    part = static_cast<std::uint16_t>(1 + number % kMostInSemaphore);
    number /= kMostInSemaphore;
  }
}

int NamedSet::get(key_t with, int flags) const {
  const auto all = static_cast<int>(count_ + kNameSize);
  return semget(with, (flags & IPC_CREAT) != 0 ? all : 0, flags);
}

bool NamedSet::owner_of(int id, ipc_perm *out_owner) const {
  semid_ds status{};
  const bool known = get_status(id, &status);
  *out_owner = status.sem_perm;
  return known;
}

// True if it has the size, and is root's alone to change.
bool NamedSet::is_trusted(int id) const {
  semid_ds status{};
  const ipc_perm &owner = status.sem_perm;
  return get_status(id, &status) && status.sem_nsems == count_ + kNameSize &&
         owner.cuid == 0 && owner.uid == 0 &&
         (owner.mode & (S_IWGRP | S_IWOTH)) == 0;
}

bool NamedSet::read(int id, Values *out_values) const {
  SemaphoreArgument argument{};
  argument.values = out_values->data();
  return is_trusted(id) && semctl(id, 0, GETALL, argument) == 0 &&
         std::equal(name_.begin(), name_.end(), out_values->begin() + count_);
}

bool NamedSet::has_name(int id) const {
  Values values{};
  return read(id, &values);
}

// This is one step, which fails if another process was faster.
bool NamedSet::begin(int id) const {
  std::array<sembuf, kMostSteps> steps{};
  static_assert(1 + kNameSize + std::tuple_size_v<First> <= steps.size());
  std::size_t size = 0;
  const auto add = [&](std::size_t number, std::size_t value) {
    steps[size++] = {.sem_num = static_cast<std::uint16_t>(number),
                     .sem_op = static_cast<std::int16_t>(value),
                     .sem_flg = IPC_NOWAIT};
  };
  add(count_, 0);
  for (std::size_t i = 0; i < kNameSize; ++i) {
    add(count_ + i, name_[i]);
  }
  for (std::size_t i = 0; i < first_.size(); ++i) {
    if (first_[i] != 0) {
      add(i, first_[i]);
    }
  }
  return semop(id, steps.data(), size) == 0;
}

bool NamedSet::is_ready(int id) const {
  Values values{};
  return read(id, &values) ||
         (is_trusted(id) && (begin(id) || errno == EAGAIN) &&
          read(id, &values));
}

bool NamedSet::set_anew(int id, std::size_t number, std::uint16_t value) const {
  Values values{};
  std::copy(first_.begin(), first_.end(), values.begin());
  std::copy(name_.begin(), name_.end(), values.begin() + count_);
  values[number] = value;
  SemaphoreArgument argument{};
  argument.values = values.data();
  return semctl(id, 0, SETALL, argument) == 0;
}

bool NamedSet::remove(int id) const {
  return semctl(id, 0, IPC_RMID) == 0;
}

}  // namespace pbstoken
