// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/module/verified.h"

#include <cstdlib>
#include <cstring>

#include "pbstoken/base/buffer.h"

namespace pbstoken {

namespace {

constexpr const char *kVariable = "PBSTOKEN_ID";
// Account goes by this: every module may change the environment.
constexpr const char *kDatum = "pam_pbstoken verified";

void free_text(pam_handle_t * /*pamh*/, void *data, int /*status*/) {
  std::free(data);
}

bool is(const char *text, std::string_view wanted) {
  return text != nullptr && wanted == text;
}

bool set_variable(pam_handle_t *pamh, std::string_view token_id) {
  constexpr std::size_t kMore = 2;  // the '=' and the NUL
  Buffer variable;
  return variable.reserve(std::strlen(kVariable) + token_id.size() + kMore) &&
         variable.append(kVariable) && variable.append("=") &&
         variable.append(token_id) && variable.terminate() &&
         pam_putenv(pamh, variable.data()) == PAM_SUCCESS;
}

// Stores both texts, each with its NUL.
bool set_datum(pam_handle_t *pamh, const VerifiedToken &token) {
  const std::size_t size = token.configuration.size() + 1;
  auto *copy = static_cast<char *>(std::malloc(size + token.id.size() + 1));
  if (copy == nullptr) {
    return false;
  }
  std::memcpy(copy, token.configuration.data(), token.configuration.size());
  copy[size - 1] = '\0';
  std::memcpy(copy + size, token.id.data(), token.id.size());
  copy[size + token.id.size()] = '\0';
  if (pam_set_data(pamh, kDatum, copy, free_text) != PAM_SUCCESS) {
    std::free(copy);
    return false;
  }
  return true;
}

}  // namespace

bool VerifiedTokenId::set(const VerifiedToken &token) {
  // A handle that is used again is mostly used for the same token.
  is_set_ = (is(pam_getenv(pamh_, kVariable), token.id) ||
             set_variable(pamh_, token.id)) &&
            (verified_token(pamh_) == token || set_datum(pamh_, token));
  return is_set_;
}

void VerifiedTokenId::forget() {
  is_set_ = false;
  if (pam_getenv(pamh_, kVariable) != nullptr) {
    static_cast<void>(pam_putenv(pamh_, kVariable));
  }
  if (verified_token(pamh_)) {
    // Replacing what is there needs no memory.
    static_cast<void>(pam_set_data(pamh_, kDatum, nullptr, nullptr));
  }
}

std::optional<VerifiedToken> verified_token(const pam_handle_t *pamh) {
  const void *datum = nullptr;
  if (pam_get_data(pamh, kDatum, &datum) != PAM_SUCCESS || datum == nullptr) {
    return std::nullopt;
  }
  const std::string_view configuration = static_cast<const char *>(datum);
  return VerifiedToken{configuration,
                       configuration.data() + configuration.size() + 1};
}

}  // namespace pbstoken
