# SPDX-License-Identifier: BSD-3-Clause
#
# Part of the Makefile: Debian's packages that a target needs, all in one place,
# and how they are installed.

# debian/control says what the build takes, one package a line; debhelper's own
# apart, which `make deb` alone needs, and with <!nocheck> what the tests take.
# Of a|b, the first that there is.
build_depends = $(shell sed -n -e 's/ | \([a-z-]*\) .*/|\1/' -e \
  '/^Build-Depends:/,/^[A-Z]/s/^ \([a-z][^ ,]*\)$(1),\{0,1\}$$/\1/p' \
  debian/control)
BUILD_PACKAGES = g++ $(filter-out dh-%,$(call build_depends))
UNIT_TEST_PACKAGES = $(call build_depends, <!nocheck>)
# One version, which every release has: no two format alike, or find the same.
CLANG_FORMAT = clang-format-19
CLANG_TIDY = clang-tidy-19
DEMO_PACKAGES = pamtester util-linux
LINT_PACKAGES = $(CLANG_FORMAT) $(CLANG_TIDY) cppcheck mandoc shellcheck
TEST_PACKAGES = $(BUILD_PACKAGES) $(DEMO_PACKAGES) $(UNIT_TEST_PACKAGES) \
  $(FUZZ_PACKAGES) bash-completion bindfs clang fail2ban libclang-rt-dev \
  python3-prometheus-client strace systemd valgrind
SERVICE_PACKAGES = $(BENCH_PACKAGES_services) curl etcd-client etcd-server \
  openssl openvpn pamtester sasl2-bin squid sudo util-linux
MODEL_PACKAGES = gcc spin
COVERAGE_PACKAGES = clang libclang-rt-dev llvm
DEB_PACKAGES = build-essential debhelper lintian $(UNIT_TEST_PACKAGES)
PACKAGE_TEST_PACKAGES = debootstrap util-linux
BOOT_PACKAGES = debootstrap e2fsprogs qemu-system-x86
# What each part of the benchmarks takes, and what one of them takes besides.
BENCH_PACKAGES = gnuplot-nox libpam-pwdfile util-linux
BENCH_PACKAGES_core = strace
BENCH_PACKAGES_services = apache2 dovecot-imapd iproute2 \
  libapache2-mod-authnz-pam libnginx-mod-http-auth-pam nginx openssh-client \
  openssh-server postgresql systemd
COMPARE_PACKAGES = libpam-pwdfile util-linux valgrind
OTHER_PACKAGES = debootstrap util-linux
FUZZ_PACKAGES = clang libclang-rt-dev libsimdjson-dev util-linux
HOST_PACKAGES = clang devscripts gcc gdb libc++-dev libc++abi-dev lld llvm \
  valgrind
# Headers alone are the same for every processor.
CROSS_PACKAGES = crossbuild-essential-$(ARCH) dpkg-dev qemu-user \
  libstdc++6:$(ARCH) $(patsubst %,%:$(ARCH),$(filter-out rapidjson-dev,\
  $(filter lib%-dev,$(BUILD_PACKAGES) $(UNIT_TEST_PACKAGES))))

SUDO = $(if $(filter-out 0,$(shell id -u)),sudo)

# The package that $package means, or the first of a|b that there is; before the
# first update of the lists, a.
one_of_alternatives = one=$${package%%|*}; \
  [ "$$one" = "$$package" ] || ! ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1 || \
  apt-cache show "$$one" >/dev/null 2>&1 || \
  one=$${package\#\#*|}

# Installs what is missing of the packages given, and nothing else; by way of
# the command given.
define install_packages
	@missing=; for package in $(patsubst %,'%',$(1)); do \
	  $(one_of_alternatives); \
	  dpkg-query -W -f '$${db:Status-Status}\n' "$$one" 2>/dev/null | \
	    grep -qx installed || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
	  echo "installing:$$missing"; \
	  $(SUDO) apt-get update -q && $(SUDO) $(2) env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -q -y --no-install-recommends \
	    $$(for package in $$missing; do \
	      $(one_of_alternatives); \
	      echo "$$one"; \
	    done); \
	fi
endef

build-packages:
	$(call install_packages,$(BUILD_PACKAGES))

demo-packages:
	$(call install_packages,$(BUILD_PACKAGES) $(DEMO_PACKAGES))

lint-packages: build-packages
	$(call install_packages,$(LINT_PACKAGES))

test-packages:
	$(call install_packages,$(TEST_PACKAGES))

bench-packages: build-packages
	$(call install_packages,$(BENCH_PACKAGES) \
	  $(foreach part,$(bench_parts),$(BENCH_PACKAGES_$(part))),tests/services/unstarted)

compare-packages: build-packages
	$(call install_packages,$(COMPARE_PACKAGES))

other-packages:
	$(call install_packages,$(OTHER_PACKAGES))

fuzz-packages: build-packages
	$(call install_packages,$(FUZZ_PACKAGES))

host-packages:
	$(call install_packages,$(TEST_PACKAGES) $(HOST_PACKAGES))

model-packages:
	$(call install_packages,$(MODEL_PACKAGES))

coverage-packages: test-packages
	$(call install_packages,$(COVERAGE_PACKAGES))

service-packages: build-packages
	$(call install_packages,$(SERVICE_PACKAGES),tests/services/unstarted)

deb-packages:
	$(call install_packages,$(BUILD_PACKAGES) $(DEB_PACKAGES))

package-test-packages:
	$(call install_packages,$(PACKAGE_TEST_PACKAGES))

boot-packages:
	$(call install_packages,$(BOOT_PACKAGES))

cross-packages: build-packages
	dpkg --print-foreign-architectures | grep -qx $(ARCH) || \
	  { $(SUDO) dpkg --add-architecture $(ARCH) && $(SUDO) apt-get update -q; }
	$(call install_packages,$(CROSS_PACKAGES))

.PHONY: build-packages demo-packages lint-packages test-packages bench-packages \
  compare-packages other-packages fuzz-packages host-packages model-packages \
  coverage-packages service-packages deb-packages package-test-packages \
  boot-packages cross-packages
