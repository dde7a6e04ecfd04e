#!/bin/bash
# Corrects in docs/ and SECURITY.md the files of tests that have moved: a test keeps its name, and says where it is.
# Names what it cannot tell: a test that is gone, or of which there are several.
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A files=()
# Each test's name with the file it stands in, over all of them at once.
while IFS=: read -r file name; do
    files[$name]+="$file "
done < <(find src tests contrib -name '*.rs' -exec awk '
    FNR == 1 { armed = 0 }
    # Behind it may stand other attributes, of several lines.
    /#\[test\]/ { armed = 8; next }
    armed > 0 && match($0, /fn [a-z0-9_]+\(/) {
        print FILENAME ":" substr($0, RSTART + 3, RLENGTH - 4); armed = 0; next
    }
    armed > 0 { armed-- }
' {} +)

failed=0
for document in docs/*.md SECURITY.md; do
    while IFS= read -r test; do
        file=${test%::*} name=${test#*::}
        read -ra found <<<"${files[$name]-}"
        if [[ " ${found[*]-} " == *" $file "* ]]; then continue; fi
        if ((${#found[@]} > 1)); then
            # Of several, the one that is of the same kind: tests/ or src/.
            mapfile -t found < <(printf '%s\n' "${found[@]}" | grep "^${file%%/*}/")
        fi
        if ((${#found[@]} == 1)); then
            sed -i "s|$test\\b|${found[0]}::$name|g" "$document"
            echo "$document: $test is now in ${found[0]}"
        else
            echo "$document: $test: ${#found[@]} tests have that name" >&2
            failed=1
        fi
    done < <(grep -oE '[A-Za-z_./-]+\.rs::[a-z0-9_]+' "$document" | sort -u)
done
exit "$failed"
