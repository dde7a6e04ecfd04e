#!/bin/bash
# Runs a real gmond on loopback and gmetad over it, says where to ask, shows each poll in a line.
# Usage: contrib/demo.sh [GMETAD]; DEMO_SECONDS=N ends it by itself after N seconds. DEMO_CONFIGURATION
# is appended to gmetad's.
# Ctrl-C ends both and leaves nothing behind.
set -euo pipefail

gmetad=${1:-target/debug/gmetad}
seconds=${DEMO_SECONDS:-0}
gmond=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v gmond) || {
    echo 'demo: there is no gmond here; install ganglia-monitor, or run make demo' >&2
    exit 1
}
if [[ ! $seconds =~ ^[0-9]+$ ]]; then
    echo "demo: DEMO_SECONDS is a number of seconds, not \"$seconds\"" >&2
    exit 64
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/gmetad-demo.XXXXXX")
declare -a children=()

# Whatever ends this, ends both daemons and removes their folder.
finish() {
    trap '' INT TERM HUP
    local child
    for child in "${children[@]}"; do kill -TERM "$child" 2>/dev/null || true; done
    for child in "${children[@]}"; do wait "$child" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap finish EXIT
trap 'echo; echo "demo: ended, nothing is left behind"; exit 0' INT TERM HUP

give_up() {
    printf 'demo: %s\n' "$1" >&2
    # gmetad's is on the terminal already.
    cat "$folder/gmond.log" >&2 2>/dev/null || true
    exit 1
}

# Whether something accepts connections there; in a subshell, so that the connection ends with it.
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Waits for a condition for up to 20 s.
wait_for() {
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        if "$@"; then return 0; fi
        sleep 0.1
    done
    return 1
}

# --- gmond: it takes no port 0, so a free one is looked for.
for ((tries = 0; tries < 50; tries++)); do
    gmond_port=$((20000 + RANDOM % 12000))
    listens "$gmond_port" || break
done

# Its modules' folder depends on the machine.
modules=$(sed -n 's/^ *path *= *"\{0,1\}\([^"]*\)modcpu.so.*/\1/p' /etc/ganglia/gmond.conf 2>/dev/null |
    head -n 1)
metric_module() { printf 'module { name = "%s_module" path = "%smod%s.so" }\n' "$1" "$modules" "$2"; }
{
    cat <<CONF
globals {
  daemonize = no
  setuid = no
  debug_level = 0
  host_dmax = 86400
  cleanup_threshold = 300
  send_metadata_interval = 0
  override_hostname = "localhost"
  override_ip = "127.0.0.1"
}
cluster { name = "demo" owner = "you" latlong = "unspecified" url = "unspecified" }
host { location = "here" }
udp_send_channel { host = 127.0.0.1 port = $gmond_port ttl = 1 }
udp_recv_channel { bind = 127.0.0.1 port = $gmond_port family = inet4 }
tcp_accept_channel { bind = 127.0.0.1 port = $gmond_port family = inet4 }
modules {
  module { name = "core_metrics" }
CONF
    metric_module cpu cpu
    metric_module disk disk
    metric_module load load
    metric_module mem mem
    metric_module net net
    metric_module proc proc
    metric_module sys sys
    cat <<'CONF'
}
collection_group {
  collect_once = yes
  time_threshold = 20
  metric { name = "heartbeat" }
  metric { name = "cpu_num" }
  metric { name = "cpu_speed" }
  metric { name = "mem_total" }
  metric { name = "boottime" }
  metric { name = "os_name" }
  metric { name = "os_release" }
  metric { name = "machine_type" }
}
collection_group {
  collect_every = 2
  time_threshold = 5
  metric { name = "cpu_user" }
  metric { name = "cpu_system" }
  metric { name = "cpu_idle" }
  metric { name = "cpu_wio" }
  metric { name = "load_one" }
  metric { name = "load_five" }
  metric { name = "load_fifteen" }
  metric { name = "proc_run" }
  metric { name = "proc_total" }
  metric { name = "mem_free" }
  metric { name = "mem_cached" }
  metric { name = "mem_buffers" }
  metric { name = "bytes_in" }
  metric { name = "bytes_out" }
  metric { name = "pkts_in" }
  metric { name = "pkts_out" }
  metric { name = "disk_total" }
  metric { name = "disk_free" }
}
CONF
} >"$folder/gmond.conf"
"$gmond" -f -c "$folder/gmond.conf" >"$folder/gmond.log" 2>&1 &
children+=($!)
wait_for listens "$gmond_port" || give_up 'gmond does not listen'

# --- gmetad: it takes port 0 and says what it got.
mkdir "$folder/rrds"
cat >"$folder/gmetad.conf" <<CONF
data_source "demo" 5 127.0.0.1:$gmond_port
gridname "demo grid"
bind_address 127.0.0.1
xml_port 0
interactive_port 0
rrd_rootdir "$folder/rrds"
setuid off
${DEMO_CONFIGURATION-}
CONF
"$gmetad" -f -d 3 -c "$folder/gmetad.conf" 2> >(tee "$folder/gmetad.log" >&2) &
gmetad_pid=$!
children+=("$gmetad_pid")
port_of() {
    sed -n "s/.*listening: .*$1 [^ ,]*:\([0-9]*\).*/\1/p" "$folder/gmetad.log" 2>/dev/null | head -n 1
}
has_ports() { [[ -n $(port_of interactive) ]]; }
wait_for has_ports || give_up 'gmetad does not listen'
xml_port=$(port_of xml)
interactive_port=$(port_of interactive)

cat <<TEXT

See it in a browser: http://127.0.0.1:$interactive_port/ui/

A gmond answers on 127.0.0.1:$gmond_port, and gmetad polls it every 5 seconds or so. Ask it:

$(printf '    %-56s # %s\n' \
    "nc 127.0.0.1 $xml_port" 'everything' \
    "echo '/demo/localhost'          | nc 127.0.0.1 $interactive_port" 'one host' \
    "echo '/demo/localhost/load_one' | nc 127.0.0.1 $interactive_port" 'one metric' \
    "echo '/?filter=summary'         | nc 127.0.0.1 $interactive_port" 'sums only' \
    "curl 127.0.0.1:$interactive_port/status" 'how gmetad does')

The round-robin files are in $folder/rrds. Ctrl-C ends it all.

TEXT

# --- Each poll brings the cluster a new LOCALTIME.
answer() {
    (
        exec 3<>"/dev/tcp/127.0.0.1/$interactive_port"
        printf '/demo/localhost\n' >&3
        timeout 5 cat <&3
    ) 2>/dev/null || true
}
show() {
    local polled=$1 xml=$2 metrics load files newest=none
    metrics=$(grep -c '<METRIC ' <<<"$xml" || true)
    load=$(sed -n 's/.*NAME="load_one" VAL="\([^"]*\)".*/\1/p' <<<"$xml" | head -n 1)
    files=$(find "$folder/rrds" -name '*.rrd' | wc -l)
    local file=$folder/rrds/demo/localhost/load_one.rrd
    if [[ -f $file ]] && command -v rrdtool >/dev/null; then
        newest=$(date -d "@$(rrdtool last "$file")" +%T)
    fi
    printf '%s  polled: %s metrics, load_one %s; %s RRD files, load_one.rrd last updated %s\n' \
        "$(date -d "@$polled" +%T)" "$metrics" "${load:-not there yet}" "$files" "$newest"
}

last=
deadline=$((SECONDS + seconds))
while ((seconds == 0 || SECONDS < deadline)); do
    kill -0 "$gmetad_pid" 2>/dev/null || give_up 'gmetad has ended by itself'
    xml=$(answer)
    polled=$(sed -n 's/.*<CLUSTER NAME="demo" LOCALTIME="\([0-9]*\)".*/\1/p' <<<"$xml" | head -n 1)
    if [[ -n $polled && $polled != "$last" ]]; then
        last=$polled
        show "$polled" "$xml"
    fi
    # Woken by a signal at once: bash runs traps only between commands, but ends `wait`.
    sleep 0.5 &
    wait $! || true
done
[[ -n $last ]] || give_up "in $seconds s gmetad has brought nothing from gmond"
echo "demo: $seconds s are over, nothing is left behind"
