// SPDX-License-Identifier: BSD-3-Clause
// The resident helper as a process: many connections at once, of users that
// behave and of those that do not; how it ends, and how it is ended.
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>
#include <numeric>
#include <set>
#include <span>
#include <vector>

#include "e2e_socket.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr std::array<uid_t, 4> kUsers = {33, 34, 38, 39};

void become_user(uid_t user) {
  become(user, {kMembers});
}

HelperRequest a_request() {
  return {.store = "pbs", .host = "", .token_id = kId, .secret = kSecret};
}

// A connection with the request sent, for who this process is now.
int ask(const HelperRequest &request) {
  const int fd = connect_to_socket();
  const std::string bytes = request_bytes(request);
  return fd >= 0 && send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0 ? fd
                                                                           : -1;
}

std::string read_to_end(int fd) {
  std::string bytes;
  std::array<char, 1024> part{};
  for (ssize_t size = 0; (size = recv(fd, part.data(), part.size(), 0)) > 0;) {
    bytes.append(part.data(), static_cast<std::size_t>(size));
  }
  return bytes;
}

// nullopt: the connection ended without an answer.
std::optional<Outcome> answer_of(int fd) {
  const std::string bytes = read_to_end(fd);
  close(fd);
  const auto answer = parse_answer(bytes);
  return answer ? std::optional(answer->outcome) : std::nullopt;
}

std::optional<Outcome> answer_to(const HelperRequest &request) {
  return answer_of(ask(request));
}

// In a child that is this user: so many requests at once, all of which must
// have this answer.
pid_t start_burst(uid_t user, int count, Outcome expected) {
  return start_child([=] {
    become_user(user);
    std::vector<int> connections;
    for (int i = 0; i < count; ++i) {
      connections.push_back(ask(a_request()));
    }
    return std::all_of(connections.begin(), connections.end(),
                       [=](int fd) { return answer_of(fd) == expected; })
               ? 0
               : 1;
  });
}

void wait_until_ended(pid_t process) {
  for (int i = 0; i < 1000 && kill(process, 0) == 0; ++i) {
    usleep(10'000);
  }
  assert_int_equal(kill(process, 0), -1);
}

void permit_rotations() {
  configure("member_rotate = yes\n");
  write_shadow({{kId, kHash}});
}

// A rotation whose new secret has been offered and not acknowledged.
int wait_for_offer() {
  HelperRequest rotation = a_request();
  rotation.command = HelperCommand::kRotate;
  const int rotates = ask(rotation);
  std::array<char, 512> offer{};
  assert_true(recv(rotates, offer.data(), offer.size(), 0) > 8);
  return rotates;
}

int ask_and_wait_for_offer() {
  permit_rotations();
  return wait_for_offer();
}

// The group gets another number, in a new /etc/group.
void replace_group(const std::string &name, gid_t number) {
  std::string text;
  std::ifstream old("/etc/group");
  for (std::string line; std::getline(old, line);) {
    text += line.starts_with(name + ":")
                ? name + ":x:" + std::to_string(number) + ":\n"
                : line + "\n";
  }
  write_file("/etc/group.new", text);
  std::filesystem::rename("/etc/group.new", "/etc/group");
}

// --- many at once

void burst_of_one_user_is_served_for_one_hash(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_int_equal(wait_for(start_burst(kMember, 40, Outcome::kMatch)), 0);
  assert_int_equal(counter("hashes"), 1);
}

void burst_of_four_users_is_served_for_a_hash_each(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  std::vector<pid_t> bursts;
  for (const uid_t user : kUsers) {
    bursts.push_back(start_burst(user, 100, Outcome::kMatch));
  }
  for (const pid_t burst : bursts) {
    assert_int_equal(wait_for(burst), 0);
  }
  assert_true(counter("hashes") <= kUsers.size());
}

// What one user leaves unsaid holds up no other user, nor that one beyond the
// eight that are served.
void idle_connections_hold_up_no_other_user(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  Pipe parked;
  Pipe done;
  const pid_t idler = start_child([&] {
    become_user(kUsers[0]);
    std::vector<pollfd> idle;
    for (int i = 0; i < 64; ++i) {
      idle.push_back(
          {.fd = connect_to_socket(), .events = POLLIN, .revents = 0});
    }
    if (write(parked.writer(), "x", 1) != 1) {
      return 1;
    }
    char byte = 0;
    if (read(done.reader(), &byte, 1) != 1) {
      return 1;
    }
    // None of them has come to its end yet.
    return poll(idle.data(), idle.size(), 0) == 0 ? 0 : 2;
  });
  char byte = 0;
  assert_int_equal(read(parked.reader(), &byte, 1), 1);
  for (const uid_t user : {kUsers[1], uid_t{0}}) {
    assert_int_equal(wait_for(start_burst(user, 1, Outcome::kMatch)), 0);
  }
  assert_int_equal(write(done.writer(), "x", 1), 1);
  assert_int_equal(wait_for(idler), 0);
}

// The first 8 are served, the next 128 wait; what is beyond them is told at
// once, and what waits in vain after a while.
void connections_beyond_the_limit_are_told_busy(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const int status = in_child([] {
    become_user(kMember);
    std::vector<int> idle;
    for (int i = 0; i < 8 + 128; ++i) {
      idle.push_back(connect_to_socket());
    }
    const std::time_t before = std::time(nullptr);
    if (answer_to(a_request()) != Outcome::kBusy ||
        std::time(nullptr) - before > 3) {
      return 1;
    }
    int busy = 0;
    int unsaid = 0;
    for (const int fd : idle) {
      const auto answer = answer_of(fd);
      busy += answer == Outcome::kBusy ? 1 : 0;
      unsaid += answer == Outcome::kUnavailable ? 1 : 0;
    }
    return busy + unsaid == 8 + 128 && busy >= 64 && unsaid >= 8 ? 0 : 2;
  });
  assert_int_equal(status, 0);
  // And then everything is as before.
  assert_int_equal(wait_for(start_burst(kMember, 8, Outcome::kMatch)), 0);
}

// A client that goes away gives its place back.
void connections_that_are_closed_make_room(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const int status = in_child([] {
    become_user(kMember);
    for (int round = 0; round < 20; ++round) {
      std::vector<int> idle;
      for (int i = 0; i < 8 + 128; ++i) {
        idle.push_back(connect_to_socket());
      }
      for (const int fd : idle) {
        close(fd);
      }
    }
    // The one that tells when the parent has seen the last of them.
    std::optional<Outcome> answer;
    for (int i = 0; i < 100 && answer != Outcome::kMatch; ++i) {
      answer = answer_to(a_request());
    }
    return answer == Outcome::kMatch ? 0 : 1;
  });
  assert_int_equal(status, 0);
}

// Whoever connects and closes all the time keeps neither others from their
// answers nor the service from its end.
void flood_of_connections_holds_up_no_other_user(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_true(answer_to(a_request()) == Outcome::kMatch);
  std::vector<pid_t> flooders;
  for (int i = 0; i < 5; ++i) {
    flooders.push_back(start_child([] {
      become_user(kUsers[0]);
      while (true) {
        close(connect_to_socket());
      }
      return 0;
    }));
  }
  for (int i = 0; i < 30; ++i) {
    assert_int_equal(wait_for(start_burst(kUsers[1], 1, Outcome::kMatch)), 0);
  }
  const pid_t service = resident_process();
  kill(service, SIGTERM);
  wait_until_ended(service);
  for (const pid_t flooder : flooders) {
    kill(flooder, SIGKILL);
    wait_for(flooder);
  }
}

// Users that connect and say nothing, for as long as it lives.
class SilentUsers {
 public:
  SilentUsers(std::span<const uid_t> users, int connections) {
    for (const uid_t user : users) {
      children_.push_back(start_child([&] {
        become_user(user);
        for (int i = 0; i < connections; ++i) {
          connect_to_socket();
        }
        return write(parked_.writer(), "x", 1) == 1 ? pause() : 1;
      }));
    }
    for (std::size_t i = 0; i < users.size(); ++i) {
      char byte = 0;
      assert_int_equal(read(parked_.reader(), &byte, 1), 1);
    }
  }
  SilentUsers(const SilentUsers &) = delete;
  SilentUsers &operator=(const SilentUsers &) = delete;
  ~SilentUsers() {
    for (const pid_t child : children_) {
      kill(child, SIGKILL);
      wait_for(child);
    }
  }

 private:
  Pipe parked_;
  std::vector<pid_t> children_;
};

// Four users that say nothing use up neither what is root's nor the first place
// of another user.
void silent_users_leave_room_for_others(void ** /*state*/) {
  constexpr uid_t kFifth = 41;
  write_shadow({{kId, kHash}});
  const SilentUsers silent(kUsers, 8 + 128);
  for (int i = 0; i < 10; ++i) {
    assert_int_equal(wait_for(start_burst(kFifth, 1, Outcome::kMatch)), 0);
  }
  assert_int_equal(wait_for(start_burst(0, 40, Outcome::kMatch)), 0);
}

// --- subordinate uids, which subuid(5) gives to a user

constexpr uid_t kFirstSubordinate = 200000;

std::vector<uid_t> subordinates(std::size_t count) {
  std::vector<uid_t> all(count);
  std::iota(all.begin(), all.end(), kFirstSubordinate);
  return all;
}

void give_subordinates_to(const std::string &user) {
  write_file("/etc/subuid", "root:300000:65536\nnobody-here:1:2\n\nnonsense\n" +
                                user + ":200000:65536\n");
}

// All of them have the places of one user.
void subordinate_uids_are_one_user(void ** /*state*/) {
  give_subordinates_to("www-data");
  write_shadow({{kId, kHash}});
  const SilentUsers silent(subordinates(60), 7);
  assert_int_equal(wait_for(start_burst(kUsers[1], 8, Outcome::kMatch)), 0);
  assert_int_equal(wait_for(start_burst(0, 40, Outcome::kMatch)), 0);
}

// They have its window of failures, too.  Those of root's containers have one
// each.
void subordinate_uids_have_one_window(void ** /*state*/) {
  give_subordinates_to("33");
  configure("fail_limit = 1\n");
  write_shadow({{kId, kHash}});
  const auto attempt = [](uid_t user, const char *secret) {
    return static_cast<Outcome>(in_child([=] {
      become_user(user);
      HelperRequest request = a_request();
      request.host = "192.0.2.1";
      request.secret = secret;
      return static_cast<int>(answer_to(request).value_or(Outcome::kDone));
    }));
  };
  assert_true(attempt(kFirstSubordinate, "wrong1") == Outcome::kWrongSecret);
  for (const uid_t user : {kFirstSubordinate + 9, uid_t{33}}) {
    assert_true(attempt(user, "wrong2") == Outcome::kThrottled);
  }
  for (const uid_t user : {uid_t{300000}, uid_t{300001}, uid_t{34}}) {
    assert_true(attempt(user, "wrong2") == Outcome::kWrongSecret);
  }
}

// --- who asks

// A program that root has made setuid, such as su(1), is root for whichever
// user has started it: its failures are that user's.
void real_uid_of_a_root_service_has_its_own_window(void ** /*state*/) {
  configure("fail_limit = 1\n");
  write_shadow({{kId, kHash}, {kOldId, kOldHash}});
  HelperRequest request = a_request();
  request.host = "192.0.2.1";
  const auto attempt = [&](uid_t real_uid, const char *secret) {
    request.real_uid = real_uid;
    request.secret = secret;
    return answer_to(request);
  };
  assert_true(attempt(kMember, "wrong1") == Outcome::kWrongSecret);
  assert_true(attempt(kMember, "wrong2") == Outcome::kThrottled);
  assert_true(attempt(kUsers[1], "wrong2") == Outcome::kWrongSecret);
  assert_true(attempt(0, kSecret) == Outcome::kMatch);
}

// Others are who the kernel says, whatever they state.
void real_uid_of_others_is_not_theirs_to_state(void ** /*state*/) {
  configure("fail_limit = 1\n");
  write_shadow({{kId, kHash}});
  const int status = in_child([] {
    become_user(kMember);
    HelperRequest request = a_request();
    request.host = "192.0.2.1";
    request.secret = "wrong1";
    request.real_uid = kMember;
    if (answer_to(request) != Outcome::kWrongSecret) {
      return 1;
    }
    for (const uid_t stated : {uid_t{0}, kUsers[1], ~uid_t{0}}) {
      request.real_uid = stated;
      request.secret = "wrong2";
      if (answer_to(request) != Outcome::kThrottled) {
        return 2;
      }
    }
    return 0;
  });
  assert_int_equal(status, 0);
}

// --- its processes

std::vector<pid_t> children_of(pid_t process) {
  const std::string pid = std::to_string(process);
  std::ifstream list("/proc/" + pid + "/task/" + pid + "/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; list >> child;) {
    children.push_back(child);
  }
  return children;
}

std::string status_line(pid_t process, const std::string &name) {
  std::ifstream lines("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name + ":\t")) {
      return line.substr(name.size() + 2);
    }
  }
  return "";
}

std::set<std::string> descriptors_of(pid_t process) {
  std::set<std::string> all;
  for (const auto &entry : std::filesystem::directory_iterator(
           "/proc/" + std::to_string(process) + "/fd")) {
    const std::string link = std::filesystem::read_symlink(entry.path());
    all.insert(entry.path().filename().string() + " " +
               link.substr(0, link.find(':')));
  }
  return all;
}

bool has_rules(const std::set<std::string> &descriptors) {
  return std::any_of(descriptors.begin(), descriptors.end(),
                     [](const std::string &one) {
                       return one.find(" anon_inode") != std::string::npos;
                     });
}

void parent_and_children_have_no_more_than_they_need(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  const int served = ask(a_request());
  assert_true(answer_of(served) == Outcome::kMatch);
  const pid_t parent = resident_process();
  const int idle = connect_to_socket();
  usleep(300'000);
  std::vector<pid_t> processes = children_of(parent);
  assert_int_equal(processes.size(), 3);  // two spare ones, and one that serves
  int serving = 0;
  for (const pid_t child : processes) {
    const auto descriptors = descriptors_of(child);
    // One may be the connection to the system log, another one the child's own
    // rules for the files of the one store.
    assert_int_equal(descriptors.size(),
                     4 + (descriptors.contains("3 socket") ? 1 : 0) +
                         (has_rules(descriptors) ? 1 : 0));
    assert_true(descriptors.contains("2 /dev/null"));
    assert_true(descriptors.contains("4 socket"));
    serving += descriptors.contains("1 socket") ? 1 : 0;
  }
  assert_int_equal(serving, 1);
  processes.push_back(parent);
  for (const pid_t process : processes) {
    // What a client sends is read without any capability.
    assert_text_equal(status_line(process, "CapEff"), "0000000000000000");
    assert_text_equal(status_line(process, "CapBnd"), "0000000000000000");
    assert_text_equal(status_line(process, "NoNewPrivs"), "1");
    assert_text_equal(status_line(process, "Seccomp"), "2");
  }
  close(idle);
}

// What it could still change of its own confinement.
void child_that_acts_holds_no_rules(void ** /*state*/) {
  const int rotates = ask_and_wait_for_offer();
  usleep(300'000);
  const pid_t parent = resident_process();
  int acting = 0;
  for (const pid_t child : children_of(parent)) {
    const auto descriptors = descriptors_of(child);
    if (descriptors.contains("1 socket")) {
      ++acting;
      assert_false(has_rules(descriptors));
    }
  }
  assert_int_equal(acting, 1);
  close(rotates);
}

// --- how it ends

// A file beside the configurations, which is none.
void change_surroundings() {
  write_file("/etc/pbstoken/note", std::to_string(std::rand()));
  std::filesystem::remove("/etc/pbstoken/note");
}

// A request after a change starts the next process.  One that comes while
// others are accepted may be served with those, all of them with this answer.
pid_t process_after(pid_t process, Outcome expected) {
  for (int i = 0; i < 100 && resident_process() == process; ++i) {
    assert_true(answer_to(a_request()) == expected);
  }
  return resident_process();
}

void changed_configuration_is_that_of_a_new_process(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_true(answer_to(a_request()) == Outcome::kMatch);
  const pid_t first = resident_process();
  assert_true(answer_to(a_request()) == Outcome::kMatch);
  assert_int_equal(resident_process(), first);
  change_surroundings();
  const pid_t second = process_after(first, Outcome::kMatch);
  assert_true(second != first);
  // So is a directory of files that another one replaces.
  std::filesystem::rename(kDirectory, std::string(kDirectory) + ".old");
  std::filesystem::create_directories(kDirectory);
  write_shadow({{kId, kOldHash}});
  assert_true(answer_to(a_request()) == Outcome::kWrongSecret);
  assert_true(process_after(second, Outcome::kKnownMismatch) != second);
  std::filesystem::remove_all(kDirectory);
  std::filesystem::rename(std::string(kDirectory) + ".old", kDirectory);
}

// However often the service ends, each request has its answer.
void each_request_is_answered_while_the_service_comes_and_goes(
    void ** /*state*/) {
  constexpr int kClients = 4;
  constexpr int kRequests = 2500;
  write_shadow({{kId, kHash}});
  assert_true(answer_to(a_request()) == Outcome::kMatch);
  std::vector<pid_t> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.push_back(start_child([client] {
      become_user(kUsers[static_cast<std::size_t>(client)]);
      HelperRequest request = a_request();
      for (int i = 0; i < kRequests; ++i) {
        const bool is_right = i % 3 != 0;
        request.secret = is_right ? kSecret : kWrongSecret;
        const auto answer = answer_to(request);
        if (is_right ? answer != Outcome::kMatch
                     : answer != Outcome::kWrongSecret &&
                           answer != Outcome::kKnownMismatch) {
          return 1;
        }
      }
      return 0;
    }));
  }
  const pid_t changer = start_child([] {
    while (true) {
      change_surroundings();
      usleep(20'000);
    }
    return 0;
  });
  std::set<pid_t> services;
  for (const pid_t client : clients) {
    int status = -1;
    while (waitpid(client, &status, WNOHANG) == 0) {
      services.insert(resident_process());
      usleep(5'000);
    }
    assert_int_equal(status, 0);
  }
  kill(changer, SIGKILL);
  wait_for(changer);
  assert_true(services.size() > 10);
}

// What a person reads for a minute is not waited for.
void rotation_that_is_read_holds_up_nobody_after_a_change(void ** /*state*/) {
  const int rotates = ask_and_wait_for_offer();
  usleep(1'100'000);
  const pid_t service = resident_process();
  for (int i = 0; i < 20; ++i) {
    change_surroundings();
    assert_int_equal(wait_for(start_burst(kUsers[1], 1, Outcome::kMatch)), 0);
    assert_int_equal(resident_process(), service);
  }
  close(rotates);
  assert_true(process_after(service, Outcome::kMatch) != service);
}

// It has read the configuration and the groups before, and must not go by that.
void changes_count_while_a_rotation_keeps_the_service(void ** /*state*/) {
  permit_rotations();
  usleep(2'200'000);  // until they cannot change once more and look the same
  const int rotates = wait_for_offer();
  usleep(1'100'000);
  const pid_t service = resident_process();
  const auto answer_is = [&](Outcome expected) {
    return wait_for(start_burst(kUsers[1], 4, expected)) == 0 &&
           resident_process() == service;
  };
  assert_true(answer_is(Outcome::kMatch));
  configure("verify_group = root\n");
  assert_true(answer_is(Outcome::kNotPermitted));
  configure("verify_group = daemon\n");
  assert_true(answer_is(Outcome::kNotPermitted));
  replace_group("daemon", kMembers);
  assert_true(answer_is(Outcome::kMatch));
  replace_group("daemon", 1);
  assert_true(answer_is(Outcome::kNotPermitted));
  configure("member_rotate = yes\n");
  std::filesystem::rename(kDirectory, std::string(kDirectory) + ".old");
  std::filesystem::create_directory(kDirectory);
  assert_true(answer_is(Outcome::kUnknownToken));
  write_shadow({{kId, kHash}});
  assert_true(answer_is(Outcome::kMatch));
  close(rotates);
}

// The rotation began a moment before the change, which it might have held up
// for as long as its client likes.
void rotation_holds_up_the_end_for_5_s_at_most(void ** /*state*/) {
  permit_rotations();
  usleep(2'200'000);
  assert_int_equal(wait_for(start_burst(kUsers[1], 1, Outcome::kMatch)), 0);
  const int rotates = wait_for_offer();
  write_file("/etc/passwd", read_file("/etc/passwd"));
  const std::time_t before = std::time(nullptr);
  assert_int_equal(wait_for(start_burst(kUsers[1], 1, Outcome::kMatch)), 0);
  assert_in_range(std::time(nullptr) - before, 0, 12);
  close(rotates);
}

void service_that_is_told_to_end_serves_whom_it_has(void ** /*state*/) {
  const int rotates = ask_and_wait_for_offer();
  const pid_t service = resident_process();
  kill(service, SIGTERM);
  usleep(100'000);
  assert_int_equal(kill(service, 0), 0);
  assert_int_equal(send(rotates, kAcknowledgement.data(),
                        kAcknowledgement.size(), MSG_NOSIGNAL),
                   kAcknowledgement.size());
  assert_true(answer_of(rotates) == Outcome::kDone);
  wait_until_ended(service);
}

// Whatever is killed: no answer is a wrong one, and the next is right.
void killed_parent_and_killed_child_are_no_success(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_true(answer_to(a_request()) == Outcome::kMatch);
  for (const bool kills_parent : {true, false}) {
    HelperRequest request = a_request();
    request.secret = kWrongSecret;
    const int idle = connect_to_socket();
    usleep(100'000);
    const pid_t parent = resident_process();
    const std::vector<pid_t> killed =
        kills_parent ? std::vector{parent} : children_of(parent);
    for (const pid_t process : killed) {
      kill(process, SIGKILL);
    }
    for (const pid_t process : killed) {
      wait_until_ended(process);
    }
    // What was accepted before is no success.
    shutdown(idle, SHUT_WR);
    const auto answer = answer_of(idle);
    assert_true(!answer || answer == Outcome::kUnavailable);
    const auto wrong = answer_to(request);
    assert_true(wrong == Outcome::kWrongSecret ||
                wrong == Outcome::kKnownMismatch);
    assert_true(answer_to(a_request()) == Outcome::kMatch);
  }
}

// Without descriptors connections wait in the kernel's queue, and the processor
// is not kept busy meanwhile.
void full_descriptor_table_delays_and_refuses_nobody(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_true(answer_to(a_request()) == Outcome::kMatch);
  const pid_t parent = resident_process();
  const rlimit few = {10, 10};
  assert_int_equal(prlimit(parent, RLIMIT_NOFILE, &few, nullptr), 0);
  const int status = in_child([] {
    become_user(kMember);
    std::vector<int> idle;
    for (int i = 0; i < 12; ++i) {
      idle.push_back(connect_to_socket());
    }
    const int waits = ask(a_request());
    for (const int fd : idle) {
      close(fd);
    }
    return answer_of(waits) == Outcome::kMatch ? 0 : 1;
  });
  assert_int_equal(status, 0);
  assert_int_equal(wait_for(start_burst(kMember, 40, Outcome::kMatch)), 0);
  assert_int_equal(resident_process(), parent);
}

// --- and when there is nothing to do

void service_ends_a_minute_after_the_last_connection(void ** /*state*/) {
  write_shadow({{kId, kHash}});
  assert_true(answer_to(a_request()) == Outcome::kMatch);
  const pid_t service = resident_process();
  for (int second = 0; second < 55; ++second) {
    usleep(1'000'000);
    assert_int_equal(kill(service, 0), 0);
  }
  // It has slept as well: in ticks of 10 ms, user and system time.
  std::ifstream stat("/proc/" + std::to_string(service) + "/stat");
  std::string field;
  for (int i = 0; i < 13; ++i) {
    stat >> field;
  }
  int user = 0;
  int system = 0;
  stat >> user >> system;
  assert_true(user + system < 50);
  wait_until_ended(service);
  assert_true(answer_to(a_request()) == Outcome::kMatch);
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      SOCKET_TEST(burst_of_one_user_is_served_for_one_hash),
      SOCKET_TEST(burst_of_four_users_is_served_for_a_hash_each),
      SOCKET_TEST(idle_connections_hold_up_no_other_user),
      SOCKET_TEST(connections_beyond_the_limit_are_told_busy),
      SOCKET_TEST(connections_that_are_closed_make_room),
      SOCKET_TEST(flood_of_connections_holds_up_no_other_user),
      SOCKET_TEST(silent_users_leave_room_for_others),
      SOCKET_TEST(subordinate_uids_are_one_user),
      SOCKET_TEST(subordinate_uids_have_one_window),
      SOCKET_TEST(real_uid_of_a_root_service_has_its_own_window),
      SOCKET_TEST(real_uid_of_others_is_not_theirs_to_state),
      SOCKET_TEST(parent_and_children_have_no_more_than_they_need),
      SOCKET_TEST(child_that_acts_holds_no_rules),
      SOCKET_TEST(changed_configuration_is_that_of_a_new_process),
      SOCKET_TEST(each_request_is_answered_while_the_service_comes_and_goes),
      SOCKET_TEST(rotation_that_is_read_holds_up_nobody_after_a_change),
      SOCKET_TEST(changes_count_while_a_rotation_keeps_the_service),
      SOCKET_TEST(rotation_holds_up_the_end_for_5_s_at_most),
      SOCKET_TEST(service_that_is_told_to_end_serves_whom_it_has),
      SOCKET_TEST(killed_parent_and_killed_child_are_no_success),
      SOCKET_TEST(full_descriptor_table_delays_and_refuses_nobody),
      SOCKET_TEST(service_ends_a_minute_after_the_last_connection),
  };
  return cmocka_run_group_tests_name("socket_service", tests, nullptr, nullptr);
}
