"""siameseim_step.py - what the test of `gemel export siameseim` does with ONNX files.

A training model as one graph, the deterministic fills of the method's golden values, and runs
of `gemel run`. Sizes and names are those of docs/siameseim.md.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))
from siameseim_fills import fill, scale_and_offset # the one formula of all tests

BLOCK_NAMES = ("norm1.weight", "norm1.bias", "attn.qkv.weight", "attn.qkv.bias",
               "attn.proj.weight", "attn.proj.bias", "norm2.weight", "norm2.bias",
               "mlp.fc1.weight", "mlp.fc1.bias", "mlp.fc2.weight", "mlp.fc2.bias")


# ---- models ----------------------------------------------------------------------------------

def join(model: onnx.ModelProto) -> onnx.ModelProto:
    """Graph and algorithm as one graph, which ONNX says they are when the model trains."""
    joined = onnx.ModelProto()
    joined.CopyFrom(model)
    algorithm = model.training_info[0].algorithm
    for field in ("node", "initializer", "sparse_initializer", "input", "output", "value_info"):
        getattr(joined.graph, field).extend(getattr(algorithm, field))
    del joined.training_info[:]
    return joined


def load(path: str) -> onnx.ModelProto:
    """The model, with zeros that were written as sparse tensors without values spelled out."""
    model = onnx.load(path)
    for info in model.training_info:
        for sparse in info.algorithm.sparse_initializer:
            assert sparse.values.dims == [0], f"{sparse.values.name} is not all zeros"
            dtype = onnx.helper.tensor_dtype_to_np_dtype(sparse.values.data_type)
            info.algorithm.initializer.append(
                numpy_helper.from_array(np.zeros(sparse.dims, dtype), sparse.values.name))
        del info.algorithm.sparse_initializer[:]
    return model


def bindings(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.training_info[0].update_binding}


def gradient_node(model: onnx.ModelProto) -> onnx.NodeProto:
    nodes = [n for n in model.training_info[0].algorithm.node if n.op_type == "Gradient"]
    assert len(nodes) == 1, f"{len(nodes)} Gradient nodes"
    return nodes[0]


def names_of(node: onnx.NodeProto, attribute: str) -> list[str]:
    return [name.decode() for a in node.attribute if a.name == attribute for name in a.strings]


def initialisers(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    graphs = [model.graph] + [info.algorithm for info in model.training_info]
    return {tensor.name: tensor for graph in graphs for tensor in graph.initializer}


def set_initialiser(tensor: onnx.TensorProto, value: np.ndarray):
    assert tuple(tensor.dims) == value.shape, f"{tensor.name}: {tensor.dims} and {value.shape}"
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    tensor.CopyFrom(numpy_helper.from_array(np.array(value, dtype, order="C"), tensor.name))


def run(gemel: str, model: onnx.ModelProto, inputs: dict, wanted: list[str],
        device: str) -> dict[str, np.ndarray]:
    """The values called `wanted`, whether they are outputs or not."""
    trimmed = onnx.ModelProto()
    trimmed.CopyFrom(model)
    del trimmed.graph.output[:]
    trimmed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    types = {v.name: v.type for v in [*model.graph.output, *model.graph.value_info]}
    for output in trimmed.graph.output:
        if output.name in types:
            output.type.CopyFrom(types[output.name])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(trimmed, path)
        needed = {i.name for i in trimmed.graph.input}
        np.savez(Path(folder) / "inputs.npz",
                 **{name: value for name, value in inputs.items() if name in needed})
        command = [gemel, "run", path, "--inputs", Path(folder) / "inputs.npz", "-o",
                   Path(folder) / "out", "--device", device]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            raise RuntimeError(f"gemel run: {result.stderr}")
        return {name: np.load(Path(folder) / "out" / f"output_{i}.npy")
                for i, name in enumerate(wanted)}


# ---- the golden values' numbers --------------------------------------------------------------

def block_names(prefix: str, depth: int, batch_norm: bool) -> list[str]:
    names = []
    for i in range(depth):
        for name in BLOCK_NAMES:
            layer, kind = name.rsplit(".", 1)
            bn = ".bn" if batch_norm and layer.startswith("norm") else ""
            names.append(f"{prefix}.{i}.{layer}{bn}.{kind}")
    return names


def parameter_names() -> list[str]:
    """Of the tiny variant, in the order in which the fills number them."""
    def linear(*names):
        return [f"{name}.{kind}" for name in names for kind in ("weight", "bias")]

    encoder = linear("patch_embed.proj") + block_names("blocks", 2, False)
    projector = linear("decoder_embed") + block_names("projector_decoder_blocks", 2, True)
    rest = block_names("predictor_decoder_blocks", 2, True) + linear("decoder_pred",
                                                                    "decoder_pos_mlp")
    both = encoder + projector
    return (["cls_token", "mask_token", "mm_cls_token", "mm_mask_token"] + both + rest +
            ["mm_" + name for name in both])


def transposed(model: onnx.ModelProto) -> set[str]:
    """Names of weights that are stored as the transpose of the checkpoint's."""
    lines = [entry.value for entry in model.metadata_props if entry.key == "gemel.transposed"]
    return set(lines[0].split("\n")) if lines else set()


def fill_parameters(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Sets them, and returns them as a checkpoint has them."""
    tensors, turned, values = initialisers(model), transposed(model), {}
    for i, name in enumerate(parameter_names()):
        shape = tuple(tensors[name].dims)
        shape = shape[::-1] if name in turned else shape
        values[name] = fill(i, shape, *scale_and_offset(name, shape))
        set_initialiser(tensors[name], values[name].T if name in turned else values[name])
    return values


def geometry(crops: list) -> np.ndarray:
    """(B, 6): di, dj, dh, dw, flip, fj of crops (top, left, height, width)."""
    rows = []
    for crop in crops:
        (i1, j1, h1, w1), (i2, j2, h2, w2) = crop["crop1"], crop["crop2"]
        rows.append([(i2 - i1) / h1, (j2 - j1) / w1, h2 / h1, w2 / w1, crop["flip"],
                     (crop["source_width"] - j1 - j2) / w1])
    return np.array(rows, dtype=np.float64)


def inputs(golden: dict) -> dict[str, np.ndarray]:
    visible = [[k for k in range(16) if k not in masked] for masked in golden["masked"]]
    return {"x1": fill(1000, (2, 3, 32, 32), 4.0), "x2": fill(1001, (2, 3, 32, 32), 4.0),
            "visible": np.array(visible, dtype=np.int64), "geometry": geometry(golden["crops"])}


def more_inputs(size: int, n_visible: int) -> dict[str, np.ndarray]:
    """For another batch size and mask: patches and crops that differ from image to image."""
    rows = [sorted((i * 3 + k * (2 * i + 5)) % 16 for k in range(n_visible))
            for i in range(size)]
    places = fill(1002, (size, 6), 1.0, 0.75)
    places[:, 4] = np.arange(size) % 2
    return {"x1": fill(1000, (size, 3, 32, 32), 4.0), "x2": fill(1001, (size, 3, 32, 32), 4.0),
            "visible": np.array(rows, dtype=np.int64), "geometry": places}
