#!/bin/bash
# Adds or removes a start script and the logrotate rule; the Makefile's part for it.
# Usage: install-init.sh install|uninstall systemd|sysv|openrc|none|all DESTDIR SYSCONFDIR SBINDIR
set -euo pipefail
here=$(dirname "$0")
action=$1 init=$2 destdir=$3 sysconfdir=$4 sbindir=$5

# A file of ours, with the folder the binary is in.
put() {
    local mode=$1 from=$2 to=$destdir$3
    install -d "$(dirname "$to")"
    sed "s#/usr/sbin/gmetad#$sbindir/gmetad#g" "$here/$from" >"$to"
    chmod "$mode" "$to"
    printf 'install-init: %s\n' "$to"
}

case $action in
    install)
        case $init in
            none) exit 0 ;;
            systemd) put 644 systemd/gmetad.service "$sysconfdir/systemd/system/gmetad.service" ;;
            sysv) put 755 init.d/gmetad "$sysconfdir/init.d/gmetad" ;;
            openrc) put 755 openrc/gmetad "$sysconfdir/init.d/gmetad" ;;
            *)
                printf 'install-init: INIT is systemd, sysv, openrc or none, not %s\n' "$init" >&2
                exit 64
                ;;
        esac
        put 644 logrotate/gmetad "$sysconfdir/logrotate.d/gmetad"
        ;;
    uninstall)
        for file in systemd/system/gmetad.service init.d/gmetad; do
            file=$destdir$sysconfdir/$file
            # Another gmetad's own script names another binary.
            if [[ -f $file ]] && grep -q "$sbindir/gmetad" "$file"; then rm -f "$file"; fi
        done
        file=$destdir$sysconfdir/logrotate.d/gmetad
        # One that somebody changed, or that is not ours, stays.
        if cmp -s "$here/logrotate/gmetad" "$file"; then rm -f "$file"; fi
        ;;
esac
