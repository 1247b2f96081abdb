# SPDX-License-Identifier: BSD-3-Clause
#
# Part of the Makefile.
#
# Fuzzers: tests/fuzz/fuzz_SUBJECT.cc, their seeds and what they once found in
# tests/fuzz/corpus/SUBJECT, which check replays.  Those that take root, and a
# namespace, are here by name.
FUZZ_SECONDS = 60
FUZZ_SUBJECTS = $(patsubst tests/fuzz/fuzz_%.cc,%,$(wildcard tests/fuzz/fuzz_*.cc))
FUZZ_AS_ROOT = module
FUZZ_SHARED = $(BUILD)/tests/fuzz/second_reader.o
FUZZ_LIBRARIES = -l:libcrypto.a -lsimdjson -lcrypt -lpam -ldl
FUZZERS = $(FUZZ_SUBJECTS:%=$(BUILD)/tests/fuzz/fuzz_%)
REPLAYS = $(FUZZ_SUBJECTS:%=$(BUILD)/tests/fuzz/replay_%)
REPLAYS_AS_ROOT = $(FUZZ_AS_ROOT:%=$(BUILD)/tests/fuzz/replay_%)

$(FUZZERS): %: %.o $(FUZZ_SHARED) $(TESTED)
	$(CXX) -pie $(SANITIZE) -fsanitize=fuzzer $(LDFLAGS) -rdynamic -o $@ $< \
	  $(FUZZ_SHARED) $(TESTED) $(FUZZ_LIBRARIES)

$(REPLAYS): $(BUILD)/tests/fuzz/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o \
    $(BUILD)/tests/fuzz/replay.o $(FUZZ_SHARED) $(TESTED)
	$(CXX) -pie $(SANITIZE) $(LDFLAGS) $(TEST_LDFLAGS) -rdynamic -o $@ \
	  $(filter %.o %.a,$^) \
	  $(FUZZ_LIBRARIES)

fuzzers: $(FUZZERS)
replays: $(REPLAYS)

# Instrumented and sanitized, in a build of their own, by which no other is
# slowed down.
fuzz: fuzz-packages
	$(MAKE) $(PARALLEL) WERROR=1 BUILD=$(BUILD)/fuzz CXX=clang++ \
	  CXXFLAGS='-O2 -g' TEST_CXXFLAGS= \
	  SANITIZE='-fsanitize=fuzzer-no-link $(SANITIZERS)' fuzzers
	for subject in $(FUZZ_SUBJECTS); do \
	  tests/fuzz/run $(BUILD)/fuzz $$subject $(FUZZ_SECONDS) || exit 1; \
	done

.PHONY: fuzz fuzzers replays
