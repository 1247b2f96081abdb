# SPDX-License-Identifier: BSD-3-Clause
#
# Part of the Makefile: the other release of Debian, and other processors.

# --- make check on the other release, in a root that is made once

OWN_RELEASE = $(shell . /etc/os-release && echo $$VERSION_CODENAME)
RELEASE = $(firstword $(filter-out $(OWN_RELEASE),bookworm trixie))
OTHER_PACKAGES = debootstrap util-linux

other-packages:
	$(call install_packages,$(OTHER_PACKAGES))

check-other: other-packages
	$(SUDO) env BUILD=$(BUILD) TALLY="$$TALLY" \
	  tests/elsewhere/release $(RELEASE) make check

# --- built for another processor, and the unit tests by qemu-user

ARCH = arm64
CROSS = $(BUILD)/$(ARCH)
CROSS_TYPE = $(shell dpkg-architecture -a$(ARCH) -qDEB_HOST_GNU_TYPE 2>/dev/null)
CROSS_QEMU = qemu-$(or $(EMULATED_$(ARCH)),$(ARCH))
EMULATED_arm64 = aarch64
EMULATED_armhf = arm
# Headers alone are the same for every processor.
CROSS_PACKAGES = crossbuild-essential-$(ARCH) dpkg-dev qemu-user \
  $(patsubst %,%:$(ARCH),$(filter-out rapidjson-dev,\
  $(filter lib%-dev,$(BUILD_PACKAGES) $(UNIT_TEST_PACKAGES))))

cross-packages: build-packages
	dpkg --print-foreign-architectures | grep -qx $(ARCH) || \
	  { $(SUDO) dpkg --add-architecture $(ARCH) && $(SUDO) apt-get update -q; }
	$(call install_packages,$(CROSS_PACKAGES))

cross: cross-packages
	$(MAKE) $(PARALLEL) WERROR=1 BUILD=$(CROSS) CXX=$(CROSS_TYPE)-g++ \
	  AR=$(CROSS_TYPE)-ar all tests
	tests/run -j "$$(nproc)" -p $(CROSS_QEMU) \
	  $(patsubst $(BUILD)/%,$(CROSS)/%,$(UNIT_TESTS))

.PHONY: other-packages check-other cross-packages cross
