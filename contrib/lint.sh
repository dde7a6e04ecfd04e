#!/bin/bash
# Checks the scripts with shellcheck and the man pages with man, YAML, each where there is one, and that
# the tests are there that docs/COMPATIBILITY.md, docs/RELIABILITY.md and SECURITY.md name.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
if command -v shellcheck >/dev/null; then
    # Every file that begins as a shell script does.
    mapfile -t scripts < <(grep -rlE '^#! ?/(usr/)?bin/(env )?(ba)?sh' .ci contrib packaging | sort)
    scripts+=(packaging/alpine/APKBUILD)
    shellcheck "${scripts[@]}" || failed=1
    # What OpenRC runs defines, and uses, what shellcheck cannot see.
    shellcheck --shell=sh --exclude=SC2034 contrib/openrc/gmetad || failed=1
    shellcheck --shell=bash contrib/completions/gmetad.bash || failed=1
else
    echo 'lint: no shellcheck here; scripts were not checked' >&2
fi

if command -v zsh >/dev/null; then
    zsh -n contrib/completions/_gmetad || failed=1
else
    echo 'lint: no zsh here; its completions were not checked' >&2
fi

if python3 -c 'import yaml' 2>/dev/null; then
    find contrib/compose -name '*.yaml' -exec python3 -c '
import sys, yaml
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        yaml.safe_load(file)' {} + || failed=1
else
    echo 'lint: no PyYAML here; contrib/compose was not checked' >&2
fi
if docker compose version >/dev/null 2>&1; then
    docker compose -f contrib/compose/compose.yaml config --quiet || failed=1
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

# Each manifest and document asks for the same version of Rust, the one that CI has.
declared=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
if others=$(find . -name target -prune -o \( -name Cargo.toml -o -name '*.md' -o -name '*.spec' -o -name deps.sh \) -print0 |
    xargs -0 grep -nE '(rust-version = "|[Rr]ust |toolchain \(|cargo >= )1\.[0-9]+' |
    grep -vE "1\\.${declared#1.}([^0-9]|$)"); then
    printf 'Cargo.toml declares Rust %s, and not so:\n%s\n' "$declared" "$others" >&2
    failed=1
fi

# The shipped unit confines the daemon: systemd's own measure, in tenths.
unit=contrib/systemd/gmetad.service
if command -v systemd-analyze >/dev/null && systemd-analyze --help | grep -q -- --offline; then
    # It loads units of this machine too, whose faults are not ours; nor need gmetad be installed.
    faults=$(systemd-analyze verify --man=no "$unit" 2>&1 | grep -F gmetad.service |
        grep -vF 'is not executable' || true)
    if [[ -n $faults ]]; then
        printf '%s: systemd refuses it:\n%s\n' "$unit" "$faults" >&2
        failed=1
    fi
    if ! exposure=$(systemd-analyze security --offline=true --threshold=30 "$unit" 2>&1); then
        printf '%s: it confines the daemon too little:\n%s\n' "$unit" "$exposure" >&2
        failed=1
    fi
else
    echo 'lint: no systemd-analyze that works offline here; the unit was not checked' >&2
fi

# Every line of its tables names a test in its last column, and every test that it names is one.
table=docs/COMPATIBILITY.md
lines=$(grep -nE '^\| ' "$table" | grep -vE '^[0-9]+:\| what \|')
# shellcheck disable=SC2016 # The backquotes are Markdown's.
if untested=$(grep -vE '`[^`]+\.rs::[a-z0-9_]+` \|$' <<<"$lines"); then
    printf '%s: no test is named here:\n%s\n' "$table" "$untested" >&2
    failed=1
fi
while IFS=: read -r page test; do
    # Not grep -q, which would leave the one before it with a closed pipe.
    if ! grep -sA6 '#\[test\]' "${test%::*}" | grep -E "fn ${test#*::}\(" >/dev/null; then
        printf '%s: there is no test %s\n' "$page" "$test" >&2
        failed=1
    fi
done < <(grep -oHE '[A-Za-z_./-]+\.rs::[a-z0-9_]+' "$table" docs/RELIABILITY.md SECURITY.md | sort -u)

# docs/LOG.md has every line that can be logged. Of a literal in the code, placeholders stand for
# anything: its constant parts must be there, in order, in one line of the page.
page=docs/LOG.md
literal='"(?:[^"\\]|\\.)*"'
calls='(?:log::(?:error|warn|info|debug)!|(?:recovered|life|fatal|critical)!|\b(?:insist|remark|say)\()[^";]*'
# Files whose literals become lines elsewhere: of these, all of three words and more.
makers=(src/daemon/{pid_file,port_holder,user}.rs src/export/link/remark.rs src/loader/boundary/guard.rs
    src/logging.rs src/logging/sinks.rs src/main.rs src/plugins/names.rs src/reactor/{bind,mod,reload}.rs
    src/rrd/writer/complaints.rs)
if ! ls "${makers[@]}" >/dev/null; then
    failed=1
fi
# A file without its comments and tests, in one line, its literals whole.
joined() {
    sed -E '/^[[:space:]]*\/\//d' "$1" |
        sed -z 's/#\[cfg(test)\]\nmod tests {.*//; s/\\\n[[:space:]]*//g; s/\n/ /g'
}
lines_logged() {
    find src -name '*.rs' ! -name tests.rs ! -name testing.rs ! -name complaint.rs |
        while IFS= read -r file; do
            joined "$file" | grep -oP "$calls\K$literal" || true
        done
    for file in "${makers[@]}"; do
        joined "$file" | grep -oP "$literal" | grep -E '[[:alpha:]].* .*[[:alpha:]].* .*[[:alpha:]]'
    done
}
if echo a | grep -qP a 2>/dev/null; then
    while IFS= read -r line; do
        # shellcheck disable=SC2016 # Nothing is to be expanded.
        pattern=$(sed -E 's/^"//; s/"$//; s/\\"/"/g; s/\{[^}]*\}/\x01/g; s/[][\\.*^$()+?|]/\\&/g
            s/^\x01?[;:] |^\x01|\x01$//g; s/\x01/.*/g' <<<"$line")
        if [[ $pattern == *[[:alpha:]][[:alpha:]]* ]] && ! grep -qE -- "$pattern" "$page"; then
            printf '%s: this line of the log is missing: %s\n' "$page" "$line" >&2
            failed=1
        fi
        if [[ $line == *'  '* ]]; then
            printf 'a line of the log has a gap: %s\n' "$line" >&2
            failed=1
        fi
    done < <(lines_logged | sort -u)
else
    echo 'lint: no grep -P here; lines of the log were not checked' >&2
fi
exit "$failed"
