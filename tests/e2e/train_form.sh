#!/usr/bin/env bash
# tests/e2e/train_form.sh GEMEL - runs train_form.py with the python of scripts/test; 77 without.
python=${PYTHON:-$(dirname "$0")/../../build/venv/bin/python}
[[ -x $python ]] || python=$(command -v python3) || exit 77
exec "$python" "$(dirname "$0")/train_form.py" "$@"
