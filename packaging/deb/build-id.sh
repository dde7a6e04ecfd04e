#!/bin/bash
# Makes the build ID of stripped programs a sum of what is in them: the linker's is a sum of the unstripped
# program, which names the folder that it was built in. Usage: build-id.sh PROGRAM…
set -euo pipefail
for program in "$@"; do
    at=$(readelf -SW "$program" |
        sed -nE 's/.* \.note\.gnu\.build-id +NOTE +[0-9a-f]+ ([0-9a-f]+) 000024 .*/\1/p')
    if [[ -z $at ]]; then
        echo "build-id: $program has no build ID of 20 bytes" >&2
        exit 1
    fi
    # Behind the lengths, the type and the name.
    at=$((16#$at + 16))
    put() { dd of="$program" bs=1 seek="$at" conv=notrunc status=none; }
    head -c 20 /dev/zero | put
    sum=$(sha1sum <"$program" | cut -d ' ' -f 1)
    printf '%b' "$(fold -w 2 <<<"$sum" | sed 's/^/\\x/' | tr -d '\n')" | put
done
