// SPDX-License-Identifier: BSD-3-Clause
#include "write/new_secret.h"

#include <crypt.h>
#include <linux/magic.h>
#include <sys/random.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>

#include "io/message.h"
#include "pbstoken/limits/hash_gate.h"
#include "pbstoken/os/file.h"
#include "pbstoken/store/stored_hash.h"

namespace pbstoken {

namespace {

constexpr std::size_t kUuidSize = 36;
constexpr auto kYescryptCost = 5UL;  // as upstream
constexpr std::size_t kSaltBytes = 32;

// xxxxxxxx-xxxx-4xxx-Nxxx-xxxxxxxxxxxx, N one of 8, 9, a, b (RFC 9562, 5.4).
bool is_uuid_v4(std::string_view text) {
  constexpr std::string_view kForm = "hhhhhhhh-hhhh-4hhh-Nhhh-hhhhhhhhhhhh";
  static_assert(kForm.size() == kUuidSize);
  if (text.size() != kForm.size()) {
    return false;
  }
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    const std::string_view allowed = kForm[i] == 'h'   ? "0123456789abcdef"
                                     : kForm[i] == 'N' ? "89ab"
                                                       : slice(kForm, i, 1);
    if (allowed.find(text[i]) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

Result<Buffer> hash_new_secret(const Secret &secret) {
  std::array<char, kSaltBytes> salt{};
  if (getrandom(salt.data(), salt.size(), 0) !=
      static_cast<ssize_t>(salt.size())) {
    return system_error("cannot get random bytes", {});
  }
  std::array<char, CRYPT_GENSALT_OUTPUT_SIZE> setting{};
  if (crypt_gensalt_rn("$y$", kYescryptCost, salt.data(),
                       static_cast<int>(salt.size()), setting.data(),
                       static_cast<int>(setting.size())) == nullptr) {
    return system_error("cannot make a salt", {});
  }
  auto hash = compute_hash(crypt_rn, secret, setting.data());
  if (hash && hash_method(hash->view()) != "yescrypt") {
    return plain_error(Errc::kMalformed, "cannot use a new hash", {},
                       "libcrypt made no yescrypt hash");
  }
  return hash;
}

}  // namespace

Result<void> make_secret(Secret *out_secret) {
  const PathText path("/proc/sys/kernel/random/uuid");
  const auto file = open_regular(path);
  if (!file) {
    return file.error();
  }
  struct statfs system = {};
  if (fstatfs(file->get(), &system) != 0) {
    return system_error("cannot stat", path.view());
  }
  if (system.f_type != PROC_SUPER_MAGIC) {
    return plain_error(Errc::kUnsafe, "cannot use", path.view(),
                       "it is not the kernel's");
  }
  // At once: each read of it makes another one.
  Buffer text;
  if (!text.reserve(kUuidSize + 1)) {
    return no_memory("cannot make a secret");
  }
  if (read(file->get(), text.free_space(), kUuidSize) !=
      static_cast<ssize_t>(kUuidSize)) {
    return system_error("cannot read", path.view());
  }
  text.add_filled(kUuidSize);
  if (!is_uuid_v4(text.view()) || !out_secret->assign(text.view())) {
    return plain_error(Errc::kMalformed, "cannot use", path.view(),
                       "it holds no random UUID");
  }
  return {};
}

Result<Buffer> hash_in_turn(const Store &store, const Client &client,
                            const Secret &secret) {
  const auto pass = enter_hash_gate(store, client);
  if (!pass) {
    return pass.error();
  }
  if (pass->no_gate) {
    complain(*pass->no_gate);
  }
  return hash_new_secret(secret);
}

}  // namespace pbstoken
