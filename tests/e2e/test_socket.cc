// SPDX-License-Identifier: BSD-3-Clause
// The helper's socket: for services whose setuid programs are none, and from
// whoever else may connect.
#include <sys/mount.h>
#include <sys/time.h>

#include <ctime>

#include "e2e_log.h"
#include "e2e_socket.h"

namespace pbstoken {
namespace {

using namespace testing;

int authenticate_confined(const std::string &id, const std::string &secret) {
  return authenticate_as(become_member_without_new_privileges, id, secret);
}

// --- the module

void no_new_privs_with_the_socket_gets_every_answer(void ** /*state*/) {
  look_every_time();
  write_shadow({{kId, kHash}, {kOldId, kOldHash}, {"bad@pbs!t", "*0"}});
  for (const char *options : {"", " nocache"}) {
    write_socket_service(options);
    assert_pam(authenticate_confined(kId, kSecret), PAM_SUCCESS);
    assert_pam(authenticate_confined(kOldId, kOldSecret), PAM_SUCCESS);
    assert_pam(authenticate_confined(kId, kWrongSecret), PAM_AUTH_ERR);
    assert_pam(authenticate_confined(kId, std::string(511, 'a')), PAM_AUTH_ERR);
    assert_pam(authenticate_confined("bad@pbs!t", kSecret), PAM_AUTH_ERR);
    assert_pam(authenticate_confined("x@pbs!t", kSecret), PAM_USER_UNKNOWN);
  }
  write_file(kShadow, "{");
  assert_pam(authenticate_confined(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
}

void no_new_privs_hits_need_no_socket(void ** /*state*/) {
  configure("cache_ttl = 3600\n");
  write_shadow({{kId, kHash}});
  assert_pam(authenticate_confined(kId, kSecret), PAM_SUCCESS);
  stop_socket(nullptr);
  assert_pam(authenticate_confined(kId, kSecret), PAM_SUCCESS);
  assert_pam(authenticate_confined(kId, kWrongSecret), PAM_AUTHINFO_UNAVAIL);
}

void no_new_privs_and_nocache_is_passed_on(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  write_socket_service("nocache");
  assert_pam(authenticate_confined(kId, kSecret), PAM_SUCCESS);
  assert_pam(authenticate_confined(kId, kSecret), PAM_SUCCESS);
  assert_int_equal(counter("hashes"), 2);
  assert_int_equal(status_json()["slots_used"].GetUint64(), 0);
}

// The caller is who connected, with the groups he had then; /etc/group counts
// for nothing.
void stranger_is_refused_by_the_socket(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  chmod(kHelperSocket, 0666);
  for (const std::vector<gid_t> &groups :
       {std::vector<gid_t>{}, std::vector<gid_t>{kMembers + 1, 100}}) {
    const auto stranger = [&] {
      become(kMember, groups);
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    };
    assert_pam(authenticate_as(stranger, kId, kSecret), PAM_AUTHINFO_UNAVAIL);
  }
  assert_int_equal(counter("hashes"), 0);
  // One group among many.
  std::vector<gid_t> many;
  for (gid_t group = 5000; group < 5200; ++group) {
    many.push_back(group);
  }
  many.push_back(kMembers);
  assert_pam(authenticate_as(
                 [&] {
                   become(kMember, many);
                   prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                 },
                 kId, kSecret),
             PAM_SUCCESS);
}

// Whoever names a program wants that one and no other.
void helper_option_is_never_served_by_the_socket(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  write_service("nocache helper=/nosuch");
  assert_pam(authenticate_as_member(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
  write_service("nocache helper=" + setuid_helper());
  assert_pam(authenticate_confined(kId, kSecret), PAM_AUTHINFO_UNAVAIL);
  assert_pam(authenticate_as_member(kId, kSecret), PAM_SUCCESS);
}

// It knows another token.shadow.
void config_option_is_never_served_by_the_socket(void ** /*state*/) {
  write_file("/etc/pbstoken/other.conf",
             "token_shadow = /etc/proxmox-backup/other.shadow\n");
  write_shadow({{kId, kHash}});
  write_service("config=/etc/pbstoken/other.conf helper=/nosuch");
  assert_pam(authenticate_as(
                 [] {
                   if (setresuid(kMember, 0, 0) != 0) {
                     std::abort();
                   }
                 },
                 kId, kSecret),
             PAM_AUTHINFO_UNAVAIL);
}

// Somebody who says that everything matches; reads: what he is told, first.
int authenticate_with_impostor(const std::function<void()> &become_other,
                               bool reads) {
  stop_socket(nullptr);
  write_shadow({{kId, kHash}});
  std::filesystem::create_directories("/run/pbstoken");
  chmod("/run/pbstoken", 01777);
  const pid_t impostor = start_child([&] {
    become_other();
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    const sockaddr_un address = socket_address();
    if (bind(listener, reinterpret_cast<const sockaddr *>(&address),
             sizeof(address)) != 0 ||
        chmod(kHelperSocket, 0666) != 0 || listen(listener, 5) != 0) {
      return 1;
    }
    const std::string word = word_text(Outcome::kMatch);
    while (true) {
      const int fd = accept(listener, nullptr, nullptr);
      std::array<char, 1024> request{};
      recv(fd, request.data(), reads ? request.size() : 1, 0);
      send(fd, word.data(), word.size(), MSG_NOSIGNAL);
      close(fd);
    }
  });
  while (!std::filesystem::exists(kHelperSocket)) {
    usleep(10'000);
  }
  usleep(100'000);  // until it listens
  const int code = authenticate_confined(kId, kWrongSecret);
  kill(impostor, SIGKILL);
  wait_for(impostor);
  return code;
}

// Whoever can write to the directory lets nobody in; root may.
void socket_of_somebody_else_is_not_trusted(void ** /*state*/) {
  assert_pam(authenticate_with_impostor(become_nobody, true),
             PAM_AUTHINFO_UNAVAIL);
  assert_pam(authenticate_with_impostor([] {}, true), PAM_SUCCESS);
}

// Who has not read the whole question cannot know.
void connection_that_breaks_is_no_success(void ** /*state*/) {
  assert_pam(authenticate_with_impostor([] {}, false), PAM_AUTHINFO_UNAVAIL);
}

// --- the log

void log_without_the_socket_says_what_is_missing(void ** /*state*/) {
  const auto attempt = [] { authenticate_confined(kId, kSecret); };
  stop_socket(nullptr);
  assert_logs(attempt, LOG_ERR,
              "cannot verify: no_new_privs is set and "
              "/run/pbstoken/helper.sock: No such file or directory");
  std::filesystem::create_directories("/run/pbstoken");
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = socket_address();
  assert_int_equal(bind(listener, reinterpret_cast<const sockaddr *>(&address),
                        sizeof(address)),
                   0);
  chmod(kHelperSocket, 0600);
  assert_logs(attempt, LOG_ERR,
              "cannot verify: no_new_privs is set and "
              "/run/pbstoken/helper.sock: Permission denied");
  chmod(kHelperSocket, 0666);
  assert_logs(attempt, LOG_ERR,
              "cannot verify: no_new_privs is set and "
              "/run/pbstoken/helper.sock: Connection refused");
  close(listener);
}

// --- who connects by himself

HelperRequest a_request() {
  return {.store = "pbs", .host = "", .token_id = kId, .secret = kSecret};
}

// What comes back for these bytes, sent by this user.
std::string exchange(const std::function<void()> &become_other,
                     const std::string &bytes, bool end = true) {
  Pipe answer;
  const pid_t child = start_child([&] {
    become_other();
    const int fd = connect_to_socket();
    if (send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) {
      return 1;
    }
    if (end) {
      shutdown(fd, SHUT_WR);
    }
    std::array<char, 1024> part{};
    for (ssize_t count = 0;
         (count = recv(fd, part.data(), part.size(), 0)) > 0;) {
      if (write(answer.writer(), part.data(), static_cast<std::size_t>(count)) <
          0) {
        return 1;
      }
    }
    return 0;
  });
  std::string text = answer.read_all();
  wait_for(child);
  return text;
}

std::optional<Outcome> reply_in(const std::string &bytes) {
  const auto answer = parse_answer(bytes);
  return answer ? std::optional(answer->outcome) : std::nullopt;
}

void request_of_a_member_is_answered(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  HelperRequest request = a_request();
  assert_true(reply_in(exchange(become_member, request_bytes(request))) ==
              Outcome::kMatch);
  // It need not be the end.
  assert_true(reply_in(exchange(become_member, request_bytes(request),
                                /*end=*/false)) == Outcome::kMatch);
  request.secret = kWrongSecret;
  assert_true(reply_in(exchange(become_member, request_bytes(request))) ==
              Outcome::kWrongSecret);
  request.command = HelperCommand::kRotate;
  request.secret = kSecret;
  assert_true(reply_in(exchange(become_member, request_bytes(request))) ==
              Outcome::kNotPermitted);
  request.store = "nosuch";
  assert_true(reply_in(exchange(become_member, request_bytes(request))) ==
              Outcome::kNotPermitted);
  assert_text_equal(read_file(kShadow), shadow_of({{kId, kHash}}));
}

void request_that_is_none_is_refused(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const std::string good = request_bytes(a_request());
  for (std::size_t size = 0; size < good.size(); size += 5) {
    const auto reply = reply_in(exchange(become_member, good.substr(0, size)));
    assert_true(reply == Outcome::kUnavailable);
  }
  for (const std::string &bytes :
       {std::string(12, '\0'), std::string(10000, 'a'), std::string("verify\n"),
        "x" + good}) {
    const auto reply = reply_in(exchange(become_member, bytes));
    // A connection that breaks, or a refusal.
    assert_true(!reply || reply == Outcome::kUnavailable ||
                reply == Outcome::kOtherVersion);
  }
  // The number of every command there might be.
  for (int number = 0; number < 256; ++number) {
    if (number < 1 || number > 3) {
      std::string bytes = good;
      bytes[kRequestHead] = static_cast<char>(number);
      if (number % 16 == 4 || number == 0) {
        assert_true(reply_in(exchange([] {}, bytes)) == Outcome::kUnavailable);
      }
    }
  }
  assert_text_equal(read_file(kShadow), shadow_of({{kId, kHash}}));
}

std::string number_bytes(std::uint64_t number, std::size_t size) {
  std::string bytes(size, '\0');
  std::memcpy(bytes.data(), &number, size);
  return bytes;
}

// The request as its fields are, which make_request() would refuse.
std::string request_of_any_size(const HelperRequest &request) {
  std::string body = number_bytes(static_cast<unsigned>(request.command), 1) +
                     std::string(1, '\0') +
                     number_bytes(request.directory_device, 8) +
                     number_bytes(request.directory_inode, 8) +
                     number_bytes(request.real_uid, 4);
  for (const std::string_view field :
       {request.store, request.host, request.token_id, request.secret}) {
    body += number_bytes(field.size(), 2);
    body += field;
  }
  return number_bytes(request_word(), 8) + number_bytes(body.size(), 4) + body;
}

void request_with_a_field_too_long_is_refused(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const HelperRequest good = a_request();
  assert_text_equal(request_of_any_size(good), request_bytes(good));
  const std::string host(kMaxRequestHost + 1, 'h');
  const std::string id = std::string(kMaxRequestId - 5, 'u') + "@pbs!t";
  const std::string secret(kMaxRequestSecret + 1, 's');
  std::array<HelperRequest, 5> all = {good, good, good, good, good};
  all[0].host = host;
  all[1].token_id = id;
  all[2].secret = secret;
  all[3].store = "../pbs";
  all[4].host = std::string_view("host\0", 5);
  for (const HelperRequest &request : all) {
    const std::string bytes =
        exchange(become_member, request_of_any_size(request));
    const auto answer = parse_answer(bytes);
    assert_true(answer && answer->outcome == Outcome::kUnavailable);
    assert_text_equal(answer->text,
                      "cannot use the request: a field is not what it must be");
  }
  // One byte less, and it is answered.
  HelperRequest longest = good;
  longest.host = std::string_view(host).substr(1);
  longest.secret = std::string_view(secret).substr(1);
  assert_true(reply_in(exchange(become_member, request_of_any_size(longest))) ==
              Outcome::kUnacceptableSecret);
}

void store_without_user_cfg_has_no_account_checks(void ** /*state*/) {
  configure("user_cfg =\n");
  write_shadow({{kId, kHash}});
  HelperRequest request = a_request();
  assert_true(reply_in(exchange(become_member, request_bytes(request))) ==
              Outcome::kMatch);
  request.command = HelperCommand::kAccount;
  request.secret = "";
  assert_true(reply_in(exchange(become_member, request_bytes(request))) ==
              Outcome::kNoUserCfg);
}

// --- rotation, by who connects himself

HelperRequest a_rotation() {
  HelperRequest request = a_request();
  request.command = HelperCommand::kRotate;
  return request;
}

struct Rotated {
  std::optional<Outcome> reply;
  std::string offered;  // the new secret
};

// before: what happens between offer and acknowledgement.
Rotated rotate_as_member(const std::function<void()> &before) {
  Pipe offered;
  Pipe answer;
  Pipe go;
  const pid_t client = start_child([&] {
    become_member();
    const int fd = connect_to_socket();
    const std::string bytes = request_bytes(a_rotation());
    if (send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) {
      return 1;
    }
    std::array<char, 512> part{};
    ssize_t count = recv(fd, part.data(), part.size(), 0);
    const auto offer = parse_offer(
        {part.data(), static_cast<std::size_t>(count > 0 ? count : 0)});
    if (!offer || write(offered.writer(), offer->data(), offer->size()) < 0) {
      return 2;
    }
    offered.close_writer();
    go.read_all();
    send(fd, kAcknowledgement.data(), kAcknowledgement.size(), MSG_NOSIGNAL);
    while ((count = recv(fd, part.data(), part.size(), 0)) > 0) {
      if (write(answer.writer(), part.data(), static_cast<std::size_t>(count)) <
          0) {
        return 3;
      }
    }
    return 0;
  });
  Rotated rotated;
  rotated.offered = offered.read_all();
  before();
  go.close_writer();
  rotated.reply = reply_in(answer.read_all());
  assert_int_equal(wait_for(client), 0);
  return rotated;
}

bool is_accepted(const std::string &secret) {
  return run_helper({"verify", kId}, secret).status == 0;
}

void rotation_counts_when_it_is_acknowledged(void ** /*state*/) {
  configure("member_rotate = yes\n");
  write_shadow({{kId, kHash}});
  const Rotated rotated = rotate_as_member(
      [] { assert_text_equal(read_file(kShadow), shadow_of({{kId, kHash}})); });
  assert_true(rotated.reply == Outcome::kDone);
  assert_int_equal(rotated.offered.size(), 36);
  assert_true(is_accepted(rotated.offered));
  assert_false(is_accepted(kSecret));
}

// The service keeps its connection to the log, which no child could make.
void rotation_through_the_socket_is_in_the_trail(void ** /*state*/) {
  configure("member_rotate = yes\n");
  write_shadow({{kId, kHash}});
  log_lines();
  assert_true(rotate_as_member([] {}).reply == Outcome::kDone);
  int found = 0;
  for (const std::string &line : log_lines()) {
    found += line.find("]: rotate; uid=" + std::to_string(kMember)) !=
                         std::string::npos &&
                     line.ends_with(std::string(" tokenid=") + kId)
                 ? 1
                 : 0;
  }
  assert_int_equal(found, 1);
}

// Whoever goes away, with the offer read or not, has rotated nothing.
void rotation_that_is_not_acknowledged_changes_nothing(void ** /*state*/) {
  configure("member_rotate = yes\n");
  write_shadow({{kId, kHash}});
  for (const bool reads : {false, true}) {
    const int status = in_child([&] {
      become_member();
      const int fd = connect_to_socket();
      const std::string bytes = request_bytes(a_rotation());
      send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      std::array<char, 512> part{};
      return recv(fd, part.data(), part.size(), reads ? 0 : MSG_PEEK) > 8 ? 0
                                                                          : 1;
    });
    assert_int_equal(status, 0);
    // The next one is answered, and by then that has ended or ends like it.
    assert_true(is_accepted(kSecret));
    assert_text_equal(read_file(kShadow), shadow_of({{kId, kHash}}));
  }
}

void rotation_of_what_is_changed_meanwhile_is_refused(void ** /*state*/) {
  configure("member_rotate = yes\ncache_ttl = 0\n");
  for (const auto &[text, expected] :
       std::vector<std::pair<std::string, Outcome>>{
           {shadow_of({{kId, kOldHash}}), Outcome::kChangedMeanwhile},
           {"{}", Outcome::kChangedMeanwhile},
           {"{", Outcome::kUnavailable}}) {
    write_shadow({{kId, kHash}});
    const Rotated rotated =
        rotate_as_member([now = text] { write_file(kShadow, now, 0640); });
    assert_true(rotated.reply == expected);
    assert_text_equal(read_file(kShadow), text);
  }
}

// The host's daemons cannot be told: where their page is, nothing is written.
void rotation_that_cannot_be_announced_says_so(void ** /*state*/) {
  const std::string directory = scratch("versions");
  std::filesystem::create_directories(directory);
  configure("member_rotate = yes\nuser_cfg =\nversion_cache = " + directory +
            "/page\n");
  write_shadow({{kId, kHash}});
  std::string page = "\x19\xc6\xa8\xe6\x9a\x84\x8f\x83";
  page.resize(4096);
  write_file(directory + "/page", page, 0660);
  const char *const at = directory.c_str();
  assert_int_equal(mount(at, at, nullptr, MS_BIND, nullptr), 0);
  assert_int_equal(
      mount(nullptr, at, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr),
      0);
  const Rotated rotated = rotate_as_member([] {});
  const RunResult set = run_helper({"set", kOldId}, kOldSecret);
  umount(at);
  assert_true(rotated.reply == Outcome::kNotAnnounced);
  assert_true(is_accepted(rotated.offered));
  assert_int_equal(set.status, 7);
  assert_text_equal(set.err,
                    "pbstoken-helper: the change counts, but the "
                    "Proxmox daemons could not be told: they may take up to "
                    "a minute to notice\n");
}

void rotation_that_cannot_begin_is_refused(void ** /*state*/) {
  configure("member_rotate = yes\n");
  const std::string id = std::string(60, 'u') + "@pbs!t";
  write_shadow({{id, kHash}});
  HelperRequest request = a_rotation();
  request.token_id = id;
  const std::string bytes = exchange(become_member, request_bytes(request));
  const auto answer = parse_answer(bytes);
  assert_true(answer && answer->outcome == Outcome::kUnavailable);
  assert_text_equal(answer->text,
                    "not an API token ID: longer than 64 characters");
  write_file(kShadow, "{", 0640);
  assert_true(reply_in(exchange(become_member, request_bytes(a_rotation()))) ==
              Outcome::kUnavailable);
  assert_text_equal(read_file(kShadow), "{");
}

// Whoever connects and says nothing, or a byte a second, is sent away.
void request_that_does_not_arrive_ends_after_5_seconds(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const int silent = connect_to_socket();
  const int slow = connect_to_socket();
  const std::string bytes = request_bytes(a_request());
  const std::time_t before = std::time(nullptr);
  std::size_t sent = 0;
  for (std::array<char, 512> answer{};;) {
    if (send(slow, &bytes[sent++], 1, MSG_NOSIGNAL) < 0) {
      break;
    }
    if (recv(slow, answer.data(), answer.size(), MSG_DONTWAIT) > 0) {
      break;
    }
    usleep(500'000);
    assert_true(std::time(nullptr) - before < 30);
  }
  assert_true(sent < bytes.size());
  std::array<char, 512> answer{};
  const ssize_t size = recv(silent, answer.data(), answer.size(), 0);
  assert_true(size > 8);
  assert_true(
      reply_in(std::string(answer.data(), static_cast<std::size_t>(size))) ==
      Outcome::kUnavailable);
  close(silent);
  close(slow);
}

// --- serve, as a command

void serve_is_for_root_and_for_sockets(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const RunResult member = run({.path = setuid_helper(),
                                .arguments = {"serve"},
                                .input = request_bytes(a_request()),
                                .prepare = become_member});
  assert_int_equal(member.status, 3);
  assert_text_equal(member.out, "");
  // A pipe; a socket that does not listen, is not of this host, is connected,
  // or whose messages are no stream.
  std::array<int, 2> pipe_ends{};
  std::array<int, 2> stream{};
  std::array<int, 2> seqpacket{};
  assert_int_equal(pipe(pipe_ends.data()), 0);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, stream.data()), 0);
  assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, seqpacket.data()), 0);
  const int of_a_network = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(listen(of_a_network, 1), 0);
  for (const int fd : {pipe_ends[0], socket(AF_UNIX, SOCK_STREAM, 0),
                       of_a_network, stream[0], seqpacket[0]}) {
    const RunResult outcome =
        run({.path = helper_path(), .arguments = {"serve"}, .prepare = [fd] {
               dup2(fd, STDIN_FILENO);
             }});
    close(fd);
    assert_int_equal(outcome.status, 4);
    assert_text_equal(outcome.out, "");
    assert_text_equal(outcome.err,
                      "pbstoken-helper: cannot serve standard input: not a "
                      "listening AF_UNIX stream socket\n");
  }
  close(pipe_ends[1]);
  close(stream[1]);
  close(seqpacket[1]);
}

// A member's own socket pair makes nobody root: the caller is who started it.
void request_to_the_program_is_judged_by_the_real_uid(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const auto run_for = [](const std::function<void()> &become_other,
                          HelperCommand command = HelperCommand::kVerify,
                          std::vector<std::string> arguments = {"request"}) {
    HelperRequest request = a_request();
    request.command = command;
    return run({.path = setuid_helper(),
                .arguments = std::move(arguments),
                .input = request_bytes(request),
                .prepare = become_other});
  };
  const auto stranger = [] { become(kMember, {}); };
  assert_true(reply_in(run_for(become_member).out) == Outcome::kMatch);
  assert_true(reply_in(run_for(stranger).out) == Outcome::kNotPermitted);
  assert_true(reply_in(run_for(become_member, HelperCommand::kVerify,
                               {"--config=/etc/pbstoken/pbs.conf", "request"})
                           .out) == Outcome::kNotPermitted);
  assert_true(reply_in(run_for(become_member, HelperCommand::kRotate).out) ==
              Outcome::kNotPermitted);
  // There is no other command that way, not even for root.
  for (const int command : {0, 4, 5, 255}) {
    assert_true(
        reply_in(run_for([] {}, static_cast<HelperCommand>(command)).out) ==
        Outcome::kUnavailable);
  }
  // What is wrong with a configuration root is told alone.
  configure("hunter2\n");
  for (const auto &[who, expected] :
       {std::pair<std::function<void()>, std::string>{
            [] {},
            "/etc/pbstoken/pbs.conf:1: hunter2: not a 'key = value' line"},
        {become_member,
         "cannot use the store's configuration: 'pbstoken check' says why"}}) {
    const RunResult outcome = run_for(who);
    const auto answer = parse_answer(outcome.out);
    assert_true(answer && answer->outcome == Outcome::kUnavailable);
    assert_text_equal(answer->text, expected);
    assert_int_equal(outcome.status, 4);
  }
  assert_text_equal(read_file(kShadow), shadow_of({{kId, kHash}}));
}

// A service whose directory is another one knows other tokens.
void request_with_another_view_is_refused(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  struct stat directory = {};
  assert_int_equal(stat(kDirectory, &directory), 0);
  HelperRequest request = a_request();
  request.directory_device = directory.st_dev;
  request.directory_inode = directory.st_ino;
  assert_true(reply_in(exchange(become_member, request_bytes(request))) ==
              Outcome::kMatch);
  for (std::uint64_t *number :
       {&request.directory_device, &request.directory_inode}) {
    ++*number;
    assert_true(reply_in(exchange(become_member, request_bytes(request))) ==
                Outcome::kOtherView);
    --*number;
  }
}

// Every version understands this answer.
void request_of_another_version_is_told_so(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  std::string bytes = request_bytes(a_request());
  bytes[0] ^= 1;
  assert_true(reply_in(exchange(become_member, bytes)) ==
              Outcome::kOtherVersion);
}

// --- the units

void units_are_what_systemd_understands(void ** /*state*/) {
  const std::string directory = scratch("units");
  std::filesystem::create_directories(directory);
  const std::string source = read_file(built("pbstoken-helper.service"));
  const std::size_t program = source.find("ExecStart=") + 10;
  // The program is not installed here.
  write_file(directory + "/pbstoken-helper.service",
             source.substr(0, program) + "/bin/true" +
                 source.substr(source.find(" serve", program)));
  const auto units = std::filesystem::path(__FILE__).parent_path() / "../..";
  std::filesystem::copy_file(units / "helper/pbstoken-helper.socket",
                             directory + "/pbstoken-helper.socket",
                             std::filesystem::copy_options::overwrite_existing);
  const RunResult outcome =
      run({.path = "/usr/bin/systemd-analyze",
           .arguments = {"verify", "--man=no",
                         directory + "/pbstoken-helper.socket",
                         directory + "/pbstoken-helper.service"}});
  assert_text_equal(outcome.err, "");
  assert_int_equal(outcome.status, 0);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      SOCKET_TEST(no_new_privs_with_the_socket_gets_every_answer),
      SOCKET_TEST(no_new_privs_hits_need_no_socket),
      SOCKET_TEST(no_new_privs_and_nocache_is_passed_on),
      SOCKET_TEST(stranger_is_refused_by_the_socket),
      SOCKET_TEST(helper_option_is_never_served_by_the_socket),
      SOCKET_TEST(config_option_is_never_served_by_the_socket),
      SOCKET_TEST(socket_of_somebody_else_is_not_trusted),
      SOCKET_TEST(connection_that_breaks_is_no_success),
      SOCKET_TEST(request_of_a_member_is_answered),
      SOCKET_TEST(request_that_is_none_is_refused),
      SOCKET_TEST(request_with_a_field_too_long_is_refused),
      SOCKET_TEST(store_without_user_cfg_has_no_account_checks),
      SOCKET_TEST(rotation_counts_when_it_is_acknowledged),
      SOCKET_TEST(rotation_that_is_not_acknowledged_changes_nothing),
      SOCKET_TEST(rotation_of_what_is_changed_meanwhile_is_refused),
      SOCKET_TEST(rotation_that_cannot_be_announced_says_so),
      SOCKET_TEST(rotation_that_cannot_begin_is_refused),
      SOCKET_TEST(request_that_does_not_arrive_ends_after_5_seconds),
      MEMBER_TEST(serve_is_for_root_and_for_sockets),
      MEMBER_TEST(request_to_the_program_is_judged_by_the_real_uid),
      SOCKET_TEST(request_with_another_view_is_refused),
      SOCKET_TEST(request_of_another_version_is_told_so),
      MEMBER_TEST(units_are_what_systemd_understands),
  };
  const CMUnitTest log_tests[] = {
      SOCKET_TEST(rotation_through_the_socket_is_in_the_trail),
      SOCKET_TEST(log_without_the_socket_says_what_is_missing),
  };
  const int failed =
      cmocka_run_group_tests_name("socket", tests, nullptr, nullptr);
  return failed + cmocka_run_group_tests_name("socket_log", log_tests,
                                              replace_dev, restore_dev);
}
