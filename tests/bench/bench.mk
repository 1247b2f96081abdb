# SPDX-License-Identifier: BSD-3-Clause
#
# Part of the Makefile: benchmarks.

# What takes its turn beside pam_permit and others; see tests/bench/README.md.
BENCH_PARTS = transaction core processes files edit miss socket flood storm memory services
PARTS = $(BENCH_PARTS)
bench_parts = $(subst $(comma), ,$(PARTS))
comma = ,
BENCH_PROGRAMS = $(patsubst tests/bench/%.cc,$(BUILD)/tests/bench/%,\
  $(wildcard tests/bench/*.cc))
# The core, which these have inside; the others map what a small daemon maps.
BENCH_CORE_PROGRAMS = $(patsubst %,$(BUILD)/tests/bench/%,core files counted)

$(BUILD)/tests/bench/%.o: tests/bench/%.cc Makefile
	@mkdir -p $(@D)
	$(CXX) $(ALL_CXXFLAGS) -DPBSTOKEN_MULTIARCH='"$(MULTIARCH)"' -c -o $@ $<

$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o
	$(CXX) -pie -static-libstdc++ -static-libgcc $(LDFLAGS) \
	  -Wl,--export-dynamic-symbol=syscall -o $@ $< -lpam

$(BENCH_CORE_PROGRAMS): $(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(CORE)
	$(CXX) -pie $(LDFLAGS) -o $@ $< $(CORE) -l:libcrypto.a -lcrypt

bench-programs: all $(BENCH_PROGRAMS)

bench: bench-packages
	$(MAKE) bench-programs
	$(SUDO) tests/bench/run $(BUILD) $(bench_parts)

# Fails where a change costs instructions.  Where it is worth them:
# cp build/bench/instructions tests/bench/
bench-compare: compare-packages
	$(MAKE) bench-programs
	$(SUDO) tests/scratch tests/bench/count $(BUILD) $(CXX)

.PHONY: bench-programs bench bench-compare
