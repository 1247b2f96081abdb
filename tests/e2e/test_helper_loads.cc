// SPDX-License-Identifier: BSD-3-Clause
// What the helper brings into a process of root: libc and libcrypt, no name
// service, no locale, no configuration of any library.
#include <fstream>
#include <sstream>

#include "e2e_pam.h"
#include "helper_support.h"

namespace pbstoken {
namespace {

using namespace testing;

// --- what it is linked with

std::set<std::string> lines_of(const std::string &text) {
  std::set<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.insert(line);
  }
  return lines;
}

// Without its version, as in `malloc@GLIBC_2.2.5`.
std::set<std::string> imported_symbols() {
  const RunResult outcome =
      run({.path = "/usr/bin/nm",
           .arguments = {"-D", "--undefined-only", "--format=just-symbols",
                         helper_path()}});
  assert_exit(outcome, 0, "nm");
  std::set<std::string> symbols;
  for (const std::string &line : lines_of(outcome.out)) {
    symbols.insert(line.substr(0, line.find('@')));
  }
  return symbols;
}

void helper_imports_nothing_that_loads_code(void ** /*state*/) {
  const auto symbols = imported_symbols();
  // Else the list below says nothing.
  assert_true(symbols.contains("fgetgrent_r") && symbols.contains("crypt_rn"));
  for (const char *symbol :
       {"getpwnam",        "getpwnam_r",      "getpwuid",
        "getpwuid_r",      "getpwent",        "getpwent_r",
        "setpwent",        "getgrnam",        "getgrnam_r",
        "getgrgid",        "getgrgid_r",      "getgrent",
        "getgrent_r",      "setgrent",        "getgrouplist",
        "initgroups",      "getspnam",        "getspnam_r",
        "getaddrinfo",     "getnameinfo",     "gethostbyname",
        "gethostbyname_r", "gethostbyname2",  "gethostbyaddr",
        "getservbyname",   "getservbyname_r", "getservbyport",
        "getprotobyname",  "getnetbyname",    "getrpcbyname",
        "getnetgrent",     "innetgr",         "ether_hostton",
        "getaliasbyname",  "getlogin",        "getlogin_r",
        "cuserid",         "wordexp",         "glob",
        "iconv_open",      "setlocale",       "newlocale",
        "nl_langinfo",     "catopen",         "gettext",
        "dgettext",        "dcgettext",       "bindtextdomain",
        "strerror",        "strerror_r",      "perror",
        "strftime",        "localtime",       "mktime",
        "dlopen",          "dlmopen",         "dlsym",
        "dlvsym",          "system",          "popen",
        "execve",          "execv",           "execvp",
        "execl",           "execlp",          "posix_spawn",
        "posix_spawnp",    "secure_getenv",   "setenv",
        "putenv",          "syslog",          "tmpfile",
        "mkstemp",         "mktemp",          "tmpnam",
        "printf",          "scanf",           "__printf_chk",
        "__fprintf_chk",   "__vfprintf_chk"}) {
    if (symbols.contains(symbol)) {
      fail_msg("imports %s", symbol);
    }
  }
}

void helper_needs_libc_and_libcrypt_alone(void ** /*state*/) {
  const RunResult outcome = run(
      {.path = "/usr/bin/readelf", .arguments = {"-d", "-W", helper_path()}});
  assert_exit(outcome, 0, "readelf");
  std::set<std::string> libraries;
  for (const std::string &line : lines_of(outcome.out)) {
    if (line.find("(NEEDED)") != std::string::npos) {
      const std::size_t start = line.find('[') + 1;
      libraries.insert(line.substr(start, line.find(']') - start));
    }
    // No search path that somebody may write.
    assert_true(line.find("(RPATH)") == std::string::npos &&
                line.find("(RUNPATH)") == std::string::npos);
  }
  assert_true(libraries ==
              std::set<std::string>({"libcrypt.so.1", "libc.so.6"}));
}

// --- what it opens

struct Traced {
  std::vector<std::string> arguments;
  int status;
};

int fresh_host(void **state) {
  if (clean_host_with_service(state) != 0) {
    return -1;
  }
  static const std::string groups = read_file("/etc/group");
  write_file("/etc/group",
             groups + "verifiers:x:54321:nobody\n" + "admins:x:54322:nobody\n");
  configure("verify_group = verifiers\nadmin_group = admins\n");
  write_shadow({{kId, kHash}, {kOldId, kOldHash}});
  write_user_cfg();
  install_helper();
  return 0;
}

// The calls that take the name of a file, of the setuid helper and its
// children, whoever started it.
std::string trace_of(const std::string &user, const Traced &traced) {
  const std::string log = scratch("trace");
  std::vector<std::string> arguments = {
      "-f", "-qq", "-o",
      log,  "-e",  "trace=%file,mmap,execve,socket,connect",
      "-u", user,  scratch("installed-helper")};
  arguments.insert(arguments.end(), traced.arguments.begin(),
                   traced.arguments.end());
  const RunResult outcome =
      run({.path = "/usr/bin/strace",
           .arguments = arguments,
           .input = kSecret,
           .prepare = [] {
             for (const auto &[name, value] :
                  std::vector<std::pair<const char *, const char *>>{
                      {"LC_ALL", "de_DE.UTF-8"},
                      {"LANG", "tr_TR.UTF-8"},
                      {"OPENSSL_CONF", "/etc/ssl/openssl.cnf"},
                      {"GCONV_PATH", "/tmp"},
                      {"TZ", "Europe/Berlin"},
                      {"LD_PRELOAD", "/tmp/evil.so"}}) {
               setenv(name, value, 1);
             }
           }});
  assert_exit(outcome, traced.status, user + ", " + traced.arguments[0]);
  return read_file(log);
}

const std::array<Traced, 7> kTraced = {{
    {{"verify", kId}, 0},
    {{"verify", "no@pbs!t"}, 5},
    {{"rotate", kId}, 0},
    {{"set", kId}, 0},
    {{"generate", kOldId}, 0},
    {{"delete", kOldId}, 0},
    {{"account", kId}, 0},
}};

// In the words of acceptance, and what each of them comes with.
const std::array<const char *, 14> kNever = {
    "nsswitch", "libnss",      "nscd",      "locale",    "/usr/share/i18n",
    "gconv",    "openssl",     "libcrypto", "libssl",    "/zoneinfo",
    "evil.so",  "resolv.conf", "host.conf", "/etc/hosts"};

void helper_opens_none_of_the_hosts_configuration(void ** /*state*/) {
  for (const Traced &traced : kTraced) {
    const std::string trace = trace_of("nobody", traced);
    // It was traced, as a setuid program, and found its files.
    assert_true(trace.find("\"/etc/group\"") != std::string::npos);
    assert_true(trace.find("\"/proc/self/exe\"") != std::string::npos);
    for (const char *name : kNever) {
      if (trace.find(name) != std::string::npos) {
        fail_msg("%s opens %s", traced.arguments[0].c_str(), name);
      }
    }
  }
}

// For the trail of changes, and for nothing else.
void helper_connects_to_the_system_log_alone(void ** /*state*/) {
  for (const Traced &traced : kTraced) {
    std::istringstream trace(trace_of("nobody", traced));
    for (std::string line; std::getline(trace, line);) {
      const bool is_other =
          (line.find(" socket(") != std::string::npos &&
           line.find("socket(AF_UNIX, SOCK_DGRAM|") == std::string::npos) ||
          (line.find(" connect(") != std::string::npos &&
           line.find("sun_path=\"/dev/log\"") == std::string::npos);
      if (is_other) {
        fail_msg("%s: %s", traced.arguments[0].c_str(), line.c_str());
      }
    }
  }
}

// Everything that it opens by an absolute path, and nothing else.
void helper_opens_what_it_is_known_to_open(void ** /*state*/) {
  const std::set<std::string> known = {
      "/",
      "/dev/null",
      "/etc/group",
      "/etc/ld.so.cache",
      "/etc/passwd",
      "/etc/pbstoken/pbs.conf",
      "/etc/proxmox-backup",  // on which file system it is
      "/proc/self/loginuid",  // for the trail of changes
      "/proc/self/oom_score_adj",
      "/run/proxmox-backup/shmem/config-versions",
      "/proc/self/uid_map",  // how the caller is confined
      "/sys/devices/system/cpu/online",
  };
  for (const Traced &traced : kTraced) {
    std::istringstream trace(trace_of("nobody", traced));
    for (std::string line; std::getline(trace, line);) {
      const std::size_t call = line.find("openat(AT_FDCWD, \"");
      const std::size_t old_call = line.find(" open(\"");
      if (call == std::string::npos && old_call == std::string::npos) {
        continue;
      }
      const std::size_t start = line.find('"') + 1;
      const std::string path =
          line.substr(start, line.find('"', start) - start);
      const bool is_library =
          path.ends_with("/libcrypt.so.1") || path.ends_with("/libc.so.6");
      if (!is_library && !known.contains(path)) {
        fail_msg("%s: %s", traced.arguments[0].c_str(), line.c_str());
      }
    }
  }
}

// Nothing executable is mapped after main() has begun.
void helper_maps_no_code_of_its_own_accord(void ** /*state*/) {
  for (const Traced &traced : kTraced) {
    const std::string trace = trace_of("nobody", traced);
    const std::size_t main = trace.find("\"/proc/self/exe\"");
    assert_true(main != std::string::npos);
    assert_true(trace.find("PROT_EXEC") < main);
    assert_true(trace.find("PROT_EXEC", main) == std::string::npos);
    assert_true(trace.find("execve(", main) == std::string::npos);
  }
}

#define FRESH_TEST(name) cmocka_unit_test_setup(name, fresh_host)

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      FRESH_TEST(helper_imports_nothing_that_loads_code),
      FRESH_TEST(helper_needs_libc_and_libcrypt_alone),
      FRESH_TEST(helper_opens_none_of_the_hosts_configuration),
      FRESH_TEST(helper_connects_to_the_system_log_alone),
      FRESH_TEST(helper_opens_what_it_is_known_to_open),
      FRESH_TEST(helper_maps_no_code_of_its_own_accord),
  };
  return cmocka_run_group_tests_name("helper_loads", tests, nullptr, nullptr);
}
