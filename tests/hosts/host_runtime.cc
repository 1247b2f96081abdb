// SPDX-License-Identifier: BSD-3-Clause
// A host in C++, with exceptions, threads and objects of its own in the
// conversation.  Built with libstdc++, with libc++, and with both at once.
#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

extern "C" {
#include "host.h"
}

namespace {

thread_local std::string the_last_question;
std::map<std::string, int> questions = {{"asked", 0}};

// Thrown and caught where the module's frames are below on the stack.
int throw_and_catch(int number) {
  try {
    if (number >= 0) {
      throw std::runtime_error("a question");
    }
  } catch (const std::exception &error) {
    the_last_question = error.what();
    return ++questions.at("asked");
  }
  return 0;
}

void at_question() {
  if (throw_and_catch(1) < 1) {
    fault("nothing was caught");
  }
}

void authenticate_with_exceptions() {
  for (int i = 0; i < 5; ++i) {
    for (const char *secret : {host.secret, host.wrong}) {
      dialogue talk = {secret, at_question};
      pam_handle_t *handle = start_dialogue(&talk);
      const int code = pam_authenticate(handle, 0);
      note_code(secret, code);
      pam_end(handle, code);
    }
  }
  if (questions.at("asked") != 10) {
    fault("%d questions", questions.at("asked"));
  }
  authenticate();
}

void authenticate_in_threads() {
  std::vector<std::thread> threads;
  std::atomic<int> done = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 10; ++j) {
        const auto owned = std::make_unique<std::string>(host.secret);
        try_both();
        done += static_cast<int>(!owned->empty());
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  if (done != 40) {
    fault("%d times", done.load());
  }
}

// The host's own exceptions work as before when the module was loaded.
void throw_afterwards() {
  authenticate();
  bool caught = false;
  try {
    std::vector<int>().at(1) = 0;
  } catch (const std::out_of_range &) {
    caught = true;
  }
  if (!caught) {
    fault("not caught");
  }
}

}  // namespace

int main(int argc, char **argv) {
  start_host(argc, argv);
  run_case("exceptions_in_conversation", nullptr, authenticate_with_exceptions);
  run_case("threads_of_the_runtime", nullptr, authenticate_in_threads);
  run_case("exceptions_afterwards", nullptr, throw_afterwards);
  return end_host();
}
