# SPDX-License-Identifier: BSD-3-Clause
# dovecot with the settings and the stack of the examples, of its version.
# shellcheck shell=bash

start_dovecot() {
  local version
  example dovecot /etc/pam.d/dovecot
  version=$(dovecot --version | cut -d. -f1,2)
  example "dovecot-$version.conf" /etc/dovecot/local.conf
  # As its comment has it.
  sed -i 's/^!include auth-system/#&/' /etc/dovecot/conf.d/10-auth.conf
  useradd --system --user-group --home-dir /srv/vmail --create-home vmail
  # Here there is no certificate, and a refusal takes no seconds.
  rm -f /etc/dovecot/conf.d/10-ssl.conf
  cat >/etc/dovecot/conf.d/99-test.conf <<'CONF'
ssl = no
auth_failure_delay = 0
log_path = /dev/stderr
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
CONF
  start dovecot -F
  until_true port_is_open 143
}
