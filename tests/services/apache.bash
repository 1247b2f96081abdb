# SPDX-License-Identifier: BSD-3-Clause
# Apache with the site and the stack of the examples.
# shellcheck shell=bash source=/dev/null

start_apache() {
  example apache2 /etc/pam.d/apache2
  example apache-site.conf /etc/apache2/sites-available/pbstoken.conf
  rm -f /etc/apache2/sites-enabled/*
  a2enmod -q authnz_pam mpm_event
  a2ensite -q pbstoken >/dev/null
  mkdir -p /var/log/apache2 /run/apache2 /run/lock/apache2
  set +u
  . /etc/apache2/envvars
  set -u
  start apache2 -D FOREGROUND
  until_true port_is_open 8481
}
