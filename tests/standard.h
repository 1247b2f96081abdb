// SPDX-License-Identifier: BSD-3-Clause
// What most tests include of the standard library.  `make check` has it read
// once for all of them, which takes two fifths off what a compiler does for a
// test.  A test includes what it needs all the same.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>
