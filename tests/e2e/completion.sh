#!/usr/bin/env bash
# tests/e2e/completion.sh GEMEL - what completions/gemel.bash offers.
set -uo pipefail

gemel=$1
here=$(cd "$(dirname "$0")/../.." && pwd)
failed=0
source "$here/completions/gemel.bash"
compopt() { :; } # it works inside a completion only

# offers WORD… -- EXPECTED…: each of EXPECTED is among what completes the last WORD.
offers() {
    COMP_WORDS=("$gemel")
    while [[ $1 != -- ]]; do
        COMP_WORDS+=("$1")
        shift
    done
    shift
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _gemel
    local expected
    for expected in "$@"; do
        if ! printf '%s\n' "${COMPREPLY[@]}" | grep -qxF -e "$expected"; then
            echo "FAIL '${COMP_WORDS[*]:1}' offers '${COMPREPLY[*]}', not '$expected'"
            failed=1
        fi
    done
}

cd "$here" || exit 1
offers '' -- bench check compare compile eval export info kernels pictures run weights
offers r -- run
offers run --o -- --output-dir
offers run - -- --input --inputs --output-dir --dim --seed --device --precision --threads --json --help
offers info - -- --dim --json
offers run --device '' -- cpu ref
offers run --precision '' -- highest medium
offers run tests/e2e/relu.gir --input '' -- x=
offers run --input x=tests/e2e/relu.gir tests/e2e/rel -- tests/e2e/relu.gir
offers compare tests/e2e/relu.gir --off '' -- dce fold fuse
offers compare tests/e2e/relu.gir --against r -- ref
offers compare --pas -- --passes --pass-by-pass
offers train --mask '' -- block random
offers train --data tests/e -- tests/e2e
offers train --save -- --save-every
offers kernels '' -- list test
offers kernels test --fi -- --filter
offers export vi -- vit
offers pictures '' -- shapes1 shapes digits
offers eval --method '' -- knn ridge finetune
offers eval --filter '' -- bicubic bilinear
offers eval --train te -- tests
offers weights '' -- list map convert maps
offers weights map --map '' -- siameseim timm auto
offers export vit --features '' -- cls mean tokens
exit $failed
