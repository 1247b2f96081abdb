// SPDX-License-Identifier: BSD-3-Clause
// logins CLIENTS SECONDS PROTOCOL ARGUMENT...: how many logins a service on
// loopback lets in per second, and their 99th percentile in ms.
//
//   http PORT CREDENTIALS            a request on a connection that is kept;
//                                    the credentials in base64
//   imap PORT USER PASSWORD          a connection each
//   postgresql PORT USER PASSWORD    a connection each
//   command WORD...                  a program each, which must exit with 0
//
// Each client goes on for so many seconds, and logs in once at least.  A login
// that fails is counted, and ends the program with 1.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bench.h"

namespace pbstoken::bench {
namespace {

using namespace std::literals;

class Connection {
 public:
  explicit Connection(const std::string &port)
      : port_(static_cast<std::uint16_t>(std::atoi(port.c_str()))) {}
  Connection(const Connection &) = delete;
  Connection &operator=(const Connection &) = delete;
  ~Connection() { end(); }

  void begin() {
    if (socket_ >= 0) {
      return;
    }
    socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    const timeval patience = {.tv_sec = 30, .tv_usec = 0};
    const sockaddr_in address = {.sin_family = AF_INET,
                                 .sin_port = htons(port_),
                                 .sin_addr = {htonl(INADDR_LOOPBACK)},
                                 .sin_zero = {}};
    require(socket_ >= 0 &&
            setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ==
                0 &&
            setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience,
                       sizeof(patience)) == 0 &&
            connect(socket_, reinterpret_cast<const sockaddr *>(&address),
                    sizeof(address)) == 0);
  }
  void end() {
    if (socket_ >= 0) {
      close(socket_);
      socket_ = -1;
    }
  }

  // Sends, and returns what comes up to `last`, or up to `other`; nothing if
  // neither comes.
  std::string ask(std::string_view request, std::string_view last,
                  std::string_view other = {}) {
    std::string answer;
    std::array<char, 4096> part{};
    if (send(socket_, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size())) {
      return {};
    }
    while (answer.find(last) == std::string::npos &&
           (other.empty() || answer.find(other) == std::string::npos)) {
      const ssize_t size = recv(socket_, part.data(), part.size(), 0);
      if (size <= 0) {
        return {};
      }
      answer.append(part.data(), static_cast<std::size_t>(size));
    }
    return answer;
  }

 private:
  std::uint16_t port_;
  int socket_ = -1;
};

using Words = std::vector<std::string>;

bool log_in_http(Connection *connection, const Words &words) {
  connection->begin();
  const std::string answer = connection->ask(
      "HEAD /index.html HTTP/1.1\r\nHost: localhost\r\n"
      "Authorization: Basic " +
          words[2] + "\r\n\r\n",
      "\r\n\r\n");
  if (answer.empty() || answer.find("Connection: close") != std::string::npos) {
    connection->end();
  }
  return answer.starts_with("HTTP/1.1 200 ");
}

bool log_in_imap(Connection *connection, const Words &words) {
  connection->begin();
  const bool in =
      !connection->ask("", "* OK ").empty() &&
      !connection
           ->ask("a LOGIN \"" + words[2] + "\" \"" + words[3] + "\"\r\n",
                 "a OK ")
           .empty() &&
      !connection->ask("b LOGOUT\r\n", "b OK ").empty();
  connection->end();
  return in;
}

// With its length in front, which counts itself.
std::string message(std::string_view kind, std::string_view text) {
  const std::uint32_t size =
      htonl(static_cast<std::uint32_t>(sizeof(size) + text.size()));
  return std::string(kind)
      .append(reinterpret_cast<const char *>(&size), sizeof(size))
      .append(text);
}

bool log_in_postgresql(Connection *connection, const Words &words) {
  constexpr auto kPassword = "R\0\0\0\10\0\0\0\3"sv;
  constexpr auto kReady = "Z\0\0\0\5I"sv;
  connection->begin();
  std::string answer = connection->ask(
      message("", "\0\3\0\0user\0"s + words[2] + "\0database\0postgres\0\0"s),
      kPassword, kReady);
  // A stack that asks for no password has let the client in.
  if (answer == kPassword) {
    answer = connection->ask(message("p", words[3] + '\0'), kReady);
  }
  connection->end();
  return answer.ends_with(kReady);
}

bool log_in_command(Connection * /*connection*/, const Words &words) {
  std::vector<char *> argv;
  for (std::size_t i = 1; i < words.size(); ++i) {
    argv.push_back(const_cast<char *>(words[i].c_str()));
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions{};
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                   O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null",
                                   O_WRONLY, 0);
  pid_t pid = -1;
  int status = 0;
  require(posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(),
                       environ) == 0 &&
          waitpid(pid, &status, 0) == pid);
  posix_spawn_file_actions_destroy(&actions);
  return status == 0;
}

struct Protocol {
  std::string_view name;
  std::size_t words;  // with its name, at least
  bool (*log_in)(Connection *, const Words &);
};
constexpr Protocol kProtocols[] = {
    {"http", 3, log_in_http},
    {"imap", 4, log_in_imap},
    {"postgresql", 4, log_in_postgresql},
    {"command", 2, log_in_command},
};

struct Client {
  double rate = 0;            // of logins that were let in, in ns
  std::size_t failures = 0;   // of all
  std::vector<double> times;  // of all, in ns
};

void run(Client *client, double duration, const Protocol &protocol,
         const Words &words) {
  Connection connection(words[1]);
  const double begin = now_ns();
  double now = begin;
  do {
    client->failures += protocol.log_in(&connection, words) ? 0 : 1;
    client->times.push_back(now_ns() - now);
    now = now_ns();
  } while (now - begin < duration);
  client->rate = static_cast<double>(client->times.size()) / (now - begin);
}

int main_with(const Words &words, std::size_t count, double duration) {
  const auto *protocol = std::find_if(
      std::begin(kProtocols), std::end(kProtocols),
      [&](const Protocol &known) { return known.name == words[0]; });
  require(protocol != std::end(kProtocols) && words.size() >= protocol->words);
  std::vector<Client> clients(count);
  std::vector<std::thread> threads;
  for (Client &client : clients) {
    threads.emplace_back(run, &client, duration, *protocol, words);
  }
  Client all;
  for (std::size_t i = 0; i < count; ++i) {
    threads[i].join();
    all.rate += clients[i].rate;
    all.failures += clients[i].failures;
    all.times.insert(all.times.end(), clients[i].times.begin(),
                     clients[i].times.end());
  }
  if (all.failures > 0) {
    std::fprintf(stderr, "logins: %zu of %zu failed\n", all.failures,
                 all.times.size());
    return 1;
  }
  std::printf("%.5g %.4g\n", all.rate * 1e9,
              quantile(&all.times, 0.99) / kMillisecond);
  return 0;
}

}  // namespace
}  // namespace pbstoken::bench

int main(int argc, char **argv) {
  using pbstoken::bench::require;
  require(argc > 3);
  return pbstoken::bench::main_with({argv + 3, argv + argc},
                                    std::strtoul(argv[1], nullptr, 10),
                                    std::atof(argv[2]) * 1e9);
}
