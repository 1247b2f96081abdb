// SPDX-License-Identifier: BSD-3-Clause
// What a command prints or writes grows piece by piece, and only some of the
// pieces need memory: which, depends on lengths.  So with texts of every length
// each allocation fails once.  All of the output is there, or none of it; and
// it is never said to be there if it is not.
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>

#include "admin/admin.h"
#include "admin/problems.h"
#include "admin/report.h"
#include "e2e/e2e_faults.h"
#include "e2e/e2e_support.h"
#include "io/output.h"
#include "pbstoken/verify/helper_protocol.h"
#include "wire/answer.h"
#include "wire/request.h"
#include "write/shadow_text.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr Fault kNoMemory = {"out of memory once", ENOMEM, true, false};
constexpr std::array<OutputFormat, 3> kFormats = {
    OutputFormat::kText, OutputFormat::kJson, OutputFormat::kJsonPretty};

// What is none of it in JSON.
constexpr std::string_view kNoObjects = "[]\n";

// Files in the place of the standard descriptors, for as long as this lives; in
// the first what is read.
class Captured {
 public:
  Captured() {
    std::fflush(nullptr);
    for (const int fd : {0, 1, 2}) {
      const auto at = static_cast<std::size_t>(fd);
      kept_[at] = dup(fd);
      files_[at] = memfd_create("captured", MFD_CLOEXEC);
      dup2(files_[at], fd);
    }
    if (pwrite(files_[0], kAcknowledgement.data(), kAcknowledgement.size(), 0) <
        0) {
      std::abort();
    }
  }
  Captured(const Captured &) = delete;
  Captured &operator=(const Captured &) = delete;
  ~Captured() {
    for (const int fd : {0, 1, 2}) {
      const auto at = static_cast<std::size_t>(fd);
      dup2(kept_[at], fd);
      close(kept_[at]);
      close(files_[at]);
    }
  }

  [[nodiscard]] std::string output() const {
    std::string text(static_cast<std::size_t>(lseek(files_[1], 0, SEEK_END)),
                     '\0');
    if (pread(files_[1], text.data(), text.size(), 0) !=
        static_cast<ssize_t>(text.size())) {
      std::abort();
    }
    return text;
  }

 private:
  std::array<int, 3> kept_{};
  std::array<int, 3> files_{};
};

struct Ran {
  bool done = false;  // what it returned
  std::string out;    // what it printed, or made
  bool hit = false;
};

// job(out) returns whether it was done; out: for what it makes but prints not.
template <typename Job>
Ran run_with_fault(const Job &job, int at) {
  Ran ran;
  std::string made;
  made.reserve(4096);
  {
    const Captured captured;
    arm(kNoMemory, at);
    ran.done = job(&made);
    ran.hit = disarm();
    ran.out = captured.output();
  }
  ran.out += made;
  return ran;
}

struct Sweep {
  int faults = 0;
  std::set<int> failed;  // the numbers of the calls after which there was none
};

template <typename Job>
void sweep(const char *what, const Job &job, Sweep *sweep) {
  const Ran good = run_with_fault(job, 0);
  if (!good.done || good.out.empty()) {
    fail_msg("%s: it fails without a fault", what);
  }
  int at = 1;
  for (Ran ran = run_with_fault(job, at); ran.hit;
       ran = run_with_fault(job, ++at)) {
    const bool is_none = ran.out.empty() || ran.out == kNoObjects;
    if (ran.out != good.out && (ran.done || !is_none)) {
      fail_msg("%s, allocation %d: %s, but '%s'", what, at,
               ran.done ? "done" : "failed", ran.out.c_str());
    }
    ++sweep->faults;
    if (!ran.done) {
      sweep->failed.insert(at);
    }
  }
}

// Longer than what follows it in any line, so that each piece of it is the one
// that finds no room, with some length.
template <typename Make>
void sweep_all_lengths(const char *what, const Make &make) {
  constexpr std::size_t kLongest = 200;
  Sweep result;
  for (std::size_t length = 0; length <= kLongest; ++length) {
    sweep(what, make(std::string(length, 'x')), &result);
  }
  print_message("%s: %d allocations failed\n", what, result.faults);
  assert_true(result.faults > static_cast<int>(kLongest));
  assert_false(result.failed.empty());
}

// --- what is printed

std::vector<Field> fields_with(const std::string &text) {
  return {Field::string("tokenid", text),  Field::count("slots", 4711),
          Field::boolean("enabled", true), Field::boolean("section", false),
          Field::unknown("comment"),       Field::string("value", "last")};
}

void fields_are_printed_whole_or_not(void ** /*state*/) {
  for (const OutputFormat format : kFormats) {
    sweep_all_lengths("fields", [&](const std::string &text) {
      return [fields = fields_with(text), format](std::string * /*out*/) {
        return print_fields(fields, format);
      };
    });
  }
}

void array_is_printed_whole_or_not(void ** /*state*/) {
  for (const OutputFormat format :
       {OutputFormat::kJson, OutputFormat::kJsonPretty}) {
    sweep_all_lengths("array", [&](const std::string &text) {
      return [fields = fields_with(text), format](std::string * /*out*/) {
        JsonArray array(format);
        return array.add(fields) && array.print();
      };
    });
    const Ran empty = run_with_fault(
        [&](std::string * /*out*/) { return JsonArray(format).print(); }, 1);
    assert_true(empty.hit && !empty.done);
    assert_text_equal(empty.out, "");
  }
}

void table_is_printed_whole_or_not(void ** /*state*/) {
  sweep_all_lengths("table", [](const std::string &text) {
    return [text](std::string *out) {
      Table table(3);
      Buffer lines;
      for (const std::string_view cell :
           {std::string_view("A"), std::string_view("B"), std::string_view("C"),
            std::string_view(text), std::string_view(""),
            std::string_view("a\nb"), std::string_view("c"),
            std::string_view("d"), std::string_view("")}) {
        if (!table.add(cell)) {
          return false;
        }
      }
      if (!table.append_to(&lines)) {
        return false;
      }
      *out = lines.view();
      return true;
    };
  });
}

// --- whole commands

Store default_store() {
  return *load_store("pbs", PathText("/etc/pbstoken/pbs.conf"));
}

void list_is_printed_whole_or_not(void ** /*state*/) {
  const Store store = default_store();
  for (const OutputFormat format : kFormats) {
    sweep_all_lengths("list", [&](const std::string &text) {
      write_shadow({{"a" + text + "@pbs!t", kHash},
                    {"b@pbs!t", "*"},
                    {"c@pbs!t", kOldHash},
                    {"d@pbs!t", kHash}});
      write_file(kUserCfg,
                 "user: c@pbs\n\ntoken: c@pbs!t\n\tcomment " + text +
                     "y\n\tenable 0\n\ntoken: d@pbs!t\n\texpire 4\n\n"
                     "token: e@pbs!t\n\tcomment z\n",
                 0640);
      return [&store, format](std::string * /*out*/) {
        CommandLine line;
        line.format = format;
        Context context = {.line = line,
                           .store = store,
                           .client = {},
                           .input = {},
                           .verifier = Verifier(store, nullptr)};
        return list_tokens(&context) == ExitStatus::kDone;
      };
    });
  }
}

// One that there is no memory for makes it exit 4, with or without the others.
void problems_are_printed_each_whole_or_not(void ** /*state*/) {
  for (const OutputFormat format : kFormats) {
    sweep_all_lengths("problems", [&](const std::string &text) {
      return [path = "/" + text, format](std::string * /*out*/) {
        Problems problems(format);
        problems.add(path, "the first of them", {.line = 7, .column = 8});
        return problems.print() == ExitStatus::kRefused;
      };
    });
  }
}

// --- what is written

void changed_text_is_whole_or_none(void ** /*state*/) {
  const PathText path(kShadow);
  sweep_all_lengths("token.shadow", [&](const std::string &text) {
    const std::string old = shadow_of(
        {{"a" + text + "@pbs!t", "x"}, {kId, kOldHash}, {kOldId, kOldHash}});
    return [&path, old](std::string *out) {
      Buffer before;
      if (!before.append(old) || !before.terminate()) {
        return false;
      }
      const auto changed = change_shadow_text(&before, path, kId, kHash);
      if (!changed || !prove_change(&before, changed->text, path, kId, kHash)) {
        return false;
      }
      *out = changed->text.view();
      return true;
    };
  });
}

// --- what is answered

void answer_is_sent_whole_or_not(void ** /*state*/) {
  sweep_all_lengths("answer", [](const std::string &text) {
    return [text](std::string * /*out*/) {
      return send_answer(Outcome::kWrongSecret, text) == ExitStatus::kRefused;
    };
  });
}

// The other side, which acknowledges what has been printed, and no sooner.
class Acknowledger {
 public:
  Acknowledger() {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      std::abort();
    }
    child_ = fork();
    if (child_ == 0) {
      struct stat output = {};
      while (fstat(STDOUT_FILENO, &output) == 0 && output.st_size == 0) {
        usleep(100);
      }
      _exit(write(ends[1], kAcknowledgement.data(), kAcknowledgement.size()) < 0
                ? 1
                : 0);
    }
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    close(ends[1]);
  }
  Acknowledger(const Acknowledger &) = delete;
  Acknowledger &operator=(const Acknowledger &) = delete;
  ~Acknowledger() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }

 private:
  pid_t child_;
};

// Without memory for the acknowledgement it was sent all the same, and counts
// as not acknowledged.
void offer_is_sent_whole_or_not(void ** /*state*/) {
  sweep_all_lengths("offer", [](const std::string &text) {
    return [text = "s" + text](std::string * /*out*/) {
      const Acknowledger other;
      Secret secret;
      return secret.assign(text) && send_offer(secret);
    };
  });
}

// --- what is received

void request_is_received_whole_or_not(void ** /*state*/) {
  sweep_all_lengths("request", [](const std::string &text) {
    return [text](std::string *out) {
      const auto received = receive_line(~std::uint64_t{0});
      if (!received) {
        return false;
      }
      out->assign(text).append(received->view()).append("\n");
      return true;
    };
  });
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      E2E_TEST(fields_are_printed_whole_or_not),
      E2E_TEST(array_is_printed_whole_or_not),
      E2E_TEST(table_is_printed_whole_or_not),
      E2E_TEST(list_is_printed_whole_or_not),
      E2E_TEST(problems_are_printed_each_whole_or_not),
      E2E_TEST(changed_text_is_whole_or_none),
      E2E_TEST(answer_is_sent_whole_or_not),
      E2E_TEST(offer_is_sent_whole_or_not),
      E2E_TEST(request_is_received_whole_or_not),
  };
  return cmocka_run_group_tests_name("helper_growth", tests, nullptr, nullptr);
}
