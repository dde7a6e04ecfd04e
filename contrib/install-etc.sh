#!/bin/bash
# Adds or removes the files that an administrator may edit: gmetad.conf, a start script and the logrotate
# rule; the Makefile's part for them. A file that is not as it was installed stays, and the new one is
# put beside it as FILE.new. What was installed is recorded, by its checksum, in RECORD.
# Usage: install-etc.sh check|install|uninstall INIT
#     INIT is systemd, sysv, openrc, none, or for uninstall all
#     DESTDIR, SYSCONFDIR, SBINDIR, UNITDIR, RRDDIR, RRDUSER and RECORD are taken from the environment.
set -euo pipefail
here=$(dirname "$0")
action=$1 init=$2
: "${DESTDIR=}" "${SYSCONFDIR:=/etc}" "${SBINDIR:=/usr/local/sbin}"
: "${UNITDIR:=$SYSCONFDIR/systemd/system}" "${RECORD:=/usr/local/share/gmetad/installed}"
: "${RRDDIR:=/var/lib/ganglia/rrds}" "${RRDUSER:=nobody}"
record=$DESTDIR$RECORD

say() { printf 'install-etc: %s\n' "$*"; }

# A file of ours, with the folders that the binary and its configuration are in.
render() {
    sed -e "s#/usr/sbin/gmetad#$SBINDIR/gmetad#g" \
        -e "s#/etc/ganglia/#$SYSCONFDIR/ganglia/#g" \
        -e "s#@RRDDIR@#$RRDDIR#g; s#@RRDUSER@#$RRDUSER#g" "$here/$1"
}

sum() { sha256sum | cut -d ' ' -f 1; }

# Whether the file at this place is one that we installed, unchanged since.
untouched() {
    [ -e "$record" ] && grep -qxF "$(sum <"$DESTDIR$1")  $1" "$record"
}

note() {
    install -d "$(dirname "$record")"
    { grep -vF "  $2" "$record" 2>/dev/null || true; printf '%s  %s\n' "$1" "$2"; } >"$record.part"
    mv "$record.part" "$record"
}

put() {
    local mode=$1 from=$2 at=$3
    local to=$DESTDIR$at
    install -d "$(dirname "$to")"
    if [ ! -e "$to" ] || untouched "$at" || cmp -s <(render "$from") "$to"; then
        # Another name first: a start script may be running.
        render "$from" >"$to.part"
        chmod "$mode" "$to.part"
        mv "$to.part" "$to"
        note "$(render "$from" | sum)" "$at"
        say "$to"
    else
        render "$from" >"$to.new"
        say "$to is not as it was installed and stays; the new one is $to.new"
    fi
}

# What is not as it was put there, a package's own or changed by somebody, stays.
remove() {
    local from=$1 at=$2
    local to=$DESTDIR$at
    if [ -e "$to" ] && { untouched "$at" || cmp -s <(render "$from") "$to"; }; then rm -f "$to"; fi
    if cmp -s <(render "$from") "$to.new"; then rm -f "$to.new"; fi
}

case $init in
    systemd | sysv | openrc | none | all) ;;
    *)
        printf 'install-etc: INIT is systemd, sysv, openrc or none, not %s\n' "$init" >&2
        exit 64
        ;;
esac

case $action in
    check) ;;
    install)
        put 644 gmetad.conf "$SYSCONFDIR/ganglia/gmetad.conf"
        case $init in
            systemd)
                put 644 systemd/gmetad.service "$UNITDIR/gmetad.service"
                put 644 systemd/gmetad.tmpfiles "$SYSCONFDIR/tmpfiles.d/gmetad.conf"
                # Every system has nobody.
                if [ "$RRDUSER" != nobody ]; then
                    put 644 systemd/gmetad.sysusers "$SYSCONFDIR/sysusers.d/gmetad.conf"
                fi
                put 644 default/gmetad "$SYSCONFDIR/default/gmetad"
                ;;
            sysv)
                put 755 init.d/gmetad "$SYSCONFDIR/init.d/gmetad"
                put 644 default/gmetad "$SYSCONFDIR/default/gmetad"
                ;;
            openrc) put 755 openrc/gmetad "$SYSCONFDIR/init.d/gmetad" ;;
            *) exit 0 ;;
        esac
        put 644 logrotate/gmetad "$SYSCONFDIR/logrotate.d/gmetad"
        ;;
    uninstall)
        remove gmetad.conf "$SYSCONFDIR/ganglia/gmetad.conf"
        remove systemd/gmetad.service "$UNITDIR/gmetad.service"
        remove systemd/gmetad.tmpfiles "$SYSCONFDIR/tmpfiles.d/gmetad.conf"
        remove systemd/gmetad.sysusers "$SYSCONFDIR/sysusers.d/gmetad.conf"
        remove default/gmetad "$SYSCONFDIR/default/gmetad"
        remove init.d/gmetad "$SYSCONFDIR/init.d/gmetad"
        remove openrc/gmetad "$SYSCONFDIR/init.d/gmetad"
        remove logrotate/gmetad "$SYSCONFDIR/logrotate.d/gmetad"
        rm -f "$record"
        ;;
esac
