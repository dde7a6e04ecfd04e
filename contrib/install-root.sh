#!/bin/sh
# Makes the folder of the RRD files where it is missing, for the user that gmetad becomes:
#   install-root.sh FOLDER USER
# One that is there stays as it is. Only root can give a folder away.
set -eu

folder=$1
user=$2

if [ -e "$folder" ]; then
    exit 0
fi
install -d "$folder"
if [ "$(id -u)" -eq 0 ] && id "$user" >/dev/null 2>&1; then
    chown "$user:$(id -gn "$user")" "$folder"
else
    echo "$folder is not $user's: chown it, or name its owner with setuid_username."
fi
