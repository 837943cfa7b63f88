#!/usr/bin/env bash
# tests/e2e/with_onnx.sh SCRIPT.py ARGUMENT… - runs a script of this folder with a Python that has onnx: that
# of scripts/test, or the one that PYTHON names. The script exits with 77 where what it needs is missing.
python=${PYTHON:-$(dirname "$0")/../../build/venv/bin/python}
[[ -x $(command -v "$python") ]] || python=$(command -v python3) || exit 77
exec "$python" "$(dirname "$0")/$1" "${@:2}"
