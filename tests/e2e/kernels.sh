#!/usr/bin/env bash
# tests/e2e/kernels.sh GEMEL [OPTION…] - gemel kernels test on tests/ops: generated code against the interpreter.
#
# Every case counts once for each element type. Those named in tests/xfail/kernels.txt ("operator/case/type
# reason", blanks in the case as hyphens) are expected to fail and count as skipped; one that passes has failed, or that no case bears when all
# are run. An operator that gets a kernel of its own and has no case has failed, too.
# The last line is "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

gemel=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$gemel" kernels test tests/ops "$@" >"$work/results" 2>"$work/messages"
status=$?

awk -v all="$#" '
    function bad(line) { print line; n_failed++ }
    FILENAME == ARGV[1] {
        if ($1 != "" && $1 !~ /^#/)
            expected[$1] = 1
        next
    }
    $1 == "PASS" || $1 == "FAIL" {
        name = $0
        sub(/^.... /, "", name)
        sub(/: .*/, "", name)
        match(name, / [a-z0-9]*$/)
        name = substr(name, 1, RSTART - 1) "/" substr(name, RSTART + 1)
        gsub(/ /, "-", name)
        seen[name] = 1
        if ($1 == "FAIL" && name in expected)
            n_expected++
        else if ($1 == "FAIL")
            bad($0)
        else if (name in expected)
            bad("FAIL " name ": passes, but tests/xfail/kernels.txt expects a failure")
        else
            n_passed++
    }
    $1 == "SKIP" { bad($0) }
    END {
        for (name in expected)
            if (all == 0 && !(name in seen))
                bad("FAIL " name ": named in tests/xfail/kernels.txt, but no case")
        printf "%d passed, %d failed, %d skipped\n", n_passed, n_failed, n_expected
        exit n_failed > 0 || n_passed == 0
    }' tests/xfail/kernels.txt "$work/results" >"$work/sum"
failed=$?
if ((status > 1)); then
    echo "$gemel kernels test ended with status $status:"
    tail -n 20 "$work/messages"
    failed=1
fi
cat "$work/sum"
exit $failed
