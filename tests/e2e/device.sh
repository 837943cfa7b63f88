#!/usr/bin/env bash
# tests/e2e/device.sh GEMEL GIR_TO_ONNX - what the command line says about devices that are not there,
# precisions, and code for GPUs.
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

says 2 "this value will not do: 'low'" run --precision low "$model"
says 4 'device cpu knows the precision highest alone' run --precision medium "$model"
says 4 'device ref knows the precision highest alone' run --device ref --precision medium "$model"

# products on tensor cores: rounded to bf16 and no further, and without the option not at all
cat >"$folder/product.gir" <<'END'
graph @product(%x: f32[256,200], %w: f32[200,256]) {
  %y = MatMul(%x, %w)
  return %y
}
END
"$gir_to_onnx" "$folder/product.gir" "$folder/product.onnx" || exit 1
against=(compare "$folder/product.onnx" --device emu --against cpu)
says 0 '1 value' "${against[@]}"
says 0 '1 value agree' "${against[@]}" --precision medium --atol 5e-3
says 1 '1 of 1 value deviate' "${against[@]}" --precision medium

# PTX, and what assembles it where that is installed
says 0 '.visible .entry' compile "$folder/product.onnx" --triple nvptx64-nvidia-cuda --cpu sm_80 --dump asm
ptxas=$(command -v ptxas || echo /usr/local/cuda/bin/ptxas)
for architecture in sm_80 sm_90a; do
    for precision in highest medium; do
        [[ -x $ptxas ]] || continue
        "$gemel" compile "$folder/product.onnx" --triple nvptx64-nvidia-cuda --cpu "$architecture" \
            --precision "$precision" --dump asm >"$folder/product.ptx"
        if ! "$ptxas" -arch="$architecture" "$folder/product.ptx" -o "$folder/product.cubin"; then
            echo "FAIL ptxas takes no kernel for $architecture, precision $precision"
            failed=1
        fi
    done
done

exit $failed
