#!/bin/bash
# Runs all tests: those that every machine can run, and those that want a network of their own, where
# this machine gives them one. Where it does not, says why, and which ones did not run.
# Usage: contrib/test.sh [COMMAND…]   runs the command beside the tests, in the time that they leave
set -euo pipefail
cd "$(dirname "$0")/.."

read -ra cargo <<<"${CARGO:-cargo}"
# Most tests wait for a daemon more than they compute, so three share a processor.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$((3 * $(nproc)))}"

# Everything is built once: nothing is gained by what a second build could reuse, nor by line tables. In fewer
# units than is usual, which have less in common that is compiled in each.
export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_CODEGEN_UNITS=4
core=("${cargo[@]}" test --package gmetad-core --lib)
# Tests run so many daemons that optimising how these read and answer pays off. All checks stay. For the core's own
# tests it does not: to optimise them takes longer than they run.
cargo+=(--config profile.dev.package.gmetad-core.opt-level=1)
rest=(--workspace --exclude gmetad-core)

# All at once, with what tests load as plugins, which they would build one by one. The core's tests are built
# while others wait.
"${cargo[@]}" build "${rest[@]}" --lib --bins --tests --example exercise
GMETAD_BUILT_PLUGINS=$(cd "${CARGO_TARGET_DIR:-target}/debug" && pwd)
export GMETAD_BUILT_PLUGINS

# Those that wait longest run beside all others: of what is served, of files, in browsers, and of plugins.
declare -a others=() running=()
for test in tests/*.rs tests/*/main.rs; do
    name=${test#tests/}
    name=${name%/main.rs}
    name=${name%.rs}
    case $name in
        files | plugins | serving | web) ;;
        *) others+=(--test "$name") ;;
    esac
done
output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT
beside() {
    "${cargo[@]}" test "${rest[@]}" --no-fail-fast "${@:2}" >"$output/$1" 2>&1 &
    running+=($!)
}
beside served --test serving
beside files --test files
beside web --test web --test plugins
# Those that want a network of their own: what they do, tried out. Root needs no users of its own, and may have them forbidden.
flags=-rnm
if ((EUID == 0)); then flags=-nm; fi
if why=$(unshare "$flags" sh -ec 'ip link set lo up
        ip addr add 192.0.2.1/32 dev lo
        ip addr add 2001:db8::1/128 dev lo nodad
        mount --bind /etc/hosts /etc/hosts' 2>&1); then
    beside network --test addresses -- --ignored own_network::
else
    echo "test: these did not run, as there is no network of one's own here ($why):"
    "${cargo[@]}" test --quiet "${rest[@]}" --test addresses -- --ignored --list
fi
# Cargo runs one of its commands at a time until that one's tests begin: the command comes last, after a
# minute at most.
if (($#)); then
    {
        for ((tenths = 0; tenths < 600; tenths++)); do
            begun=$(grep -l '^running ' "$output"/{served,files,web,.others} 2>/dev/null | wc -l || true)
            if ((begun == 4)); then break; fi
            sleep 0.1
        done
        exec nice -n 19 "$@"
    } >"$output/command" 2>&1 &
    running+=($!)
fi
failed=0
"${cargo[@]}" test "${rest[@]}" --no-fail-fast --lib --bins --example farm "${others[@]}" 2>&1 |
    tee "$output/.others" || failed=1
"${core[@]}" || failed=1
"${cargo[@]}" test --workspace --doc || failed=1
for process in "${running[@]}"; do wait "$process" || failed=1; done
cat "$output"/*
if ((failed)); then exit 1; fi
