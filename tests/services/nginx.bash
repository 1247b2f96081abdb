# SPDX-License-Identifier: BSD-3-Clause
# nginx with the site and the stack of the examples.
# shellcheck shell=bash

install_nginx() {
  example nginx /etc/pam.d/nginx
  example nginx-site.conf /etc/nginx/sites-available/pbstoken
  rm -f /etc/nginx/sites-enabled/*
  ln -s ../sites-available/pbstoken /etc/nginx/sites-enabled/pbstoken
  mkdir -p /var/log/nginx
}

# start_nginx [PREFIX...]
start_nginx() {
  start "$@" nginx -g 'daemon off;'
  until_true port_is_open 8480
}

ask_nginx() {
  ask_web 8480 "$@"
}
