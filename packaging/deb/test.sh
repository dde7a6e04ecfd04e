#!/bin/bash
# The life of the package in a throw-away root: packaging/deb/test.sh PACKAGE.deb
# Over Debian's gmetad, over itself, back to Debian's, removed, purged, and on a system that had none.
# Skipped, with the reason, where no such root can be made.
set -euo pipefail
deb=$(realpath "$1")

skip() {
    echo "deb-test: SKIPPED: $*" >&2
    exit 0
}
if ((EUID != 0)); then skip 'only root can make a root'; fi
for tool in mmdebstrap unshare; do
    command -v "$tool" >/dev/null || skip "there is no $tool here"
done
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
[ -n "$suite" ] || skip 'this is no Debian'

# From where this system has its own packages.
# shellcheck disable=SC2016 # apt-get expands it.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
    "Codename: $suite" | head -n 1)

root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT
if ! log=$(mmdebstrap --variant=apt --include=gmetad,rrdtool "$suite" "$root" \
    ${mirror:+"deb $mirror $suite main"} 2>&1); then
    skip "mmdebstrap cannot make a root: $(tail -n 3 <<<"$log")"
fi
# Nothing that is installed starts by itself.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp "$deb" "$root/tmp/new.deb"

cat >"$root/tmp/life.sh" <<'LIFE'
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
conf=/etc/ganglia/gmetad.conf
file=/var/lib/ganglia/rrds/here/node1/load_one.rrd
step() { printf 'deb-test: %s\n' "$*"; }
fail() { printf 'deb-test: FAILED: %s\n' "$*" >&2; exit 1; }
state() { dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null | tr -d ' ' || true; }
quietly() { "$@" >/tmp/log 2>&1 || { cat /tmp/log >&2; fail "$*"; }; }
sums() { sha256sum "$conf" "$file"; stat -c '%U %a' "$file"; }
kept() { [ "$(sums)" = "$before" ] || fail "configuration or files have changed: $(sums)"; }
ours_runs() {
    gmetad --version | grep -q ^gmetad || fail 'this is not ours'
    gmetad -t -c "$conf" >/dev/null || fail 'the configuration is not accepted'
    quietly /etc/init.d/gmetad start
    quietly /etc/init.d/gmetad status
    quietly /etc/init.d/gmetad reload
    ps=$(cat /run/gmetad.pid)
    [ "$(stat -c %U "/proc/$ps")" = ganglia ] || fail 'it runs as another user'
    quietly /etc/init.d/gmetad stop
}

step "over Debian's gmetad $(dpkg-query -W -f='${Version}' gmetad)"
sed -i 's/^data_source .*/data_source "here" 127.0.0.1:1/' "$conf"
printf 'xml_port 0\ninteractive_port 0\nbind_address 127.0.0.1\n' >>"$conf"
mkdir -p "${file%/*}"
rrdtool create "$file" --step 15 DS:sum:GAUGE:120:U:U RRA:AVERAGE:0.5:1:100
chown -R ganglia:ganglia /var/lib/ganglia/rrds
before=$(sums)
quietly apt-get update
quietly apt-get install -y /tmp/new.deb
[ "$(state gmetad-rs)" = ii ] || fail 'it is not installed'
[ "$(state gmetad)" != ii ] || fail "Debian's is still installed"
kept
ours_runs

step 'over itself, with an init script that was edited'
sed -i 's/^PATIENCE=20/PATIENCE=60/' /etc/init.d/gmetad
quietly dpkg -i /tmp/new.deb
grep -q '^PATIENCE=60' /etc/init.d/gmetad || fail 'the edited init script is lost'
kept

step "back to Debian's"
quietly apt-get install -y -o Dpkg::Options::=--force-confold gmetad
[ "$(state gmetad)" = ii ] || fail "Debian's is not installed"
[ "$(state gmetad-rs)" != ii ] || fail 'ours is still installed'
kept
ldd /usr/sbin/gmetad | grep -q libganglia || fail "the binary is not Debian's"

[ -x /etc/init.d/gmetad ] || fail "Debian's init script is not executable"

step 'over it once more, removed'
# Its init script is still the edited one, so dpkg would ask.
quietly apt-get install -y -o Dpkg::Options::=--force-confold /tmp/new.deb
kept
quietly apt-get remove -y gmetad-rs
[ ! -e /usr/sbin/gmetad ] || fail 'the binary is still there'
kept

step 'purged'
quietly dpkg --purge gmetad-rs
[ -z "$(state gmetad-rs)" ] || fail 'it is not purged'
kept
[ -e /etc/init.d/gmetad ] && fail 'its init script is left'

step 'on a system that had none'
rm -rf /etc/ganglia /var/lib/ganglia
quietly apt-get install -y /tmp/new.deb
grep -q '^setuid_username ganglia' "$conf" || fail 'there is no configuration'
[ "$(stat -c %U /var/lib/ganglia/rrds)" = ganglia ] || fail 'the folder is not of ganglia'
mkdir -p /var/lib/ganglia/rrds/here
quietly apt-get purge -y gmetad-rs
[ ! -e "$conf" ] || fail 'its own configuration is left'
[ -d /var/lib/ganglia/rrds/here ] || fail 'files are lost'
step 'all done'
LIFE
# A mount table and processes of its own.
unshare --mount --pid --fork --mount-proc="$root/proc" chroot "$root" bash /tmp/life.sh
