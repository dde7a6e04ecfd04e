#!/bin/bash
# Checks gmetad without parts that can be left out, and without all of them. Lints leave out up to three at a time;
# with the argument `test`, each is left out alone and the tests run too. Names the tests that need a missing
# part and did not run.
set -euo pipefail
cd "$(dirname "$0")/.."

read -ra cargo <<<"${CARGO:-cargo}"
with_tests=${1:-}

# The parts are the features in Cargo.toml.
mapfile -t parts < <(awk '/^\[/ { inside = /^\[features\]/ }
    inside && /^[a-z]+ *=/ && $1 != "default" { print $1 }' Cargo.toml)

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
    local selected=(--no-default-features --features "$features")
    "${cargo[@]}" clippy "${selected[@]}" --all-targets -- -D warnings
    if [[ " ${missing[*]} " == *" librrd "* && $features == *rrd* ]]; then
        # Round-robin files of our own code alone.
        "${cargo[@]}" clippy -p gmetad-rrd --no-default-features --all-targets -- -D warnings
        if [[ $with_tests == test ]]; then "${cargo[@]}" test -p gmetad-rrd --no-default-features; fi
    fi
    if [[ $with_tests != test ]]; then return; fi
    "${cargo[@]}" test "${selected[@]}"
    for part in "${missing[@]}"; do
        echo "features: these did not run, as they need $part:"
        left_out "$part"
    done
}

# Parts next to each other in Cargo.toml need each other: those that are left out together lie far apart.
apart=$(((${#parts[@]} + 2) / 3))
if [[ $with_tests == test ]]; then apart=${#parts[@]}; fi
for ((missing = 0; missing < apart; missing++)); do
    others=()
    for at in "${!parts[@]}"; do
        ((at % apart == missing)) || others+=("${parts[at]}")
    done
    check "${others[@]}"
done
check
