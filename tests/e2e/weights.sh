#!/usr/bin/env bash
# tests/e2e/weights.sh GEMEL - runs weights.py with the python of scripts/test; 77 without.
python=${PYTHON:-$(dirname "$0")/../../build/venv/bin/python}
[[ -x $python ]] || python=$(command -v python3) || exit 77
exec "$python" "$(dirname "$0")/weights.py" "$@"
