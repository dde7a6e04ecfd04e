#!/bin/bash
# Checks the scripts with shellcheck and the man pages with man, each where there is one, and that
# the tests are there that docs/COMPATIBILITY.md names.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
if command -v shellcheck >/dev/null; then
    # Every file that begins as a shell script does.
    mapfile -t scripts < <(grep -rlE '^#! ?/(usr/)?bin/(env )?(ba)?sh' .ci contrib | sort)
    shellcheck "${scripts[@]}" || failed=1
    # What OpenRC runs defines, and uses, what shellcheck cannot see.
    shellcheck --shell=sh --exclude=SC2034 contrib/openrc/gmetad || failed=1
else
    echo 'lint: no shellcheck here; scripts were not checked' >&2
fi

if command -v man >/dev/null; then
    for page in man/*.[1-8]; do
        if ! warnings=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 \
            man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null) || [[ -n $warnings ]]; then
            printf '%s\n%s\n' "$page:" "$warnings" >&2
            failed=1
        fi
    done
else
    echo 'lint: no man here; man pages were not checked' >&2
fi

# Every line of its tables names a test in its last column, and every test that it names is one.
table=docs/COMPATIBILITY.md
lines=$(grep -nE '^\| ' "$table" | grep -vE '^[0-9]+:\| what \|')
# shellcheck disable=SC2016 # The backquotes are Markdown's.
if untested=$(grep -vE '`[^`]+\.rs::[a-z0-9_]+` \|$' <<<"$lines"); then
    printf '%s: no test is named here:\n%s\n' "$table" "$untested" >&2
    failed=1
fi
while IFS= read -r test; do
    # Not grep -q, which would leave the one before it with a closed pipe.
    if ! grep -sA6 '#\[test\]' "${test%::*}" | grep -E "fn ${test#*::}\(" >/dev/null; then
        printf '%s: there is no test %s\n' "$table" "$test" >&2
        failed=1
    fi
done < <(grep -oE '[A-Za-z_./-]+\.rs::[a-z0-9_]+' "$table" | sort -u)
exit "$failed"
