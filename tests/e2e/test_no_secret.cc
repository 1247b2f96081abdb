// SPDX-License-Identifier: BSD-3-Clause
// With `debug` in every stack: no secret and no stored hash in the log, in the
// helper's command line and environment, in the segments, or in the memory of
// the service when it has called pam_end(3).
//
// The service is this program, executed anew, so that it knows of a secret only
// what the conversation reads, straight into the response.
#include <sys/file.h>
#include <sys/mman.h>

#include <algorithm>

#include "e2e_log.h"
#include "e2e_member.h"

namespace pbstoken {
namespace {

using namespace testing;

// --- the service

char *the_kept_answer = nullptr;
bool the_answer_is_kept = false;

int read_answer(int count, const pam_message **messages,
                pam_response **out_responses, void * /*data*/) {
  constexpr std::size_t kMost = 600;
  auto *responses = static_cast<pam_response *>(
      std::calloc(static_cast<std::size_t>(count), sizeof(pam_response)));
  for (int i = 0; i < count; ++i) {
    const int style = messages[i]->msg_style;
    if (style == PAM_TEXT_INFO || style == PAM_ERROR_MSG) {
      if (write(STDOUT_FILENO, messages[i]->msg,
                std::strlen(messages[i]->msg)) < 0 ||
          write(STDOUT_FILENO, "\n", 1) < 0) {
        return PAM_CONV_ERR;
      }
      continue;
    }
    responses[i].resp = static_cast<char *>(std::calloc(1, kMost));
    char *at = responses[i].resp;
    while (read(STDIN_FILENO, at, 1) == 1 && *at != '\n') {
      ++at;
    }
    *at = '\0';
    if (the_answer_is_kept) {
      the_kept_answer = strdup(responses[i].resp);
    }
  }
  *out_responses = responses;
  return PAM_SUCCESS;
}

// PROGRAM ID OPERATION: reads answers, prints what it was told and a line with
// the code; ends when its input does.
int serve(const char *id, std::string_view operation) {
  const pam_conv conv = {.conv = read_answer, .appdata_ptr = nullptr};
  pam_handle_t *handle = nullptr;
  pam_start_confdir(kService, id, &conv, scratch("pam.d").c_str(), &handle);
  the_answer_is_kept = operation == "keep";
  pam_set_item(handle, PAM_RHOST, "2001:db8::1");
  int code = PAM_SUCCESS;
  if (operation == "change") {
    code = pam_chauthtok(handle, 0);
  } else {
    code = pam_authenticate(handle, 0);
    if (code == PAM_SUCCESS) {
      code = pam_acct_mgmt(handle, 0);
    }
  }
  pam_end(handle, code);
  std::printf("=%d\n", code);
  std::fflush(stdout);
  char end = 0;
  return read(STDIN_FILENO, &end, 1) == 0 ? 0 : 1;
}

// --- what must not be found

using Needles = std::vector<std::string>;

// In pieces: what free(3) writes over the beginning of is found by its end.
void add_needle(Needles *needles, const std::string &secret) {
  constexpr std::size_t kPiece = 14;
  for (std::size_t at = 0; at + kPiece <= secret.size(); at += kPiece / 2) {
    // The salt's and the method's letters are no secret.
    needles->push_back(secret.substr(at, kPiece));
  }
}

void assert_has_none(const std::string &text, const Needles &needles,
                     const std::string &where) {
  for (const std::string &needle : needles) {
    const std::size_t at = text.find(needle);
    if (at != std::string::npos) {
      fail_msg("%s: \"%s\" at %zu", where.c_str(), needle.c_str(), at);
    }
  }
}

bool the_search_is_to_find = false;

// Every mapping that can be read.
void assert_memory_has_none(pid_t pid, const Needles &needles,
                            const std::string &what) {
  const std::string directory = "/proc/" + std::to_string(pid);
  std::ifstream maps(directory + "/maps");
  std::string line;
  const int memory = open((directory + "/mem").c_str(), O_RDONLY | O_CLOEXEC);
  std::size_t total = 0;
  std::string found;
  while (std::getline(maps, line)) {
    unsigned long long first = 0;
    unsigned long long last = 0;
    std::array<char, 5> mode{};
    if (std::sscanf(line.c_str(), "%llx-%llx %4s", &first, &last,
                    mode.data()) != 3 ||
        mode[0] != 'r' || line.find("[v") != std::string::npos) {
      continue;
    }
    std::string bytes(last - first, '\0');
    const ssize_t size =
        pread(memory, bytes.data(), bytes.size(), static_cast<off_t>(first));
    if (size <= 0) {
      continue;
    }
    total += static_cast<std::size_t>(size);
    for (const std::string &needle : needles) {
      if (bytes.find(needle) != std::string::npos) {
        found += "\"" + needle + "\" in " + line + "\n";
      }
    }
  }
  close(memory);
  if (found.empty() == the_search_is_to_find || total < 1'000'000) {
    fail_msg("%s: %zu bytes: %s", what.c_str(), total, found.c_str());
  }
}

void assert_segments_have_none(const Needles &needles) {
  shm_info info{};
  const int last = shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds *>(&info));
  int count = 0;
  for (int index = 0; index <= last; ++index) {
    shmid_ds segment{};
    const int id = shmctl(index, SHM_STAT, &segment);
    if (id < 0) {
      continue;
    }
    void *at = shmat(id, nullptr, SHM_RDONLY);
    assert_has_none({static_cast<const char *>(at), segment.shm_segsz}, needles,
                    "segment");
    shmdt(at);
    ++count;
  }
  assert_true(count > 0);
}

// --- a run of the service

struct Service {
  int code = -1;
  std::string shown;
};

std::string the_log_text;
int the_processes = 0;

void collect_log() {
  for (const std::string &line : log_lines()) {
    the_log_text += line + "\n";
  }
}

std::string program() {
  return scratch("service");
}

// What was shown is a new secret, too.
Service run_service(const std::function<void()> &who, const std::string &id,
                    const std::string &operation, const std::string &answer,
                    Needles *needles) {
  Pipe in;
  Pipe out;
  const pid_t child = start_child([&] {
    dup2(in.reader(), STDIN_FILENO);
    dup2(out.writer(), STDOUT_FILENO);
    who();
    // A call that is bound lazily has the dynamic linker save the processor's
    // vector registers on the stack, with what the last memcpy(3) or strlen(3)
    // of anybody has left in them: not by our doing.
    setenv("LD_BIND_NOW", "1", 1);
    execl(program().c_str(), program().c_str(), id.c_str(), operation.c_str(),
          nullptr);
    return 126;
  });
  const std::string line = answer + "\n";
  if (write(in.writer(), line.data(), line.size()) < 0) {
    std::abort();
  }
  out.close_writer();
  Service service;
  char c = 0;
  std::string text;
  while (read(out.reader(), &c, 1) == 1) {
    text += c;
    if (c == '\n' && text.rfind("\n=") != std::string::npos) {
      break;
    }
    if (c == '\n' && text.front() == '=') {
      break;
    }
  }
  const std::size_t code = text.rfind('=');
  service.code =
      code == std::string::npos ? -1 : std::stoi(text.substr(code + 1));
  service.shown = text.substr(0, code);
  const std::size_t secret = service.shown.find("secret: ");
  if (secret != std::string::npos) {
    add_needle(needles, service.shown.substr(secret + 8, 36));
  }
  assert_memory_has_none(child, *needles,
                         operation + " of " + id + ": " + answer);
  in.close_writer();
  in.close_reader();
  assert_int_equal(wait_for(child), 0);
  collect_log();
  ++the_processes;
  return service;
}

void add_file(Needles *needles) {
  const rapidjson::Document document = parse_json(read_file(kShadow));
  std::for_each(
      document.MemberBegin(), document.MemberEnd(), [&](const auto &member) {
        const std::string hash = member.value.GetString();
        // Behind the method, which tables name.
        add_needle(needles, hash.substr(std::min<std::size_t>(hash.size(), 7)));
      });
}

int setup(void **state) {
  if (clean_host_with_members(state) != 0) {
    return -1;
  }
  configure("member_rotate = yes\n");
  for (const auto &[from, to] :
       {std::pair(module_path(), scratch("installed-module.so")),
        std::pair(std::string("/proc/self/exe"), program())}) {
    std::filesystem::remove(to);
    std::filesystem::copy_file(std::filesystem::canonical(from), to);
    chmod(to.c_str(), 0755);
  }
  write_file(kUserCfg, "user: john@pbs\n\ntoken: john@pbs!client1\n", 0640);
  return 0;
}

void nothing_secret_is_left_anywhere(void ** /*state*/) {
  Needles needles;
  const std::string generated = generate(kId);
  add_needle(&needles, generated);
  // Another's: a literal would be in the service, which is this program.
  const std::string wrong = generate("other@pbs!client2");
  add_needle(&needles, wrong);
  add_file(&needles);
  // What the module hands to the helper.
  public_directory();
  const std::string told = scratch("anybody/told");
  const std::string helper = write_script(
      "{ tr '\\0' '\\n' </proc/$$/cmdline; tr '\\0' '\\n' </proc/$$/environ; }"
      " >>" +
      told + "\nexec " + setuid_helper() + " \"$@\"");
  const auto stacks = [&](const std::string &options) {
    const std::string rest = " required " + scratch("installed-module.so") +
                             " debug helper=" + helper + " " + options;
    write_stack(kService, {"auth" + rest, "account" + rest, "password" + rest});
  };
  const auto as_root = [] {};
  for (const auto &who :
       {std::function<void()>(as_root), std::function<void()>(become_member)}) {
    for (const char *options :
         {"", "check_account", "nocache", "map_user=user realm=pbs"}) {
      stacks(options);
      for (int round = 0; round < 2; ++round) {
        assert_pam(run_service(who, kId, "auth", generated, &needles).code,
                   PAM_SUCCESS);
        assert_pam(run_service(who, kId, "auth", wrong, &needles).code,
                   PAM_AUTH_ERR);
      }
    }
    stacks("combined realm=pbs");
    const std::string id = kId + std::string(":");
    assert_pam(run_service(who, "john", "auth", id + generated, &needles).code,
               PAM_SUCCESS);
    assert_pam(run_service(who, "john", "auth", "PBSAPIToken=" + id + generated,
                           &needles)
                   .code,
               PAM_SUCCESS);
    assert_pam(run_service(who, "john", "auth", id + wrong, &needles).code,
               PAM_AUTH_ERR);
    // A secret where the name belongs.
    run_service(who, generated.substr(0, 8), "auth", generated, &needles);
  }
  stacks("");
  std::string secret = generated;
  for (const auto &who :
       {std::function<void()>(as_root), std::function<void()>(become_member)}) {
    run_service(who, kId, "change", wrong, &needles);
    const Service changed = run_service(who, kId, "change", secret, &needles);
    assert_pam(changed.code, PAM_SUCCESS);
    secret = changed.shown.substr(changed.shown.find("secret: ") + 8, 36);
    add_file(&needles);
  }
  // The helper: what it says where it is not to say the secret.
  const std::string chosen = "a secret that somebody has chosen, long enough";
  add_needle(&needles, chosen);
  std::string said;
  const auto say = [&](const std::vector<std::string> &arguments,
                       const std::string &input) {
    const std::string &command = arguments[0];
    const bool is_tools = command == "list" || command == "status" ||
                          command == "check" || command == "explain";
    const RunResult outcome =
        is_tools ? run_tool(arguments) : run_helper(arguments, input);
    collect_log();
    said += outcome.err + (arguments[0] == "rotate" ? "" : outcome.out);
    return outcome;
  };
  say({"set", kId}, chosen);
  add_file(&needles);
  assert_int_equal(say({"verify", kId}, chosen).status, 0);
  assert_int_equal(say({"verify", kId}, wrong).status, 1);
  say({"list"}, "");
  say({"list", "--output-format", "json-pretty"}, "");
  say({"status"}, "");
  say({"check"}, "");
  say({"explain", kId}, "");
  say({"account", kId}, "");
  const RunResult rotated =
      say({"rotate", kId, "--output-format", "json"}, chosen);
  add_needle(&needles, parse_json(rotated.out)["value"].GetString());
  say({"rotate", kId}, wrong);
  add_file(&needles);
  write_file(kShadow, read_file(kShadow) + "}", 0640);
  say({"check"}, "");
  say({"verify", kId}, chosen);

  assert_has_none(said, needles, "what the helper says");
  assert_has_none(the_log_text, needles, "log");
  assert_has_none(read_file(told), needles, "helper's cmdline and environ");
  assert_segments_have_none(needles);
  // It was there to be found.
  const auto lines = std::count(the_log_text.begin(), the_log_text.end(), '\n');
  assert_true(the_log_text.find("authentication failure") != std::string::npos);
  assert_true(the_log_text.find(" us") != std::string::npos);
  assert_true(read_file(told).find("request") != std::string::npos);
  print_message("%d processes, %zu pieces, %d log lines\n", the_processes,
                needles.size(), static_cast<int>(lines));
}

// The process that stays the caller's, while the writer waits for the lock.
void parent_of_a_writer_holds_no_secret(void ** /*state*/) {
  const std::string secret = "a secret that somebody has chosen, long enough";
  Needles needles;
  add_needle(&needles, secret);
  const int lock = open(kLock, O_RDWR | O_CREAT | O_CLOEXEC, 0660);
  assert_int_equal(flock(lock, LOCK_EX), 0);
  Pipe in;
  const pid_t parent = start_child([&] {
    dup2(in.reader(), STDIN_FILENO);
    execl(helper_path().c_str(), "pbstoken-helper", "set", kId, nullptr);
    return 126;
  });
  assert_int_equal(write(in.writer(), secret.data(), secret.size()),
                   secret.size());
  in.close_writer();
  // It has given up root.
  const std::string status = "/proc/" + std::to_string(parent) + "/status";
  while (read_file(status).find("NoNewPrivs:\t1") == std::string::npos) {
    usleep(1000);
  }
  assert_memory_has_none(parent, needles, "parent");
  close(lock);
  assert_int_equal(wait_for(parent), 0);
}

// The search is one that finds.
void secret_that_the_service_keeps_is_found(void ** /*state*/) {
  Needles needles;
  const std::string secret = generate(kId);
  add_needle(&needles, secret);
  const std::string rest = " required " + scratch("installed-module.so");
  write_stack(kService, {"auth" + rest, "account" + rest});
  the_search_is_to_find = true;
  run_service([] {}, kId, "keep", secret, &needles);
  the_search_is_to_find = false;
}

}  // namespace
}  // namespace pbstoken

int main(int argc, char **argv) {
  using namespace pbstoken;
  if (argc == 3) {
    return serve(argv[1], argv[2]);
  }
  const CMUnitTest tests[] = {
      cmocka_unit_test_setup(nothing_secret_is_left_anywhere, setup),
      cmocka_unit_test_setup(parent_of_a_writer_holds_no_secret, setup),
      cmocka_unit_test_setup(secret_that_the_service_keeps_is_found, setup),
  };
  return cmocka_run_group_tests_name("no_secret", tests, replace_dev,
                                     restore_dev);
}
