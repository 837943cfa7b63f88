#!/usr/bin/env bash
# tests/e2e/passes_off.sh GEMEL - every optional pass, left out, changes no result beyond rounding.
#
# `gemel compare --passes` asks the program's own table which passes there are, and compares every value that
# is stored. The models are small variants of those that gemel exports, and the ONNX suite's light models where
# it is installed (ONNX_DATA, else build/venv). Required passes must be refused with a reason.
# The last line is "N passed, N failed, N skipped".
set -uo pipefail

gemel=$1
passed=0 failed=0 skipped=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAIL $1"
    failed=$((failed + 1))
}

mapfile -t optional < <("$gemel" compare --list-passes | awk '$2 == "optional" { print $1 }')
mapfile -t required < <("$gemel" compare --list-passes | awk '$2 == "required" { print $1 }')
((${#optional[@]} > 0 && ${#required[@]} > 0)) || fail 'the passes cannot be listed'

# compare_passes NAME MODEL: one test a pass.
compare_passes() {
    local log=$work/log last
    "$gemel" compare --passes "$2" >"$log" 2>&1
    local status=$?
    last=$(tail -n 1 "$log")
    if [[ $status -le 1 && $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ 0\ skipped$ ]] &&
        ((BASH_REMATCH[1] + BASH_REMATCH[2] == ${#optional[@]})); then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        ((status == 0)) || sed "s/^/$1: /" "$log"
    else
        fail "$1: exit status $status"
        sed 's/^/  | /' "$log"
    fi
}

# export_and_compare NAME OPTION…
export_and_compare() {
    local model=$work/$1.onnx
    if "$gemel" export "$@" -o "$model" >"$work/log" 2>&1; then
        compare_passes "$1" "$model"
    else
        fail "export $1"
        sed 's/^/  | /' "$work/log"
    fi
    rm -f "$model"
}

export_and_compare vit --variant ti16 --image-size 64
export_and_compare bert --sequence 16
export_and_compare superres --image-size 32
export_and_compare resnet --image-size 64

data=${ONNX_DATA:-$(echo build/venv/lib/python3*/site-packages/onnx/backend/test/data)}
for name in shufflenet squeezenet inception_v2; do
    model=$data/light/light_$name.onnx
    if [[ -f $model ]]; then
        compare_passes "$name" "$model"
    else
        echo "SKIP $name: the ONNX suite is not installed"
        skipped=$((skipped + 1))
    fi
done

for pass in "${required[@]}" nonsense; do
    for verb in bench check compare; do
        message=$("$gemel" "$verb" --off "$pass" tests/e2e/relu.gir 2>&1 >"$work/log")
        status=$?
        if ((status == 2)) && [[ $message == *"pass '$pass'"* ]]; then
            passed=$((passed + 1))
        else
            fail "$verb --off $pass: exit status $status, '$message'"
        fi
    done
done

echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
