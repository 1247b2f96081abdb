# SPDX-License-Identifier: BSD-3-Clause
# Three hosts, h1 to h3, in network, mount, IPC and UTS namespaces of their own, each
# with a member of etcd and an agent of pbstoken-cluster(8).  Their links meet in
# the namespace of the test, which passes packets on: no bridge is needed.
# shellcheck shell=bash disable=SC2034,SC2154 # variables are set here or there
lease=6
hosts=(h1 h2 h3)
declare -A keeper=() member=()
cluster=$SCRATCH/cluster

# on HOST COMMAND...; start_on, with & behind it, is one process, $!.
start_on() {
  exec nsenter --target "${keeper[$1]}" --mount --net --ipc --uts -- "${@:2}"
}
on() {
  (start_on "$@")
}

address() { echo "10.99.${1#h}.2"; }
link() { ip link set "${1}out" "$2"; }

# --- set-up

new_key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
make_authority() {
  openssl req -x509 "${new_key[@]}" -days 30 -subj /CN=tests \
    -keyout "$cluster/ca.key" -out "$cluster/ca.crt" 2>/dev/null
}

# certificate NAME SUBJECTALTNAME
certificate() {
  openssl req "${new_key[@]}" -subj "/CN=$1" -keyout "$cluster/$1.key" \
    -out "$cluster/$1.csr" 2>/dev/null
  openssl x509 -req -in "$cluster/$1.csr" -CA "$cluster/ca.crt" \
    -CAkey "$cluster/ca.key" -CAcreateserial -days 30 -out "$cluster/$1.crt" \
    -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' \
      "$2") 2>/dev/null
}

# configure_cluster NAME DIRECTORY: the configuration, with the certificate there.
configure_cluster() {
  printf '%s = %s\n' endpoints "$endpoints" ca "$2/ca.crt" certificate "$2/$1.crt" \
    certificate_key "$2/$1.key"
}

add_host() {
  local name=$1 number=${1#h}
  # shellcheck disable=SC2016 # for the other shell
  unshare --net --mount --ipc --uts --propagation private -- bash -ec '
    hostname "$1"
    mount -t tmpfs -o mode=0755 none /run
    mount -t tmpfs -o mode=0755 none /etc/pbstoken
    mount -t tmpfs -o mode=0700,uid=34,gid=34 none /etc/proxmox-backup
    mkdir /etc/pbstoken/cluster
    # As in a container of LXC, where this is the time since the container began.
    echo "1.00 1.00" >/run/uptime
    mount --bind /run/uptime /proc/uptime
    echo ready
    exec sleep infinity' - "$name" >"$cluster/$name.ready" &
  keeper[$name]=$!
  until_true test -s "$cluster/$name.ready"
  ip link add name "${name}out" type veth peer name "${name}in"
  ip link set "${name}in" netns "${keeper[$name]}"
  ip address add "10.99.$number.1/24" dev "${name}out"
  link "$name" up
  on "$name" ip link set lo up
  on "$name" ip address add "$(address "$name")/24" dev "${name}in"
  on "$name" ip link set "${name}in" up
  on "$name" ip route add default via "10.99.$number.1"
  on "$name" tee /etc/pbstoken/pbs.conf >/dev/null <<EOT
lease = $lease
user_cfg =
version_cache =
fail_limit = 0
EOT
  endpoints=$(own_first "$name") configure_cluster "$name" /etc/pbstoken/cluster |
    on "$name" tee /etc/pbstoken/cluster/pbs.conf >/dev/null
  on "$name" install -m 0600 "$cluster/ca.crt" "$cluster/$name.crt" \
    "$cluster/$name.key" /etc/pbstoken/cluster
}

# The members, that of the host first.
own_first() {
  local own
  own=https://$(address "$1"):2379
  printf '%s%s\n' "$own" "$(printf ',%s' "$endpoints" | sed "s,\,$own,,")"
}

start_member() {
  local name=$1 at state=new
  at=$(address "$name")
  [ ! -d "$cluster/$name.etcd" ] || state=existing
  start_on "$name" etcd --name "$name" --data-dir "$cluster/$name.etcd" \
    --listen-peer-urls "https://$at:2380" \
    --initial-advertise-peer-urls "https://$at:2380" \
    --listen-client-urls "https://$at:2379" --advertise-client-urls "https://$at:2379" \
    --initial-cluster "$peers" --initial-cluster-state "$state" \
    --cert-file "$cluster/$name.crt" --key-file "$cluster/$name.key" \
    --trusted-ca-file "$cluster/ca.crt" --client-cert-auth \
    --peer-cert-file "$cluster/$name.crt" --peer-key-file "$cluster/$name.key" \
    --peer-trusted-ca-file "$cluster/ca.crt" --peer-client-cert-auth \
    >>"$log.$name.etcd" 2>&1 &
  member[$name]=$!
}

# Each test is a process, so that a file names the agent that another has started.
start_agent() {
  start_on "$1" pbstoken-cluster agent >>"$log.$1" 2>&1 &
  echo "$!" >"$cluster/$1.agent"
}
stop_agent() {
  local agent
  agent=$(<"$cluster/$1.agent")
  kill "$agent"
  tail --pid="$agent" -s 0.1 -f /dev/null
}

# etcd_on HOST WORD...: etcdctl(1) there.
etcd_on() {
  on "$1" env ETCDCTL_API=3 etcdctl --endpoints "$endpoints" \
    --cacert "$cluster/ca.crt" --cert "$cluster/$1.crt" --key "$cluster/$1.key" \
    --command-timeout 3s "${@:2}"
}

start_cluster() {
  local name
  mkdir -m 0700 "$cluster"
  echo 1 >/proc/sys/net/ipv4/ip_forward
  endpoints='' peers=''
  for name in "${hosts[@]}"; do
    endpoints+=,https://$(address "$name"):2379
    peers+=,$name=https://$(address "$name"):2380
  done
  endpoints=${endpoints#,} peers=${peers#,}
  make_authority
  for name in "${hosts[@]}"; do
    certificate "$name" "IP:$(address "$name")"
    add_host "$name"
    start_member "$name"
  done
  until_true etcd_on h1 get / >/dev/null 2>&1
  for name in "${hosts[@]}"; do
    on "$name" pbstoken-cluster join
    start_agent "$name"
  done
}

# --- logins

# verify HOST TOKENID SECRET: 0 if it lets the token in, 1 if not, 4 if it cannot
# tell, 5 if there is no such token.
verify() {
  local status=0
  on "$1" pbstoken-helper verify "$2" <<<"$3" >"$log.verify.$1" 2>&1 || status=$?
  echo "$status"
}

# CLOCK_BOOTTIME: when cut(1) began.
milliseconds() { echo "$(cut -d ' ' -f 22 /proc/self/stat)0"; }

# logins HOST TOKENID SECRET FILE: one after another until the test ends it: lines
# "BEGIN END STATUS".
logins() {
  # shellcheck disable=SC2016 # for the other shell
  start_on "$1" bash -c '
    now() { now=$(cut -d " " -f 22 /proc/self/stat)0; }
    while :; do
      now; begin=$now
      pbstoken-helper verify "$1" <<<"$2" >/dev/null 2>&1; status=$?
      now; echo "$begin $now $status"
      sleep 0.03
    done' - "$2" "$3" >"$4" &
  login=$!
}

# set_secret HOST TOKENID SECRET [WORD...]
set_secret() {
  on "$1" pbstoken-cluster "${@:4}" set "$2" <<<"$3" 2>>"$log"
}

fresh_secret() { cat /proc/sys/kernel/random/uuid; }
