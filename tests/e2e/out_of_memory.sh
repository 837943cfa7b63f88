#!/usr/bin/env bash
# tests/e2e/out_of_memory.sh GEMEL FAIL_MALLOC MAKE_BAD - every allocation of small runs fails once.
#
# FAIL_MALLOC is preloaded (tests/e2e/fail_malloc.c). Each run either does without the memory, and then
# has done all of its work, or ends with exit status 5, says so in one message, and leaves nothing
# behind. Where there are thousands of allocations, all of the first fail and then one in so many.
# The last line is "N passed, N failed, N skipped".
set -uo pipefail

gemel=$1 fail_malloc=$2 make_bad=$3
passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
"$make_bad" . || exit 1
export TMPDIR=$work/tmp
mkdir tmp

fail() {
    echo "FAIL $1"
    sed 's/^/  | /' err
    failed=$((failed + 1))
}

# limited N COMMAND…: allocation N fails.
limited() {
    local n=$1
    shift
    timeout 60 env GEMEL_FAIL_AT="$n" GEMEL_COUNT="$work/count" LD_PRELOAD="$fail_malloc" "$@" \
        >out 2>err
}

# check NAME N STATUS FILES: what came of it.
check() {
    local name="$1, allocation $2" status=$3 files=$4 made
    made=$(ls -A results 2>/dev/null | tr '\n' ' ')
    if ((status != 0 && status != 5)); then
        fail "$name: exit status $status"
    elif ((status == 5)) && ! grep -qi 'memory' err; then
        fail "$name: no word of memory"
    elif ((status == 5)) && (($(wc -l <err) > 2)); then # LLVM's own takes two lines
        fail "$name: more than one message"
    elif ((status == 0)) && [[ $made != "$files" ]]; then
        fail "$name: made '$made', not '$files'"
    elif ((status == 5)) && [[ -n $made ]]; then
        fail "$name: left '$made'"
    elif [[ -n $(ls -A tmp) ]]; then
        fail "$name: left $(ls -A tmp) in TMPDIR"
    else
        passed=$((passed + 1))
    fi
    rm -rf results tmp/*
}

# every NAME FILES COMMAND…: FILES is what a run leaves in results/.
every() {
    local name=$1 files=$2 n count
    shift 2
    [[ $files == *.so* ]] && mkdir results
    limited 0 "$@" || fail "$name: does not run at all"
    check "$name" 0 0 "$files"
    count=$(cat count)
    for ((n = 1; n <= count; n += n < 100 ? 1 : n / 8)); do
        [[ $files == *.so* ]] && mkdir results
        limited "$n" "$@"
        check "$name" "$n" $? "$files"
    done
}

every 'run on ref' 'output_0.npy ' "$gemel" run good.onnx --device=ref --threads=1 -o results
every 'info' '' "$gemel" info --json good.onnx
every 'run on cpu' 'output_0.npy ' "$gemel" run good.onnx --threads=1 -o results
every 'compile' 'good.h good.so ' "$gemel" compile good.onnx -o results/good.so
"$gemel" compile good.onnx -o good.so >out 2>err || fail 'compile'
every 'run a compiled model' 'output_0.npy ' "$gemel" run good.so --threads=1 -o results

echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
