#!/usr/bin/env bash
# tests/e2e/training.sh GEMEL MAKE_TRAINING - training ahead of time, from a C program: a model with
# AdamW and one with two trainings and an initialisation are compiled, and ten steps by a program that
# links them leave the states that `gemel train` leaves, bit for bit, with one thread and with two.
set -euo pipefail
gemel=$(realpath "$1")
make_training=$(realpath "$2")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() { echo "$1"; exit 1; }
app() { cc -O1 -Wall -Werror -I. -I"$here" "$here/$1" "./$2" -o "$3" -Wl,-rpath,.; }

"$make_training" .
"$gemel" train plain.onnx --loss mse --steps 0 --form model.onnx >/dev/null
"$gemel" compile model.onnx -o model.so
cp model.so first.so
"$gemel" compile model.onnx -o model.so >/dev/null
cmp first.so model.so
if ldd model.so | grep -vE 'linux-vdso|libc\.so|libm\.so|ld-linux|libpthread|librt|libdl'; then
    fail "the library needs more than libc and libm"
fi
exported=$(nm -D --defined-only model.so | awk '{print $3}' |
    grep -vE '^(model_(open|close|error|run|step|n_states|state|find_state)|gemel_artifact)$' || true)
[[ -z $exported ]] || fail "model.so exports $exported"

app training_app.c model.so app
./app inputs
given=(--steps 10 --input x=x.npy --input target=t.npy)
"$gemel" train model.onnx "${given[@]}" --threads 1 --save trained.safetensors >train.txt
for threads in 1 2; do
    ./app "$threads" trained.safetensors
    for model in model.onnx model.so; do
        "$gemel" train "$model" "${given[@]}" --threads "$threads" --save again.safetensors >again.txt
        cmp trained.safetensors again.safetensors
        cmp <(sed 's/  [0-9.]* ms$//' train.txt) <(sed 's/  [0-9.]* ms$//' again.txt)
    done
done

# Half of the steps, the states in a file, and the other half, in another form of the model.
"$gemel" train model.so "${given[@]}" --steps 4 --save half.safetensors >/dev/null
"$gemel" train model.onnx "${given[@]}" --steps 6 --load half.safetensors --save again.safetensors >/dev/null
cmp trained.safetensors again.safetensors

# One entry alone, and the weights beside.
"$gemel" compile model.onnx --entry step -o step.so >/dev/null
nm -D step.so | grep -q ' step_step$' || fail "step.so has no step"
nm -D step.so | grep -q ' step_run$' && fail "step.so has the graph too"
"$gemel" train step.so "${given[@]}" --save again.safetensors >/dev/null
cmp trained.safetensors again.safetensors
"$gemel" compile model.onnx --entry run -o run.so >/dev/null
grep -q state run.h && fail "run.so has states"
"$gemel" train run.so 2>error.txt && fail "run.so can be trained"
grep -q 'was compiled without a training step' error.txt
"$gemel" compile plain.onnx --entry step -o none.so 2>error.txt && fail "plain.onnx has a step"
grep -q 'has no training algorithm' error.txt
"$gemel" compile model.onnx --weights beside -o beside.so >/dev/null
"$gemel" train beside.so "${given[@]}" --save again.safetensors >/dev/null
cmp trained.safetensors again.safetensors
"$gemel" bench --step model.so --runs 3 >/dev/null
"$gemel" info model.so | grep -q '^training    [0-9]* states'

# Two trainings: of each in turn, behind what the model does first; a seed makes other weights.
"$gemel" compile two.onnx -o two.so >/dev/null
app training_two.c two.so two
given=(--steps 10 --input x=x.npy --input t=t.npy)
"$gemel" train two.onnx "${given[@]}" --save trained.safetensors >two.txt
[[ $(wc -l <two.txt) == 20 ]] || fail "each training has ten steps"
./two trained.safetensors
"$gemel" train two.so "${given[@]}" --save again.safetensors >/dev/null
cmp trained.safetensors again.safetensors
"$gemel" train two.onnx "${given[@]}" --seed 1 --save again.safetensors >/dev/null
cmp -s trained.safetensors again.safetensors && fail "a seed changes nothing"
"$gemel" train two.onnx --steps 0 --save one.safetensors >/dev/null
"$gemel" train two.onnx --steps 0 --load one.safetensors --seed 1 --save again.safetensors >/dev/null
cmp one.safetensors again.safetensors
echo "artifacts train as gemel train does"
