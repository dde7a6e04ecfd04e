#!/bin/bash
# Checks gmetad without each of the parts that can be left out, and without all of them: lints and
# tests. Names the tests that need a missing part and did not run.
set -euo pipefail
cd "$(dirname "$0")/.."

read -ra cargo <<<"${CARGO:-cargo}"
parts=(rrd export loader web graphite)

# Tests of a whole file are compiled out; cargo lists single ones as ignored, with the reason.
left_out() {
    local part=$1
    grep -lE "^#!\[cfg\(.*feature = \"$part\"" tests/*.rs tests/*/*.rs || true
}

check() {
    local features missing=()
    features=$(IFS=,; echo "$*")
    for part in "${parts[@]}"; do
        [[ ",$features," == *",$part,"* ]] || missing+=("$part")
    done
    echo "features: without ${missing[*]}"
    "${cargo[@]}" clippy --no-default-features --features "$features" --all-targets -- -D warnings
    "${cargo[@]}" test --no-default-features --features "$features"
    for part in "${missing[@]}"; do
        echo "features: these did not run, as they need $part:"
        left_out "$part"
    done
}

for missing in "${parts[@]}"; do
    others=()
    for part in "${parts[@]}"; do
        [[ $part == "$missing" ]] || others+=("$part")
    done
    check "${others[@]}"
done
check
