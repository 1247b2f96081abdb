// SPDX-License-Identifier: BSD-3-Clause
// What the time of an answer out of the segment tells: samples of each kind of
// question, one of each in turn and in an order of chance, against those with a
// wrong secret that is wrong from its first byte on.  A report, not a test.
//
// PROGRAM ID OTHER SECRET-FILE SAMPLES: both tokens are in the segment, with
// the two secrets of the file's lines, right and wrong, known of the first.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "pbstoken/store/store.h"
#include "pbstoken/store/token_id.h"
#include "pbstoken/verify/verifier.h"

namespace pbstoken {
namespace {

struct Kind {
  std::string name;
  std::string id;
  std::string secret;
  std::size_t fresh_from;  // characters from here on are chosen anew each time
  std::vector<double> samples = {};
};

double nanoseconds_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e9 +
         static_cast<double>(now.tv_nsec);
}

std::mt19937_64 chance(1);

// The same work for every kind: what was done before has its effect on what is
// measured.
void refresh(std::string *secret, std::size_t from) {
  constexpr std::size_t kMost = 128;
  for (std::size_t i = 0; i < kMost; ++i) {
    // Never right: those of a token are in lower case.
    const auto fresh = static_cast<unsigned>('A' + chance() % 26);
    const std::size_t at = i % secret->size();
    const auto old = static_cast<unsigned char>((*secret)[at]);
    const unsigned mask = 0U - static_cast<unsigned>(at >= from);
    (*secret)[at] = static_cast<char>((fresh & mask) | (old & ~mask));
  }
}

// All secrets stand at the same place.
double ask(Verifier *verifier, const Kind &kind, std::string *place) {
  place->assign(kind.secret);
  const TokenId id = *parse_token_id(kind.id);
  const double start = nanoseconds_now();
  const auto answer = verifier->verify_in_segment(id, *place);
  const double end = nanoseconds_now();
  // So that nothing is left out.
  return answer && answer->source != Source::kSegment ? -1 : end - start;
}

// --- what they tell

struct Moments {
  double median;
  double mean;
  double variance;
};

// Of sorted samples, without the slowest hundredth: those were interrupted.
Moments moments_of(const std::vector<double> &sorted) {
  const std::size_t count = sorted.size() / 100 * 99;
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 0; i < count; ++i) {
    sum += sorted[i];
    squares += sorted[i] * sorted[i];
  }
  const auto n = static_cast<double>(count);
  const double mean = sum / n;
  return {sorted[sorted.size() / 2], mean,
          (squares - n * mean * mean) / (n - 1)};
}

double welch_t(const Moments &a, const Moments &b, double n) {
  return (a.mean - b.mean) / std::sqrt((a.variance + b.variance) / n);
}

// The largest distance of the two distributions.
double kolmogorov_smirnov(const std::vector<double> &a,
                          const std::vector<double> &b) {
  std::size_t i = 0;
  std::size_t j = 0;
  double largest = 0;
  while (i < a.size() && j < b.size()) {
    const double at = std::min(a[i], b[j]);
    while (i < a.size() && a[i] <= at) {
      ++i;
    }
    while (j < b.size() && b[j] <= at) {
      ++j;
    }
    largest = std::max(
        largest,
        std::abs(static_cast<double>(i) / static_cast<double>(a.size()) -
                 static_cast<double>(j) / static_cast<double>(b.size())));
  }
  return largest;
}

void print_table(std::vector<Kind> *kinds) {
  for (Kind &kind : *kinds) {
    std::sort(kind.samples.begin(), kind.samples.end());
  }
  const Kind &first = kinds->front();
  const auto n = static_cast<double>(first.samples.size());
  const Moments base = moments_of(first.samples);
  std::printf("| question | median, ns | mean, ns | Welch's t | K-S D |\n");
  std::printf("|---|---|---|---|---|\n");
  for (const Kind &kind : *kinds) {
    const Moments its = moments_of(kind.samples);
    std::printf("| %s | %.0f | %.1f | %+.1f | %.4f |\n", kind.name.c_str(),
                its.median, its.mean, welch_t(its, base, n * 0.99),
                kolmogorov_smirnov(kind.samples, first.samples));
  }
  // At a significance of one in a hundred.
  std::printf(
      "\n%.0f samples each; of equal distributions, 99 in 100 pairs have |t| < "
      "2.58 and D < %.4f\n",
      n, 1.63 * std::sqrt(2 / n));
}

int run(const std::string &id, const std::string &other,
        const std::string &right, const std::string &wrong, int samples) {
  auto store = load_store("pbs", configuration_path("pbs"));
  if (!store) {
    return 1;
  }
  Verifier verifier(*store, [] { return CryptFunction(nullptr); });
  std::string unknown = id;
  unknown.back() = unknown.back() == 'x' ? 'y' : 'x';
  std::vector<Kind> kinds = {
      {"wrong from the first byte on", id, right, 0},
      {"the same again", id, right, 0},
      {"first 8 bytes right", id, right, 8},
      {"first 16 bytes right", id, right, 16},
      {"first 32 bytes right", id, right, 32},
      {"all but the last byte right", id, right, right.size() - 1},
      {"another token's secret", other, right, right.size()},
      {"unknown token", unknown, right, 0},
      {"wrong, and known to be", id, wrong, wrong.size()},
      {"right", id, right, right.size()},
      {"wrong, and 64 bytes longer", id, right + std::string(64, 'x'), 0},
  };
  std::vector<std::size_t> order(kinds.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
  }
  std::string place(1000, ' ');
  for (int round = -samples / 10; round < samples; ++round) {
    std::shuffle(order.begin(), order.end(), chance);
    for (const std::size_t which : order) {
      Kind &kind = kinds[which];
      refresh(&kind.secret, kind.fresh_from);
      const double time = ask(&verifier, kind, &place);
      if (time < 0) {
        std::fputs("not an answer of the segment\n", stderr);
        return 1;
      }
      if (round >= 0) {
        kind.samples.push_back(time);
      }
    }
  }
  print_table(&kinds);
  return 0;
}

}  // namespace
}  // namespace pbstoken

int main(int argc, char **argv) {
  if (argc != 5) {
    return 2;
  }
  std::ifstream file(argv[3]);
  std::string right;
  std::string wrong;
  std::getline(file, right);
  std::getline(file, wrong);
  return pbstoken::run(argv[1], argv[2], right, wrong, std::atoi(argv[4]));
}
