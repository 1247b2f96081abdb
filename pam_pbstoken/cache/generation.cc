// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/cache/generation.h"

namespace pbstoken {

std::optional<GenerationClaim> GenerationClaim::from_even(std::uint64_t *word) {
  const std::uint64_t seen = load_acquire(word);
  if (!is_in_force(seen) || !compare_and_swap(word, seen, seen + 1)) {
    return std::nullopt;
  }
  return GenerationClaim(word, seen, seen + 1);
}

std::optional<GenerationClaim> GenerationClaim::under_lock(
    std::uint64_t *word, const FileLock & /*proof*/) {
  // Somebody without the lock may claim from even between load and swap, and
  // end: each round that fails is another's that went well.
  while (true) {
    const std::uint64_t seen = load_acquire(word);
    if (seen > kLastGeneration) {
      return std::nullopt;
    }
    const std::uint64_t odd = is_in_force(seen) ? seen + 1 : seen + 2;
    if (compare_and_swap(word, seen, odd)) {
      return GenerationClaim(word, seen, odd);
    }
  }
}

}  // namespace pbstoken
