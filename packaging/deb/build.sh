#!/bin/bash
# Packs the built release into a Debian package: packaging/deb/build.sh FOLDER
# The same tree gives the same bytes, in whatever folder it lies: times are those of CHANGELOG.md's
# commit, or SOURCE_DATE_EPOCH.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
for tool in dpkg-buildpackage dh; do
    if ! command -v "$tool" >/dev/null; then
        echo "deb: there is no $tool here; the packages are dpkg-dev and debhelper" >&2
        exit 1
    fi
done
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$top/Cargo.toml" | head -n 1)
: "${SOURCE_DATE_EPOCH:=$(git -C "$top" log -1 --format=%ct -- . 2>/dev/null || stat -c %Y "$top/Cargo.toml")}"
export SOURCE_DATE_EPOCH SOURCE=$top
# `make install` finds the binary there, wherever it is called from.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$top/target}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/gmetad-rs-$version
mkdir "$tree"
cp -r "$top/packaging/deb/debian" "$tree/debian"
cp "$top/contrib/systemd/gmetad.service" "$tree/debian/gmetad-rs.gmetad.service"
cp "$top/contrib/init.d/gmetad" "$tree/debian/gmetad-rs.gmetad.init"
cp "$top/contrib/default/gmetad" "$tree/debian/gmetad-rs.gmetad.default"
cp "$top/contrib/logrotate/gmetad" "$tree/debian/gmetad-rs.gmetad.logrotate"
sum=$(sed 's/^#setuid_username .*/setuid_username ganglia/' "$top/contrib/gmetad.conf" | sha256sum)
sed -i "s/@CONFSUM@/${sum%% *}/" "$tree/debian/postrm"
# Who packs it says so; the default is nobody's address.
maintainer="${DEBFULLNAME:-gmetad packagers} <${DEBEMAIL:-gmetad@packages.example.org}>"
sed -i "s/@MAINTAINER@/$maintainer/" "$tree/debian/control"
cat >"$tree/debian/changelog" <<END
gmetad-rs ($version) unstable; urgency=medium

  * Version $version; its changes are in the upstream changelog.

 -- $maintainer  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
END
# -d: cargo need not be Debian's.
(cd "$tree" && DEB_BUILD_OPTIONS="noautodbgsym nocheck ${DEB_BUILD_OPTIONS-}" \
    dpkg-buildpackage -d -b -us -uc >"$work/log" 2>&1) || {
    cat "$work/log" >&2
    exit 1
}
cp "$work"/gmetad-rs_*.deb "$out/"
printf 'deb: %s\n' "$out"/gmetad-rs_"$version"_*.deb
