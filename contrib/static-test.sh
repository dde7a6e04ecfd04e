#!/bin/bash
# The static binary alone in an empty root: polls, stores, shows and sends on, and says what it lacks.
# Usage: contrib/static-test.sh target/static/gmetad
set -euo pipefail

binary=$1
if ((EUID != 0)); then
    echo 'static-test: SKIPPED: needs root, to change the root' >&2
    exit 0
fi

for tool in python3 curl readelf; do
    if ! command -v "$tool" >/dev/null; then
        echo "static-test: SKIPPED: there is no $tool here" >&2
        exit 0
    fi
done

root=$(mktemp -d)
work=$(mktemp -d)
declare -a started=()
cleanup() {
    for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done
    wait
    rm -rf "$root" "$work"
}
trap cleanup EXIT

fail() {
    echo "static-test: FAILED: $*" >&2
    cat "$work"/log* >&2
    exit 1
}

# Waits for a condition, a command, for a minute.
wait_for() {
    local what=$1 end=$((SECONDS + 60))
    shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS > end)); then fail "no $what within a minute"; fi
        sleep 0.1
    done
    echo "static-test: $what"
}

# It is what it says: no loader, no library.
if readelf -lW "$binary" | grep -q 'INTERP'; then fail "$binary asks for a loader of libraries"; fi

# A gmond with one host and one metric, and a carbon that keeps what it is sent. Their ports first.
cat >"$work/peers.py" <<'PY'
import socket, sys, threading, time
def listen():
    server = socket.create_server(("127.0.0.1", 0))
    return server, server.getsockname()[1]
(gmond, gmond_port), (carbon, carbon_port) = listen(), listen()
free = [listen() for _ in range(2)]
with open(sys.argv[1] + "/ports.new", "w") as ports:
    print(gmond_port, carbon_port, *(port for _, port in free), file=ports)
for server, _ in free:
    server.close()
import os
os.rename(sys.argv[1] + "/ports.new", sys.argv[1] + "/ports")
def keep(client):
    with open(sys.argv[1] + "/carbon", "ab", 0) as out:
        while data := client.recv(4096):
            out.write(data)
def carbons():
    while True:
        threading.Thread(target=keep, args=(carbon.accept()[0],), daemon=True).start()
threading.Thread(target=carbons, daemon=True).start()
while True:
    client, _ = gmond.accept()
    now = int(time.time())
    client.sendall(f"""<?xml version="1.0" encoding="ISO-8859-1" standalone="yes"?>
<GANGLIA_XML VERSION="3.7.2" SOURCE="gmond">
<CLUSTER NAME="C" LOCALTIME="{now}" OWNER="" LATLONG="" URL="">
<HOST NAME="h" IP="10.0.0.1" REPORTED="{now}" TN="1" TMAX="20" DMAX="0" LOCATION="" GMOND_STARTED="1">
<METRIC NAME="load" VAL="{now % 100}.5" TYPE="float" UNITS="" TN="1" TMAX="70" DMAX="0" SLOPE="both"/>
</HOST>
</CLUSTER>
</GANGLIA_XML>
""".encode())
    client.close()
PY
python3 "$work/peers.py" "$work" &
started+=($!)
wait_for 'peers listen' test -s "$work/ports"
read -r gmond carbon xml interactive <"$work/ports"

install -m 755 "$binary" "$root/gmetad"
cat >"$root/gmetad.conf" <<CONF
data_source "C" 2 127.0.0.1:$gmond
data_source "named" 2 gmond.example:8649
setuid off
xml_port $xml
interactive_port $interactive
carbon_server 127.0.0.1
carbon_port $carbon
carbon_protocol tcp
rrd_rootdir /rrds
plugins_dir /plugins
CONF
chroot "$root" /gmetad -f -d 4 -c /gmetad.conf >"$work/log" 2>&1 &
started+=($!)
daemon=$!

page() { curl -fsS "http://127.0.0.1:$interactive$1"; }
document_has() { python3 -c '
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as server:
    text = b"".join(iter(lambda: server.recv(65536), b""))
sys.exit(sys.argv[2].encode() not in text)' "$xml" "$1"; }
page_has() { page "$1" | grep -q "$2"; }
wait_for 'XML has the metric' document_has 'NAME="load"'
wait_for 'a page has the cluster' page_has /ui/ '>C<'
wait_for 'a file is stored' test -s "$root/rrds/C/h/load.rrd"
wait_for 'a graph is drawn' page_has '/ui/graph.svg?c=C&h=h&m=load' '<svg'
wait_for 'values are sent on' grep -q 'load' "$work/carbon"
wait_for 'the log says that plugins cannot be loaded' \
    grep -q 'built without loadable plugins; plugins_dir has no effect' "$work/log"
wait_for 'the log says that a name is not found' grep -q 'gmond.example' "$work/log"
if command -v rrdtool >/dev/null; then
    stored() { rrdtool lastupdate "$root/rrds/C/h/load.rrd" | grep -q '[0-9]: [0-9.]*5'; }
    wait_for 'rrdtool reads the file' stored
fi
kill "$daemon"
wait "$daemon" || fail "it ended with $?"
grep 'gmond.example' "$work/log" | head -n 1

# There are no users to become.
sed -i 's/^setuid off/setuid_username nobody/' "$root/gmetad.conf"
if chroot "$root" /gmetad -f -c /gmetad.conf >"$work/log-user" 2>&1; then
    fail 'it started as a user that is not there'
fi
grep 'nobody' "$work/log-user" || fail 'a missing user is not named'
echo 'static-test: all of it'
