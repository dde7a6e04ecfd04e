#!/bin/bash
# The stripped binary, with all parts and without some, and what pages and Graphite's API add.
# Usage: benches/size.sh
# Not with CARGO_INCREMENTAL=1: a release would not be optimised as a whole, and 1.3 MB larger.
set -euo pipefail
unset CARGO_INCREMENTAL
folder=${CARGO_TARGET_DIR:-target}/size
size_with() {
    cargo build --quiet --release --locked --bin gmetad --target-dir "$folder" \
        --no-default-features --features "$1"
    strip -o "$folder/gmetad.stripped" "$folder/release/gmetad"
    stat -c %s "$folder/gmetad.stripped"
}
row() { printf '| %s | %d B | %s |\n' "$@"; }
files=rrd,librrd,export,loader
printf '| built with | stripped | to the next |\n|---|---|---|\n'
relay=$(size_with '')
row 'none of its parts: polls, sums up, serves' "$relay" ''
without=$(size_with $files)
row "$files" "$without" "+ $((without - relay))"
pages=$(size_with $files,web)
row '… web' "$pages" "+ $((pages - without))"
size=$(size_with $files,web,graphite)
row '… graphite: all but tls' "$size" "+ $((size - pages)), both $((size - without))"
all=$(size_with $files,web,graphite,tls)
row '… tls: everything' "$all" "+ $((all - size))"
