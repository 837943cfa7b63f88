#!/usr/bin/env bash
# tests/e2e/open_sizes.sh GEMEL GIR_TO_ONNX - artifacts with open sizes: sizes that an operator needs to be equal and
# that are not are refused with status 3 and a message that names the node, both sizes and their
# values, from `gemel run` and from a C program; sizes that fit run. The same for sizes that only the
# run knows, compiled in memory.
set -euo pipefail
gemel=$(realpath "$1")
gir_to_onnx=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() { echo "$1"; [[ ! -e message.txt ]] || cat message.txt; exit 1; }

# graph NAME PARAMETERS BODY: NAME.onnx, whose result is %y
graph() {
    printf 'graph @%s(%s) {\n%s\nreturn %%y\n}\n' "$1" "$2" "$3" >"$1.gir"
    "$gir_to_onnx" "$1.gir" "$1.onnx"
}

# refuses MODEL TEXT SIZE…
refuses() {
    local model=$1 text=$2 status=0
    shift 2
    "$gemel" run "$model" "${@/#/--dim=}" >out.txt 2>message.txt || status=$?
    [[ $status == 3 ]] || fail "$model with $*: status $status, not 3"
    grep -qF -- "$text" message.txt || fail "$model with $*: no '$text'"
}

accepts() {
    local model=$1
    shift
    "$gemel" run "$model" "${@/#/--dim=}" >out.txt 2>message.txt || fail "$model refuses $*"
}

graph add '%x: f32[n], %w: f32[m]' '%y = Add(%x, %w)'
graph concat '%x: f32[n,2], %w: f32[m,2]' '%y = Concat(%x, %w) {axis = 1}'
graph matmul '%x: f32[4,n], %w: f32[m,4]' '%y = MatMul(%x, %w)'
graph conv '%x: f32[1,n,8], %w: f32[4,m,3]' '%y = Conv(%x, %w)'
graph reshape '%x: f32[n]' '%s = Constant {value = [-1, 4]} : i64[2]
%y = Reshape(%x, %s)'
graph where '%c: bool[k], %x: f32[n], %w: f32[3]' '%y = Where(%c, %x, %w)'
graph branch '%c: bool[], %x: f32[n], %w: f32[m]' '%y = If(%c) {
 then_branch = graph @t() {
  %z = Add(%x, %w)
  return %z
 },
 else_branch = graph @e() {
  %z = Add(%w, %x)
  return %z
 }
}'
for name in add concat matmul conv reshape where branch; do
    "$gemel" compile "$name.onnx" -o "$name.so" >out.txt 2>message.txt || fail "$name does not compile"
done

refuses add.so '%y (Add): sizes n = 5 and m = 2 must be equal' n=5 m=2
refuses add.so 'a size of 1 is repeated only where it is known when compiling' n=5 m=1
accepts add.so n=5 m=5
refuses concat.so '%y (Concat): sizes n = 3 and m = 4 must be equal' n=3 m=4
accepts concat.so n=3 m=3
refuses matmul.so '%y (MatMul): sizes m = 9 and n = 8 must be equal' n=8 m=9
accepts matmul.so n=8 m=8
refuses conv.so '%y (Conv): sizes n = 2 and m = 3 must be equal' n=2 m=3
accepts conv.so n=2 m=2
refuses reshape.so '%y (Reshape): sizes n = 6 and ((n / 4) * 4) = 4 must be equal' n=6
accepts reshape.so n=8
refuses where.so '%y (Where): sizes n = 2 and 3 must be equal' k=3 n=2
refuses where.so '%y (Where): sizes k = 2 and 3 must be equal' k=2 n=3
accepts where.so k=3 n=3
refuses branch.so 'sizes' n=4 m=3
grep -q 'in region . of %y (If)' message.txt || fail 'the branch is not named'
accepts branch.so n=4 m=4

# What is compiled for the sizes of the inputs needs no check, and repeats a size of 1.
refuses add.onnx 'operands do not broadcast: 5 against 2' n=5 m=2
accepts add.onnx n=5 m=1

# How many elements are not zero is known by the run alone.
graph found '%x: f32[n], %w: i64[1,m]' '%i = NonZero(%x)
%y = Add(%i, %w)'
"$gemel" compile found.onnx -o found.so >/dev/null
for model in found.onnx found.so; do
    refuses "$model" '%y (Add): sizes nonzero' n=7 m=5
    accepts "$model" n=7 m=7
done

cat >app.c <<'END'
#include "add.h"
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    char error[256] = "";
    add *model = NULL;
    int64_t n = argc > 1 ? atoi(argv[1]) : 0;
    int64_t m = argc > 2 ? atoi(argv[2]) : 0;
    float *x = calloc((size_t)n, sizeof *x);
    float *w = calloc((size_t)m, sizeof *w);
    float *y = calloc((size_t)n, sizeof *y);
    int status = add_open(&model, 1, error, sizeof error);
    if (!status)
        status = add_run(model, n, m, x, w, y);
    if (status)
        fprintf(stderr, "%s\n", model ? add_error(model) : error);
    add_close(model);
    free(x);
    free(w);
    free(y);
    return status;
}
END
cc -O1 -I. app.c ./add.so -o app -lm -Wl,-rpath,.
./app 5 5 || fail 'the program refuses 5 and 5'
status=0
./app 500000 2 2>message.txt || status=$?
[[ $status == 3 ]] && grep -qF 'sizes n = 500000 and m = 2 must be equal' message.txt ||
    fail "the program ends with status $status"
./app 3 3 || fail 'the program refuses 3 and 3'
echo "sizes that do not fit are refused"
