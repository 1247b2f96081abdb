// SPDX-License-Identifier: BSD-3-Clause
// What the end-to-end tests of the cache share: a store of their own under
// $SCRATCH, processes that check for themselves, and a look into the segment.
#ifndef PBSTOKEN_TESTS_E2E_CACHE_SUPPORT_H_
#define PBSTOKEN_TESTS_E2E_CACHE_SUPPORT_H_

#include <crypt.h>
#include <grp.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pbstoken/cache/segment_life.h"
#include "pbstoken/cache/writer.h"
#include "pbstoken/limits/use.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/verify/verifier.h"
#include "support.h"
#include "write/shadow_writer.h"

namespace pbstoken::testing {

// Numbers that mean nobody else here.
constexpr uid_t kNobody = 65534;
constexpr gid_t kVerifyGroup = 4711;
constexpr gid_t kOtherGroup = 4712;

// --- hashes

inline std::atomic<int> hashes_computed = 0;  // by this process

inline char *counting_crypt(const char *phrase, const char *setting, void *data,
                            int size) {
  ++hashes_computed;
  return crypt_rn(phrase, setting, data, size);
}

inline CryptFunction load_crypt() {
  return counting_crypt;
}

// md5crypt, the cheapest there is.
inline std::string hash_of(const std::string &secret) {
  crypt_data data{};
  return crypt_r(secret.c_str(), "$1$saltsalt$", &data);
}

// --- a store

inline Subject subject_of(const Store &store, Kind kind = Kind::kSecrets) {
  const auto view = view_of(path_of(kind, store));
  return {kind, view ? *view : View{}};
}

// The segment that the key of the file's view names now.
inline std::optional<int> segment_id(const Store &store,
                                     Kind kind = Kind::kSecrets) {
  const int id = shmget(key_of(subject_of(store, kind)), 0, 0);
  return id < 0 ? std::nullopt : std::optional<int>(id);
}

struct Token {
  std::string id;
  std::string stored;
};

inline std::string shadow_text(const std::vector<Token> &tokens) {
  std::string text = "{";
  for (const Token &token : tokens) {
    text += (text.size() > 1 ? ",\"" : "\"") + token.id + "\":\"" +
            token.stored + "\"";
  }
  return text + "}";
}

// A store without tokens and without a segment.  Owned by a fixture: a failed
// assertion longjmps past destructors.
class Scene {
 public:
  Scene() {
    directory_ = std::string(std::getenv("SCRATCH")) + "/store";
    std::filesystem::create_directory(directory_);
    const std::string text = "token_shadow = " + directory_ +
                             "/token.shadow\nfile_owner = 0\nfile_group = 0\n"
                             "file_mode = 0600\nversion_cache =\n"
                             "verify_group = " +
                             std::to_string(kVerifyGroup) + "\n";
    store = *parse_store("pbs", text, PathText("/none"));
  }
  Scene(const Scene &) = delete;
  Scene &operator=(const Scene &) = delete;
  ~Scene() {
    remove_segment();
    remove_segment(Kind::kAccounts);
    std::filesystem::remove_all(directory_);
  }

  [[nodiscard]] std::string path() const {
    return std::string(store.token_shadow.view());
  }
  [[nodiscard]] const std::string &directory() const { return directory_; }

  // As an editor does that writes in place, and as one that renames.
  void write(std::string_view text) const {
    std::ofstream(path(), std::ios::binary) << text;
    chmod(path().c_str(), S_IRUSR | S_IWUSR);
  }
  void replace(std::string_view text) const {
    const std::string other = path() + ".new";
    std::ofstream(other, std::ios::binary) << text;
    chmod(other.c_str(), S_IRUSR | S_IWUSR);
    std::filesystem::rename(other, path());
  }
  void write(const std::vector<Token> &tokens) const {
    write(shadow_text(tokens));
  }
  void replace(const std::vector<Token> &tokens) const {
    replace(shadow_text(tokens));
  }

  // As `set` does it; true if it is done.
  [[nodiscard]] bool set(const std::string &id, const std::string &secret,
                         const std::string &stored) const {
    Cache cache(store, Kind::kSecrets);
    const Change change = {.token_id = *parse_token_id(id),
                           .stored_hash = stored,
                           .secret = secret,
                           .expected_hash = {}};
    const auto written = write_token(store, &cache, change);
    return written && *written == Outcome::kDone;
  }

  void remove_segment(Kind kind = Kind::kSecrets) const {
    if (const auto id = segment_id(store, kind); id) {
      shmctl(*id, IPC_RMID, nullptr);
    }
  }

  Store store;

 private:
  std::string directory_;
};

inline int make_scene(void **state) {
  if (geteuid() != 0 || std::getenv("SCRATCH") == nullptr) {
    return -1;  // to be run by tests/scratch
  }
  *state = new Scene;
  return 0;
}

inline int remove_scene(void **state) {
  delete static_cast<Scene *>(*state);
  return 0;
}

inline Scene &scene_in(void **state) {
  return *static_cast<Scene *>(*state);
}

// --- verifications

inline Result<Verification> verify(Verifier *verifier, const std::string &id,
                                   const std::string &secret) {
  return verifier->verify(*parse_token_id(id), secret);
}

inline std::string verdict_text(const Result<Verification> &verification) {
  if (!verification) {
    return "error";
  }
  switch (verification->outcome) {
    case Outcome::kMatch:
      return "match";
    case Outcome::kWrongSecret:
    case Outcome::kKnownMismatch:
      return "mismatch";
    case Outcome::kUnknownToken:
      return "unknown";
    case Outcome::kUnusableHash:
      return "unusable";
    case Outcome::kThrottled:
      return "throttled";
    case Outcome::kUnacceptableSecret:
      return "unacceptable";
    default:
      return "?";
  }
}

inline std::string verdict(Verifier *verifier, const std::string &id,
                           const std::string &secret) {
  return verdict_text(verify(verifier, id, secret));
}

// The verdict and where it came from: "match (segment)".
inline std::string answer(Verifier *verifier, const std::string &id,
                          const std::string &secret) {
  const auto verification = verify(verifier, id, secret);
  if (!verification) {
    return "error";
  }
  constexpr const char *kSources[] = {" (segment)", " (fact)", " (hash)",
                                      " (file)", " (helper)"};
  const bool match = verification->outcome == Outcome::kMatch;
  const bool mismatch = verification->outcome == Outcome::kWrongSecret ||
                        verification->outcome == Outcome::kKnownMismatch;
  return (match      ? "match"
          : mismatch ? "mismatch"
                     : "other") +
         std::string(kSources[static_cast<int>(verification->source)]);
}

inline std::uint64_t counted(const Store &store, Event event) {
  Use use(store);
  const auto at = static_cast<std::size_t>(event);
  return use.totals(Party::kRoot)[at] + use.totals(Party::kMembers)[at];
}

// --- processes

// For children, where cmocka's assertions cannot be used.
inline void require(bool condition, const char *file = __builtin_FILE(),
                    int line = __builtin_LINE()) {
  if (!condition) {
    std::fprintf(stderr, "%s:%d: failed in a child\n", file, line);
    _exit(1);
  }
}

inline void require_text_equal(const std::string &actual,
                               const std::string &expected,
                               const char *file = __builtin_FILE(),
                               int line = __builtin_LINE()) {
  if (actual != expected) {
    std::fprintf(stderr, "\"%s\" != \"%s\"\n", actual.c_str(),
                 expected.c_str());
    require(false, file, line);
  }
}

class Process {
 public:
  explicit Process(const std::function<void()> &body) : pid_(fork()) {
    if (pid_ == 0) {
      body();
      _exit(0);
    }
  }

  [[nodiscard]] pid_t pid() const { return pid_; }
  // What waitpid(2) says: 0 if all went well.
  int wait() const {
    int status = -1;
    return waitpid(pid_, &status, 0) == pid_ ? status : -1;
  }
  void signal(int number) const { ::kill(pid_, number); }
  // Returns when it has stopped.
  void stop() const {
    signal(SIGSTOP);
    await_stop();
  }
  void await_stop() const { waitpid(pid_, nullptr, WUNTRACED); }
  void kill() const { signal(SIGKILL); }

 private:
  pid_t pid_;
};

inline void in_child(const std::function<void()> &body) {
  assert_int_equal(Process(body).wait(), 0);
}

// Becomes somebody else for good, with one supplementary group.
inline void become(uid_t user, gid_t group) {
  require(setgroups(1, &group) == 0);
  require(setresgid(kNobody, kNobody, kNobody) == 0);
  require(setresuid(user, user, user) == 0);
}

// --- the segment

// Its words, to be looked at and changed.
struct Opened {
  ShmAttachment attachment;
  WritableSegment segment;

  [[nodiscard]] SegmentPrefix *prefix() const {
    return reinterpret_cast<SegmentPrefix *>(attachment.address());
  }
};

inline std::optional<Opened> open_segment(const Store &store,
                                          Kind kind = Kind::kSecrets) {
  const auto id = segment_id(store, kind);
  if (!id) {
    return std::nullopt;
  }
  auto attachment = ShmAttachment::attach(*id, Access::kWrite);
  if (!attachment) {
    return std::nullopt;
  }
  const auto segment = WritableSegment::open(
      attachment->address(), attachment->size(), subject_of(store, kind));
  if (!segment) {
    return std::nullopt;
  }
  return Opened{std::move(*attachment), *segment};
}

// What the holder of the lock does.
inline Result<std::optional<WriteClaim>> claim_for_write(
    const Store &store, const FileLock &lock, Kind kind = Kind::kSecrets) {
  return CacheWriter(store, kind, lock)
      .claim(*find_place(path_of(kind, store)));
}
inline bool flush(const Store &store, const FileLock &lock,
                  Kind kind = Kind::kSecrets) {
  return static_cast<bool>(CacheWriter(store, kind, lock).flush());
}

// The settled stamp that a root process would set now for the file as it is.
inline Stamp stamp_of_file(const Store &store, std::uint64_t generation) {
  const std::uint64_t now = boottime_now();
  const FileIdentity identity = *look_at(store.token_shadow);
  return {.generation = generation,
          .time = now,
          .device = identity.device,
          .inode = identity.inode,
          .size = identity.size,
          .modified = identity.modified,
          .changed = identity.changed,
          .first_seen = now - kSettlingTime};
}

// How the store's segment is mapped into this process: "r--s", one for each
// mapping; empty if it is not.
inline std::string mappings(const Store &store) {
  char name[16];
  std::snprintf(name, sizeof(name), "/SYSV%08x",
                static_cast<unsigned>(key_of(subject_of(store))));
  std::ifstream maps("/proc/self/maps");
  std::string found;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(name) != std::string::npos) {
      found += (found.empty() ? "" : " ") + line.substr(line.find(' ') + 1, 4);
    }
  }
  return found;
}

}  // namespace pbstoken::testing

#define with_scene(test)                                               \
  cmocka_unit_test_setup_teardown(test, pbstoken::testing::make_scene, \
                                  pbstoken::testing::remove_scene)

#endif  // PBSTOKEN_TESTS_E2E_CACHE_SUPPORT_H_
