# SPDX-License-Identifier: BSD-3-Clause
#
# Part of the Makefile: linters and static analysers.

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
  debian/tests/authenticate helper/pbstoken-helper.bash-completion \
  helper/cluster/pbstoken-cluster helper/cluster/pbstoken-cluster.bash-completion

MANUALS = pam_pbstoken/pam_pbstoken.8 pam_pbstoken/pbstoken.conf.5 \
  helper/pbstoken-helper.8 helper/pbstoken.8 helper/cluster/pbstoken-cluster.8

# clang's static analyzer without the longest paths, which are `make analyze`'s.
TIDY_OPTIONS = $(LANGUAGE) -Iinclude -Ihelper -Wreserved-identifier \
  -Xclang -analyzer-config -Xclang mode=shallow

# cppcheck of Debian 13 takes a std::span for the owner of its elements; the
# compilers know better what dangles.
lint: lint-packages
	$(CLANG_FORMAT) --dry-run --Werror $(FORMATTED)
	printf '%s\n' $(SOURCES) | xargs -P "$$(nproc)" -I FILE \
	  sh -c '$(CLANG_TIDY) --quiet FILE -- $(TIDY_OPTIONS) 2>/dev/null'
	cppcheck --quiet --enable=warning,performance,portability \
	  --inline-suppr --error-exitcode=1 --std=c++20 -Iinclude -Ihelper \
	  --suppress=missingIncludeSystem --suppress=returnDanglingLifetime \
	  --suppress=normalCheckLevelMaxBranches pam_pbstoken helper
	tests/lint/include_order
	tests/lint/plain_words
	tests/lint/diagnostics
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
	  -Xclang -analyzer-werror $(LANGUAGE) $(BUILT_IN) -Iinclude -Ihelper FILE
	$(ANALYZED) g++ $(LANGUAGE) $(BUILT_IN) -Iinclude -Ihelper -O1 -fanalyzer -Werror \
	  -Wno-analyzer-use-of-uninitialized-value -Wno-analyzer-malloc-leak \
	  -c -o /dev/null FILE

.PHONY: lint analyze
