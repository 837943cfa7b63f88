#!/usr/bin/env bash
# tests/suite.sh DEVICE - the ONNX backend suite by `gemel check` on a device: cpu, ref, cuda or emu.
#
# The suite is the directories of node, simple, pytorch-operator and pytorch-converted, and the light
# models (nine networks with constant weights), of which tests/make_light.py makes directories. Every
# directory of the suite that has a model counts once: passed, failed, or skipped, and a
# directory about which gemel said nothing (because it crashed) has failed. Tests named in
# tests/xfail/DEVICE.txt ("test_name  reason", # for comments; of cuda and emu cpu.txt, whose passes
# they share) are expected to fail, and count as
# skipped; one that passes, or that the suite does not have, has failed. GEMEL and ONNX_DATA override
# which program and which data, PYTHON which python has onnx; LIGHT=no skips the light models (the
# interpreter with sanitizers takes an hour for them); OFF=PASS leaves an optional pass out. All results, one
# a line, are in build/suite-DEVICE.txt, without a pass in build/suite-DEVICE-without-PASS.txt. Runs at the same
# time need different LANEs, whose names the files' get.
# The last line is "N passed, N failed, N skipped".
set -euo pipefail
cd "$(dirname "$0")/.."

device=${1:?usage: tests/suite.sh DEVICE}
gemel=${GEMEL:-build/release/bin/gemel}
results=build/suite-$device${OFF:+-without-$OFF}${LANE:+-$LANE}.txt
xfail=tests/xfail/$device.txt
[[ -f $xfail || $device == ref ]] || xfail=tests/xfail/cpu.txt
[[ -f $xfail ]] || xfail=/dev/null

give_up() {
    echo "FAIL $1"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
}

if [[ -n ${ONNX_DATA:-} ]]; then
    data=$ONNX_DATA
else
    data=$(echo build/venv/lib/python3*/site-packages/onnx/backend/test/data)
fi
python=${PYTHON:-build/venv/bin/python}
light=build/onnx-light${LANE:+-$LANE}
[[ -d $data/node ]] || give_up "there is no ONNX suite in $data"
[[ -x $gemel ]] || give_up "there is no program $gemel"

mapfile -t tests < <(
    find "$data"/{node,simple,pytorch-operator,pytorch-converted} -mindepth 2 -maxdepth 2 \
        -name model.onnx -printf '%h\n' | sort
)
mkdir -p build
made=$("$python" tests/make_light.py "$data" "$light") || give_up 'the light models cannot be made'
mapfile -t light_tests <<<"$made"
all=("${tests[@]}" "${light_tests[@]}")
[[ ${LIGHT:-yes} == no ]] || tests=("${all[@]}")
timeout 3000 "$gemel" check --device="$device" ${OFF:+"--off=$OFF"} "${tests[@]}" >"$results" 2>"$results.err" && status=0 ||
    status=$?
if [[ ${LIGHT:-yes} == no ]]; then
    printf 'SKIP %s: LIGHT=no\n' "${light_tests[@]##*/}" >>"$results"
fi

printf '%s\n' "${all[@]}" | awk -v xfail="$xfail" '
    function bare(name) { sub(/:$/, "", name); sub(/\/+$/, "", name); sub(/.*\//, "", name); return name }
    function bad(line) { print line; n_failed++ }
    FILENAME == ARGV[1] {
        if ($1 != "" && $1 !~ /^#/)
            expected[$1] = 1
        next
    }
    FILENAME == ARGV[2] {
        if ($1 == "PASS" || $1 == "FAIL" || $1 == "SKIP") {
            verdict[bare($2)] = $1
            text[bare($2)] = $0
        }
        next
    }
    {
        name = bare($0)
        seen[name] = 1
        if (!(name in verdict))
            bad("FAIL " name ": no result")
        else if (verdict[name] == "SKIP")
            n_skipped++
        else if (verdict[name] == "FAIL" && name in expected)
            n_expected++
        else if (verdict[name] == "FAIL")
            bad(text[name])
        else if (name in expected)
            bad("FAIL " name ": passes, but " xfail " expects a failure")
        else
            n_passed++
    }
    END {
        for (name in expected) {
            if (!(name in seen))
                bad("FAIL " name ": named in " xfail ", but not in the suite")
        }
        if (n_expected)
            printf "%d failed as %s expects, and count as skipped\n", n_expected, xfail
        printf "%d passed, %d failed, %d skipped\n", n_passed, n_failed, n_skipped + n_expected
        exit n_failed > 0
    }' "$xfail" "$results" - >"$results.sum" && summary=0 || summary=$?

# More than wrong results: a crash, a timeout, a usage error.
if ((status > 1)); then
    echo "$gemel check ended with status $status:"
    tail -n 20 "$results.err"
fi
cat "$results.sum"
exit "$summary"
