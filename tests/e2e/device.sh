#!/usr/bin/env bash
# tests/e2e/device.sh GEMEL GIR_TO_ONNX - what the command line says about devices and precisions that
# are not there; the precision medium where it is; a GPU's code.
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

says 2 "this value will not do: 'low'" run --device emu --precision low "$model"
for device in cpu ref; do
    for verb in run compare check 'kernels test'; do
        [[ "$device $verb" != 'ref kernels test' ]] || continue
        # shellcheck disable=SC2086 # two words
        says 4 "the device $device knows the precision highest alone, not medium" \
            $verb --device "$device" --precision medium "$model"
    done
done
for verb in bench "compile -o $folder/model.so"; do
    # shellcheck disable=SC2086
    says 4 'the device cpu knows the precision highest alone' $verb --precision medium "$model_onnx"
done

# Operands in bf16 are off by 1/512 each at most, sums of 64 products by less than 1/64 of the
# largest.
cat >"$folder/matmul.gir" <<'EOF'
graph @matmul(%x: f32[48,64], %y: f32[64,32]) {
  %z = MatMul(%x, %y) : f32[48,32]
  return %z
}
EOF
matmul=$folder/matmul.gir
medium=(compare --device emu --precision medium "$matmul")
says 0 'against cpu: ' compare --device emu --against cpu "$matmul"
says 0 'against cpu: ' "${medium[@]}" --against cpu --rtol 0 --atol 0.015625
says 1 'z' "${medium[@]}" --against cpu
says 1 'z' "${medium[@]}" --against emu

# PTX, which is one module: the model has one program.
"$gir_to_onnx" "$matmul" "$folder/matmul.onnx" || exit 1
ptxas=$(PATH=$PATH:/usr/local/cuda/bin command -v ptxas) || echo 'no ptxas: PTX is not assembled'
for cpu in sm_80 sm_90a; do
    for precision in highest medium; do
        ptx=$folder/$cpu.$precision.ptx
        if ! "$gemel" compile --triple nvptx64-nvidia-cuda --cpu $cpu --precision $precision \
            --dump asm "$folder/matmul.onnx" >"$ptx" 2>"$folder/message.txt"; then
            # LLVM may have been built without NVPTX
            grep -q 'no code can be made' "$folder/message.txt" && continue
            echo "FAIL $cpu, $precision: $(head -n 1 "$folder/message.txt")"
            failed=1
        elif ! grep -qF '.visible .entry' "$ptx" || ! grep -q "^\.target $cpu" "$ptx"; then
            echo "FAIL $cpu, $precision: no PTX: $(head -n 9 "$ptx")"
            failed=1
        elif [[ $ptxas ]] && ! "$ptxas" -arch=$cpu "$ptx" -o "$folder/out.cubin"; then
            echo "FAIL $cpu, $precision: ptxas refuses it"
            failed=1
        fi
    done
done

exit $failed
