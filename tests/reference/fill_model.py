#!/usr/bin/env python3
"""fill_model.py MODEL OUT BATCHES STEPS - gives an exported SiameseIM model the parameters of
siameseim_fills.py, so that it does what the references do, and writes the inputs of its first
steps as BATCHES0.npz, BATCHES1.npz, …

Weights that the file keeps transposed (its metadata entry gemel.transposed) are turned. Needs the
onnx package.
"""
import sys

import numpy as np
import onnx
from onnx import numpy_helper

import siameseim_fills as fills

# what is no parameter of the checkpoints' list, whose order numbers the fills
NO_PARAMETER = ("pos_embed", "decoder_pos_embed")


def block_order(name: str) -> tuple:
    """Sorts names into the checkpoints' order: siameseim_fills.py numbers parameters by it."""
    roots = ("cls_token", "mask_token", "mm_cls_token", "mm_mask_token")
    modules = ("patch_embed", "blocks", "decoder_embed", "projector_decoder_blocks",
               "predictor_decoder_blocks", "decoder_pred", "decoder_pos_mlp", "mm_patch_embed",
               "mm_blocks", "mm_decoder_embed", "mm_projector_decoder_blocks")
    layers = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    if name in roots:
        return 0, roots.index(name), 0, 0, 0
    parts = name.split(".")
    module, is_bias = modules.index(parts[0]), parts[-1] == "bias"
    if not parts[0].endswith("blocks"):
        return 1, module, 0, 0, is_bias
    layer = next(i for i, text in enumerate(layers) if f".{text}." in name)
    return 1, module, int(parts[1]), layer, is_bias


def is_parameter(name: str) -> bool:
    return name.endswith((".weight", ".bias", "_token")) and name not in NO_PARAMETER


def transposed(model: onnx.ModelProto) -> set[str]:
    """Names of weights that are stored as the transpose of the checkpoint's."""
    return {line for entry in model.metadata_props if entry.key == "gemel.transposed"
            for line in entry.value.split()}


def set_parameters(model: onnx.ModelProto):
    turned = transposed(model)
    tensors = {t.name: t for t in model.graph.initializer if is_parameter(t.name)}
    shapes = {}
    for name in sorted(tensors, key=block_order):
        dims = tuple(tensors[name].dims)
        shapes[name] = dims[::-1] if name in turned else dims
    for name, value in fills.parameters(shapes, np.float64).items():
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensors[name].data_type)
        value = np.ascontiguousarray(value.T if name in turned else value, dtype)
        tensors[name].CopyFrom(numpy_helper.from_array(value, name))


def write_batches(model: onnx.ModelProto, prefix: str, steps: int):
    dims = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim]
            for i in model.graph.input}
    kinds = {i.name: onnx.helper.tensor_dtype_to_np_dtype(i.type.tensor_type.elem_type)
             for i in model.graph.input}
    table = next(t for t in model.graph.initializer if t.name == "pos_embed")
    patches = int(table.dims[-2]) - 1
    for step in range(steps):
        arrays = fills.batch(step, dims["x1"][0], dims["x1"][2], patches, dims["visible"][1],
                             kinds["x1"])
        np.savez(f"{prefix}{step}.npz", **arrays)


def main():
    source, target, prefix, steps = sys.argv[1:]
    model = onnx.load(source)
    set_parameters(model)
    onnx.save(model, target)
    write_batches(model, prefix, int(steps))


if __name__ == "__main__":
    main()
