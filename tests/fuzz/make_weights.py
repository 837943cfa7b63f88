#!/usr/bin/env python3
"""Writes the seeds of fuzz_weights: small checkpoints that between them use every opcode.

Run with NumPy from the repository root; the output is checked in."""

import argparse
import collections
import pathlib
import pickle
import sys

import numpy

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import weights_files as files

OUT = HERE / "weights"


def objects():
    numbers = numpy.arange(6, dtype=numpy.float32)
    storage = files.Storage(numbers.tobytes(), "float32", 6)
    views = {"turned": files.Tensor(storage, 0, (3, 2), (1, 3)),
             "steps": files.Tensor(storage, 1, (2,), (4,)),
             "parameter": files.tensor(numbers[:2], parameter=True),
             3: files.tensor(numpy.arange(2))}
    return {"model": collections.OrderedDict(views),
            "args": argparse.Namespace(lr=0.5, n=[1, -2])}


def backbone():
    """Timm's names at the smallest sizes, for the maps and the table of positions."""
    small = files.backbone(1, 2, 1, 1, 1)
    keep = ("cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight",
            "blocks.0.attn.qkv.bias")
    return {name: small[name] for name in keep}


def main():
    OUT.mkdir(exist_ok=True)
    files.save(OUT / "views.pth", objects())
    files.save_legacy(OUT / "old.pth", objects())
    old = [1, 300, 70000, 1 << 40, 10**30, -5, 2.5, True, False, None, "x", (1, 2),
           (1, 2, 3, 4), {3: 4}, ()]
    new = [*old, b"y", {1, 2}, frozenset([5])] # that protocol 2 has no opcodes for
    for protocol, items in ((2, old), (4, new), (5, [*new, bytearray(b"z")])):
        plain = {"a": items, "b": collections.OrderedDict(c=argparse.Namespace(d=1))}
        files.write_zip(OUT / f"protocol{protocol}.pth",
                        [("a/data.pkl", pickle.dumps(plain, protocol))])
    files.save(OUT / "backbone.pth", {"model": {k: files.tensor(v)
                                                for k, v in backbone().items()}})
    files.save_safetensors(OUT / "backbone.safetensors", backbone())


if __name__ == "__main__":
    main()
