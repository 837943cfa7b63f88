#!/usr/bin/env bash
# tests/e2e/compile_big.sh GEMEL MAKE_BIG - compiling needs little memory, and survives a full disk.
#
# The largest resident set of `gemel compile`, mapped pages and the linker included, stays below 1.3
# times the model's size, with the weights inside and beside. A disk that is full ends it with status 5
# and leaves what was there.
set -euo pipefail
gemel=$(realpath "$1") make_big=$(realpath "$2")
work=$(mktemp -d)
cleanup() {
    mountpoint -q "$work/tiny" 2>/dev/null && umount "$work/tiny"
    rm -rf "$work"
}
trap cleanup EXIT
cd "$work"

"$make_big" big.onnx
size=$(stat -c %s big.onnx)
((size > 100000000)) || { echo "the model has only $size bytes"; exit 1; }
for weights in inside beside; do
    peak=$("$make_big" --peak "$gemel" compile big.onnx -o big.so --weights $weights)
    echo "weights $weights: $((peak / 1000000)) MB for a model of $((size / 1000000)) MB"
    if ((peak * 10 > size * 13)); then
        echo "compiling needs more than 1.3 times the model's size"
        exit 1
    fi
    "$gemel" run big.so --seed 1 --output-dir $weights >/dev/null
done
cmp inside/output_0.npy beside/output_0.npy

mkdir tiny
if ! mount -t tmpfs -o size=40m,mode=777 none tiny 2>/dev/null; then
    echo "SKIP a full disk: a tmpfs cannot be mounted"
    exit 0
fi
echo precious | tee tiny/big.h tiny/big.so tiny/big.safetensors >/dev/null
for weights in inside beside; do
    status=0
    "$gemel" compile big.onnx -o tiny/big.so --weights $weights >out 2>err || status=$?
    if ((status != 5)) || ! grep -q '^tiny/big\.[a-z]*: cannot write: No space left' err; then
        echo "a full disk, weights $weights: status $status, $(cat err)"
        exit 1
    fi
    if [[ $(ls -A tiny | tr '\n' ' ') != 'big.h big.safetensors big.so ' ||
        $(cat tiny/big.*) != $'precious\nprecious\nprecious' ]]; then
        echo "a full disk, weights $weights: the files are $(ls -A tiny)"
        exit 1
    fi
done
