#!/usr/bin/env bash
# tests/e2e/cpus.sh GEMEL - code for other processors: the vectors that each has are used, what this
# machine can run computes what its own code does, and names that nobody knows are refused.
set -euo pipefail
gemel=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() { echo "$1"; exit 1; }

"$gemel" export vit --variant ti16 -o vit.onnx >/dev/null
"$gemel" export resnet --variant 18 -o resnet.onnx 2>/dev/null || "$gemel" export superres -o resnet.onnx >/dev/null

[[ $(uname -m) == x86_64 ]] || exit 77
# processor, a register of its widest vectors, one of the flags that running it takes
while read -r cpu register flag; do
    "$gemel" compile --cpu "$cpu" --dump asm vit.onnx -o vit.so >vit.s
    grep -q "$register" vit.s || fail "$cpu: no $register in the code"
    case $cpu in
    x86-64) ! grep -q 'vfmadd\|call.*fmaf' vit.s || fail "$cpu: a fused multiply-add it does not have" ;;
    *) grep -q vfmadd vit.s || fail "$cpu: no fused multiply-add" ;;
    esac
    grep -qw "$flag" /proc/cpuinfo || continue
    for model in vit resnet; do
        "$gemel" compile --cpu "$cpu" "$model.onnx" -o "$model.so" >/dev/null
        "$gemel" compare "$model.so" --against "$model.onnx" >/dev/null || fail "$cpu: $model deviates"
    done
done <<'EOF'
x86-64 %xmm sse2
haswell %ymm avx2
skylake-avx512 %zmm avx512dq
EOF

status=0
"$gemel" compile --cpu haswel vit.onnx -o no.so >message.txt 2>&1 || status=$?
[[ $status == 4 && ! -e no.so ]] && grep -q "'haswel' is not known.*haswell" message.txt ||
    fail "a wrong name was not refused: $status"
status=0
"$gemel" compile --triple aarch64-linux-gnu --dump asm vit.onnx >vit.s 2>message.txt || status=$?
if [[ $status == 0 ]]; then
    grep -q 'fmla' vit.s || fail "aarch64: no vectors"
else
    grep -q 'no code can be made' message.txt || fail "aarch64: $(head -n 1 message.txt)"
fi
echo "code for other processors is right"
