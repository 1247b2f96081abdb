# SPDX-License-Identifier: BSD-3-Clause
#
# make            the module and the two programs, under build/
# make demo       what they do, on real input, in a scratch namespace
# make check      builds with both compilers, runs every test
# make check-other   the same on the other release, RELEASE=trixie on Debian 12,
#                 in a root below build/roots that is made once
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
# make install    DESTDIR= PREFIX= SYSCONFDIR= PAMDIR= UNITDIR=
# make check-services   that real services take tokens, and end them
# make bench      what a cached token costs beside pam_permit and others; some
#                 of it with PARTS="transaction core"
# make bench-compare   the instructions of the paths that matter, beside those
#                 of the last time that somebody accepted them
# make deb        the Debian package, under build/deb, and lintian's word on it
# make check-package   that it can be rebuilt to the same bytes, and installed,
#                 upgraded, removed and purged in a Debian of its own
#
# Each of them but make and make install installs the packages that it needs.

# --- what an administrator may choose

DESTDIR =
PREFIX = /usr
SYSCONFDIR = /etc
PAMDIR = $(PREFIX)/lib/$(MULTIARCH)/security
SBINDIR = $(PREFIX)/sbin
# systemd's own word, which is another one where /lib is not /usr/lib.
UNITDIR = $(or $(if $(filter /usr,$(PREFIX)),\
  $(shell pkg-config --variable=systemdsystemunitdir systemd 2>/dev/null)),\
  $(PREFIX)/lib/systemd/system)
MANDIR = $(PREFIX)/share/man
COMPLETIONDIR = $(PREFIX)/share/bash-completion/completions
EXAMPLESDIR = $(PREFIX)/share/doc/libpam-pbstoken/examples
# The versions of dovecot that examples are wanted for.
DOVECOT = 2.3 2.4

CXX = g++
# In the environment, too, which is how a packager gives them.  For size: the
# module is mapped by every host, and what takes time is in libraries.
CXXFLAGS ?= -Os -g
CPPFLAGS ?=
LDFLAGS ?=
WERROR =

# --- Debian packages: to build, for the demonstration, to test

# debian/control says what the build takes, one package a line; debhelper's own
# apart, which `make deb` alone needs, and with <!nocheck> what the tests take.
# Of a|b, one is enough, and the first that there is.
build_depends = $(shell sed -n -e 's/ | \([a-z-]*\) .*/|\1/' -e \
  '/^Build-Depends:/,/^[A-Z]/s/^ \([a-z][^ ,]*\)$(1),\{0,1\}$$/\1/p' \
  debian/control)
BUILD_PACKAGES = g++ $(filter-out dh-%,$(call build_depends))
UNIT_TEST_PACKAGES = $(call build_depends, <!nocheck>)
# One version, which every release has: no two format alike.
CLANG_FORMAT = clang-format-19
DEMO_PACKAGES = pamtester util-linux
TEST_PACKAGES = $(UNIT_TEST_PACKAGES) bash-completion clang $(CLANG_FORMAT) \
  clang-tidy cppcheck fail2ban libclang-rt-dev mandoc shellcheck strace systemd \
  valgrind
SERVICE_PACKAGES = apache2 curl dovecot-imapd iproute2 libapache2-mod-authnz-pam \
  libnginx-mod-http-auth-pam nginx openssh-client openssh-server postgresql \
  sasl2-bin sudo systemd util-linux
MODEL_PACKAGES = gcc spin
COVERAGE_PACKAGES = clang libclang-rt-dev llvm
DEB_PACKAGES = build-essential debhelper lintian $(UNIT_TEST_PACKAGES)
PACKAGE_TEST_PACKAGES = debootstrap util-linux

# --- how it is built

BUILD = build
MACHINE := $(shell $(CXX) -dumpmachine 2>/dev/null)
MULTIARCH := $(shell $(CXX) -print-multiarch 2>/dev/null)

WARNINGS = -Wall -Wextra -Wformat=2 -Wconversion -Wshadow \
  $(if $(WERROR),-Werror)
HARDENING = -fstack-protector-strong -fstack-clash-protection \
  -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 $(CONTROL_FLOW)
# Control-flow integrity, where the processor has it.
CONTROL_FLOW = $(if $(filter x86_64-% i%86-%,$(MACHINE)),-fcf-protection) \
  $(if $(filter aarch64-%,$(MACHINE)),-mbranch-protection=standard)
# No C++ runtime in the host: see the note above the link lines.
LANGUAGE = -std=c++20 -fno-exceptions -fno-rtti -fno-threadsafe-statics \
  -fvisibility=hidden -fvisibility-inlines-hidden \
  -ffunction-sections -fdata-sections
# What --version says.
VERSION := $(shell awk -F'[()]' '{ print $$2; exit }' debian/changelog)
# Of files and times, where a processor has another size by default, too.
SIZES = -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64
# Where the module finds the helper.
BUILT_IN = -DPBSTOKEN_HELPER='"$(SBINDIR)/pbstoken-helper"' \
  -DPBSTOKEN_VERSION='"$(VERSION)"'
# Ours first, so that a packager's win; SANITIZE is for the tests.
ALL_CXXFLAGS = $(LANGUAGE) $(WARNINGS) $(HARDENING) -fPIC -Iinclude -Ihelper \
  $(SIZES) $(BUILT_IN) -MMD -MP $(CPPFLAGS) $(CXXFLAGS) $(SANITIZE)
HARDENED_LINK = -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed

# The core is compiled once for both front ends.
MODULE_SOURCES = pam_pbstoken/pam_pbstoken.cc \
  $(wildcard pam_pbstoken/module/*.cc)
CORE_SOURCES = $(filter-out $(MODULE_SOURCES),$(wildcard pam_pbstoken/*/*.cc))
# What both programs share is linked from an archive, so that each has of it
# only what it uses; the setuid one has nothing of the administrator's tool.
HELPER_SOURCES = $(wildcard helper/*.cc helper/wire/*.cc)
TOOL_SOURCES = $(wildcard helper/admin/*.cc)
SHARED_SOURCES = $(wildcard helper/io/*.cc helper/confine/*.cc helper/write/*.cc)

objects = $(patsubst %.cc,$(BUILD)/%.o,$(1))
CORE = $(BUILD)/libpbstoken-core.a
SHARED = $(BUILD)/libpbstoken-shared.a

all: $(BUILD)/pam_pbstoken.so $(BUILD)/pbstoken-helper $(BUILD)/pbstoken \
  $(BUILD)/pbstoken-helper@.service

# What is done to every byte of a request, or to every token of a large file,
# is for speed where all else is for size.
FAST = base/json base/text base/utf8 store/token_id cache/hmac cache/segment
$(FAST:%=$(BUILD)/pam_pbstoken/%.o): SPEED = $(if $(filter -Os,$(CXXFLAGS)),-O2)

$(BUILD)/%.o: %.cc Makefile
	@mkdir -p $(@D)
	$(CXX) $(ALL_CXXFLAGS) $(SPEED) -c -o $@ $<

$(BUILD)/helper/io/command_line.o: debian/changelog

$(CORE): $(call objects,$(CORE_SOURCES))
$(SHARED): $(call objects,$(SHARED_SOURCES))
$(CORE) $(SHARED):
	rm -f $@
	$(AR) rcs $@ $^

# Without the default libraries and with -z defs: a symbol of the C++ runtime
# fails the build.  So nothing of ours collides with the host's libstdc++, and
# loading stays cheap.  libgcc's static part alone is left, for what a processor
# has no instruction for: most but amd64 lack one.  SHA-256, CRYPTO_memcmp and OPENSSL_cleanse come from
# the static libcrypto, hidden, so that a host that brings functions of the
# same names cannot replace them.  nodelete: the attachments of the process
# live as long as it does.
$(BUILD)/pam_pbstoken.so: $(call objects,$(MODULE_SOURCES)) $(CORE) \
    pam_pbstoken/pam_pbstoken.map
	$(CXX) -shared -nodefaultlibs $(HARDENED_LINK) -Wl,-z,defs \
	  -Wl,-z,nodelete -Wl,--exclude-libs,ALL -Wl,--gc-sections \
	  -Wl,--no-undefined-version \
	  -Wl,--version-script=pam_pbstoken/pam_pbstoken.map \
	  $(CXXFLAGS) $(LDFLAGS) \
	  -o $@ $(call objects,$(MODULE_SOURCES)) $(CORE) \
	  -l:libcrypto.a -lpam -lc -lgcc

PROGRAM = $(CXX) -pie -nodefaultlibs $(HARDENED_LINK) -Wl,--gc-sections \
  $(CXXFLAGS) $(LDFLAGS) -o $@ $^

$(BUILD)/pbstoken-helper: $(call objects,$(HELPER_SOURCES)) $(SHARED) $(CORE)
	$(PROGRAM) -l:libcrypto.a -lcrypt -lc -lgcc

# It computes no password hash.
$(BUILD)/pbstoken: $(call objects,$(TOOL_SOURCES)) $(SHARED) $(CORE)
	$(PROGRAM) -l:libcrypto.a -lc -lgcc

$(BUILD)/pbstoken-helper@.service: helper/pbstoken-helper@.service.in Makefile
	@mkdir -p $(@D)
	sed 's,@SBINDIR@,$(SBINDIR),' $< >$@

# --- installing

# Files, if there are any, into a directory; or one under another name.
put = $(if $(strip $(1)),install -D -m 0644 -t $(DESTDIR)$(strip $(2)) $(1))
put_as = $(if $(wildcard $(1)),install -D -m 0644 $(1) $(DESTDIR)$(strip $(2)))

EXAMPLES = $(filter-out $(wildcard pam_pbstoken/examples/dovecot-*),\
  $(wildcard pam_pbstoken/examples/*)) \
  $(DOVECOT:%=pam_pbstoken/examples/dovecot-%.conf)

install: all
	$(call put,$(BUILD)/pam_pbstoken.so,$(PAMDIR))
# Setuid root, which alone needs root.  Who packages the files without being
# root makes them root's there.
	install -D -m 4755 $(if $(filter 0,$(shell id -u)),-o root -g root) \
	  -t $(DESTDIR)$(SBINDIR) $(BUILD)/pbstoken-helper
	install -D -m 0755 -t $(DESTDIR)$(SBINDIR) $(BUILD)/pbstoken
# An administrator's configuration stays.
	[ -e $(DESTDIR)$(SYSCONFDIR)/pbstoken/pbs.conf ] || \
	  $(call put,pam_pbstoken/pbs.conf,$(SYSCONFDIR)/pbstoken)
	$(call put_as,pam_pbstoken/fail2ban-filter.conf,\
	  $(SYSCONFDIR)/fail2ban/filter.d/pbstoken.conf)
	$(call put,helper/pbstoken-helper.socket \
	  $(BUILD)/pbstoken-helper@.service,$(UNITDIR))
	$(call put,$(wildcard pam_pbstoken/*.5),$(MANDIR)/man5)
	$(call put,$(wildcard pam_pbstoken/*.8 helper/*.8),$(MANDIR)/man8)
	$(call put_as,helper/pbstoken-helper.bash-completion,\
	  $(COMPLETIONDIR)/pbstoken-helper)
	$(call put_as,helper/pbstoken-helper.bash-completion,\
	  $(COMPLETIONDIR)/pbstoken)
	$(call put,pam_pbstoken/pdm.conf.example $(EXAMPLES),$(EXAMPLESDIR))

# --- testing

SUDO = $(if $(filter-out 0,$(shell id -u)),sudo)

# Installs what is missing of the packages given, and nothing else; by way of
# the command given.
define install_packages
	@missing=; for package in $(patsubst %,'%',$(1)); do \
	  dpkg-query -W -f '$${db:Status-Status}\n' \
	    $$(echo "$$package" | tr '|' ' ') 2>/dev/null | \
	    grep -qx installed || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
	  echo "installing:$$missing"; \
	  $(SUDO) apt-get update -q && $(SUDO) $(2) env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -q -y --no-install-recommends \
	    $$(for package in $$missing; do \
	      for one in $$(echo "$$package" | tr '|' ' '); do \
	        ! apt-cache show "$$one" >/dev/null 2>&1 || break; \
	      done; \
	      echo "$$one"; \
	    done); \
	fi
endef

build-packages:
	$(call install_packages,$(BUILD_PACKAGES))

demo-packages:
	$(call install_packages,$(BUILD_PACKAGES) $(DEMO_PACKAGES))

test-packages:
	$(call install_packages,$(BUILD_PACKAGES) $(DEMO_PACKAGES) \
	  $(TEST_PACKAGES) $(FUZZ_PACKAGES))

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
# quickly.
TEST_CXXFLAGS = -O0 -U_FORTIFY_SOURCE

$(BUILD)/tests/%.o: tests/%.cc
	@mkdir -p $(@D)
	$(CXX) $(ALL_CXXFLAGS) $(TEST_CXXFLAGS) -Itests -c -o $@ $<

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(TESTED)
	$(CXX) -pie $(SANITIZE) $(LDFLAGS) -o $@ $< $(TESTED) \
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

# As many compilers at once as there are processors, unless make was told.
PARALLEL = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

check: test-packages host-packages
	$(MAKE) $(PARALLEL) WERROR=1 all tests e2e-tests host-programs
	$(MAKE) $(PARALLEL) WERROR=1 BUILD=$(BUILD)/clang CXX=clang++ all
	$(MAKE) $(PARALLEL) WERROR=1 BUILD=$(SANITIZED) CXX=clang++ tests replays \
	  SANITIZE='$(SANITIZERS)'
	tests/run -j "$$(nproc)" $(UNIT_TESTS) \
	  $(patsubst $(BUILD)/%,$(SANITIZED)/%,$(UNIT_TESTS) \
	    $(filter-out $(REPLAYS_AS_ROOT),$(REPLAYS))) \
	  -p '$(VALGRIND)' $(UNIT_TESTS) \
	  -p '$(SUDO) tests/scratch' $(E2E_TESTS) \
	  $(patsubst $(BUILD)/%,$(SANITIZED)/%,$(REPLAYS_AS_ROOT)) \
	  -p 'env BUILD=$(BUILD)' $(HOST_TESTS_UNPRIVILEGED) \
	  -p '$(SUDO) env BUILD=$(BUILD) WIPES=$(BUILD)/clang tests/scratch' \
	  $(HOST_TESTS)

# What check runs for some seconds and some thousand random moments, for as
# long as one likes.  Their output is for people: it has the figures.
SOAK_SECONDS = 60
SOAK_TESTS = $(filter $(BUILD)/tests/e2e/test_stress_%,$(E2E_TESTS))

soak: test-packages
	$(MAKE) WERROR=1 $(SOAK_TESTS)
	for test in $(SOAK_TESTS); do \
	  $(SUDO) env SOAK_SECONDS=$(SOAK_SECONDS) tests/scratch $$test || exit 1; \
	done

model-packages:
	$(call install_packages,$(MODEL_PACKAGES))

model: model-packages
	tests/model/run

# What is measured is what is tested, in a build of its own, with counters that
# outlive the process (see tests/coverage); the tests themselves are not.
COVERAGE = $(BUILD)/coverage
COUNTED = -fprofile-instr-generate=$(abspath $(COVERAGE))/profile/%m%c.profraw

coverage-packages: test-packages
	$(call install_packages,$(COVERAGE_PACKAGES))

coverage: coverage-packages
	mkdir -p $(COVERAGE)/profile
	$(MAKE) $(PARALLEL) BUILD=$(COVERAGE) CXX=clang++ CXXFLAGS='-O1 -g' \
	  SANITIZE='$(COUNTED)' \
	  CPPFLAGS='-fcoverage-mapping -mllvm -runtime-counter-relocation' \
	  LDFLAGS='$(COUNTED) -Wl,-u,atexit' TEST_CXXFLAGS='$(TEST_CXXFLAGS) \
	  -fno-profile-instr-generate -fno-coverage-mapping' all tests e2e-tests
	$(SUDO) tests/coverage $(COVERAGE)

include $(wildcard tests/*/*.mk)

# Services of Debian's, each on what looks to it like a host of its own.
SERVICE_TESTS = $(wildcard tests/services/test_*)

service-packages: build-packages
	$(call install_packages,$(SERVICE_PACKAGES),tests/services/unstarted)

check-services: service-packages
	$(MAKE) WERROR=1 all
	tests/run -p '$(SUDO) tests/scratch tests/services/host' $(SERVICE_TESTS)

demo: demo-packages
	@$(MAKE) --silent all
	@$(SUDO) tests/scratch tests/demo $(BUILD)

# --- the Debian package

DEB = $(BUILD)/deb
# A package goes beside the tree that it is built in, and leaves its own there:
# so in a copy, in the directory given, by way of the command given.  Nothing of
# this make's own may reach it.
define build_deb
	rm -rf $(1)
	mkdir -p $(1)/pam-pbstoken
	cp -a $(filter-out $(firstword $(subst /, ,$(BUILD))) .git, \
	  $(wildcard * .[!.]*)) $(1)/pam-pbstoken
	cd $(1)/pam-pbstoken && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL $(2) \
	  dpkg-buildpackage -us -uc
endef

deb-packages:
	$(call install_packages,$(BUILD_PACKAGES) $(DEB_PACKAGES))

deb: deb-packages
	$(call build_deb,$(DEB))
	lintian --pedantic --fail-on error,warning $(DEB)/*.changes

package-test-packages:
	$(call install_packages,$(PACKAGE_TEST_PACKAGES))

# Once more elsewhere and otherwise, to the same bytes; and what becomes of it.
check-package: deb package-test-packages
	$(call build_deb,$(DEB)/again/in/another/place,LC_ALL=C TZ=Asia/Tokyo \
	  DEB_BUILD_OPTIONS=nocheck sh -c 'umask 027; exec "$$@"' sh)
	for package in $(DEB)/*.deb; do \
	  cmp $$package $(DEB)/again/in/another/place/$${package##*/} || exit 1; \
	done
	$(SUDO) tests/package $(DEB)/libpam-pbstoken_*.deb

# --- linting

SOURCES = $(MODULE_SOURCES) $(CORE_SOURCES) $(HELPER_SOURCES) $(TOOL_SOURCES) \
  $(SHARED_SOURCES)
TEST_SOURCES = $(wildcard tests/*.cc tests/e2e/*.cc)
FORMATTED = $(SOURCES) $(TEST_SOURCES) \
  $(wildcard include/pbstoken/*/*.h helper/*.h helper/*/*.h tests/*.h \
  tests/e2e/*.h $(foreach part,bench fuzz hosts,tests/$(part)/*.c \
  tests/$(part)/*.cc tests/$(part)/*.h))
# Those of tests/ are the files without a suffix, and those for bash.
SCRIPTS = .ci/run $(shell find tests -type f '(' -name '*.bash' -o \
  '!' -name '*.*' -size -64k -perm -u+x ')') \
  $(wildcard debian/*.postinst debian/*.prerm debian/*.postrm) \
  debian/tests/authenticate helper/pbstoken-helper.bash-completion

MANUALS = pam_pbstoken/pam_pbstoken.8 pam_pbstoken/pbstoken.conf.5 \
  helper/pbstoken-helper.8 helper/pbstoken.8

lint: test-packages
	$(CLANG_FORMAT) --dry-run --Werror $(FORMATTED)
	printf '%s\n' $(SOURCES) | xargs -P "$$(nproc)" -I FILE \
	  sh -c 'clang-tidy --quiet FILE -- $(LANGUAGE) -Iinclude -Ihelper 2>/dev/null'
	cppcheck --quiet --enable=warning,performance,portability \
	  --inline-suppr --error-exitcode=1 --std=c++20 -Iinclude -Ihelper \
	  --suppress=missingIncludeSystem \
	  --suppress=normalCheckLevelMaxBranches pam_pbstoken helper
	shellcheck $(SCRIPTS)
	tests/check-readme
	mandoc -T lint -W warning $(MANUALS)

# What takes too long for lint; a finding fails it.  Of gcc 12, which knows C,
# two kinds are left out: what std::optional holds, or a function has returned, is
# uninitialised to it (Memcheck and clang say of what really is), and what
# std::unique_ptr owns has leaked.
ANALYZED = printf '%s\n' $(SOURCES) | xargs -P "$$(nproc)" -I FILE
analyze: test-packages
	$(ANALYZED) clang++ --analyze --analyzer-output text \
	  -Xclang -analyzer-werror $(LANGUAGE) $(BUILT_IN) -Iinclude FILE
	$(ANALYZED) g++ $(LANGUAGE) $(BUILT_IN) -Iinclude -O1 -fanalyzer -Werror \
	  -Wno-analyzer-use-of-uninitialized-value -Wno-analyzer-malloc-leak \
	  -c -o /dev/null FILE

clean:
	rm -rf $(BUILD)

.PHONY: all build-packages test-packages demo-packages service-packages \
  deb-packages package-test-packages tests check-units e2e-tests check soak \
  model model-packages coverage coverage-packages check-services demo deb \
  check-package lint analyze install clean
.SECONDARY:

-include $(shell find $(BUILD) '(' -path $(DEB) -o -path $(BUILD)/roots ')' -prune -o \
  -type f -name '*.d' -print 2>/dev/null)
