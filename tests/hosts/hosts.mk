# SPDX-License-Identifier: BSD-3-Clause
#
# Part of the Makefile: hosts of all kinds, what is left in them of secrets, and
# what the time of an answer tells.

# Programs in C, and one in C++ with each of two runtimes, and with both.
HOSTS = $(BUILD)/tests/hosts
HOST_CFLAGS = -std=gnu11 -O1 -g -Wall -Wextra -Wshadow $(if $(WERROR),-Werror) \
  -Itests/hosts
HOST_CXXFLAGS = -std=c++20 -O1 -g -Wall -Wextra -Wshadow \
  $(if $(WERROR),-Werror) -Itests/hosts
HOST_PROGRAMS = $(patsubst tests/hosts/%.c,$(HOSTS)/%,\
  $(wildcard tests/hosts/host_*.c)) $(HOSTS)/host_runtime \
  $(HOSTS)/host_runtime_libcxx $(HOSTS)/host_runtime_both $(HOSTS)/pam_bad.so \
  $(HOSTS)/answer $(HOSTS)/images $(HOSTS)/secret_paths \
  $(HOSTS)/secret_paths_leaky
HOST_TESTS_UNPRIVILEGED = tests/hosts/test_secret_paths \
  tests/hosts/test_hardening
HOST_TESTS = $(filter-out $(HOST_TESTS_UNPRIVILEGED),\
  $(wildcard tests/hosts/test_*))
IN_SCRATCH = $(SUDO) env BUILD=$(BUILD) tests/scratch

$(HOSTS)/host.o: tests/hosts/host.c tests/hosts/host.h
	@mkdir -p $(@D)
	$(CC) $(HOST_CFLAGS) -c -o $@ $<

$(HOSTS)/host_%: tests/hosts/host_%.c tests/hosts/host.h $(HOSTS)/host.o
	$(CC) $(HOST_CFLAGS) $(HOST_FLAGS) -o $@ $< $(HOSTS)/host.o -lpam -lpthread -lm

# Its functions are to be found by everybody.
$(HOSTS)/host_symbols: HOST_FLAGS = -rdynamic -fno-builtin

$(HOSTS)/answer $(HOSTS)/images: $(HOSTS)/%: tests/hosts/%.c
	@mkdir -p $(@D)
	$(CC) $(HOST_CFLAGS) -o $@ $< -lpam

$(HOSTS)/pam_bad.so: tests/hosts/pam_bad.c
	@mkdir -p $(@D)
	$(CC) $(HOST_CFLAGS) -fPIC -shared -o $@ $< -lpam

$(HOSTS)/host_runtime: tests/hosts/host_runtime.cc tests/hosts/host.h \
    $(HOSTS)/host.o
	g++ $(HOST_CXXFLAGS) -o $@ $< $(HOSTS)/host.o -lpam -lpthread

$(HOSTS)/runtime_libcxx.o: tests/hosts/host_runtime.cc tests/hosts/host.h
	@mkdir -p $(@D)
	clang++ -stdlib=libc++ $(HOST_CXXFLAGS) -c -o $@ $<
$(HOSTS)/host_runtime_libcxx $(HOSTS)/host_runtime_both: \
    $(HOSTS)/runtime_libcxx.o $(HOSTS)/host.o
	clang++ -stdlib=libc++ -o $@ $^ -lpam -lpthread $(HOST_RUNTIME)
$(HOSTS)/host_runtime_both: \
  HOST_RUNTIME = -Wl,--no-as-needed -l:libstdc++.so.6

# As other tests in C++, with the core; every call of CRYPTO_memcmp
# and strlen is seen.
$(HOSTS)/secret_paths: $(HOSTS)/secret_paths.o $(CORE)
	$(CXX) -pie -Wl,--wrap=CRYPTO_memcmp,--wrap=strlen -o $@ $^ -l:libcrypto.a -lcmocka

# A mutant of what compares: in front of the core, whose own are left out.
$(HOSTS)/leaky/%.o: pam_pbstoken/%.cc Makefile
	@mkdir -p $(@D)
	$(CXX) $(ALL_CXXFLAGS) -DCRYPTO_memcmp=memcmp -c -o $@ $<
$(HOSTS)/secret_paths_leaky: $(HOSTS)/secret_paths.o \
    $(HOSTS)/leaky/cache/segment.o $(HOSTS)/leaky/store/stored_hash.o $(CORE)
	$(CXX) -pie -Wl,--wrap=CRYPTO_memcmp,--wrap=strlen -o $@ $^ -l:libcrypto.a -lcmocka

# Measured as it is installed.
$(HOSTS)/timing: tests/hosts/timing.cc $(CORE)
	@mkdir -p $(@D)
	$(CXX) -std=c++20 $(HOST_CXXFLAGS) -Iinclude -O2 -o $@ $< $(CORE) \
	  -l:libcrypto.a

host-programs: $(HOST_PROGRAMS)

TIMING_SAMPLES = 200000
timing: host-packages
	$(MAKE) WERROR=1 all $(HOSTS)/timing
	$(IN_SCRATCH) tests/hosts/time $(TIMING_SAMPLES)

# What check does with all of that, and at length: one cycle after another, and
# what the compilers make of the wipes when they see all of a program.
CYCLES = 1000000
hosts: host-packages
	$(MAKE) $(PARALLEL) WERROR=1 all host-programs
	$(MAKE) $(PARALLEL) WERROR=1 BUILD=$(BUILD)/clang CXX=clang++ all
	$(MAKE) $(PARALLEL) WERROR=1 BUILD=$(BUILD)/gcc-lto \
	  CXXFLAGS='-O2 -g -flto=auto' all
	$(MAKE) $(PARALLEL) WERROR=1 BUILD=$(BUILD)/clang-lto CXX=clang++ \
	  AR=llvm-ar CXXFLAGS='-O2 -g -flto' LDFLAGS=-fuse-ld=lld all
	tests/run -p 'env BUILD=$(BUILD)' $(HOST_TESTS_UNPRIVILEGED) \
	  -p '$(SUDO) env BUILD=$(BUILD) WIPES=$(BUILD)/clang:$(BUILD)/gcc-lto:$(BUILD)/clang-lto tests/scratch' \
	  $(HOST_TESTS)
	$(IN_SCRATCH) tests/hosts/cycles $(CYCLES)

.PHONY: host-programs hosts timing
