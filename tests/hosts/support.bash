# SPDX-License-Identifier: BSD-3-Clause
# For the tests below tests/hosts, each of which is to be run by tests/scratch
# at the top of the tree: the module as an administrator would have it, a token,
# and the services of PAM.
#
# $BUILD is where the module was built; its hosts are in $BUILD/tests/hosts,
# unless $HOSTS says otherwise.
# shellcheck shell=bash disable=SC2034 # variables are for the tests
set -euo pipefail

BUILD=$(realpath "${BUILD-build}")
HOSTS=$(realpath "${HOSTS-$BUILD/tests/hosts}")
id='john@pbs!client1'
secret=0f1e2d3c-4b5a-4697-8877-665544332211
# With a cheap method: what a hash costs is not the subject here.
# shellcheck disable=SC2016 # '$' is the hash's own
hash='$1$saltSALT$lHPz11wy18RFFbRFGVfYk/'
wrong=ffffffff-ffff-4fff-8fff-ffffffffffff
member=33:33:4711 # www-data, in the group below

module=$SCRATCH/host/pam_pbstoken.so
helper=$SCRATCH/host/pbstoken-helper
tool=$BUILD/pbstoken

# service NAME LINE
service() {
  printf '%s\n' "$2" >"/etc/pam.d/$1"
}

install_module() {
  install -D -m 0755 "$BUILD/pam_pbstoken.so" "$module"
  install -D -m 4755 "$BUILD/pbstoken-helper" "$helper"
  grep -q '^pbstoken:' /etc/group || echo 'pbstoken:x:4711:www-data' >>/etc/group
  printf '{"%s":"%s"}' "$id" "$hash" >/etc/proxmox-backup/token.shadow
  chmod 0640 /etc/proxmox-backup/token.shadow
  # What is known stays known, so that a host that is not root either needs the
  # helper or does not; which is told both.
  echo 'cache_ttl = 3600' >/etc/pbstoken/pbs.conf
  warm_up
  # A younger configuration is not remembered: memory would grow later.
  sleep 2.1
  # libpam reads it with every other, and loads what it names.
  service other "auth required $module"
  service host "auth required $module helper=$helper quiet"
  service host-loud "auth required $module helper=$helper"
  service host-nocache "auth required $module helper=$helper quiet nocache"
}

# The segment anew, and in it the answers to both secrets.
warm_up() {
  "$BUILD/pbstoken" flush
  "$helper" verify -- "$id" <<<"$secret"
  ! "$helper" verify -- "$id" <<<"$wrong" 2>/dev/null
}

# Another root directory, with PAM and the module, and the same tokens; but
# nothing in /etc/pbstoken.
make_root() {
  export HOST_ROOT=$SCRATCH/root
  local directory
  for directory in usr dev tmp etc/pam.d etc/proxmox-backup run "${SCRATCH#/}/host"; do
    mkdir -p "$HOST_ROOT/$directory"
  done
  for directory in /usr "$SCRATCH/host"; do
    mount --bind "$directory" "$HOST_ROOT$directory"
  done
  cp -P /lib* /bin /sbin "$HOST_ROOT"
  cp /etc/pam.d/{host,host-nocache,other} "$HOST_ROOT/etc/pam.d"
  cp /etc/passwd /etc/group /etc/ld.so.cache "$HOST_ROOT/etc"
  cp -p /etc/proxmox-backup/token.shadow "$HOST_ROOT/etc/proxmox-backup"
}

# run_host NAME SERVICE USER: one program of the suite.
run_host() {
  printf '%s\n%s\n' "$secret" "$wrong" | "$HOSTS/host_$1" "$2" "$3"
}

failed=0
# report NAME COMMAND...: a test, as cmocka reports it.
report() {
  local name=$1 status=0 said
  shift
  # Not as a condition, where nothing of it would end it.
  set +e
  said=$(set -e; "$@" 2>&1)
  status=$?
  set -e
  if [ "$status" -eq 0 ]; then
    echo "[       OK ] $name"
  else
    echo "[  FAILED  ] $name"
    failed=1
  fi
  [ -z "$said" ] || printf '%s\n' "$said" | sed 's/^/# /'
}

# --- the suite

suite=(surroundings children descriptors threads forks limits denied places
  symbols cycles runtime runtime_libcxx runtime_both)

export HOST_EXPECTED=tests/hosts/expected

# run_suite SERVICE USER
run_suite() {
  local host
  for host in "${suite[@]}"; do
    run_host "$host" "$1" "$2" || failed=1
  done
}

ended() {
  exit "$failed"
}
