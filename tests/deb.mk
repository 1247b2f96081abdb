# SPDX-License-Identifier: BSD-3-Clause
#
# Part of the Makefile: the Debian package.

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

deb: deb-packages
	$(call build_deb,$(DEB))
	lintian --pedantic --fail-on error,warning $(DEB)/*.changes

# Once more elsewhere and otherwise, to the same bytes; and what becomes of it.
check-package: deb package-test-packages
	$(call build_deb,$(DEB)/again/in/another/place,LC_ALL=C TZ=Asia/Tokyo \
	  DEB_BUILD_OPTIONS=nocheck sh -c 'umask 027; exec "$$@"' sh)
	for package in $(DEB)/*.deb; do \
	  cmp $$package $(DEB)/again/in/another/place/$${package##*/} || exit 1; \
	done
	$(SUDO) tests/package $(DEB)/libpam-pbstoken_*.deb

.PHONY: deb check-package
