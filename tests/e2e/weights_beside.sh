#!/usr/bin/env bash
# tests/e2e/weights_beside.sh GEMEL - an artifact whose weights are a safetensors file beside it: the
# same results and bytes as ever, found in the library's folder, and refused when the file is missing,
# cut short, longer, damaged in its head, or that of another model.
set -euo pipefail
gemel=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

die() {
    echo "$*"
    exit 1
}

"$gemel" export superres -o model.onnx >/dev/null
"$gemel" export superres --seed 1 -o other.onnx >/dev/null
"$gemel" compile model.onnx -o model.so >/dev/null
cc -O1 -I. "$here/weights_app.c" -L. -l:model.so -o app -Wl,-rpath,'$ORIGIN'
./app >inside.txt
[[ ! -e model.safetensors ]] || die "there are weights that nobody asked for"

"$gemel" compile model.onnx -o model.so --weights beside >/dev/null
mkdir again
"$gemel" compile model.onnx -o again/model.so --weights beside >/dev/null
cmp model.so again/model.so
cmp model.safetensors again/model.safetensors
grep -q 'The weights are in model.safetensors' model.h || die "the header does not say where the weights are"
(($(stat -c %s model.so) < 200000)) || die "the weights are in the library, too"
if ldd model.so | grep -vE 'linux-vdso|libc\.so|libm\.so|ld-linux'; then
    die "the library needs more than libc and libm"
fi
./app | cmp - inside.txt
(cd / && "$work/app") | cmp - inside.txt # found in the library's folder, not in the working one
"$gemel" run model.so --seed 3 --output-dir beside >/dev/null
(cd again && "$gemel" run "$work/model.so" --seed 3 --output-dir beside >/dev/null)
cmp beside/output_0.npy again/beside/output_0.npy

# The format: length, JSON, and offsets that end where the file does.
length=$(od -An -tu8 -N8 model.safetensors | tr -d ' ')
header=$(dd if=model.safetensors bs=1 skip=8 count="$length" status=none)
[[ $header == '{"__metadata__":{"format":"gemel","checksum":"'* ]] || die "no metadata: $header"
[[ $header == *'"conv1.bias":{"dtype":"F32","shape":[64'* ]] || die "no conv1.bias: $header"
end=$(grep -o '"data_offsets":\[[0-9]*,[0-9]*' <<<"$header" | grep -o '[0-9]*$' | sort -n | tail -n 1)
((8 + length + end == $(stat -c %s model.safetensors))) || die "the offsets end at $end"

# refused STATUS TEXT: neither the program nor gemel takes the files.
refused() {
    local status=0
    ./app >out 2>err || status=$?
    ((status == $1)) || die "status $status where $1 is right: $(cat err)"
    grep -q "$2" err || die "the program does not say '$2': $(cat err)"
    status=0
    "$gemel" run model.so >out 2>err || status=$?
    ((status == $1)) || die "gemel: status $status where $1 is right: $(cat err)"
    grep -q "$2" err || die "gemel does not say '$2': $(cat err)"
}
mv model.safetensors good
refused 5 'model.safetensors: cannot open: No such file'
: >model.safetensors
refused 3 'model.safetensors: is too short: it has 0 bytes of'
head -c 5000 good >model.safetensors
refused 3 'model.safetensors: is too short: it has 5000 bytes of'
(cat good; echo) >model.safetensors
refused 3 'model.safetensors: is not the file that the artifact was compiled with'
"$gemel" compile other.onnx -o other.so --weights beside >/dev/null
cp other.safetensors model.safetensors
[[ $(stat -c %s good) == $(stat -c %s other.safetensors) ]] || die "the models differ in size"
refused 3 'model.safetensors: is not the file that the artifact was compiled with'
sed 's/conv1.bias/conv9.bias/' good >model.safetensors
refused 3 'model.safetensors: is not the file that the artifact was compiled with'
mv good model.safetensors
./app | cmp - inside.txt
status=0
"$gemel" compile model.onnx -o model.so --weights above 2>err || status=$?
((status == 2)) || die "--weights above: status $status"
