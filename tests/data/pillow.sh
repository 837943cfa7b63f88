#!/usr/bin/env bash
# tests/data/pillow.sh OPS - tests/data/pillow.py with the Python of build/venv, or $PYTHON; exit status
# 77 where that has no Pillow.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-build/venv/bin/python}
"$python" -c "import numpy, PIL" 2>/dev/null || exit 77
exec "$python" tests/data/pillow.py "$1"
