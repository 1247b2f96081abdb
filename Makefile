# SPDX-License-Identifier: BSD-3-Clause
#
# make            the module and the helper, under build/
# make demo       what they do, on real input, in a scratch namespace
# make check      everything that is tested
# make lint       clang-format, clang-tidy, cppcheck
# make install    DESTDIR= PREFIX= PAMDIR=
#
# demo, check and lint install the packages that they need.

# --- what an administrator may choose

DESTDIR =
PREFIX = /usr
PAMDIR = $(PREFIX)/lib/$(MULTIARCH)/security
SBINDIR = $(PREFIX)/sbin

CXX = g++
CXXFLAGS = -O2 -g
CPPFLAGS =
LDFLAGS =
WERROR =

# --- Debian packages: to build, and to test

BUILD_PACKAGES = g++ libcrypt-dev libpam0g-dev libssl-dev rapidjson-dev
TEST_PACKAGES = clang clang-format clang-tidy cppcheck libcmocka-dev \
  pamtester python3 util-linux valgrind

# --- how it is built

BUILD = build
MULTIARCH := $(shell $(CXX) -print-multiarch 2>/dev/null)

WARNINGS = -Wall -Wextra -Wformat=2 -Wconversion -Wshadow \
  $(if $(WERROR),-Werror)
HARDENING = -fstack-protector-strong -fstack-clash-protection \
  -fcf-protection -D_FORTIFY_SOURCE=2
# No C++ runtime in the host: see the note above the link lines.
LANGUAGE = -std=c++20 -fno-exceptions -fno-rtti -fno-threadsafe-statics \
  -fvisibility=hidden -fvisibility-inlines-hidden
# Ours first, so that a packager's win; SANITIZE is for the tests.
ALL_CXXFLAGS = $(LANGUAGE) $(WARNINGS) $(HARDENING) -fPIC -Iinclude \
  -MMD -MP $(CPPFLAGS) $(CXXFLAGS) $(SANITIZE)
HARDENED_LINK = -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed

# The core is compiled once for both front ends.
MODULE_SOURCES = pam_pbstoken/pam_pbstoken.cc \
  $(wildcard pam_pbstoken/module_*.cc)
CORE_SOURCES = $(filter-out $(MODULE_SOURCES),$(wildcard pam_pbstoken/*.cc))
HELPER_SOURCES = $(wildcard helper/*.cc)

objects = $(patsubst %.cc,$(BUILD)/%.o,$(1))
CORE = $(BUILD)/libpbstoken-core.a

all: $(BUILD)/pam_pbstoken.so $(BUILD)/pbstoken-helper

$(BUILD)/%.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(ALL_CXXFLAGS) -c -o $@ $<

$(CORE): $(call objects,$(CORE_SOURCES))
	$(AR) rcs $@ $^

# Without the default libraries and with -z defs: a symbol of the C++ runtime
# fails the build.  So nothing of ours collides with the host's libstdc++, and
# loading stays cheap.  SHA-256, CRYPTO_memcmp and OPENSSL_cleanse come from
# the static libcrypto, hidden, so that a host that brings functions of the
# same names cannot replace them.  nodelete: the attachments of the process
# live as long as it does.
$(BUILD)/pam_pbstoken.so: $(call objects,$(MODULE_SOURCES)) $(CORE) \
    pam_pbstoken/pam_pbstoken.map
	$(CXX) -shared -nodefaultlibs $(HARDENED_LINK) -Wl,-z,defs \
	  -Wl,-z,nodelete -Wl,--exclude-libs,ALL -Wl,--gc-sections \
	  -Wl,--no-undefined-version \
	  -Wl,--version-script=pam_pbstoken/pam_pbstoken.map $(LDFLAGS) \
	  -o $@ $(call objects,$(MODULE_SOURCES)) $(CORE) \
	  -l:libcrypto.a -lpam -lc

$(BUILD)/pbstoken-helper: $(call objects,$(HELPER_SOURCES)) $(CORE)
	$(CXX) -pie -nodefaultlibs $(HARDENED_LINK) -Wl,--gc-sections \
	  $(LDFLAGS) -o $@ $(call objects,$(HELPER_SOURCES)) $(CORE) \
	  -l:libcrypto.a -lcrypt -lc

# --- installing

install: all
	install -D -m 0644 $(BUILD)/pam_pbstoken.so \
	  $(DESTDIR)$(PAMDIR)/pam_pbstoken.so
	install -D -m 0755 $(BUILD)/pbstoken-helper \
	  $(DESTDIR)$(SBINDIR)/pbstoken-helper
# The setuid bit, which alone needs root:
	chmod 4755 $(DESTDIR)$(SBINDIR)/pbstoken-helper

# --- testing

SUDO = $(if $(filter-out 0,$(shell id -u)),sudo)

# Installs what is missing of the packages given, and nothing else.
define install_packages
	@missing=; for package in $(1); do \
	  dpkg-query -W -f '$${db:Status-Status}\n' $$package 2>/dev/null | \
	    grep -qx installed || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
	  echo "installing:$$missing"; \
	  $(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -q -y --no-install-recommends $$missing; \
	fi
endef

build-packages:
	$(call install_packages,$(BUILD_PACKAGES))

test-packages:
	$(call install_packages,$(BUILD_PACKAGES) $(TEST_PACKAGES))

# Unit tests: tests/test_SUBJECT.cc, no root needed.  They are linked with all
# of the core and of the helper but its main().
UNIT_TESTS = $(patsubst tests/%.cc,$(BUILD)/tests/%,$(wildcard tests/test_*.cc))
TESTED = $(call objects,$(filter-out helper/main.cc,$(HELPER_SOURCES))) $(CORE)
# End-to-end tests: tests/e2e/test_SUBJECT.cc, over the real libpam, as root in
# a namespace of their own.
E2E_TESTS = $(patsubst tests/%.cc,$(BUILD)/tests/%,$(wildcard tests/e2e/test_*.cc))

$(BUILD)/tests/%.o: tests/%.cc
	@mkdir -p $(@D)
	$(CXX) $(ALL_CXXFLAGS) -Itests -Ihelper -Ipam_pbstoken -c -o $@ $<

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(TESTED)
	$(CXX) -pie $(SANITIZE) $(LDFLAGS) -o $@ $< $(TESTED) \
	  -l:libcrypto.a -lcrypt -lpam -lcmocka -lpthread

tests: $(UNIT_TESTS)
e2e-tests: all $(E2E_TESTS)

check-unit: tests
	tests/run $(UNIT_TESTS)

.PHONY: build-packages test-packages tests e2e-tests check-unit
.SECONDARY:

clean:
	rm -rf $(BUILD)

.PHONY: all install clean

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
