# SPDX-License-Identifier: BSD-3-Clause
# For the tests of services: reports as cmocka's are, so that tests/run adds
# them up; tokens; and what every service must do with them.
#
# A test sets `id` and `other`, token ids of two users, starts its service, and
# says how it is asked: `ask TOKENID SECRET` prints `accepted`, `refused`, or
# what else became of it, so that a service that is down refuses nobody.
# shellcheck shell=bash disable=SC2034,SC2154 # variables are set here or there
set -euo pipefail

examples=$SCRATCH/examples
tokens=/etc/proxmox-backup
configuration=/etc/pbstoken/pbs.conf
log=$SCRATCH/log
failed=0

# The wrong secrets of all tests of a service are those of one minute.
grep -qs '^fail_limit' "$configuration" ||
  echo 'fail_limit = 100' >>"$configuration"

# --- tests, which are functions that end at the first thing that fails

# run_test NAME COMMAND...
run_test() {
  local status
  # Not as a condition, where nothing of it would end it.
  set +e
  (
    set -e
    "${@:2}"
  ) >"$log.test" 2>&1
  status=$?
  set -e
  if [ "$status" -eq 0 ]; then
    echo "[       OK ] $1"
  else
    echo "[  FAILED  ] $1"
    cat "$log.test"
    failed=1
  fi
}

run_tests() {
  local test
  for test; do
    run_test "$test" "$test"
  done
}

# A test fails with any of its tests, and if it could not set something up; then
# it shows what the services have said.
ended() {
  local status=$?
  [ "$status" -ne 0 ] || status=$failed
  if [ "$status" -ne 0 ] && [ -e "$log" ]; then
    tail -n 40 "$log"
  fi
  exit "$status"
}
trap ended EXIT

fail() {
  echo "$*"
  return 1
}

# equal WHAT EXPECTED IS
equal() {
  [ "$3" = "$2" ] || fail "$1 is $3, not $2"
}

# expect ANSWER TOKENID SECRET
expect() {
  local answer
  answer=$(ask "$2" "$3")
  [ "$answer" = "$1" ] || fail "${FUNCNAME[1]}: $2 was $answer, not $1"
}

# --- services

# start COMMAND...: goes on until it is stopped; its pid is $service.
start() {
  "$@" >>"$log" 2>&1 &
  service=$!
}

stop() {
  kill "$1" && wait "$1"
}

port_is_open() {
  (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# until_true COMMAND...: which succeeds within 30 s.
until_true() {
  local i
  for ((i = 0; i < 600; ++i)); do
    ! "$@" || return 0
    sleep 0.05
  done
  fail "never: $*"
}

# The helper, as its units have it, which want a systemd: the service gets the listening
# socket as its standard input, and begins anew when it has ended, as it does
# after each change of its configuration.
start_socket() {
  local path
  path=$(sed -n 's/^ListenStream=//p' helper/pbstoken-helper.socket)
  mkdir -p "${path%/*}"
  start systemd-socket-activate -l "$path" \
    sh -c 'while /usr/sbin/pbstoken-helper serve <&3 3<&-; do :; done'
  until_true chmod 0660 "$path" 2>/dev/null
  chown root:pbstoken "$path"
}

# example NAME PATH [MODE]
example() {
  install -D -m "${3-0644}" "$examples/$1" "$2"
}

# ask_web PORT TOKENID SECRET
ask_web() {
  local code
  code=$(curl -s -m 60 -o /dev/null -w '%{http_code}' -u "$2:$3" \
    "http://127.0.0.1:$1/")
  case $code in
    200) echo accepted ;;
    401) echo refused ;;
    *) echo "answered with $code" ;;
  esac
}

# --- tokens

value() {
  sed -n 's/^value: *//p'
}
generate() {
  pbstoken-helper generate "$1" | value
}
# rotate TOKENID SECRET
rotate() {
  printf '%s\n' "$2" | pbstoken-helper rotate "$1" | value
}
counter() {
  pbstoken status | sed -n "s/^$1: *//p"
}

user_of() {
  printf '%s\n' "${1%%@*}"
}

# Who is on the host, for services that let them in.
password='a password of nobody else'
add_users_with_password() {
  local user
  for user in "$(user_of "$id")" "$(user_of "$other")"; do
    getent passwd "$user" >/dev/null ||
      useradd --home-dir / --shell /bin/sh "$user"
    chpasswd -c SHA512 <<<"$user:$password"
  done
}

# users [PROPERTY...]: user.cfg, with both users and their tokens; of the first
# user and of her token with these properties.
users() {
  local section
  for section in "user: ${id%!*}" "token: $id"; do
    printf '%s\n' "$section" "${@/#/$'\t'}" ''
  done >"$tokens/user.cfg.new"
  printf '%s\n' "user: ${other%!*}" '' "token: $other" \
    >>"$tokens/user.cfg.new"
  chmod 0640 "$tokens/user.cfg.new"
  chown root:backup "$tokens/user.cfg.new"
  mv "$tokens/user.cfg.new" "$tokens/user.cfg"
}

# trust_files_for SECONDS, without a look.
trust_files_for() {
  sed -i '/^cache_ttl/d' "$configuration"
  echo "cache_ttl = $1" >>"$configuration"
}

# --- what every service must do

accepts_its_secret_only() {
  local secret others
  secret=$(generate "$id")
  others=$(generate "$other")
  pbstoken flush
  expect accepted "$id" "$secret"
  expect accepted "$id" "$secret"
  expect refused "$id" "${secret%?}"
  expect refused "$id" "$others"
  expect accepted "$other" "$others"
}

# Nobody looks at the files meanwhile: it is the helper that ends the old one.
ends_the_old_secret_at_once() {
  local old new
  trust_files_for 3600
  old=$(generate "$id")
  expect accepted "$id" "$old"
  new=$(rotate "$id" "$old")
  expect refused "$id" "$old"
  expect accepted "$id" "$new"
  expect refused "$id" "$old"
}

minds_a_disabled_user() {
  local secret others
  trust_files_for 1
  secret=$(generate "$id")
  others=$(generate "$other")
  expect accepted "$id" "$secret"
  users 'enable 0'
  sleep 1.1
  expect refused "$id" "$secret"
  expect accepted "$other" "$others"
  users
  sleep 1.1
  expect accepted "$id" "$secret"
}

every_service=(accepts_its_secret_only ends_the_old_secret_at_once
  minds_a_disabled_user)
