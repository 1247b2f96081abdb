// SPDX-License-Identifier: BSD-3-Clause
// A service that is not root, and the helpers that it may meet: the built one,
// installed setuid root, or a script in its place.
#ifndef PBSTOKEN_TESTS_E2E_MEMBER_H_
#define PBSTOKEN_TESTS_E2E_MEMBER_H_

#include <grp.h>
#include <sys/types.h>

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "e2e_pam.h"
#include "pbstoken/verify/helper_protocol.h"

#define MEMBER_TEST(name) \
  cmocka_unit_test_setup(name, pbstoken::testing::clean_host_with_members)

namespace pbstoken::testing {

constexpr uid_t kMember = 33;  // Debian's www-data
constexpr gid_t kMembers = 4711;

inline std::string setuid_helper() {
  return scratch("setuid-helper");
}

// Setup: a verify_group with a member, the helper setuid root, a service that
// uses it, and what the package has made in the kernel.
inline int clean_host_with_members(void **state) {
  if (clean_host_with_service(state) != 0) {
    return -1;
  }
  const std::string groups = read_file("/etc/group");
  if (groups.find("\npbstoken:") == std::string::npos) {
    write_file("/etc/group", groups + "pbstoken:x:4711:www-data\n");
  }
  std::filesystem::remove(setuid_helper());
  std::filesystem::copy_file(helper_path(), setuid_helper());
  if (chown(setuid_helper().c_str(), 0, 0) != 0 ||
      chmod(setuid_helper().c_str(), 04755) != 0) {
    return -1;
  }
  write_service("helper=" + setuid_helper());
  return run_tool({"prepare"}).status;
}

inline std::string request_bytes(const HelperRequest &request) {
  return std::string(make_request(request)->view());
}

inline void become(uid_t user, const std::vector<gid_t> &groups) {
  if (setgroups(groups.size(), groups.data()) != 0 ||
      setresgid(user, user, user) != 0 || setresuid(user, user, user) != 0) {
    std::abort();
  }
}

inline void become_member() {
  become(kMember, {kMembers});
}

// What body(handle, conversation) returns in a child that has become somebody
// else after pam_start(3): where the module was built only root may get to.
template <typename Body>
int as_other(const std::function<void()> &become_other, const std::string &id,
             Body body) {
  return in_child([&] {
    Conversation conversation = {.answer = kSecret};
    PamHandle handle(kService, id, &conversation);
    become_other();
    return body(handle, conversation);
  });
}

inline int authenticate_as(const std::function<void()> &become_other,
                           const std::string &id, const std::string &secret) {
  return as_other(become_other, id,
                  [&](PamHandle &handle, Conversation &conversation) {
                    conversation.answer = secret;
                    return handle.authenticate();
                  });
}

inline int authenticate_as_member(const std::string &id,
                                  const std::string &secret) {
  return authenticate_as(become_member, id, secret);
}

// --- scripts in the helper's place

inline std::string write_script(const std::string &body) {
  std::string path = scratch("script-helper");
  write_file(path, "#!/bin/sh\n" + body + "\n", 0755);
  return path;
}

// A service whose helper reads the secret and then does this.  (One that has
// not read everything breaks the connection when it ends, and says nothing that
// counts.)
inline void write_service_with_script(const std::string &body,
                                      const std::string &options = {}) {
  write_service("helper=" + write_script("cat >/dev/null; " + body) + " " +
                options);
}

// A shell command that writes this, whatever bytes they are.
inline std::string shell_print(const std::string &bytes) {
  std::string text = "printf '";
  for (const char c : bytes) {
    std::array<char, 8> octal{};
    std::snprintf(octal.data(), octal.size(), "\\%03o",
                  static_cast<unsigned>(static_cast<unsigned char>(c)));
    text += octal.data();
  }
  return text + "'";
}

inline std::string word_text(Outcome outcome) {
  const AnswerWord word = word_of(outcome);
  return {word.data(), word.size()};
}

// A directory in which anybody may leave something, empty.
inline std::string public_directory() {
  const std::string path = scratch("anybody");
  std::filesystem::remove_all(path);
  std::filesystem::create_directory(path);
  chmod(path.c_str(), 01777);
  return path;
}

// The service's helper counts its runs, and goes on as the real one.
class RunCounter {
 public:
  explicit RunCounter(const std::string &options = {})
      : file_(public_directory() + "/runs") {
    write_service("helper=" +
                  write_script("echo run >>" + file_ + "\nexec " +
                               setuid_helper() + " \"$@\"") +
                  " " + options);
  }

  [[nodiscard]] int runs() const {
    int count = 0;
    for (const char c : read_file(file_)) {
      count += c == '\n' ? 1 : 0;
    }
    return count;
  }

 private:
  std::string file_;
};

}  // namespace pbstoken::testing

#endif  // PBSTOKEN_TESTS_E2E_MEMBER_H_
