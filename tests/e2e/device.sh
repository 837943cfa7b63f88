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

# What products read is stored as bf16 (passes/autocast.c): with the very results of products that
# round it themselves.
cat >"$folder/perceptron.gir" <<'EOF'
graph @perceptron(%x: f32[150,64], %w: f32[64,96], %v: f32[96,64], %g: f32[150,64]) {
  %a = MatMul(%x, %w) : f32[150,96]
  %b = Gelu(%a) : f32[150,96]
  %c = MatMul(%b, %v) : f32[150,64]
  %r = Add(%c, %x) : f32[150,64]
  %vt = Transpose(%v) {perm = [1, 0]} : f32[64,96]
  %d = MatMul(%g, %vt) : f32[150,96]
  %bt = Transpose(%b) {perm = [1, 0]} : f32[96,150]
  %e = MatMul(%bt, %g) : f32[96,64]
  %h = Mul(%d, %a) : f32[150,96]
  %xt = Transpose(%x) {perm = [1, 0]} : f32[64,150]
  %i = MatMul(%xt, %h) : f32[64,96]
  %wt = Transpose(%w) {perm = [1, 0]} : f32[96,64]
  %j = MatMul(%h, %wt) : f32[150,64]
  return %r, %e, %i, %j
}
EOF
cat >"$folder/attention.gir" <<'EOF'
graph @attention(%x: f32[2,32,64], %w: f32[64,192]) {
  %qkv = MatMul(%x, %w) : f32[2,32,192]
  %q, %k, %v = Split(%qkv) {axis = -1, num_outputs = 3} : f32[2,32,64], f32[2,32,64], f32[2,32,64]
  %scale = Constant {value = f32[1]{0.25}} : f32[1]
  %scaled = Mul(%q, %scale) : f32[2,32,64]
  %s = Constant {value = [2, 32, 4, 16]} : i64[4]
  %q4 = Reshape(%scaled, %s) : f32[2,32,4,16]
  %k4 = Reshape(%k, %s) : f32[2,32,4,16]
  %v4 = Reshape(%v, %s) : f32[2,32,4,16]
  %qt = Transpose(%q4) {perm = [0, 2, 1, 3]} : f32[2,4,32,16]
  %kt = Transpose(%k4) {perm = [0, 2, 3, 1]} : f32[2,4,16,32]
  %vt = Transpose(%v4) {perm = [0, 2, 1, 3]} : f32[2,4,32,16]
  %scores = MatMul(%qt, %kt) : f32[2,4,32,32]
  %p = Softmax(%scores) {axis = -1} : f32[2,4,32,32]
  %y = MatMul(%p, %vt) : f32[2,4,32,16]
  return %y
}
EOF
cat >"$folder/large.gir" <<'EOF'
graph @large(%x: f32[2048,32], %y: f32[2048,32], %w: f32[32,1152]) {
  %a = Tanh(%x) : f32[2048,32]
  %b = Tanh(%y) : f32[2048,32]
  %c = MatMul(%a, %w) : f32[2048,1152]
  %d = MatMul(%b, %w) : f32[2048,1152]
  return %c, %d
}
EOF
cat >"$folder/heads.gir" <<'EOF'
graph @heads(%x: f32[4,8,512,16], %w: f32[128,256], %v: f32[128,1152], %g: f32[2048,1152]) {
  %a = Tanh(%x) : f32[4,8,512,16]
  %t = Transpose(%a) {perm = [0, 2, 1, 3]} : f32[4,512,8,16]
  %s = Constant {value = [2048, 128]} : i64[2]
  %r = Reshape(%t, %s) : f32[2048,128]
  %c = MatMul(%r, %v) : f32[2048,1152]
  %rt = Transpose(%r) {perm = [1, 0]} : f32[128,2048]
  %d = MatMul(%rt, %g) : f32[128,1152]
  %e = MatMul(%r, %w) : f32[2048,256]
  return %c, %d, %e
}
EOF
for name in perceptron attention large heads; do
    says 0 output_0 run --device emu --precision medium -o "$folder/$name" "$folder/$name.gir"
    says 0 'no deviation' compare --device emu --precision medium --off autocast \
        --against "$folder/$name" --rtol 0 --atol 0 "$folder/$name.gir"
done

# The emulator multiplies them by wgmma; the code for sm_80, and other orders, give the same bits.
for emu in sm_80 reverse,early sm_80,mixed:5; do
    for name in large heads; do
        GEMEL_EMU=$emu says 0 'no deviation' compare --device emu --precision medium \
            --against "$folder/$name" --rtol 0 --atol 0 "$folder/$name.gir"
    done
done
GEMEL_EMU=sm_70 says 2 "GEMEL_EMU has 'sm_70'" run --device emu "$folder/matmul.gir"

# A large product reads it as it is, also where it lies head by head: none of its phases writes that
# first. Of heads, one writes what is read once, and one sums parts.
count_phases() {
    "$gemel" compile --triple nvptx64-nvidia-cuda --cpu sm_80 --precision medium --dump asm "${@:2}" \
        "$folder/$1.onnx" 2>"$folder/message.txt" | grep -c '^\.visible \.entry .*_[1-9]('
}
for name in large heads; do
    "$gir_to_onnx" "$folder/$name.gir" "$folder/$name.onnx" || exit 1
    found="$(count_phases $name), $(count_phases $name --off autocast)"
    right='0, 2'
    [[ $name == large ]] || right='2, 3'
    if ! grep -q 'no code can be made' "$folder/message.txt" && [[ $found != "$right" ]]; then
        echo "FAIL $name: phases after the first with and without autocast: $found, not $right"
        failed=1
    fi
done

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
