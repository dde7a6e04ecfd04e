#!/bin/bash
# Runs the fuzz targets, replays their seeds, or lints them.
# Usage: contrib/fuzz.sh SECONDS [TARGET…]   fuzz each for so long on every processor (nightly, cargo-fuzz)
#        contrib/fuzz.sh replay              give each its seeds, with an ordinary toolchain
#        contrib/fuzz.sh lint                run clippy on them
#        contrib/fuzz.sh seeds [TARGET…]     make seeds of what fuzzing has found: small, few, all it reached
set -euo pipefail
cd "$(dirname "$0")/.."

read -ra cargo <<<"${CARGO:-cargo}"
target_folder=${CARGO_TARGET_DIR:-target}
mapfile -t all < <(sed -n 's|^path = "fuzz_targets/\(.*\)\.rs"|\1|p' fuzz/Cargo.toml)

# What fuzzing finds is kept here from run to run, and not committed.
found() { echo "fuzz/corpus/$1"; }
seeds() { echo "fuzz/seeds/$1"; }

# A line with what libFuzzer says of a run: executions and what it reached.
summary() {
    local log=$1 executions
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | awk '{n += $1} END {print n + 0}')
    echo "fuzz: $target: $executions executions, $(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$log" | tail -1)"
}

fuzz() {
    local seconds=$1 jobs log
    shift
    jobs=$(nproc)
    log=$(mktemp)
    # shellcheck disable=SC2064 # The name is to be as it is now.
    trap "rm -f '$log'" EXIT
    for target in "$@"; do
        mkdir -p "$(found "$target")" "$(seeds "$target")"
        local each=() more=()
        # librrd forgets a few bytes when it meets a damaged DS that is computed, which no Ganglia makes.
        if [[ $target == rrd_file ]]; then more+=(-detect_leaks=0); fi
        for ((job = 0; job < jobs; job++)); do
            "${cargo[@]}" +nightly fuzz run --features rrd "$target" "$(found "$target")" \
                "$(seeds "$target")" -- -max_total_time="$seconds" -print_final_stats=1 \
                -rss_limit_mb=4096 -timeout=20 "${more[@]}" >"$log.$job" 2>&1 &
            each+=($!)
        done
        local failed=0
        for pid in "${each[@]}"; do wait "$pid" || failed=1; done
        cat "$log".[0-9]* >"$log"
        rm -f "$log".[0-9]*
        if ((failed)); then
            tail -n 60 "$log" >&2
            echo "fuzz: $target failed; the input is in fuzz/artifacts/$target" >&2
            return 1
        fi
        summary "$log"
    done
}

# A cargo command over the targets, with replay.c in place of libFuzzer.
without_fuzzer() {
    local folder=$target_folder/fuzz-replay
    if [[ ! $folder/libreplay.a -nt fuzz/replay.c ]]; then
        mkdir -p "$folder"
        "${CC:-cc}" -O1 -Wall -Wextra -c fuzz/replay.c -o "$folder/replay.o"
        ar rcs "$folder/libreplay.a" "$folder/replay.o"
    fi
    folder=$(cd "$folder" && pwd)
    CUSTOM_LIBFUZZER_PATH=$folder/libreplay.a CUSTOM_LIBFUZZER_STD_CXX=none "${cargo[@]}" "$1" \
        --manifest-path fuzz/Cargo.toml --features rrd --target-dir "$target_folder" "${@:2}"
}

replay() {
    without_fuzzer build
    for target in "${all[@]}"; do
        mapfile -t files < <(find "$(seeds "$target")" -type f 2>/dev/null | sort)
        if ((${#files[@]} == 0)); then
            echo "fuzz: $target has no seeds" >&2
            return 1
        fi
        if ! said=$("$target_folder/debug/$target" "${files[@]}" 2>&1); then
            printf '%s\n' "$said" >&2
            echo "fuzz: $target fails on one of its seeds" >&2
            return 1
        fi
        echo "fuzz: $target: ${#files[@]} seeds replayed"
    done
}

make_seeds() {
    for target in "$@"; do
        local merged
        merged=$(mktemp -d)
        mkdir -p "$(found "$target")" "$(seeds "$target")"
        "${cargo[@]}" +nightly fuzz run --features rrd "$target" "$merged" "$(found "$target")" \
            "$(seeds "$target")" -- -merge=1 -max_len=1024 >/dev/null 2>&1
        rm -f "$(seeds "$target")"/*
        # The smallest few: they are read on every run of CI.
        find "$merged" -type f -printf '%s %p\n' | sort -n | awk 'NR <= 24 { print $2 }' |
            while IFS= read -r file; do cp "$file" "$(seeds "$target")/"; done
        rm -rf "$merged"
        echo "fuzz: $target: $(find "$(seeds "$target")" -type f | wc -l) seeds"
    done
}

case ${1-} in
    replay) replay ;;
    lint) without_fuzzer clippy -- -D warnings ;;
    seeds) shift; make_seeds "${@:-${all[@]}}" ;;
    [1-9]*) seconds=$1; shift; fuzz "$seconds" "${@:-${all[@]}}" ;;
    *) sed -n '2,6s/^# //p' "$0"; exit 64 ;;
esac
