#!/bin/bash
# What pages and Graphite's API add to the stripped binary. Usage: benches/size.sh
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
others=rrd,export,loader
without=$(size_with $others)
printf '| built with | stripped | more |\n|---|---|---|\n| neither | %d B | |\n' "$without"
for parts in web graphite web,graphite; do
    size=$(size_with "$others,$parts")
    printf '| %s | %d B | %d B |\n' "$parts" "$size" $((size - without))
done
