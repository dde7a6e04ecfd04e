#!/bin/bash
# Instructions per metric of the core's three ways, counted by callgrind: a long run less a short one.
# Usage: benches/instructions.sh (after `cargo build --release --examples`)
set -euo pipefail
cd "$(dirname "$0")/.."

program=${CARGO_TARGET_DIR:-target}/release/examples/instructions
if ! command -v valgrind >/dev/null; then
    echo 'instructions: valgrind is not installed (package valgrind)' >&2
    exit 1
fi

count() {
    local log
    log=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 >/dev/null)
    sed -n 's/.*Collected : \([0-9]*\).*/\1/p' <<<"$log"
}

metrics=$("$program" poll 1)
for what in poll parse-in-full write; do
    short=$(count "$what" 2)
    long=$(count "$what" 12)
    printf '%-16s %6d instructions a metric\n' "$what" $(((long - short) / 10 / metrics))
done
