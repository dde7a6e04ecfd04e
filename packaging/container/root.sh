#!/bin/bash
# Makes the root of a container: a binary, the libraries that it is linked with, a user, and the folders
# of the configuration and of the round-robin files: root.sh BINARY FOLDER [MORE BINARIES]
set -euo pipefail
binary=$1 root=$2
shift 2

install -D -m 755 "$binary" "$root/usr/sbin/gmetad"
for more in "$@"; do install -D -m 755 "$more" "$root/bin/${more##*/}"; done
# With the place that each is linked at; the loader itself is one of them. A static binary has none, which
# ldd calls a failure.
{ ldd "$binary" 2>/dev/null || true; } | { grep -oE '/[^ ]+' || true; } | sort -u | while IFS= read -r library; do
    install -D -m 755 "$library" "$root$library"
done
install -d "$root/etc/ganglia" "$root/var/lib/ganglia"
install -d -m 1777 "$root/tmp"
# Whom https:// trusts.
if [ -r /etc/ssl/certs/ca-certificates.crt ]; then
    install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
fi
# Numbers need no user, but `setuid_username` and logs show names.
printf 'root:x:0:0::/:/\nnobody:x:65534:65534::/:/\n' >"$root/etc/passwd"
printf 'root:x:0:\nnobody:x:65534:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
install -d -m 755 "$root/var/lib/ganglia/rrds"
if [ "$(id -u)" -eq 0 ]; then chown 65534:65534 "$root/var/lib/ganglia/rrds"; fi
install -m 644 "$(dirname "$0")/../../contrib/gmetad.conf" "$root/etc/ganglia/gmetad.conf"
