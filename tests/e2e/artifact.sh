#!/usr/bin/env bash
# tests/e2e/artifact.sh GEMEL - a model, ahead of time, from a C program: exports a small vision
# transformer with a symbolic batch, compiles it, links a program against it, and compares its output
# between 1 and 2 threads, bit for bit, and with that of `gemel run`, for two batch sizes. Also: the
# library needs libc and libm only, and the same model gives the same bytes.
set -euo pipefail
gemel=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

"$gemel" export vit --variant ti16 --batch batch -o model.onnx >/dev/null
"$gemel" compile model.onnx -o model.so
cp model.so first.so
"$gemel" compile model.onnx -o model.so >/dev/null
cmp first.so model.so
if ldd model.so | grep -vE 'linux-vdso|libc\.so|libm\.so|ld-linux|libpthread|lib[at]*san|libubsan|libgcc_s|librt|libdl'; then
    echo "the library needs more than libc and libm"
    exit 1
fi
cc -O1 -I. "$here/artifact_app.c" ./model.so -o app -lm -Wl,-rpath,.
for batch in 1 3; do
    ./app 1 "$batch"
    cp y.bin y1.bin
    ./app 2 "$batch"
    cmp y1.bin y.bin
    "$gemel" run model.onnx --input images=x.npy --dim batch="$batch" --output-dir . >/dev/null
    tail -c "$((batch * 4000))" output_0.npy >expected.bin
    ./app 1 "$batch" expected.bin
done

# The weights are a segment that tools of the trade know about.
"$gemel" run model.so --seed 2 --dim batch=1 --output-dir whole >/dev/null
strip model.so -o stripped.so
"$gemel" run stripped.so --seed 2 --dim batch=1 --output-dir stripped >/dev/null
cmp whole/output_0.npy stripped/output_0.npy

# Two artifacts in one program, in either order: each must compute what it computes alone.
"$gemel" export superres -o other.onnx >/dev/null
"$gemel" compile other.onnx -o other.so >/dev/null
for so in model.so other.so; do
    exported=$(nm -D --defined-only "$so" | awk '{print $3}' |
        grep -vE "^(${so%.so}_(open|close|error|run)|gemel_artifact)\$" || true)
    [[ -z $exported ]] || { echo "$so exports $exported"; exit 1; }
done
cc -O1 -I. -DALONE "$here/artifact_two.c" ./other.so -o alone -Wl,-rpath,.
cc -O1 -I. "$here/artifact_two.c" ./model.so ./other.so -o two -Wl,-rpath,.
cc -O1 -I. "$here/artifact_two.c" ./other.so ./model.so -o owt -Wl,-rpath,.
./alone >alone.txt
./two >two.txt
./owt >owt.txt
cmp two.txt owt.txt
tail -n 1 two.txt | cmp - alone.txt
echo "artifact and run agree"
