#!/bin/bash
# Makes gmetad-VERSION.tar.gz in a folder: the committed tree, and the crates that it is built from, so
# that it builds without a network. The same commit gives the same bytes. Usage: dist.sh FOLDER
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
cargo=${CARGO:-cargo}
cd "$top"
if ! commit=$(git rev-parse --verify HEAD 2>/dev/null); then
    echo 'dist: the tree is not a git repository, so there is no saying what belongs to it' >&2
    exit 1
fi
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
name=gmetad-$version
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

git archive --prefix="$name/" "$commit" | tar -x -C "$work"
# It prints the settings that have cargo use the folder.
settings=$(cd "$work/$name" && "$cargo" vendor --locked vendor 2>"$work/log") || {
    cat "$work/log" >&2
    exit 1
}
if [[ $settings != *vendored-sources* ]]; then
    echo "dist: cargo vendor has not said how its folder is used" >&2
    exit 1
fi
# Import libraries of Windows are most of the bytes of all crates, and nothing here is built with them.
for crate in "$work/$name"/vendor/windows_*; do
    if [[ ! -d $crate/lib ]]; then continue; fi
    rm -r "${crate:?}/lib"
    # cargo compares files only with the sums that it finds.
    sed -i -E 's/"files":\{[^}]*\}/"files":{}/' "$crate/.cargo-checksum.json"
done
printf '\n%s\n\n[net]\noffline = true\n' "$settings" >>"$work/$name/.cargo/config.toml"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct "$commit")" \
    -C "$work" -c "$name" | gzip -9n >"$out/$name.tar.gz"
printf 'dist: %s/%s.tar.gz, %s bytes\n' "$out" "$name" "$(stat -c %s "$out/$name.tar.gz")"
