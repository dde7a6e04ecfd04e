#!/bin/bash
# gmetad on other processors: the tests of round-robin files, whose layout differs with the processor, beside
# that processor's own librrd, those of the core, and the daemon, which polls a saved document and stores it.
# An x86-64 runs the programs of i686 too, and those of others under qemu-user, slowly: there, the daemon
# alone is run, and the tests of files.
# Usage: contrib/cross.sh PROCESSOR…   i686, aarch64, armv7
#
# Nothing of another processor is installed: its librrd is in a root below target/cross, which is made once. Says
# SKIPPED and why where that cannot be made, or where tools are missing.
set -euo pipefail
cd "$(dirname "$0")/.."

read -ra cargo <<<"${CARGO:-cargo}"
out=${CARGO_TARGET_DIR:-target}/cross
install -d "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
declare -a started=()
cleanup() {
    for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap cleanup EXIT

say() { printf 'cross: %s\n' "$*" >&2; }
skip() { say "SKIPPED: $*"; }

# What a variable of cargo's for a target is called.
variable() { printf 'CARGO_TARGET_%s_%s' "$(tr 'a-z-' 'A-Z_' <<<"$1")" "$2"; }

# Cargo for a target: this toolchain's, if it has that; else Debian's, which builds its library for it.
cargo_for() {
    local target=$1 library
    shift
    library=$("${RUSTC:-rustc}" --print target-libdir --target "$target" 2>/dev/null) || true
    if compgen -G "$library/libstd-*.rlib" >/dev/null; then
        "${cargo[@]}" "$@" --target "$target"
    else
        RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
            /usr/bin/cargo "$@" --target "$target" -Zbuild-std=std,panic_unwind,test
    fi
}

# Says what is missing for a target.
missing() {
    local target=$1 triple=$2 emulator=$3 library
    if [[ -n $emulator ]] && ! command -v "$emulator" >/dev/null; then echo qemu-user; fi
    if ! command -v "$triple-gcc" >/dev/null; then echo "gcc-$triple"; fi
    library=$("${RUSTC:-rustc}" --print target-libdir --target "$target" 2>/dev/null) || true
    if compgen -G "$library/libstd-*.rlib" >/dev/null; then return; fi
    if ! [[ -e /usr/lib/rustlib/src/rust/library/std/Cargo.toml && -x /usr/bin/cargo ]]; then
        echo "rustc-web cargo-web rust-web-src, or \`rustup target add $target\`"
    fi
}

# A root of another processor with librrd and libc: made once, extracted only, and nothing in it is run.
root_of() {
    local architecture=$1 root=$2 suite mirror
    # shellcheck source=/dev/null
    suite=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
    if compgen -G "$root/usr/lib/*/librrd.so.8" >/dev/null; then return; fi
    if ! command -v mmdebstrap >/dev/null; then
        skip "$architecture: librrd for it needs mmdebstrap"
        return 1
    fi
    # From where this system has its own packages.
    # shellcheck disable=SC2016 # apt-get expands it.
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
        "Codename: $suite" | head -n 1)
    rm -rf "$root"
    say "fetching librrd for $architecture"
    if ! mmdebstrap --quiet --arch="$architecture" --variant=extract --include=librrd-dev,libc6-dev \
        "$suite" "$root" ${mirror:+"deb $mirror $suite main"} >"$work/root" 2>&1; then
        tail -n 5 "$work/root" >&2
        rm -rf "$root"
        skip "$architecture: mmdebstrap cannot make a root with librrd"
        return 1
    fi
}

# The daemon polls a gmond's saved document once and stores it, and reads it back from its files.
poll() {
    local processor=$1 runner=$2 binary=$3 folder=$work/$1 port
    install -d "$folder"
    contrib/serve-saved.py tests/data/gmond/gmond-plain.xml "$folder/port" &
    started+=($!)
    for ((i = 0; i < 600; i++)); do
        if [[ -s $folder/port ]]; then break; fi
        sleep 0.1
    done
    port=$(<"$folder/port")
    printf 'data_source "saved" 127.0.0.1:%s\nsetuid off\nrrd_rootdir "%s"\n' \
        "$port" "$folder/rrds" >"$folder/gmetad.conf"
    # shellcheck disable=SC2086 # the runner is several words
    if ! $runner "$binary" --once -c "$folder/gmetad.conf" >"$folder/said" 2>&1; then
        cat "$folder/said" >&2
        say "FAILED: $processor: --once"
        return 1
    fi
    cat "$folder/said"
    find "$folder/rrds" -name '*.rrd' | wc -l | sed "s/\$/ files on $processor/"
}

# All of it for one processor.
processor() {
    local processor=$1 target triple architecture emulator='' root lacks runner tests=() at=
    case $processor in
        i686) target=i686-unknown-linux-gnu triple=i686-linux-gnu architecture=i386 ;;
        aarch64) target=aarch64-unknown-linux-gnu triple=aarch64-linux-gnu architecture=arm64 emulator=qemu-aarch64 ;;
        armv7) target=armv7-unknown-linux-gnueabihf triple=arm-linux-gnueabihf architecture=armhf emulator=qemu-arm ;;
        *) say "no such processor: $processor (i686, aarch64, armv7)"; return 64 ;;
    esac
    root=$out/$architecture
    lacks=$(missing "$target" "$triple" "$emulator" | paste -sd ' ')
    if [[ -n $lacks ]]; then
        skip "$processor: missing: $lacks"
        return
    fi
    root_of "$architecture" "$root" || return 0
    printf '#!/bin/sh\nexec %s-gcc --sysroot="%s" "$@"\n' "$triple" "$root" >"$out/$triple-gcc"
    chmod +x "$out/$triple-gcc"
    if [[ -n $emulator ]]; then
        runner="$emulator -L $root"
        tests=(-p gmetad-rrd --lib)
        at=file::
    else
        runner="$(compgen -G "$root/lib/ld-linux*.so.2" | head -n 1) \
--library-path $root/lib/i386-linux-gnu:$root/usr/lib/i386-linux-gnu"
        tests=(-p gmetad-core -p gmetad-rrd --lib)
    fi
    export "$(variable "$target" LINKER)=$out/$triple-gcc" "$(variable "$target" RUNNER)=$runner"
    export "CC_${target//-/_}=$triple-gcc"
    say "$processor: tests"
    cargo_for "$target" test --locked "${tests[@]}" $at
    say "$processor: a poll"
    cargo_for "$target" build --locked --bin gmetad --no-default-features \
        --features rrd,librrd,export,loader,web,graphite
    poll "$processor" "$runner" "$out/build/$target/debug/gmetad"
}

export CARGO_TARGET_DIR=$out/build CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0
for name in "${@:-i686}"; do processor "$name"; done
