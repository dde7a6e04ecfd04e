#!/bin/bash
# The demo, with every value sent on to a real Prometheus, which is asked for load_one again and again.
# Usage: contrib/demo-remote.sh [GMETAD]; DEMO_SECONDS=N ends it by itself after N seconds.
# Ctrl-C ends all of it and leaves nothing behind.
set -euo pipefail

gmetad=${1:-target/debug/gmetad}
seconds=${DEMO_SECONDS:-0}
prometheus=$(PATH=$PATH:/usr/sbin:/usr/local/bin command -v prometheus) || {
    echo 'demo: there is no prometheus here; install it, or run make demo-remote' >&2
    exit 1
}

folder=$(mktemp -d "${TMPDIR:-/tmp}/gmetad-demo.XXXXXX")
declare -a children=()
finish() {
    trap '' INT TERM HUP
    local child
    for child in "${children[@]}"; do kill -TERM "$child" 2>/dev/null || true; done
    for child in "${children[@]}"; do wait "$child" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 0' INT TERM HUP

# In a subshell, so that the connection ends with it.
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# It takes no port 0, so a free one is looked for.
for ((tries = 0; tries < 50; tries++)); do
    port=$((20000 + RANDOM % 12000))
    listens "$port" || break
done
echo 'scrape_configs: []' >"$folder/prometheus.yml"
"$prometheus" --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data" \
    --web.listen-address="127.0.0.1:$port" --web.enable-remote-write-receiver \
    >"$folder/prometheus.log" 2>&1 &
children+=($!)
for ((tries = 0; tries < 200; tries++)); do
    if listens "$port"; then break; fi
    sleep 0.1
done
listens "$port" || {
    echo 'demo: prometheus does not listen' >&2
    cat "$folder/prometheus.log" >&2
    exit 1
}

DEMO_CONFIGURATION="remote_write {
    url \"http://127.0.0.1:$port/api/v1/write\"
}" "$(dirname "$0")/demo.sh" "$gmetad" &
demo=$!
children+=("$demo")

# The newest value that the store has, and its time.
answer() {
    (
        exec 3<>"/dev/tcp/127.0.0.1/$port"
        printf 'GET /api/v1/query?query=ganglia_load_one HTTP/1.0\r\n\r\n' >&3
        timeout 5 cat <&3
    ) 2>/dev/null | sed -n 's/.*"host":"\([^"]*\)".*"value":\[\([0-9]*\)[^,]*,"\([^"]*\)".*/\2 \1 \3/p'
}
last=
deadline=$((SECONDS + seconds))
while ((seconds == 0 || SECONDS < deadline)); do
    kill -0 "$demo" 2>/dev/null || exit 1
    newest=$(answer || true)
    if [[ -n $newest && ${newest#* } != "$last" ]]; then
        last=${newest#* }
        read -r time host value <<<"$newest"
        printf '%s  Prometheus: ganglia_load_one{host="%s"} is %s\n' \
            "$(date -d "@$time" +%T)" "$host" "$value"
    fi
    sleep 1 &
    wait $! || true
done
