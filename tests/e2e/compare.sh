#!/usr/bin/env bash
# tests/e2e/compare.sh GEMEL - gemel compare names the first value that deviates, and nothing else.
#
# The last line is "N passed, N failed, N skipped".
set -uo pipefail

gemel=$1
passed=0 failed=0 skipped=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

# expect NAME STATUS PATTERN OPTION…: runs compare; PATTERN is an extended regular expression for what it says.
expect() {
    local name=$1 status=$2 pattern=$3 got
    shift 3
    timeout 120 "$gemel" compare "$@" >out 2>&1
    got=$?
    if ((got == status)) && grep -qE -e "$pattern" out; then
        passed=$((passed + 1))
    else
        echo "FAIL $name: exit status $got where $status is right, or nothing matches '$pattern'"
        sed 's/^/  | /' out
        failed=$((failed + 1))
    fi
}

# Three steps, of which the second varies; %half reaches the output past it.
write_graph() {
    cat >"$1" <<END
graph @steps(%x: f32[4,8]) {
  %half = Tanh(%x) : f32[4,8]
  %middle = $2(%half) : f32[4,8]
  %late = Exp(%middle) : f32[4,8]
  %y = Add(%late, %half) : f32[4,8]
  return %y
}
END
}
write_graph plain.gir Neg
write_graph other.gir Abs
sed 's/8\]/7]/g' plain.gir >narrow.gir
sed 's/return %y/return %y, %half/' plain.gir >two.gir

expect 'cpu against ref' 0 'against ref: 1 value agree' plain.gir
expect 'the same twice' 0 'against cpu: 1 value compared, no deviation' plain.gir --against=cpu
expect 'ref against itself, every value' 0 'no deviation' plain.gir --device=ref --all
grep -q "'middle' of %middle (kernel Neg)" out || {
    echo 'FAIL --all does not show every value'
    failed=$((failed + 1))
}
expect 'the first that deviates' 1 "3 of 4 values deviate, first 'middle' of %middle \(kernel Neg\)" \
    plain.gir --device=ref --against=other.gir
expect 'as JSON' 1 '"deviating": 3' plain.gir --device=ref --against=other.gir --json
expect 'the first, as JSON' 1 '"value": "middle"' plain.gir --device=ref --against=other.gir --json
expect 'only what is stored' 1 "1 of 1 value deviate, first 'y'" plain.gir --against=other.gir
expect 'without a pass' 0 '4 values agree' plain.gir --off=fuse
expect 'a wide tolerance' 0 'agree' plain.gir --against=other.gir --atol=10
expect 'another shape' 3 'x \(input\): is f32\[4,8\] where the model takes f32\[4,7\]' plain.gir --against=narrow.gir
expect 'another number of outputs' 3 'two.gir: 1 inputs and 2 outputs, where plain.gir has 1 and 1' plain.gir --against=two.gir

"$gemel" run plain.gir --seed=1 --output-dir=recorded >/dev/null || exit 1
expect 'recorded results' 0 'against recorded: 1 value' plain.gir --seed=1 --against=recorded
expect 'other recorded results' 1 "first 'y'" plain.gir --seed=2 --against=recorded
expect 'a folder without results' 5 'output_0.pb: cannot open' plain.gir --against=.

"$gemel" export superres --image-size 16 -o net.onnx >out 2>&1 || exit 1
"$gemel" export superres --image-size 16 --seed 1 -o weights.onnx >out 2>&1 || exit 1
expect 'a network' 0 'net.onnx against ref: [0-9]+ values agree' net.onnx
expect 'other weights' 1 "first 'conv1/.*' of conv1/" net.onnx --against=weights.onnx
if "$gemel" compile net.onnx -o net.so >out 2>&1; then
    expect 'a compiled model' 0 'against net.so: 1 value' net.onnx --against=net.so
    expect 'a compiled model, examined' 0 'net.so against net.onnx: 1 value' net.so --against=net.onnx
    expect 'passes of a compiled model' 2 'no passes' net.so --passes
    expect 'pass by pass of a compiled model' 2 'no passes' net.so --pass-by-pass
else
    echo "SKIP compiled models: $(head -n 1 out)"
    skipped=$((skipped + 1))
fi

expect 'pass by pass' 0 'PASS the required passes alone: 4 values agree' plain.gir --pass-by-pass
expect 'the last pass' 0 'PASS up to fold, pass [0-9]*: 1 value' plain.gir --pass-by-pass
expect 'no pass is needed' 1 'no optional pass makes values deviate first' plain.gir --pass-by-pass --against=other.gir
expect 'a step without training' 2 'plain.gir: has no training algorithm' plain.gir --step
expect 'states of no step' 2 'nothing else has states' plain.gir --load=states.safetensors
expect 'pass by pass, one left out' 2 'have no place' plain.gir --pass-by-pass --off=fuse

expect 'no model' 2 'needs one MODEL'
expect 'no such model' 5 '^nowhere.gir: cannot open' plain.gir --against=nowhere.gir
expect 'passes of ref' 2 'ref runs no passes' plain.gir --device=ref --off=fuse
expect 'passes against something' 2 'have no place' plain.gir --passes --against=ref
expect 'a negative tolerance' 2 'will not do' plain.gir --rtol=-1

echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
