"""Writers of checkpoints as PyTorch writes them, without PyTorch, and of backbones in them.

The pickle is Python's own pickler over stand-ins for PyTorch's classes, which write the bytes
that PyTorch's do: protocol 2, tensors as calls of torch._utils._rebuild_tensor_v2, storages as
persistent identifiers. The zip is stored, its elements at multiples of 64 bytes.
"""
import argparse
import collections
import io
import json
import pickle
import sys
import types
import zipfile
from pathlib import Path

import numpy as np

STORAGES = {"float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage",
            "int64": "LongStorage", "int32": "IntStorage", "uint8": "ByteStorage",
            "bool": "BoolStorage", "bfloat16": "BFloat16Storage"}
LEGACY_MAGIC = 0x1950a86a20f9469cfc6c


def make_stand_ins() -> types.ModuleType:
    """Modules torch and torch._utils with the names that a checkpoint's pickle refers to."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    for name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
        function = types.FunctionType((lambda *a: None).__code__, {}, name)
        function.__module__, function.__qualname__ = "torch._utils", name
        setattr(utils, name, function)
    torch._utils = utils
    sys.modules.update({"torch": torch, "torch._utils": utils})
    return torch


TORCH = make_stand_ins()


class Storage:
    """The elements behind tensors; `kind` is a key of STORAGES."""

    def __init__(self, data: bytes, kind: str, count: int):
        self.data, self.kind, self.count = data, kind, count


class Tensor:
    """A view of a storage; strides and offset in elements."""

    def __init__(self, storage: Storage, offset: int, sizes: tuple, strides: tuple):
        self.storage, self.offset, self.sizes, self.strides = storage, offset, sizes, strides

    def __reduce_ex__(self, protocol):
        return (TORCH._utils._rebuild_tensor_v2,
                (self.storage, self.offset, self.sizes, self.strides, False,
                 collections.OrderedDict()))


class Parameter(Tensor):

    def __reduce_ex__(self, protocol):
        tensor = Tensor(self.storage, self.offset, self.sizes, self.strides)
        return (TORCH._utils._rebuild_parameter, (tensor, True, collections.OrderedDict()))


def dense_strides(shape: tuple) -> tuple:
    strides = [1]
    for size in shape[:0:-1]:
        strides.append(strides[-1] * size)
    return tuple(strides[::-1]) if shape else ()


def tensor(array: np.ndarray, kind: str = "", parameter: bool = False) -> Tensor:
    """`array` as a tensor of its own storage; `kind` "bfloat16" takes its bits, uint16."""
    array = np.asarray(array, order="C")
    storage = Storage(array.tobytes(), kind or str(array.dtype), array.size)
    made = Parameter if parameter else Tensor
    return made(storage, 0, array.shape, dense_strides(array.shape))


class Pickler(pickle.Pickler):
    """Remembers the storages in the order in which they are met."""

    def __init__(self, file, has_views: bool):
        super().__init__(file, protocol=2)
        self.storages, self.has_views = {}, has_views

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        key = self.storages.setdefault(id(value), (str(len(self.storages)), value))[0]
        kind = getattr(TORCH, STORAGES[value.kind])
        return ("storage", kind, key, "cpu", value.count) + ((None,) if self.has_views else ())


def save(path: Path, value, pickled: bytes = None):
    """As torch.save does; `pickled` replaces the pickle of `value`."""
    buffer = io.BytesIO()
    pickler = Pickler(buffer, False)
    pickler.dump(value)
    members = [("data.pkl", pickled or buffer.getvalue()), (".format_version", b"1"),
               (".storage_alignment", b"64"), ("byteorder", b"little")]
    members += [(f"data/{key}", storage.data) for key, storage in pickler.storages.values()]
    members += [("version", b"3\n"), (".data/serialization_id", b"0" * 40)]
    write_zip(path, [(f"{path.stem}/{name}", data) for name, data in members])


def write_zip(path: Path, members, method=zipfile.ZIP_STORED):
    """Elements begin at multiples of 64: the extra field FB in front of them is padding."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            begin = archive.fp.tell() + 30 + len(name) + 4
            padding = -begin % 64
            info.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
            info.compress_type = method
            archive.writestr(info, data)


def save_legacy(path: Path, value):
    """As torch.save does with _use_new_zipfile_serialization=False."""
    with open(path, "wb") as file:
        sizes = {"short": 2, "int": 4, "long": 4}
        pickle.dump(LEGACY_MAGIC, file, 2)
        pickle.dump(1001, file, 2)
        system = {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}
        pickle.dump(system, file, 2)
        pickler = Pickler(file, True)
        pickler.dump(value)
        storages = sorted(pickler.storages.values(), key=lambda item: item[0])
        pickle.dump([key for key, _ in storages], file, 2)
        for _, storage in storages:
            file.write(storage.count.to_bytes(8, "little") + storage.data)


def save_safetensors(path: Path, arrays: dict):
    header, offset = {}, 0
    kinds = {"float32": "F32", "float16": "F16", "float64": "F64", "int64": "I64"}
    for name, array in arrays.items():
        header[name] = {"dtype": kinds[str(array.dtype)], "shape": list(array.shape),
                        "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text +
                     b"".join(array.tobytes() for array in arrays.values()))


def read_safetensors(path: Path) -> dict:
    """Arrays; bf16 as uint16."""
    kinds = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": "u2", "I64": "i8"}
    data = path.read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    return {name: np.frombuffer(data[size + e["data_offsets"][0]:size + e["data_offsets"][1]],
                                kinds[e["dtype"]]).reshape(e["shape"])
            for name, e in json.loads(data[8:size]).items() if name != "__metadata__"}


def read_texts(path: Path) -> dict:
    """The metadata of a safetensors file."""
    data = path.read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:size])["__metadata__"]


# ---- backbones ------------------------------------------------------------------------------

def blocks(make, name: str, width: int, depth: int, norm: str = "") -> dict:
    """`depth` blocks called NAME.0, …; `norm` is what stands between norm1 and weight."""
    out = {}
    for i in range(depth):
        block = f"{name}.{i}."
        for part, shape in {"norm1": (width,), "attn.qkv": (3 * width, width),
                            "attn.proj": (width, width), "norm2": (width,),
                            "mlp.fc1": (4 * width, width),
                            "mlp.fc2": (width, 4 * width)}.items():
            stem = block + part + (norm if "norm" in part else "")
            out[stem + ".weight"] = make(*shape) + (1 if "norm" in part else 0)
            out[stem + ".bias"] = make(shape[0])
    return {key: value.astype(np.float32) for key, value in out.items()}


def backbone(seed: int, width: int, depth: int, patch: int, side: int) -> dict:
    """What all methods' encoders have in common, under timm's names. Weights are large enough
    that attention is not uniform."""
    random = np.random.default_rng(seed)

    def make(*shape):
        return (random.standard_normal(shape) * (0.5 / np.sqrt(shape[-1]) if len(shape) > 1 else
                                                 0.1)).astype(np.float32)

    arrays = {"cls_token": make(1, 1, width), "pos_embed": make(1, 1 + side * side, width) * 4,
              "patch_embed.proj.weight": make(width, 3, patch, patch),
              "patch_embed.proj.bias": make(width)}
    return {**arrays, **blocks(make, "blocks", width, depth)}


def norm(name: str, width: int, seed: int) -> dict:
    random = np.random.default_rng(seed)
    return {f"{name}.weight": (1 + 0.1 * random.standard_normal(width)).astype(np.float32),
            f"{name}.bias": (0.1 * random.standard_normal(width)).astype(np.float32)}


def siameseim(seed: int, width: int, depth: int, patch: int, side: int) -> dict:
    """All entries of a pre-training checkpoint (docs/siameseim.md has the names)."""
    online = backbone(seed, width, depth, patch, side)
    target = backbone(seed + 1, width, depth, patch, side)
    random = np.random.default_rng(seed + 2)

    def make(*shape):
        return random.standard_normal(shape).astype(np.float32)

    out = {**online, "mask_token": make(1, 1, width),
           "decoder_pos_embed": make(1, 1 + side * side, width)}
    out.update({f"mm_{k}": v for k, v in target.items() if k != "pos_embed"})
    for name, n in {"projector_decoder_blocks": 2, "predictor_decoder_blocks": 4,
                    "mm_projector_decoder_blocks": 2}.items():
        out.update(blocks(make, name, width, n, ".bn"))
        for i in range(n):
            for k in ("norm1", "norm2"):
                out[f"{name}.{i}.{k}.bn.running_mean"] = make(width)
                out[f"{name}.{i}.{k}.bn.running_var"] = make(width)
                out[f"{name}.{i}.{k}.bn.num_batches_tracked"] = np.array(7, np.int64)
    for name, columns in {"decoder_embed": 1, "decoder_pred": 1, "decoder_pos_mlp": 2,
                          "mm_decoder_embed": 1}.items():
        out[name + ".weight"], out[name + ".bias"] = make(width, columns * width), make(width)
    return out


def checkpoint(arrays: dict, key: str = "model", **more) -> dict:
    """`arrays` as a state dictionary, with what trainers save beside it."""
    state = collections.OrderedDict((name, tensor(array)) for name, array in arrays.items())
    moments = {0: {"step": 3, "exp_avg": tensor(np.ones(4, np.float32))}}
    options = argparse.Namespace(lr=1e-3, model="sim_vit", betas=[0.9, 0.95], resume=None)
    return {key: state, "optimizer": {"state": moments, "param_groups": [{"lr": 0.1}]},
            "epoch": 1599, "scaler": {"scale": 65536.0}, "args": options, **more}
