#!/bin/bash
# Builds gmetad as one file that needs nothing else, against musl: target/static/gmetad.
#
# Where the toolchain has the musl target (`rustup target add x86_64-unknown-linux-musl`), that is used.
# Else Debian's packages can do it: a compiler with its library's source, which is built for musl too,
# and musl itself. Says what is missing where neither is there.
set -euo pipefail
cd "$(dirname "$0")/.."

read -ra cargo <<<"${CARGO:-cargo}"
folder=${CARGO_TARGET_DIR:-target}
target=$(uname -m)-unknown-linux-musl
# Not the loader: a static program cannot load shared objects. Not librrd: it is one.
selected=(--no-default-features --features "${FEATURES-rrd,export,web,graphite}")
build=(build --release --locked --bin gmetad --target "$target" "${selected[@]}")
export CARGO_PROFILE_RELEASE_STRIP=symbols

say() { printf 'static: %s\n' "$*" >&2; }

# What a variable of cargo's for this target is called.
variable() { printf 'CARGO_TARGET_%s_%s' "$(tr 'a-z-' 'A-Z_' <<<"$target")" "$1"; }

has_target() {
    local library
    library=$("${RUSTC:-rustc}" --print target-libdir --target "$target" 2>/dev/null) || return 1
    compgen -G "$library/libstd-*.rlib" >/dev/null
}

debian() {
    local source=/usr/lib/rustlib/src/rust/library missing=()
    if [[ ! -e $source/std/Cargo.toml ]]; then missing+=(rust-web-src); fi
    if ! [[ -x /usr/bin/rustc && -x /usr/bin/cargo ]]; then missing+=(rustc-web cargo-web); fi
    if ! command -v musl-gcc >/dev/null; then missing+=(musl-tools); fi
    if ! command -v gcc >/dev/null; then missing+=(gcc); fi
    if ((${#missing[@]})); then
        say "neither this toolchain's target $target is there (rustup target add $target)," \
            "nor what Debian's own would take: apt-get install ${missing[*]}"
        exit 1
    fi
    # Rust's library unwinds by a library of LLVM's, which Debian has not for musl. GCC's does the same.
    install -d "$folder/static/lib"
    cp "$(gcc -print-file-name=libgcc_eh.a)" "$folder/static/lib/libunwind.a"
    musl-gcc -O2 -Wall -Wextra -c -o "$folder/static/lib/unwind.o" contrib/static-unwind.c
    ar rs "$folder/static/lib/libunwind.a" "$folder/static/lib/unwind.o"
    local library=$PWD/$folder/static/lib
    if [[ $folder = /* ]]; then library=$folder/static/lib; fi
    say "with $(/usr/bin/rustc --version), whose library is built for $target"
    env RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 "$(variable LINKER)=musl-gcc" \
        "$(variable RUSTFLAGS)=-C target-feature=+crt-static -C link-self-contained=no \
-C relocation-model=static -L native=$library" \
        /usr/bin/cargo "${build[@]}" -Zbuild-std=std,panic_unwind
}

if has_target; then
    say "with $("${RUSTC:-rustc}" --version), which has the target $target"
    "${cargo[@]}" "${build[@]}"
else
    debian
fi
install -D -m 755 "$folder/$target/release/gmetad" "$folder/static/gmetad"
say "$folder/static/gmetad, $(stat -c %s "$folder/static/gmetad") bytes"
