"""states_file.py - reads what `gemel train --save` writes. NumPy alone."""
import json
from pathlib import Path

import numpy as np

TYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64}


def read_safetensors(path) -> dict[str, np.ndarray]:
    data = Path(path).read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    entries = json.loads(data[8:size])
    return {name: np.frombuffer(data[size + e["data_offsets"][0]:size + e["data_offsets"][1]],
                                TYPES[e["dtype"]]).reshape(e["shape"])
            for name, e in entries.items() if name != "__metadata__"}
