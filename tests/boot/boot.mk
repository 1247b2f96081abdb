# SPDX-License-Identifier: BSD-3-Clause
#
# Part of the Makefile: the package on a host that boots.

# The release that was asked for, else the host's.
BOOT_RELEASE = $(if $(filter command environment,$(firstword $(origin RELEASE))),\
  $(RELEASE),$(OWN_RELEASE))
# The package is built on its own release.
BOOT_IS_OWN = $(filter $(OWN_RELEASE),$(BOOT_RELEASE))
BOOT_DEB = $(if $(BOOT_IS_OWN),,$(BUILD)/roots/$(strip $(BOOT_RELEASE))/tree/)$(DEB)

check-boot: boot-packages
	$(if $(BOOT_IS_OWN),$(MAKE) deb)
	$(if $(BOOT_IS_OWN),,$(SUDO) env BUILD=$(BUILD) \
	  tests/elsewhere/release $(BOOT_RELEASE) make deb)
	$(SUDO) env BUILD=$(BUILD) tests/boot/run $(BOOT_RELEASE) \
	  $(BOOT_DEB)/libpam-pbstoken_*_amd64.deb

.PHONY: check-boot
