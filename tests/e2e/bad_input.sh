#!/usr/bin/env bash
# tests/e2e/bad_input.sh GEMEL MAKE_BAD - hostile files and a hostile machine against the program.
#
# Each case must end with the exit status that design says, say one clear thing on standard error, and
# leave no partial output. Sanitizer reports fail the case. The last line is "N passed, N failed, N skipped".
set -uo pipefail

gemel=$1 make_bad=$2
passed=0 failed=0 skipped=0
work=$(mktemp -d)
cleanup() {
    mountpoint -q "$work/tiny" 2>/dev/null && umount "$work/tiny"
    chmod -R u+w "$work" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
cd "$work" || exit 1

fail() {
    echo "FAIL $1: $2"
    sed 's/^/  | /' err
    failed=$((failed + 1))
}

skip() {
    echo "SKIP $1: $2"
    skipped=$((skipped + 1))
}

# expect NAME STATUS PATTERN COMMAND…: runs it; PATTERN is an extended regular expression that standard
# error must match ('' : it must be empty).
expect() {
    local name=$1 status=$2 pattern=$3 got
    shift 3
    timeout 60 "$@" >out 2>err
    got=$?
    if grep -qE 'Sanitizer|runtime error' err; then
        fail "$name" "a sanitizer speaks"
    elif ((got != status)); then
        fail "$name" "exit status $got where $status is right"
    elif [[ -z $pattern && -s err ]]; then
        fail "$name" "a message where none should be"
    elif [[ -n $pattern ]] && ! grep -qE "$pattern" err; then
        fail "$name" "the message does not match '$pattern'"
    elif (($(grep -vc '^  note:' err) > 3)); then
        fail "$name" "more than three messages"
    else
        passed=$((passed + 1))
    fi
}

# Nothing may be left in the folder $2 but what is named after it.
expect_files() {
    local name=$1 folder=$2 found
    shift 2
    found=$(ls -A "$folder" 2>/dev/null | tr '\n' ' ')
    if [[ "$found" != "${*:+$* }" ]]; then
        echo "FAIL $name: $folder holds '$found', not '$*'"
        failed=$((failed + 1))
    fi
}

"$make_bad" . || exit 1

# ---- files -------------------------------------------------------------------------------------

for device in ref cpu; do
    expect "good on $device" 0 '' "$gemel" run good.onnx --device=$device
    expect "NaN on $device" 0 '' "$gemel" run nan.onnx --device=$device
    grep -q nan out || fail "NaN on $device" "no NaN comes out"
    expect "zero-sized on $device" 0 '' "$gemel" run zero_sized.onnx --device=$device
done

bad_file() {
    expect "run $1" "$2" "$3" "$gemel" run "$1.onnx" --output-dir=results
    expect_files "run $1" results
    expect "info $1" "$2" "$3" "$gemel" info "$1.onnx"
}
bad_file truncated 3 '^truncated\.onnx: '
bad_file flipped 3 '^flipped\.onnx: '
bad_file empty 3 '^empty\.onnx: '
bad_file overlong 3 '^overlong\.onnx: .*longer than what holds it'
bad_file text 3 '^text\.onnx: '
bad_file cyclic 3 "^cyclic\.onnx: a \(Add\): .*'?b'?"
bad_file deep 3 '^deep\.onnx: .*(deep|nest)'
bad_file short_weight 3 '^short_weight\.onnx: w'
bad_file huge_weight 3 '^huge_weight\.onnx: w'
bad_file new_opset 4 'opset 999'
bad_file undefined 3 '^undefined\.onnx: y \(Relu\): .*nothing'
bad_file unknown_op 4 'operator Frobnicate of ai\.onnx, opset 20'
bad_file escape 3 'w.*passwd'
expect 'run huge' 3 '^huge\.onnx: ' "$gemel" run huge.onnx --output-dir=results
expect 'run wide' 3 '^wide\.onnx: x \(input\): ' "$gemel" run wide.onnx --output-dir=results
expect_files 'huge and wide' results
expect 'a missing file' 5 '^nowhere\.onnx: cannot open: No such file' "$gemel" run nowhere.onnx
expect 'a folder as model' 3 'is a directory' "$gemel" run .
expect 'every mutation' 0 '' "$make_bad" --mutate

# ---- compiled models ---------------------------------------------------------------------------

libc=$(ldd "$gemel" | sed -n 's/.*libc.* => \([^ ]*\) .*/\1/p')
if [[ -r $libc ]]; then
    expect 'a library of others' 3 'no model compiled by gemel' "$gemel" run "$libc"
    head -c 20000 "$libc" >cut.so
    expect 'a truncated library' 3 '^cut\.so: is a damaged library' "$gemel" run cut.so
else
    skip 'libraries' 'libc cannot be found'
fi
if "$gemel" compile good.onnx -o good.so >out 2>err; then
    expect 'a compiled model' 0 '' "$gemel" run good.so
    expect 'a compiled model, interpreted' 4 'compiled model runs on the device cpu' \
        "$gemel" run good.so --device=ref
    head -c 5000 good.so >cut.so
    expect 'a truncated model' 3 '^cut\.so: is a damaged library' "$gemel" run cut.so
else
    skip 'compiled models' "$(head -n 1 err)"
fi

# ---- inputs ------------------------------------------------------------------------------------

head -c 100 good.onnx >junk.pb
printf '\x93NUMPY\x01\x00\xff\xff{' >junk.npy
printf 'PK\x03\x04junk' >junk.npz
printf '\x89PNG\r\n\x1a\njunk' >junk.png
"$gemel" run good.onnx --output-dir=values >/dev/null || exit 1
mv values/output_0.npy row.npy && rmdir values
"$gemel" run zero_sized.onnx --output-dir=values >/dev/null || exit 1
mv values/output_0.npy none.npy && rmdir values

bad_input() {
    local name=$1 status=$2 pattern=$3
    shift 3
    expect "$name" "$status" "$pattern" "$gemel" run good.onnx --output-dir=results "$@"
    expect_files "$name" results
}
bad_input 'a wrong name' 2 "no input called 'y'" --input=y=row.npy
bad_input 'a wrong name, the right one' 2 "the inputs are 'x'" --input=y=row.npy
bad_input 'an input twice' 2 'given twice' --input=x=row.npy --input=x=row.npy
bad_input 'a wrong shape' 3 'x \(input\): is f32\[0,3\] where the model takes f32\[1,3\]' --input=x=none.npy
bad_input 'a missing input file' 5 '^nowhere\.npy: cannot open' --input=x=nowhere.npy
bad_input 'a damaged .pb' 3 '^junk\.pb: ' --input=x=junk.pb
bad_input 'a damaged .npy' 3 '^junk\.npy: ' --input=x=junk.npy
bad_input 'a damaged .npz' 3 '^junk\.npz: ' --inputs=junk.npz
bad_input 'a picture for a row' 3 '^junk\.png: a picture fits no input' --input=x=junk.png
bad_input 'an unknown size' 2 "no open dimension called 'batch'" --dim=batch=2
bad_input 'a bad option' 2 "no option '--imput=" --imput=x=row.npy
bad_input 'a bad device' 2 'will not do' --device=tpu
printf 'graph @i(%%x: i64[1,3], %%n: f32[N,3,8,8]) {\n  %%y = Neg(%%x) : i64[1,3]\n  return %%y, %%n\n}\n' >ints.gir
expect 'a wrong type' 3 'x \(input\): is f32\[1,3\] where the model takes i64\[1,3\]' \
    "$gemel" run ints.gir --input=x=row.npy
expect 'a damaged picture' 3 '^junk\.png: .*PNG' "$gemel" run ints.gir --input=n=junk.png
expect 'no verb' 2 "no verb 'rum'" "$gemel" rum good.onnx
expect 'no model' 2 'needs one MODEL' "$gemel" run

# ---- cases of kernels --------------------------------------------------------------------------

bad_case() {
    printf "$4" >cases.gir
    expect "$1" "$2" "$3" "$gemel" kernels test cases.gir
}
bad_case 'an unknown element type' 3 "^cases\.gir:1: there is no element type 'f33'" '# TYPES: f32 f33\n'
bad_case 'an empty range' 3 '^cases\.gir:1: .*numbers' '# RANGE: 3 2\n'
bad_case 'a huge range' 3 '^cases\.gir:1: .*numbers' '# RANGE: 0 1e300\n'
bad_case 'a case without types' 3 "^cases\.gir:1: no '# TYPES:' stands above" '## x\n'
bad_case 'text outside cases' 3 '^cases\.gir:1: expected' 'graph @f() {\n'
bad_case 'a case that is no graph' 1 '' '# TYPES: f32\n## x\ngraph @x(%%x: T[2]) {\n'
grep -q "^FAIL cases/x f32: line 2: " out || fail 'a case that is no graph' 'it does not say why'
bad_case 'a case with an open size' 1 '' '# TYPES: f32\n## x\ngraph @x(%%x: T[n]) {\n  return %%x\n}\n'
expect 'no cases' 5 '^nowhere\.gir: cannot open' "$gemel" kernels test nowhere.gir
expect 'no subject' 2 "needs 'list', or 'test'" "$gemel" kernels
expect 'the operators' 0 '' "$gemel" kernels list

# ---- output ------------------------------------------------------------------------------------

expect 'good output' 0 '' "$gemel" run good.onnx --output-dir=results
expect_files 'good output' results output_0.npy
rm -r results
expect 'no parent' 5 '^no/parent: cannot make the folder: No such file' \
    "$gemel" run good.onnx --output-dir=no/parent
expect 'a file as folder' 5 'row\.npy: cannot write into the folder: Not a directory' \
    "$gemel" run good.onnx --output-dir=row.npy

mkdir locked && chmod a-w locked
if [[ -w locked ]]; then # the superuser may write anywhere: a read-only file system stops even that
    locked=/proc/self
    expect 'a read-only folder' 5 'cannot write into the folder' \
        "$gemel" run good.onnx --output-dir=$locked
else
    expect 'a read-only folder' 5 'locked: cannot write into the folder: Permission denied' \
        "$gemel" run good.onnx --output-dir=locked
    expect_files 'a read-only folder' locked
fi

if [[ -w /dev/full ]]; then
    timeout 60 "$gemel" run good.onnx >/dev/full 2>err
    got=$?
    if ((got == 5)) && grep -q 'cannot write to standard output' err; then
        passed=$((passed + 1))
    else
        fail 'a full standard output' "exit status $got"
    fi
else
    skip 'a full standard output' 'there is no /dev/full'
fi

mkdir tiny
if mount -t tmpfs -o size=64k,mode=777 none tiny 2>/dev/null; then
    printf 'graph @b(%%x: f32[1,3], %%n: f32[N]) {\n  %%y = Relu(%%x) : f32[1,3]\n  %%m = Relu(%%n) : f32[N]\n  return %%y, %%m\n}\n' >big.gir
    expect 'a full disk' 5 'output_1\.npy: cannot write: No space left' \
        "$gemel" run big.gir --dim=N=100000 --output-dir=tiny/results
    expect_files 'a full disk' tiny
    mkdir tiny/old && echo precious >tiny/old/output_0.npy
    expect 'a full disk over old results' 5 'No space left' \
        "$gemel" run big.gir --dim=N=100000 --output-dir=tiny/old
    expect_files 'a full disk over old results' tiny/old output_0.npy
    grep -q precious tiny/old/output_0.npy || fail 'a full disk over old results' 'they are gone'
    umount tiny
else
    skip 'a full disk' 'a tmpfs cannot be mounted'
fi

echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
