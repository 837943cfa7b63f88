#!/usr/bin/env bash
# tests/e2e/emu_orders.sh GEMEL - the launches of a training step in other orders: three steps of SiameseIM on
# the emulator leave the same states, bit for bit, launched one by one (apart: no run is written down) and as
# a graph whose launches come in order, the last that may be next first, or any.
set -euo pipefail
gemel=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

train() { # PRECISION ORDER FILE
    GEMEL_EMU=$2,unchecked "$gemel" train model.onnx --steps 3 --device emu --precision "$1" --save "$3" |
        sed 's/  [0-9.]* ms$//' >"$3.txt"
}

"$gemel" export siameseim --variant tiny --batch 2 --iterations 1 --warmup 2 --epochs 20 -o model.onnx >/dev/null
for precision in highest medium; do
    train $precision apart right.safetensors
    for order in forward reverse mixed:1 mixed:2; do
        train $precision $order other.safetensors
        for file in safetensors safetensors.txt; do
            cmp "right.$file" "other.$file" || { echo "$precision, $order: other $file"; exit 1; }
        done
    done
done
