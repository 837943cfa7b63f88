#!/usr/bin/env bash
# tests/e2e/json.sh GEMEL MAKE_BAD READ_JSON [SANITIZERS] - `--json` of every verb is JSON, whatever models
# and files are called. SANITIZERS: those that gemel is built with; artifacts are linked with them.
#
# The last line is "N passed, N failed, N skipped".
set -uo pipefail

gemel=$1 make_bad=$2 read_json=$3 sanitizers=${4:-}
passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
"$make_bad" . || exit 1

# json NAME STATUS WORDS COMMAND…: prints one JSON value, in which WORDS are.
json() {
    local name=$1 status=$2 words=$3 got
    shift 3
    timeout 60 "$@" >out 2>err
    got=$?
    if ((got != status)); then
        echo "FAIL $name: exit status $got where $status is right"
    elif ! "$read_json" <out 2>why; then
        echo "FAIL $name: $(cat why)"
    elif ! grep -qF -- "$words" out; then
        echo "FAIL $name: nothing about $words"
    else
        passed=$((passed + 1))
        return
    fi
    head -n 20 out err
    failed=$((failed + 1))
}

nasty=$'q"\\\n\x01\xff'
dims=(--dim=$'"\\\n\x01\x7f\xc3\x28\xff*/ ?/n=2')
escaped='\"\\\n\u0001' # as each name begins
if [[ $sanitizers ]]; then
    mkdir bin
    printf '#!/bin/sh\nexec %s -fsanitize=%s "$@"\n' "$(command -v cc)" "$sanitizers" >bin/cc
    chmod +x bin/cc
    PATH=$work/bin:$PATH
fi
mkdir "$nasty"
cp nasty.onnx "$nasty/m.onnx"
mkdir "$nasty/test"
cp nasty.onnx "$nasty/test/model.onnx"

json 'info' 0 "$escaped" "$gemel" info --json "$nasty/m.onnx"
json 'info with a size' 0 "$escaped" "$gemel" info --json "${dims[@]}" "$nasty/m.onnx"
json 'info of an unknown operator' 4 "$escaped" "$gemel" info --json nasty_op.onnx
json 'run' 0 "$escaped" "$gemel" run --json "${dims[@]}" "$nasty/m.onnx"
json 'run into a folder' 0 "$escaped" "$gemel" run --json "${dims[@]}" nasty.onnx -o "$nasty/out"
json 'run on ref' 0 "$escaped" "$gemel" run --json --device=ref "${dims[@]}" nasty.onnx
json 'bench' 0 "$escaped" "$gemel" bench --json --kernels --runs=2 "${dims[@]}" nasty.onnx
json 'compile' 0 "q$escaped" "$gemel" compile --json nasty.onnx -o "$nasty.so"
if ! cc -fsyntax-only -Wall -Werror -x c "$nasty.h" 2>err; then
    echo "FAIL the header of a model with such names is no C: $(head -n 3 err)"
    failed=$((failed + 1))
fi
json 'check' 0 '"test"' "$gemel" check --json "$nasty"
json 'export' 0 "q$escaped" "$gemel" export --json superres -o "$nasty.onnx"
json 'export, the list' 0 'vit' "$gemel" export --json --list

echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
