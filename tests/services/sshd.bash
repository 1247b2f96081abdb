# SPDX-License-Identifier: BSD-3-Clause
# sshd with the stack and the settings of the examples, asked by ssh(1).
# shellcheck shell=bash

# Answers with $ANSWER what it would ask a person for.
ssh=(env SSH_ASKPASS="$SCRATCH/askpass" SSH_ASKPASS_REQUIRE=force ssh -F none
  -o BatchMode=no -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null
  -o LogLevel=ERROR -o NumberOfPasswordPrompts=1)

start_sshd() {
  # As Debian has it, whatever was made of it here.
  cp /usr/share/openssh/sshd_config /etc/ssh/sshd_config
  rm -f /etc/ssh/sshd_config.d/*
  example sshd /etc/pam.d/sshd
  example sshd_config.conf /etc/ssh/sshd_config.d/pbstoken.conf
  ssh-keygen -q -A
  mkdir -p /run/sshd
  # Since 9.8 it turns away an address that was refused; what the tests ask of
  # it comes from one.
  if sshd -T | grep -q '^persourcepenalties '; then
    echo 'PerSourcePenalties no' >/etc/ssh/sshd_config.d/test.conf
  fi
  start /usr/sbin/sshd -D -e
  until_true port_is_open 22
  # shellcheck disable=SC2016
  printf '%s\n' '#!/bin/sh' 'printf "%s\n" "$ANSWER"' >"$SCRATCH/askpass"
  chmod 0755 "$SCRATCH/askpass"
}

# log_in METHOD USER ANSWER COMMAND
log_in() {
  ANSWER=$3 "${ssh[@]}" -o "PreferredAuthentications=$1" \
    "$2@127.0.0.1" "$4" </dev/null 2>&1
}

# What came of it; by both methods, if they do not agree.
# ask_sshd TOKENID SECRET
ask_sshd() {
  local method said
  for method in keyboard-interactive password; do
    said=$(log_in "$method" "$(user_of "$1")" "$1:$2" 'echo I am in')
    case $said in
      'I am in') echo accepted ;;
      *'Permission denied'*) echo refused ;;
      *) printf '%s: %s\n' "$method" "$said" ;;
    esac
  done | uniq
}
