#!/usr/bin/env bash
# tests/e2e/siameseim.sh GEMEL - siameseim.py with a Python that has onnx (PYTHON names it); skipped
# where there is none.
set -uo pipefail

here=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-$here/build/venv/bin/python}
[[ -x $(command -v "$python") ]] || python=python3
exec "$python" "$here/tests/e2e/siameseim.py" "$1"
