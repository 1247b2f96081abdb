# SPDX-License-Identifier: BSD-3-Clause
#
# Part of the Makefile: the other release of Debian, and other processors.

# --- make check on the other release, in a root that is made once

OWN_RELEASE = $(shell . /etc/os-release && echo $$VERSION_CODENAME)
RELEASE = $(firstword $(filter-out $(OWN_RELEASE),bookworm trixie))

IN_OTHER = $(SUDO) env BUILD=$(BUILD) TALLY="$$TALLY" \
  tests/elsewhere/release $(RELEASE)

check-other: other-packages
	$(IN_OTHER) make check PRECOMPILED=

# The root with what check takes, which mostly waits for the network.
other-root: other-packages
	$(IN_OTHER) make host-packages

# --- built for another processor, and the unit tests by qemu-user

ARCH = arm64
CROSS = $(BUILD)/$(ARCH)
CROSS_TYPE = $(shell dpkg-architecture -a$(ARCH) -qDEB_HOST_GNU_TYPE 2>/dev/null)
CROSS_QEMU = qemu-$(or $(EMULATED_$(ARCH)),$(ARCH))
EMULATED_arm64 = aarch64
EMULATED_armhf = arm
EMULATED_ppc64el = ppc64le

# qemu-user passes on no filter of seccomp(2), and a turn of the scheduler only
# in part; and FUTEX_WAKE_OP adds in the byte order of the host's processor.
CROSS_TESTS = $(filter-out %/test_slice \
  $(if $(filter s390x,$(ARCH)),%/test_version_word),$(UNIT_TESTS))

cross: cross-packages
	$(MAKE) $(PARALLEL) WERROR=1 BUILD=$(CROSS) CXX=$(CROSS_TYPE)-g++ \
	  AR=$(CROSS_TYPE)-ar all tests
	tests/run -j "$$(nproc)" -p $(CROSS_QEMU) \
	  $(CROSS_TESTS:$(BUILD)/%=$(CROSS)/%)

.PHONY: check-other other-root cross
