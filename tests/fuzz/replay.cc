// SPDX-License-Identifier: BSD-3-Clause
// Gives a fuzzer every file of its corpus once, without libFuzzer, and reports
// as cmocka does: build/.../replay_SUBJECT reads tests/fuzz/corpus/SUBJECT.
// An empty input comes first.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "fuzz.h"

namespace {

// What printf(1) makes of \0NNN, in octal.
std::string unescaped(const std::string &text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size() && text[i] != '\n'; ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    bytes += static_cast<char>(std::stoi(text.substr(i + 1, 4), nullptr, 8));
    i += 4;
  }
  return bytes;
}

std::string content_of(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  return path.extension() == ".escaped" ? unescaped(content) : content;
}

// On the heap, and of exactly that size: what reads beyond it is found.
void run_once(const std::string &name, const std::string &content) {
  std::printf("[ RUN      ] %s\n", name.c_str());
  std::fflush(stdout);
  const auto bytes = std::make_unique<std::uint8_t[]>(content.size());
  std::copy(content.begin(), content.end(), bytes.get());
  LLVMFuzzerTestOneInput(bytes.get(), content.size());
  std::printf("[       OK ] %s\n", name.c_str());
}

}  // namespace

int main(int /*argc*/, char **argv) {
  constexpr std::string_view kPrefix = "replay_";
  const std::string program = std::filesystem::path(argv[0]).filename();
  const std::filesystem::path corpus =
      "tests/fuzz/corpus/" + program.substr(kPrefix.size());
  std::vector<std::filesystem::path> files;
  for (const auto &entry : std::filesystem::directory_iterator(corpus)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  run_once("empty", "");
  for (const auto &file : files) {
    run_once(file.filename(), content_of(file));
  }
  return files.empty() ? 1 : 0;
}
