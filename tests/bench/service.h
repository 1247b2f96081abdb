// SPDX-License-Identifier: BSD-3-Clause
// A service that authenticates with a stack of the scene.
//
// The program maps libpam, libc and no other library, as a small daemon does:
// what a module loads is its own.
#ifndef PBSTOKEN_TESTS_BENCH_SERVICE_H_
#define PBSTOKEN_TESTS_BENCH_SERVICE_H_

#include <security/pam_appl.h>

#include <string>

#include "scene.h"

namespace pbstoken::bench {

inline int converse(int count, const pam_message ** /*messages*/,
                    pam_response **out_responses, void *data) {
  auto *responses = static_cast<pam_response *>(
      std::calloc(static_cast<std::size_t>(count), sizeof(pam_response)));
  for (int i = 0; i < count; ++i) {
    responses[i].resp = strdup(static_cast<const char *>(data));
  }
  *out_responses = responses;
  return PAM_SUCCESS;
}

// One pam_start(3) to pam_end(3).  The secret is asked for anew each time.
class Handle {
 public:
  Handle(const std::string &service, const char *user, const char *secret)
      : conv_{.conv = converse, .appdata_ptr = const_cast<char *>(secret)} {
    require(pam_start(service.c_str(), user, &conv_, &handle_) == PAM_SUCCESS);
  }
  Handle(const Handle &) = delete;
  Handle &operator=(const Handle &) = delete;
  ~Handle() { pam_end(handle_, status_); }

  int authenticate() { return status_ = pam_authenticate(handle_, 0); }
  void set_secret(const char *secret) {
    conv_.appdata_ptr = const_cast<char *>(secret);
    const void *conv = &conv_;
    require(pam_set_item(handle_, PAM_CONV, conv) == PAM_SUCCESS);
  }

 private:
  pam_conv conv_;
  pam_handle_t *handle_ = nullptr;
  int status_ = PAM_SUCCESS;
};

inline const char *user_of(const std::string &service) {
  return service == "unix" ? kLocalUser : kId;
}

inline void accept_once(Handle *handle) {
  require(handle->authenticate() == PAM_SUCCESS);
}

inline void transact(const std::string &service, const char *user,
                     const char *secret) {
  Handle handle(service, user, secret);
  accept_once(&handle);
}

inline void transact(const std::string &service) {
  transact(service, user_of(service), kSecret);
}

// A handle that is kept, as some services do for a connection.
inline Handle kept(const std::string &service) {
  return {service, user_of(service), kSecret};
}

}  // namespace pbstoken::bench

#endif  // PBSTOKEN_TESTS_BENCH_SERVICE_H_
