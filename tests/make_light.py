#!/usr/bin/env python3
"""tests/make_light.py DATA OUT - the light models of the ONNX suite as test directories.

DATA is onnx/backend/test/data. Its folder real/ names nine networks whose weights are constants, and
light/ holds them with their expected outputs; ONNX's own runner makes the inputs when it runs, and
so does this: element i of n is i / n. Each becomes OUT/NAME with a model.onnx, test_data_set_0 and
data.json, which has the tolerances that ONNX gives to it. Prints the directories.
"""

import json
import pathlib
import shutil
import sys

import numpy as np
import onnx


def ramp(value_info):
    tensor = value_info.type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        sys.exit(f"{value_info.name}: ONNX's runner has no inputs of type {tensor.elem_type}")
    shape = [d.dim_value if d.HasField("dim_value") else 1 for d in tensor.shape.dim]
    n = int(np.prod(shape))
    return (np.arange(n).reshape(shape) / n).astype(np.float32)


def make_test(case, data, folder):
    about = json.loads((case / "data.json").read_text())
    source = data / "light" / pathlib.PurePosixPath(about["url"]).name
    values = folder / "test_data_set_0"
    shutil.rmtree(folder, ignore_errors=True)
    values.mkdir(parents=True)
    shutil.copy(source, folder / "model.onnx")
    shutil.copy(case / "data.json", folder)
    graph = onnx.load(source).graph
    weights = {initializer.name for initializer in graph.initializer}
    for i, value_info in enumerate(v for v in graph.input if v.name not in weights):
        tensor = onnx.numpy_helper.from_array(ramp(value_info), value_info.name)
        (values / f"input_{i}.pb").write_bytes(tensor.SerializeToString())
    for i in range(len(graph.output)):
        shutil.copy(source.with_name(f"{source.stem}_output_{i}.pb"), values / f"output_{i}.pb")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    data, out = map(pathlib.Path, sys.argv[1:])
    for case in sorted((data / "real").iterdir()):
        make_test(case, data, out / case.name)
        print(out / case.name)


main()
