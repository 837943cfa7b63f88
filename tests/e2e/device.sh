#!/usr/bin/env bash
# tests/e2e/device.sh GEMEL GIR_TO_ONNX - what the command line says about devices that are not there.
set -uo pipefail

gemel=$1
gir_to_onnx=$2
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

# says STATUS TEXT ARGUMENT…: gemel ends with STATUS, with TEXT in what it says.
says() {
    local status=$1 text=$2 said
    shift 2
    said=$("$gemel" "$@" 2>&1)
    local got=$?
    if [[ $got != "$status" || $said != *"$text"* ]]; then
        echo "FAIL $*: status $got, not $status with '$text': $said"
        failed=1
    fi
}

model=$here/relu.gir
model_onnx=$folder/relu.onnx
"$gir_to_onnx" "$model" "$model_onnx" || exit 1
says 2 "this value will not do: 'gpu'" run --device gpu "$model"
says 2 "this value will not do: 'cuda:'" run --device cuda: "$model"
says 2 "this value will not do: 'emu:1'" run --device emu:1 "$model"
says 2 "this value will not do: 'ref'" bench --device ref "$model"
says 4 "ahead of time for a GPU is not supported yet" \
    compile --device cuda "$model_onnx" -o "$folder/model.so"
if [[ $("$gemel" run --device cuda "$model" 2>&1) == *'there is no CUDA driver'* ]]; then
    for verb in run compare train; do
        says 5 'the device cpu needs none' "$verb" --device cuda "$model"
    done
else
    says 5 'there is no device cuda:99' run --device cuda:99 "$model"
fi

exit $failed
