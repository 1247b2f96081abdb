// SPDX-License-Identifier: BSD-3-Clause
// The whole module over the real libpam, as root, with system calls that fail,
// a segment that somebody scribbles in, and a token.shadow that is changed by
// hand and by the helper's writer: who is let in has the secret whose hash the
// file holds at that time, by a second reader and libcrypt itself; where no
// call failed the answer is exactly the right one.  No descriptor, attachment
// or variable is left, and no secret is logged.
//
// Input: choices of service, account data and the first token.shadow, then
// steps.  Under tests/scratch.
#include <crypt.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <security/pam_appl.h>
#include <security/pam_modules.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../../pam_pbstoken/pam_pbstoken.cc"
#include "failing_calls.h"
#include "fuzz.h"
#include "pbstoken/cache/segment_layout.h"
#include "pbstoken/limits/fail_limit.h"
#include "pbstoken/os/unique_fd.h"
#include "pbstoken/store/stored_hash.h"
#include "pbstoken/store/token_shadow.h"
#include "second_reader.h"
#include "write/shadow_writer.h"

namespace pbstoken::fuzz {
namespace {

constexpr const char *kShadow = "/etc/proxmox-backup/fuzz.shadow";
constexpr const char *kUsers = "/etc/proxmox-backup/fuzz.cfg";

// --- what there is

constexpr std::array<const char *, 5> kIds = {
    "john@pbs!client1", "alice@pam!laptop", "john@pbs!other", "nobody",
    "root@pbs!t"};
constexpr std::size_t kTokens = 3;  // the first ones are written
constexpr std::array<const char *, 4> kSecrets = {
    "0f1e2d3c-4b5a-4697-8877-665544332211", "correct horse", "x",
    "0f1e2d3c-4b5a-4697-8877-665544332212"};
// Nothing costs more than a hundred microseconds.
constexpr std::array<const char *, 4> kSettings = {"$3$", "$1$salt$", "ab",
                                                   "_/...salt"};

struct Account {
  const char *text;
  // Of each token that is written.
  std::array<int, kTokens> codes;
};
constexpr std::array<Account, 5> kAccounts = {{
    {"user: john@pbs\n\nuser: alice@pam\n\ntoken: john@pbs!client1\n\n"
     "token: alice@pam!laptop\n\ntoken: john@pbs!other\n",
     {PAM_SUCCESS, PAM_SUCCESS, PAM_SUCCESS}},
    {"user: john@pbs\n\tenable 0\n\nuser: alice@pam\n\n"
     "token: john@pbs!client1\n\ntoken: alice@pam!laptop\n\n"
     "token: john@pbs!other\n",
     {PAM_PERM_DENIED, PAM_SUCCESS, PAM_PERM_DENIED}},
    {"user: john@pbs\n\ntoken: john@pbs!client1\n\texpire 1\n\n"
     "token: john@pbs!other\n\tenable 0\n",
     {PAM_ACCT_EXPIRED, PAM_USER_UNKNOWN, PAM_PERM_DENIED}},
    {"user: john@pbs\n\nuser: alice@pam\n\texpire 2000000000000\n\n"
     "token: alice@pam!laptop\n",
     {PAM_USER_UNKNOWN, PAM_SUCCESS, PAM_USER_UNKNOWN}},
    {"user: john@pbs\nuser: alice@pam\n",
     {PAM_AUTHINFO_UNAVAIL, PAM_AUTHINFO_UNAVAIL, PAM_AUTHINFO_UNAVAIL}},
}};

struct Service {
  const char *options;
  const char *settings;
  bool combined = false;
  bool checks_account = false;
  bool maps = false;
  bool looks_every_time = false;  // so that files may be changed by hand
  bool limits_failures = false;
};
constexpr std::array<Service, 7> kServices = {{
    {.options = "", .settings = "cache_ttl = 0\n", .looks_every_time = true},
    {.options = "check_account debug",
     .settings = "cache_ttl = 3600\n",
     .checks_account = true},
    {.options = "combined realm=pbs quiet",
     .settings = "cache_ttl = 3600\nmax_hashes = 1\n",
     .combined = true,
     .checks_account = true},
    {.options = "nocache try_first_pass",
     .settings = "",
     .looks_every_time = true},
    {.options = "map_user=user realm=pam",
     .settings = "cache_ttl = 0\n",
     .checks_account = true,
     .maps = true,
     .looks_every_time = true},
    {.options = "check_account",
     .settings = "cache_ttl = 3600\nfail_limit = 2\n",
     .checks_account = true,
     .limits_failures = true},
    {.options = "", .settings = "cache = no\n", .looks_every_time = true},
}};

// --- files

std::string name_of(unsigned service) {
  return "fuzz" + std::to_string(service);
}

std::string stacks() {
  return std::string(std::getenv("SCRATCH")) + "/pam.d";
}

// In place, as an editor may do it.
void write_file(const std::string &path, std::string_view text) {
  const UniqueFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  require(file && write(file.get(), text.data(), text.size()) ==
                      static_cast<ssize_t>(text.size()),
          "a file can be written");
}

std::string read_file(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Once a process.
void make_host() {
  require(geteuid() == 0 && std::getenv("SCRATCH") != nullptr,
          "it runs as root under tests/scratch");
  std::filesystem::create_directories(stacks());
  // libpam wants one, and loads what it names each time.
  write_file(stacks() + "/other", "auth required /fuzz/pam_pbstoken.so\n");
  for (unsigned i = 0; i < kServices.size(); ++i) {
    const std::string rest = std::string(" required /fuzz/pam_pbstoken.so ") +
                             "store=" + name_of(i) + " helper=/nonexistent " +
                             kServices[i].options + "\n";
    write_file(stacks() + "/" + name_of(i), "auth" + rest + "account" + rest);
    const std::string limit =
        kServices[i].limits_failures ? "" : "fail_limit = 0\n";
    write_file("/etc/pbstoken/" + name_of(i) + ".conf",
               std::string("token_shadow = ") + kShadow + "\nuser_cfg = " +
                   kUsers + "\ncache_slots = 8\nversion_cache =\n" +
                   "verify_group =\n" + limit + kServices[i].settings);
  }
}

Store load(unsigned service) {
  auto store =
      load_store(name_of(service), configuration_path(name_of(service)));
  require(static_cast<bool>(store), "the configuration is a good one");
  return *store;
}

void remove_segment(key_t key) {
  const int id = shmget(key, 0, 0);
  if (id >= 0) {
    shmctl(id, IPC_RMID, nullptr);
  }
}

// --- hashes, by libcrypt itself; none is computed twice

const std::string &crypt_again(const std::string &secret,
                               const std::string &setting) {
  static auto *known = new std::map<std::string, std::string>();
  static auto *data = new crypt_data();
  if (known->size() > 10000) {
    known->clear();
  }
  const auto [place, is_new] = known->try_emplace(secret + '\n' + setting);
  if (is_new) {
    const char *hash = crypt_r(secret.c_str(), setting.c_str(), data);
    place->second = hash == nullptr ? "*" : hash;
  }
  return place->second;
}

// --- what a service does

struct Conversation {
  const char *answer = nullptr;
  int status = PAM_SUCCESS;
};

int converse(int count, const pam_message ** /*messages*/,
             pam_response **out_responses, void *data) {
  const auto *conversation = static_cast<const Conversation *>(data);
  if (conversation->status != PAM_SUCCESS) {
    return conversation->status;
  }
  auto *responses = static_cast<pam_response *>(
      std::calloc(static_cast<std::size_t>(count), sizeof(pam_response)));
  if (conversation->answer != nullptr) {
    responses[0].resp = strdup(conversation->answer);
  }
  *out_responses = responses;
  return PAM_SUCCESS;
}

// No secret that could be one is logged.
[[gnu::format(printf, 1, 0)]] void require_no_secret(const char *format,
                                                     va_list arguments) {
  std::array<char, 4096> line{};
  vsnprintf(line.data(), line.size(), format, arguments);
  const std::string_view text(line.data());
  require(text.find("0f1e2d3c") == std::string_view::npos &&
              text.find("correct horse") == std::string_view::npos &&
              text.find("$1$") == std::string_view::npos,
          "no secret and no hash is logged");
}

// One bit each.  Nothing here ever has as many open.
unsigned open_descriptors() {
  unsigned open = 0;
  for (unsigned fd = 0; fd < 32; ++fd) {
    open |= fcntl(static_cast<int>(fd), F_GETFD) < 0 ? 0 : 1U << fd;
  }
  return open;
}

class Game {
 public:
  explicit Game(unsigned number)
      : number_(number), service_(kServices[number]), store_(load(number)) {}

  void play(Input *input) {
    start(input);
    const unsigned open = open_descriptors();
    while (!input->empty()) {
      step(input);
    }
    end_handle();
    require(open_descriptors() == open, "no descriptor is left");
    require_no_attachment();
  }

 private:
  void start(Input *input) {
    remove_segment(segment_key());
    remove_segment(failures_segment(store_).key);
    account_ = &kAccounts[input->take_choice(kAccounts.size())];
    static const Account *written = nullptr;  // it seldom is another one
    if (std::exchange(written, account_) != account_) {
      write_file(kUsers, account_->text);
    }
    if (input->take_choice(8) == 7) {
      shadow_ = input->take_line();  // anything
      write_file(kShadow, shadow_);
    } else {
      edit(input);
    }
  }

  void step(Input *input) {
    switch (input->take_choice(10)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return authenticate(input);
      case 4:
        return manage_account(input);
      case 5:
        return service_.looks_every_time ? edit(input) : set_token(input);
      case 6:
        return set_token(input);
      case 7:
        return scribble(input);
      case 8:
        return remove_segment(segment_key());
      default:
        return end_handle();
    }
  }

  // --- files

  static std::string take_hash(Input *input) {
    const unsigned kind = input->take_choice(8);
    const char *secret = kSecrets[input->take_choice(kSecrets.size())];
    if (kind < kSettings.size()) {
      return crypt_again(secret, kSettings[kind]);
    }
    switch (kind) {
      case 4:
        return "";
      case 5:
        return "*0";
      case 6:
        return crypt_again(secret, "$1$salt$").substr(0, 20);
      default:
        return secret;
    }
  }

  // By hand: any number of members, of any names twice.
  void edit(Input *input) {
    shadow_ = "{";
    for (unsigned left = input->take_choice(5); left > 0; --left) {
      shadow_ += shadow_.size() == 1 ? "\"" : ",\"";
      shadow_ += kIds[input->take_choice(kTokens)];
      shadow_ += input->take_choice(8) == 7 ? "\":7"
                                            : "\":\"" + take_hash(input) + "\"";
    }
    shadow_ += "}";
    write_file(kShadow, shadow_);
  }

  // As the helper does it.
  void set_token(Input *input) {
    const auto id = parse_token_id(kIds[input->take_choice(kTokens)]);
    const unsigned kind = input->take_choice(kSettings.size() + 1);
    const char *secret = kSecrets[input->take_choice(kSecrets.size())];
    std::string hash;
    if (kind < kSettings.size()) {
      hash = crypt_again(secret, kSettings[kind]);
    }
    Cache cache(store_, Kind::kSecrets);
    const auto written = write_token(
        store_, &cache,
        {.token_id = *id,
         .stored_hash = hash.empty() ? std::nullopt
                                     : std::optional<std::string_view>(hash),
         .secret = secret,
         .expected_hash = {}});
    const bool readable = is_readable(read_again(shadow_));
    shadow_ = read_file(kShadow);
    require(!readable || written, "the writer can write");
    require(!written || *written == Outcome::kUnknownToken ||
                find_again(read_again(shadow_), id->text).value_or("") == hash,
            "the writer has written");
  }

  void scribble(Input *input) {
    const int id = shmget(segment_key(), 0, 0);
    void *address = id < 0 ? nullptr : shmat(id, nullptr, 0);
    if (id < 0 || address == reinterpret_cast<void *>(-1)) {
      return;
    }
    shmid_ds status{};
    shmctl(id, IPC_STAT, &status);
    const std::size_t at = (input->take_byte() * 256 + input->take_byte()) %
                           (status.shm_segsz / 8);
    std::uint64_t *word = static_cast<std::uint64_t *>(address) +
                          (input->take_choice(2) == 0 ? at : at % 64);
    *word ^= std::uint64_t{1} << input->take_byte() % 64;
    shmdt(address);
  }

  // --- the handle

  void start_handle(const char *user) {
    end_handle();
    const pam_conv conv = {.conv = converse, .appdata_ptr = &conversation_};
    require(pam_start_confdir(name_of(number_).c_str(), user, &conv,
                              stacks().c_str(), &handle_) == PAM_SUCCESS,
            "a handle can be had");
    pam_set_item(handle_, PAM_RHOST, "192.0.2.7");
  }

  void end_handle() {
    if (handle_ != nullptr) {
      pam_end(handle_, PAM_SUCCESS);
    }
    handle_ = nullptr;
    verified_ = nullptr;
  }

  struct Attempt {
    unsigned id = 0;
    std::string user;
    std::string secret;
    std::string password;
  };

  Attempt take_attempt(Input *input) {
    Attempt attempt;
    attempt.id = input->take_choice(kIds.size());
    attempt.user = kIds[attempt.id];
    const unsigned secret = input->take_choice(8);
    attempt.secret = secret < kSecrets.size() ? kSecrets[secret]
                     : secret == 4            ? ""
                     : secret == 5            ? "tab\t"
                     : secret == 6            ? std::string(512, 'x')
                                              : shadow_hash_of(attempt.user);
    attempt.secret = attempt.secret.c_str();  // a password ends at a NUL
    attempt.password = attempt.secret;
    if (service_.combined) {
      attempt.password = attempt.user + ":" + attempt.secret;
      attempt.user = attempt.user.substr(0, attempt.user.find('@'));
    }
    return attempt;
  }

  // Who has read the file has no secret.
  [[nodiscard]] std::string shadow_hash_of(const std::string &id) const {
    return find_again(read_again(shadow_), id).value_or("");
  }

  void authenticate(Input *input) {
    const Attempt attempt = take_attempt(input);
    // A user name stays, unless a module changes it.
    if (handle_ == nullptr || input->take_choice(4) != 0 ||
        user_ != attempt.user || service_.maps) {
      start_handle(attempt.user.c_str());
      user_ = attempt.user;
    }
    const unsigned answer = input->take_choice(10);
    conversation_ = {.answer = answer == 8 ? nullptr : attempt.password.c_str(),
                     .status = answer == 9 ? PAM_CONV_ERR : PAM_SUCCESS};
    arm(input);
    const int code = pam_authenticate(handle_, 0);
    const bool disturbed = end_disturbance();
    const char *variable = pam_getenv(handle_, "PBSTOKEN_ID");
    verified_ = nullptr;
    if (code == PAM_SUCCESS) {
      require(answer < 8, "somebody has answered");
      require_deserved(attempt);
      require(variable != nullptr && kIds[attempt.id] == std::string(variable),
              "the verified id is handed on");
      verified_ = kIds[attempt.id];
      require_mapped(attempt);
    } else if (code != PAM_SYSTEM_ERR) {
      require(variable == nullptr, "no id of an earlier success is left");
    }
    if (!disturbed && answer < 8) {
      require_exact(attempt, code);
    }
  }

  static bool is_readable(const SecondReading &reading) {
    return reading.root == SecondRoot::kObject ||
           reading.root == SecondRoot::kNull;
  }

  [[nodiscard]] bool matches(const Attempt &attempt) const {
    const auto stored = find_again(read_again(shadow_), kIds[attempt.id]);
    return stored && is_acceptable_secret(attempt.secret) &&
           !hash_method(*stored).empty() &&
           crypt_again(attempt.secret, *stored) == *stored;
  }

  void require_deserved(const Attempt &attempt) const {
    require(matches(attempt), "who is let in has the secret");
    require(!service_.checks_account || account_code(attempt.id) == PAM_SUCCESS,
            "and an account");
    require(
        !service_.combined || attempt.user == "john" || attempt.user == "root",
        "and a token of the realm");
    require(!service_.maps || attempt.user == "alice@pam!laptop",
            "and a token of the realm");
  }

  void require_mapped(const Attempt &attempt) const {
    const void *user = nullptr;
    require(pam_get_item(handle_, PAM_USER, &user) == PAM_SUCCESS &&
                user != nullptr,
            "there is a user");
    require(static_cast<const char *>(user) ==
                (service_.maps ? std::string("alice") : attempt.user),
            "the user is mapped, or not");
  }

  // Whether the last answer was disturbed.  That a file is not there is no
  // failure but an answer, and may be remembered for cache_ttl.
  bool end_disturbance() {
    const bool failed = disarm();
    seemed_gone_ = seemed_gone_ || (failed && failing.error == ENOENT &&
                                    !service_.looks_every_time);
    return failed || seemed_gone_;
  }

  // Of those that are never written no user.cfg knows anything.
  [[nodiscard]] int account_code(unsigned id) const {
    return id < kTokens                                 ? account_->codes[id]
           : account_->codes[0] == PAM_AUTHINFO_UNAVAIL ? PAM_AUTHINFO_UNAVAIL
                                                        : PAM_USER_UNKNOWN;
  }

  // Nothing: not for us to say.
  [[nodiscard]] std::optional<int> expected(const Attempt &attempt) const {
    const auto id = parse_token_id(kIds[attempt.id]);
    if (!id) {
      return PAM_USER_UNKNOWN;
    }
    if (service_.combined && id->realm != "pbs") {
      return PAM_USER_UNKNOWN;  // it may be a password of another kind
    }
    if (service_.maps && id->realm != "pam") {
      return PAM_AUTH_ERR;
    }
    const SecondReading reading = read_again(shadow_);
    if (static_cast<bool>(TokenShadow::parse(terminated(shadow_), {})) !=
        is_readable(reading)) {
      return std::nullopt;  // what the two readers do not agree on
    }
    if (!is_readable(reading)) {
      return PAM_AUTHINFO_UNAVAIL;
    }
    if (!find_again(reading, id->text)) {
      return PAM_USER_UNKNOWN;
    }
    if (!matches(attempt)) {
      return PAM_AUTH_ERR;
    }
    return service_.checks_account ? account_code(attempt.id) : PAM_SUCCESS;
  }

  void require_exact(const Attempt &attempt, int code) const {
    const auto wanted = expected(attempt);
    if (wanted && !service_.limits_failures && code != *wanted) {
      std::fprintf(stderr, "%s: %d, not %d\n", attempt.user.c_str(), code,
                   *wanted);
    }
    require(!wanted || code == *wanted ||
                (service_.limits_failures && code == PAM_AUTH_ERR &&
                 find_again(read_again(shadow_), attempt.user)),
            "where nothing fails the answer is the right one");
  }

  // Of the token that was verified, or of the user name.
  void manage_account(Input *input) {
    if (handle_ == nullptr) {
      start_handle(kIds[input->take_choice(kIds.size())]);
      const void *user = nullptr;
      pam_get_item(handle_, PAM_USER, &user);
      user_ = static_cast<const char *>(user);
    }
    arm(input);
    const int code = pam_acct_mgmt(handle_, 0);
    const bool disturbed = end_disturbance();
    const std::string id = verified_ != nullptr ? verified_ : user_;
    const auto known = std::find(kIds.begin(), kIds.begin() + kTokens, id);
    const auto at = static_cast<std::size_t>(known - kIds.begin());
    if (code == PAM_SUCCESS) {
      require(at < kTokens && account_->codes[at] == PAM_SUCCESS,
              "an account that is let in is allowed");
    }
    if (!disturbed && at < kTokens) {
      require(code == account_->codes[at],
              "where nothing fails the account's answer is the right one");
    }
  }

  // The directory stays the same in all runs.
  [[nodiscard]] key_t segment_key() const {
    const auto view = view_of(store_.token_shadow);
    return view ? key_of({Kind::kSecrets, *view}) : 1;
  }

  // One for reading stays, for the life of the process.
  void require_no_attachment() const {
    const int id = shmget(segment_key(), 0, 0);
    shmid_ds status{};
    require(
        id < 0 || shmctl(id, IPC_STAT, &status) != 0 || status.shm_nattch <= 1,
        "no attachment is left");
  }

  unsigned number_;
  const Service &service_;
  Store store_;
  const Account *account_ = nullptr;
  std::string shadow_;  // what the file holds
  pam_handle_t *handle_ = nullptr;
  std::string user_;
  const char *verified_ = nullptr;
  bool seemed_gone_ = false;  // a file, by a call that failed
  Conversation conversation_;
};

}  // namespace
}  // namespace pbstoken::fuzz

// --- in front of libc's own

// libpam is to find the module in this program.
extern "C" [[gnu::visibility("default"), gnu::used]] void *fuzz_dlopen(
    const char *path, int flags) __asm__("dlopen");
extern "C" void *fuzz_dlopen(const char *path, int flags) {
  static const auto next = reinterpret_cast<void *(*)(const char *, int)>(
      dlsym(RTLD_NEXT, "dlopen"));
  const bool is_module =
      path != nullptr && std::string_view(path) == "/fuzz/pam_pbstoken.so";
  return next(is_module ? nullptr : path, flags);
}

// As on a kernel without it: libpam's own system calls are most of them, else.
extern "C" [[gnu::visibility("default"), gnu::used]] int
fuzz_audit_open() __asm__("audit_open");
extern "C" int fuzz_audit_open() {
  errno = EPROTONOSUPPORT;
  return -1;
}

// No helper is ever started: what a caller who may not read the file gets is
// for others to test.  Nor has this kernel slices of processor time.
extern "C" [[gnu::visibility("default"), gnu::used]] long fuzz_syscall(
    long number, ...) __asm__("syscall");
extern "C" long fuzz_syscall(long number, ...) {
  if (number == SYS_openat2) {
    va_list arguments;
    va_start(arguments, number);
    const int directory = va_arg(arguments, int);
    const auto *name = va_arg(arguments, const char *);
    const auto *how = va_arg(arguments, const open_how *);
    const auto size = va_arg(arguments, std::size_t);
    va_end(arguments);
    static const auto next =
        reinterpret_cast<long (*)(long, ...)>(dlsym(RTLD_NEXT, "syscall"));
    return next(number, directory, name, how, size);
  }
  pbstoken::fuzz::require(number == SYS_clone || number == SYS_sched_getattr,
                          "nothing but a file, a child and a slice is wanted");
  errno = number == SYS_clone ? EAGAIN : ENOSYS;
  return -1;
}

extern "C" [[gnu::visibility("default"), gnu::used]] void fuzz_syslog(
    int priority, int flag, const char *format, ...) __asm__("__syslog_chk");
extern "C" [[gnu::format(printf, 3, 4)]] void fuzz_syslog(int /*priority*/,
                                                          int /*flag*/,
                                                          const char *format,
                                                          ...) {
  va_list arguments;
  va_start(arguments, format);
  pbstoken::fuzz::require_no_secret(format, arguments);
  va_end(arguments);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data,
                                      std::size_t size) {
  using namespace pbstoken::fuzz;
  static const bool is_host = [] {
    make_host();
    return true;
  }();
  static_cast<void>(is_host);
  Input input(data, size);
  Game(input.take_choice(kServices.size())).play(&input);
  return 0;
}
