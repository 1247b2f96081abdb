# SPDX-License-Identifier: BSD-3-Clause
#
# Part of the Makefile: everything but building and installing.  Each subject of
# tests/ has a part of its own.
#
# make check-units   the unit tests alone; one of them by hand after make tests,
#                 an end-to-end test after make e2e-tests
# make check-other   the same as check on the other release, RELEASE=trixie on Debian 12,
#                 in a root below build/roots that is made once
# make other-root    that root alone, with the packages that check takes
# make cross      builds for ARCH=arm64, and runs the unit tests by qemu-user
# make soak       the tests that go on at random, each for SOAK_SECONDS=60 (a
#                 quarter of an hour in all), and their figures
# make model      every order of steps of the cache's protocol, and mutants of
#                 it: a quarter of an hour, and 4 GB of memory
# make fuzz       every fuzzer for FUZZ_SECONDS=60, see tests/fuzz/README.md
# make coverage   what the tests reach, by line and branch: tests/coverage.md
# make hosts      hosts of all kinds, each with CYCLES=1000000 of pam_start to
#                 pam_end, and what is left of secrets: half an hour
# make timing     what the time of an answer tells, as a table
# make analyze    gcc -fanalyzer and clang's static analyzer: some minutes
# make lint       clang-format, clang-tidy, cppcheck, shellcheck, mandoc
# make check-services   that real services take tokens, and end them
# make bench      what a cached token costs beside pam_permit and others; some
#                 of it with PARTS="transaction core"
# make bench-compare   the instructions of the paths that matter, beside those
#                 of the last time that somebody accepted them
# make check-package   that it can be rebuilt to the same bytes, and installed,
#                 upgraded, removed and purged in a Debian of its own
# make check-boot      the same and more on a host that boots, in a virtual machine,
#                 RELEASE=trixie on another release's: a quarter of an hour

help:
	@sed -n 's/^# \(make \|  \)/\1/p' Makefile tests/tests.mk

include tests/packages.mk

# Unit tests: tests/test_SUBJECT.cc, no root needed.  They are linked with all
# of the core, of the module but its entry points, and of the helper but its
# main().
UNIT_TESTS = $(patsubst tests/%.cc,$(BUILD)/tests/%,$(wildcard tests/test_*.cc))
TESTED = $(call objects,$(wildcard pam_pbstoken/module/*.cc) \
  $(filter-out %/main.cc,$(HELPER_SOURCES) $(TOOL_SOURCES) $(SHARED_SOURCES))) \
  $(CORE)
# End-to-end tests: tests/e2e/test_SUBJECT.cc, over the real libpam, as root in
# a namespace of their own.
E2E_TESTS = $(patsubst tests/%.cc,$(BUILD)/tests/%,$(wildcard tests/e2e/test_*.cc))

# What is tested is built as it is installed; the tests themselves are built
# quickly, for a debugger with TEST_CXXFLAGS='-O0 -g'.
TEST_CXXFLAGS = -O0 -g0 -U_FORTIFY_SOURCE
TEST_CXX = $(CXX)
TEST_LDFLAGS =
COMPILE_TEST = $(TEST_CXX) $(ALL_CXXFLAGS) $(TEST_CXXFLAGS) -Itests

# What `make check` takes: the fastest compiler and linker, and the standard
# library read once for all tests.  That is left out on the other release, since
# a test must itself include what it needs.
QUICKLY = TEST_CXX=clang++ TEST_LDFLAGS=-fuse-ld=lld PRECOMPILED=$(PRECOMPILED)
PRECOMPILED =
check: PRECOMPILED = yes
STANDARD = $(if $(PRECOMPILED),$(BUILD)/tests/standard.h)
$(BUILD)/tests/standard.h.gch: tests/standard.h
	@mkdir -p $(@D)
	$(COMPILE_TEST) -x c++-header -fpch-instantiate-templates -o $@ $<

$(BUILD)/tests/%.o: tests/%.cc $(STANDARD:=.gch)
	@mkdir -p $(@D)
	$(COMPILE_TEST) $(STANDARD:%=-include %) -c -o $@ $<

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(TESTED)
	$(CXX) -pie $(SANITIZE) $(LDFLAGS) $(TEST_LDFLAGS) -o $@ $< $(TESTED) \
	  -l:libcrypto.a -lcrypt -lpam -lcmocka -lpthread

tests: $(UNIT_TESTS)
check-units: tests
	tests/run $(UNIT_TESTS)
e2e-tests: all $(E2E_TESTS)

# The unit tests three times: as built, under Valgrind, and by the other
# compiler under its sanitizers (RapidJSON's empty stack adds to a null
# pointer, which pointer-overflow minds).
SANITIZED = $(BUILD)/sanitized
SANITIZERS = -fsanitize=address,undefined -fno-sanitize=pointer-overflow \
  -fno-sanitize-recover=all
VALGRIND = valgrind -q --error-exitcode=99 --leak-check=full \
  --errors-for-leak-kinds=definite

# Those that wait more than they compute: for an end after a minute, for a
# time-out, for a place.
WAITING_TESTS = $(patsubst %,$(BUILD)/tests/e2e/test_%,socket_service \
  running_services lease helper_reach hash_gate module_helper_faults \
  account_member)

# As many compilers at once as there are processors, unless make was told.
PARALLEL = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

check: host-packages
	$(MAKE) $(PARALLEL) WERROR=1 $(QUICKLY) all tests e2e-tests host-programs
	$(MAKE) $(PARALLEL) WERROR=1 BUILD=$(BUILD)/clang CXX=clang++ CXXFLAGS=-Os all
	$(MAKE) $(PARALLEL) WERROR=1 BUILD=$(SANITIZED) CXX=clang++ $(QUICKLY) tests replays \
	  CPPFLAGS=-U_FORTIFY_SOURCE CXXFLAGS='-O0 -gline-tables-only' \
	  SANITIZE='$(SANITIZERS)'
	tests/run -j "$$(nproc)" \
	  -p '$(SUDO) tests/scratch' $(filter-out $(WAITING_TESTS),$(E2E_TESTS)) \
	  $(patsubst $(BUILD)/%,$(SANITIZED)/%,$(REPLAYS_AS_ROOT)) \
	  -p '$(SUDO) env BUILD=$(BUILD) WIPES=$(BUILD)/clang tests/scratch' \
	  $(HOST_TESTS) \
	  -p 'env BUILD=$(BUILD)' tests/installation $(HOST_TESTS_UNPRIVILEGED) \
	  -p '$(VALGRIND)' $(UNIT_TESTS) -p '' $(UNIT_TESTS) \
	  $(patsubst $(BUILD)/%,$(SANITIZED)/%,$(UNIT_TESTS) \
	    $(filter-out $(REPLAYS_AS_ROOT),$(REPLAYS))) \
	  -p '$(SUDO) tests/scratch' -b $(WAITING_TESTS)

# What check runs for some seconds and some thousand random moments, for as
# long as one likes.  Their output is for people: it has the figures.
SOAK_SECONDS = 60
SOAK_TESTS = $(filter $(BUILD)/tests/e2e/test_stress_%,$(E2E_TESTS))

soak: test-packages
	$(MAKE) WERROR=1 $(SOAK_TESTS)
	for test in $(SOAK_TESTS); do \
	  $(SUDO) env SOAK_SECONDS=$(SOAK_SECONDS) tests/scratch $$test || exit 1; \
	done

model: model-packages
	tests/model/run

# What is measured is what is tested, in a build of its own, with counters that
# outlive the process (see tests/coverage); the tests themselves are not.
COVERAGE = $(BUILD)/coverage
COUNTED = -fprofile-instr-generate=$(abspath $(COVERAGE))/profile/%m%c.profraw

coverage: coverage-packages
	mkdir -p $(COVERAGE)/profile
	$(MAKE) $(PARALLEL) BUILD=$(COVERAGE) CXX=clang++ CXXFLAGS='-O1 -g' \
	  SANITIZE='$(COUNTED)' \
	  CPPFLAGS='-fcoverage-mapping -mllvm -runtime-counter-relocation' \
	  LDFLAGS='$(COUNTED) -Wl,-u,atexit' TEST_CXXFLAGS='$(TEST_CXXFLAGS) \
	  -fno-profile-instr-generate -fno-coverage-mapping' all tests e2e-tests
	$(SUDO) tests/coverage $(COVERAGE)

# Services of Debian's, each on what looks to it like a host of its own.
SERVICE_TESTS = $(wildcard tests/services/test_*)

check-services: service-packages
	$(MAKE) WERROR=1 all
	tests/run -p '$(SUDO) tests/scratch tests/services/host' \
	  $(filter-out %/test_cluster,$(SERVICE_TESTS)) -b tests/services/test_cluster

demo: demo-packages
	@$(MAKE) --silent all
	@$(SUDO) tests/scratch tests/demo $(BUILD)

.PHONY: help tests check-units e2e-tests check soak model coverage \
  check-services demo

include tests/deb.mk $(wildcard tests/*/*.mk)
