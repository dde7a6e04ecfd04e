#!/bin/bash
# Adds or removes a start script and the logrotate rule; the Makefile's part for it.
# Usage: install-init.sh check|install|uninstall systemd|sysv|openrc|none|all DESTDIR SYSCONFDIR SBINDIR
set -euo pipefail
here=$(dirname "$0")
action=$1 init=$2 destdir=$3 sysconfdir=$4 sbindir=$5

# A file of ours, with the folders that the binary and its configuration are in.
render() {
    sed -e "s#/usr/sbin/gmetad#$sbindir/gmetad#g" \
        -e "s#/etc/ganglia/#$sysconfdir/ganglia/#g" "$here/$1"
}

put() {
    local mode=$1 from=$2 to=$destdir$3
    install -d "$(dirname "$to")"
    render "$from" >"$to"
    chmod "$mode" "$to"
    printf 'install-init: %s\n' "$to"
}

# What is not as it was put there, a package's own or changed by somebody, stays.
remove() {
    local from=$1 at=$destdir$2
    if cmp -s <(render "$from") "$at"; then rm -f "$at"; fi
}

case $init in
    systemd | sysv | openrc | none | all) ;;
    *)
        printf 'install-init: INIT is systemd, sysv, openrc or none, not %s\n' "$init" >&2
        exit 64
        ;;
esac

case $action in
    check) ;;
    install)
        case $init in
            systemd) put 644 systemd/gmetad.service "$sysconfdir/systemd/system/gmetad.service" ;;
            sysv) put 755 init.d/gmetad "$sysconfdir/init.d/gmetad" ;;
            openrc) put 755 openrc/gmetad "$sysconfdir/init.d/gmetad" ;;
            *) exit 0 ;;
        esac
        put 644 logrotate/gmetad "$sysconfdir/logrotate.d/gmetad"
        ;;
    uninstall)
        remove systemd/gmetad.service "$sysconfdir/systemd/system/gmetad.service"
        remove init.d/gmetad "$sysconfdir/init.d/gmetad"
        remove openrc/gmetad "$sysconfdir/init.d/gmetad"
        remove logrotate/gmetad "$sysconfdir/logrotate.d/gmetad"
        ;;
esac
