# SPDX-License-Identifier: BSD-3-Clause
# PostgreSQL with the stack and the rule of the examples, in a cluster of its
# own, with the roles john and jane.
# shellcheck shell=bash disable=SC2154

start_postgresql() {
  local role settings version
  rm -rf /etc/postgresql
  mkdir -p /var/log/postgresql /run/postgresql
  chown postgres:postgres /var/lib/postgresql /run/postgresql
  version=$(basename /usr/lib/postgresql/*)
  pg_createcluster "$version" main -- --no-sync >>"$log" 2>&1
  settings=/etc/postgresql/$version/main
  cat "$examples/pg_hba.conf" "$settings/pg_hba.conf" >"$SCRATCH/pg_hba.conf"
  cp "$SCRATCH/pg_hba.conf" "$settings/pg_hba.conf"
  example postgresql /etc/pam.d/postgresql
  pg_ctlcluster "$version" main start >>"$log" 2>&1
  until_true port_is_open 5432
  for role in john jane; do
    setpriv --reuid postgres --regid postgres --init-groups -- \
      psql -qc "create role $role login"
  done
}
