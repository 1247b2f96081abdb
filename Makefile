# SPDX-License-Identifier: BSD-3-Clause
#
# make            the module and the two programs, under build/
# make install    DESTDIR= PREFIX= SYSCONFDIR= PAMDIR= UNITDIR=
# make install-host     the part of that which a host needs by itself
# make install-cluster  the other part: pbstoken-cluster
# make uninstall  with the same, removes what make install has installed
# make clean      removes build/
# make demo       what they do, on real input, in a scratch namespace
# make check      builds with both compilers, runs every test
# make deb        the Debian package, under build/deb, and lintian's word on it
# make help       all the other targets: services, benchmarks, fuzzers, ...
#
# Each of those that test or package installs the packages that it needs.

# --- what an administrator may choose

DESTDIR =
PREFIX = /usr
SYSCONFDIR = /etc
PAMDIR = $(PREFIX)/lib/$(MULTIARCH)/security
SBINDIR = $(PREFIX)/sbin
# systemd's own word, which is another one where /lib is not /usr/lib.
UNITDIR = $(or $(strip $(if $(filter /usr,$(PREFIX)),\
  $(shell pkg-config --variable=systemdsystemunitdir systemd 2>/dev/null))),\
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

# --- how it is built

BUILD = build
MACHINE := $(shell $(CXX) -dumpmachine 2>/dev/null)
MULTIARCH := $(shell $(CXX) -print-multiarch 2>/dev/null)

WARNINGS = -Wall -Wextra -Wformat=2 -Wconversion -Wshadow \
  $(if $(WERROR),-Werror)
HARDENING = -fstack-protector-strong -fstack-clash-protection \
  -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 $(CONTROL_FLOW)
# Control-flow integrity, where the processor has it.
CONTROL_FLOW = $(if $(filter x86_64-% i386-% i486-% i586-% i686-%,$(MACHINE)),-fcf-protection) \
  $(if $(filter aarch64-%,$(MACHINE)),-mbranch-protection=standard)
# No C++ runtime in the host: see the note above the link lines.
LANGUAGE = -std=c++20 -fno-exceptions -fno-rtti -fno-threadsafe-statics \
  -fvisibility=hidden -fvisibility-inlines-hidden \
  -ffunction-sections -fdata-sections
# What --version says.
VERSION := $(shell awk -F'[()]' '{ print $$2; exit }' debian/changelog)
# Of files and times: 64 bits on 32-bit processors, too.
SIZES := $(if $(filter 4,$(shell echo __SIZEOF_LONG__ | \
  $(CXX) -E -P -xc - 2>/dev/null)),-D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64)
# Where the module finds the helper, and libpam a module: there, whatever PREFIX
# ours has.
BUILT_IN = -DPBSTOKEN_HELPER='"$(SBINDIR)/pbstoken-helper"' \
  -DPBSTOKEN_MODULES='"/lib/$(MULTIARCH)/security"' \
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

SERVICES = $(patsubst helper/%.in,$(BUILD)/%,$(wildcard helper/*.service.in))
UNITS = $(SERVICES) $(wildcard helper/*.socket helper/*.timer)
CLUSTER_UNIT = $(BUILD)/pbstoken-cluster@.service

all: $(BUILD)/pam_pbstoken.so $(BUILD)/pbstoken-helper $(BUILD)/pbstoken \
  $(SERVICES) $(CLUSTER_UNIT)

# What is done to every byte of a request, or to every token of a large file,
# is for speed where all else is for size.
FAST = base/json base/text base/utf8 store/token_id cache/hmac cache/segment \
  cache/writable_segment
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

# -nodefaultlibs and -z defs: a symbol of the C++ runtime fails the build, so
# nothing of ours collides with the host's libstdc++, and loading stays cheap.
# libgcc's static part stands in for instructions that a processor lacks.
# SHA-256, CRYPTO_memcmp and OPENSSL_cleanse come from the static libcrypto,
# hidden: a host that brings functions of the same names cannot replace them.
# nodelete: the attachments of the process live as long as it does.
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

$(BUILD)/pbstoken: $(call objects,$(TOOL_SOURCES)) $(SHARED) $(CORE)
	$(PROGRAM) -l:libcrypto.a -lcrypt -lc -lgcc

vpath %.service.in helper helper/cluster
$(BUILD)/%.service: %.service.in Makefile
	@mkdir -p $(@D)
	sed 's,@SBINDIR@,$(SBINDIR),' $< >$@

# --- installing

# Files, if there are any, into a directory; or one under another name.
put = $(if $(strip $(1)),install -D -m 0644 -t $(DESTDIR)$(strip $(2)) $(1))
put_as = $(if $(wildcard $(1)),install -D -m 0644 $(1) $(DESTDIR)$(strip $(2)))

EXAMPLES = $(filter-out $(wildcard pam_pbstoken/examples/dovecot-*),\
  $(wildcard pam_pbstoken/examples/*)) \
  $(DOVECOT:%=pam_pbstoken/examples/dovecot-%.conf)

install: install-host install-cluster

install-host: all
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
	$(call put,$(UNITS),$(UNITDIR))
	$(call put,$(wildcard pam_pbstoken/*.5),$(MANDIR)/man5)
	$(call put,$(wildcard pam_pbstoken/*.8 helper/*.8),$(MANDIR)/man8)
	$(call put_as,helper/pbstoken-helper.bash-completion,\
	  $(COMPLETIONDIR)/pbstoken-helper)
	$(call put_as,helper/pbstoken-helper.bash-completion,\
	  $(COMPLETIONDIR)/pbstoken)
	$(call put,pam_pbstoken/pdm.conf.example $(EXAMPLES),$(EXAMPLESDIR))

install-cluster: $(CLUSTER_UNIT)
	install -D -m 0755 -t $(DESTDIR)$(SBINDIR) helper/cluster/pbstoken-cluster
	$(call put,$(CLUSTER_UNIT),$(UNITDIR))
	$(call put,helper/cluster/pbstoken-cluster.8,$(MANDIR)/man8)
	$(call put_as,helper/cluster/pbstoken-cluster.bash-completion,\
	  $(COMPLETIONDIR)/pbstoken-cluster)

# Where it has put them.
placed = $(addprefix $(DESTDIR)$(strip $(2))/,$(notdir $(1)))

# No more than that: a configuration that somebody has changed stays, and so does
# a directory with anything else in it.
uninstall:
	rm -f $(call placed,pam_pbstoken.so,$(PAMDIR)) \
	  $(call placed,pbstoken-helper pbstoken pbstoken-cluster,$(SBINDIR)) \
	  $(call placed,pbstoken.conf,$(SYSCONFDIR)/fail2ban/filter.d) \
	  $(call placed,$(UNITS) $(CLUSTER_UNIT),$(UNITDIR)) \
	  $(call placed,$(wildcard pam_pbstoken/*.5),$(MANDIR)/man5) \
	  $(call placed,$(wildcard pam_pbstoken/*.8 helper/*.8 helper/*/*.8),$(MANDIR)/man8) \
	  $(call placed,pbstoken-helper pbstoken pbstoken-cluster,$(COMPLETIONDIR)) \
	  $(call placed,pdm.conf.example $(EXAMPLES),$(EXAMPLESDIR))
	! cmp -s pam_pbstoken/pbs.conf $(DESTDIR)$(SYSCONFDIR)/pbstoken/pbs.conf || \
	  rm -f $(DESTDIR)$(SYSCONFDIR)/pbstoken/pbs.conf
	rmdir $(DESTDIR)$(SYSCONFDIR)/pbstoken $(DESTDIR)$(EXAMPLESDIR) \
	  $(DESTDIR)$(dir $(EXAMPLESDIR)) 2>/dev/null || true

clean:
	rm -rf $(BUILD)

.PHONY: all install install-host install-cluster uninstall clean
.SECONDARY:

include tests/tests.mk

-include $(shell find $(BUILD) '(' -path $(BUILD)/deb -o -path $(BUILD)/roots -o \
  -path $(BUILD)/boot ')' -prune -o -type f -name '*.d' -print 2>/dev/null)
