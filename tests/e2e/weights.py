"""weights.py GEMEL - `gemel weights` and `gemel export vit --weights` on files of every kind,
beside NumPy in double precision and ONNX Runtime; and files that mean harm.

Exits 77 without NumPy and onnx; the part with ONNX Runtime is left out where that is missing.
The formulas are those of docs/weights.md, written down again.
"""
import json
import math
import re
import pickle
import struct
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

try:
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import numpy_helper
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

import checks
import weights_files as files
from checks import check

GEMEL = sys.argv[1]
LIMIT = 1e-5 # of the largest feature
WIDTH, DEPTH, HEADS, PATCH, SIDE = 96, 2, 3, 8, 4


def call(*options) -> subprocess.CompletedProcess:
    return subprocess.run([GEMEL, *map(str, options)], capture_output=True, text=True,
                          errors="replace")


def export(path: Path, out: Path, *options) -> subprocess.CompletedProcess:
    return call("export", "vit", "--weights", path, "-o", out, *options)


# ---- what the network computes --------------------------------------------------------------

def layer_norm(x: np.ndarray, w: dict, name: str) -> np.ndarray:
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)
    return x * w[name + ".weight"] + w[name + ".bias"]


def linear(x: np.ndarray, w: dict, name: str) -> np.ndarray:
    return x @ w[name + ".weight"].T + w.get(name + ".bias", 0)


def attend(x: np.ndarray, w: dict, name: str, heads: int) -> np.ndarray:
    batch, n, width = x.shape
    qkv = linear(x, w, name + ".qkv").reshape(batch, n, 3, heads, width // heads)
    q, k, v = qkv.transpose(2, 0, 3, 1, 4)
    scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(width // heads)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    y = scores / scores.sum(-1, keepdims=True) @ v
    return linear(y.transpose(0, 2, 1, 3).reshape(batch, n, width), w, name + ".proj")


def tokens_of(images: np.ndarray, arrays: dict, heads: int) -> np.ndarray:
    """(B, 1 + patches, width), in double precision, before any last norm. Names are timm's."""
    w = {name: array.astype(np.float64) for name, array in arrays.items()}
    kernel = w["patch_embed.proj.weight"]
    patch, (batch, _, height, _) = kernel.shape[-1], images.shape
    side = height // patch
    cells = images.astype(np.float64).reshape(batch, 3, side, patch, side, patch)
    cells = cells.transpose(0, 2, 4, 1, 3, 5).reshape(batch, side * side, -1)
    x = cells @ kernel.reshape(len(kernel), -1).T + w["patch_embed.proj.bias"]
    token = np.broadcast_to(w["cls_token"], (batch, 1, x.shape[-1]))
    x = np.concatenate([token, x], 1) + w["pos_embed"]
    erf = np.vectorize(math.erf)
    for i in range(sum(name.endswith("norm1.weight") for name in w)):
        block = f"blocks.{i}."
        x = x + attend(layer_norm(x, w, block + "norm1"), w, block + "attn", heads)
        y = linear(layer_norm(x, w, block + "norm2"), w, block + "mlp.fc1")
        x = x + linear(y * 0.5 * (1 + erf(y / math.sqrt(2))), w, block + "mlp.fc2")
    return x


def cubic_shares(n_in: int, n_out: int) -> np.ndarray:
    """(n_out, n_in): bicubic weights between centres, a = -0.75, the border repeated."""
    shares, a = np.zeros((n_out, n_in)), -0.75
    for i in range(n_out):
        centre = (i + 0.5) * n_in / n_out - 0.5
        for at in range(math.floor(centre) - 1, math.floor(centre) + 3):
            x = abs(centre - at)
            near = (a + 2) * x**3 - (a + 3) * x**2 + 1
            far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
            shares[i, min(max(at, 0), n_in - 1)] += near if x <= 1 else far
    return shares


def resize(table: np.ndarray, side: int) -> np.ndarray:
    """A table of positions (1, 1 + n * n, C) on another grid."""
    n = math.isqrt(table.shape[1] - 1)
    shares = cubic_shares(n, side)
    grid = table[0, 1:].astype(np.float64).reshape(n, n, -1)
    grid = np.einsum("yi,xj,ijc->yxc", shares, shares, grid).reshape(1, side * side, -1)
    return np.concatenate([table[:, :1], grid], 1)


# ---- features -------------------------------------------------------------------------------

def run_gemel(folder: Path, model: Path, images: np.ndarray) -> np.ndarray:
    np.save(folder / "images.npy", images)
    result = call("run", model, "--input", f"images={folder / 'images.npy'}", "-o",
                  folder / "out")
    if result.returncode != 0:
        raise RuntimeError(result.stderr)
    return np.load(folder / "out" / "output_0.npy")


def deviation(got: np.ndarray, wanted: np.ndarray) -> float:
    if got.shape != wanted.shape:
        return math.inf
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())


def compare(name: str, folder: Path, path: Path, wanted: np.ndarray, images: np.ndarray,
            *options):
    """Features of the exported backbone, in gemel and in ONNX Runtime, beside `wanted`."""
    model = folder / "model.onnx"
    result = export(path, model, "--batch", len(images), *options)
    if result.returncode != 0:
        check(name, False, result.stderr)
        return
    onnx.checker.check_model(str(model), full_check=True)
    got = run_gemel(folder, model, images)
    check(name, deviation(got, wanted) <= LIMIT, f"{deviation(got, wanted):.1e} of NumPy's")
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    theirs = session.run(None, {"images": images})[0]
    check(f"{name}, ONNX Runtime", deviation(got, theirs) <= LIMIT,
          f"{deviation(got, theirs):.1e} of ONNX Runtime's")


def make_images(side: int) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((2, 3, side, side)).astype(np.float32)


ROWS = ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "mae", "moco")


def check_rows(folder: Path):
    """What each row of Table 3 trains gives its backbone back, and nothing else."""
    step, model = folder / "step.onnx", folder / "model.onnx"
    for row in ROWS:
        call("export", "siameseim", "--variant", "tiny", "--row", row, "-o", step)
        result = export(step, model, "--no-head")
        if result.returncode != 0:
            check(f"row {row}", False, result.stderr)
            continue
        trained = {w.name: onnx.numpy_helper.to_array(w) for w in onnx.load(step).graph.initializer
                   if re.fullmatch(r"(blocks|patch_embed|cls_token)[.\w]*", w.name)}
        given = {w.name: onnx.numpy_helper.to_array(w) for w in onnx.load(model).graph.initializer}
        same = all(k in given and np.array_equal(np.sort(given[k], None), np.sort(w, None))
                   for k, w in trained.items())
        check(f"row {row}", len(trained) > 20 and same)


def check_siameseim(folder: Path):
    arrays = files.siameseim(1, WIDTH, DEPTH, PATCH, SIDE)
    path = folder / "checkpoint-1599.pth"
    files.save(path, files.checkpoint(arrays))
    online = {k: arrays[k] for k in files.backbone(1, WIDTH, DEPTH, PATCH, SIDE)}
    target = {k: arrays["mm_" + k] for k in online if k != "pos_embed"}
    target["pos_embed"] = arrays["pos_embed"]
    images = make_images(SIDE * PATCH)
    x = tokens_of(images, online, HEADS)
    heads = ("--heads", HEADS)
    compare("siameseim, class token", folder, path, x[:, 0], images, *heads)
    compare("siameseim, mean", folder, path, x[:, 1:].mean(1), images, *heads, "--features",
            "mean")
    compare("siameseim, tokens", folder, path, x, images, *heads, "--features", "tokens")
    y = tokens_of(images, target, HEADS)
    compare("siameseim-target", folder, path, y[:, 0], images, *heads, "--map",
            "siameseim-target")
    check("the two differ", deviation(x, y) > 0.1)
    report = json.loads(call("weights", "map", path, "--json").stdout)
    fates = {t["name"]: t["fate"] for t in report["tensors"]}
    taken = {k for k, v in fates.items() if v != "left"}
    known = report["map"] == "siameseim" and report["prefix"] == "model."
    check("siameseim's report", known and taken == {f"model.{k}" for k in online} and
          len(fates) == len(arrays) + 1)


def check_others(folder: Path):
    """MAE, MoCo v3, timm in three kinds of files, and a fine-tuned network."""
    images = make_images(SIDE * PATCH)
    base = files.backbone(3, WIDTH, DEPTH, PATCH, SIDE)
    last = {**base, **files.norm("norm", WIDTH, 4)}
    w = {name: array.astype(np.float64) for name, array in last.items()}
    x = tokens_of(images, base, HEADS)
    normed = layer_norm(x, w, "norm")
    heads = ("--heads", HEADS)

    mae = {**last, "mask_token": base["cls_token"], "decoder_pos_embed": base["pos_embed"],
           "decoder_embed.weight": base["blocks.0.attn.proj.weight"]}
    files.save(folder / "mae.pth", files.checkpoint(mae))
    compare("mae", folder, folder / "mae.pth", normed[:, 1:].mean(1), images, *heads,
            "--features", "mean")
    compare("mae without norm", folder, folder / "mae.pth", x[:, 0], images, *heads, "--norm",
            "off")

    flat = {**last, **{f"head.{k}": base["cls_token"][0, 0] for k in ("weight", "bias")}}
    files.save_safetensors(folder / "timm.safetensors", flat)
    compare("timm, safetensors", folder, folder / "timm.safetensors", normed[:, 0], images,
            *heads)
    files.save_legacy(folder / "old.pth", {k: files.tensor(v) for k, v in flat.items()})
    compare("timm, PyTorch before 1.6", folder, folder / "old.pth", normed[:, 0], images,
            *heads)

    tuned = {**base, **files.norm("fc_norm", WIDTH, 6)}
    files.save(folder / "tuned.pth", files.checkpoint(tuned))
    w = {name: array.astype(np.float64) for name, array in tuned.items()}
    compare("fine-tuned", folder, folder / "tuned.pth",
            layer_norm(x[:, 1:].mean(1), w, "fc_norm"), images, *heads, "--features", "mean")

    plain = {k: v for k, v in last.items() if not k.endswith("qkv.bias")}
    files.save_safetensors(folder / "plain.safetensors", plain)
    x = layer_norm(tokens_of(images, plain, HEADS), last, "norm")
    compare("no bias of qkv", folder, folder / "plain.safetensors", x, images, *heads,
            "--features", "tokens")


def check_heads(folder: Path):
    """A file's classifier, behind the mean and its norm or behind the class token, and new ones."""
    images = make_images(SIDE * PATCH)
    rng = np.random.default_rng(11)
    base = files.backbone(3, WIDTH, DEPTH, PATCH, SIDE)
    head = {"head.weight": rng.standard_normal((7, WIDTH)).astype(np.float32),
            "head.bias": rng.standard_normal(7).astype(np.float32)}
    heads = ("--heads", HEADS)
    x = tokens_of(images, base, HEADS)

    tuned = {**base, **files.norm("fc_norm", WIDTH, 6), **head}
    files.save(folder / "head.pth", files.checkpoint(tuned))
    w = {name: array.astype(np.float64) for name, array in tuned.items()}
    wanted = linear(layer_norm(x[:, 1:].mean(1), w, "fc_norm"), w, "head")
    compare("head of a fine-tuned file", folder, folder / "head.pth", wanted, images, *heads,
            "--classes", "file")

    timm = {**base, **files.norm("norm", WIDTH, 4), **head}
    files.save_safetensors(folder / "head.safetensors", timm)
    w = {name: array.astype(np.float64) for name, array in timm.items()}
    normed = layer_norm(x, w, "norm")
    compare("head of timm", folder, folder / "head.safetensors", linear(normed[:, 0], w, "head"),
            images, *heads, "--classes", "file")
    compare("head of timm, mean", folder, folder / "head.safetensors",
            linear(normed[:, 1:].mean(1), w, "head"), images, *heads, "--classes", "file",
            "--features", "mean")

    files.save(folder / "base.pth", files.checkpoint(base))
    model = folder / "new.onnx"
    result = export(folder / "base.pth", model, *heads, "--classes", 5, "--batch", 2)
    check("a new head", result.returncode == 0, result.stderr)
    got = {i.name: numpy_helper.to_array(i) for i in onnx.load(model).graph.initializer}
    kernel = got["head.weight"]
    check("a new head is small", kernel.shape == (5, WIDTH) and 1e-5 < kernel.std() < 3e-5 and
          not got["head.bias"].any() and (got["fc_norm.weight"] == 1).all())
    check("the rest is the file's", np.array_equal(got["cls_token"], base["cls_token"]) and
          np.array_equal(got["blocks.1.mlp.fc2.weight"], base["blocks.1.mlp.fc2.weight"].T))
    w = {name: array.astype(np.float64) for name, array in got.items()}
    w["head.weight"], w["head.bias"] = kernel.astype(np.float64), 0
    wanted = linear(layer_norm(x[:, 1:].mean(1), w, "fc_norm"), w, "head")
    check("a new head, logits", deviation(run_gemel(folder, model, images), wanted) < LIMIT)
    for name, status, says, options in [
            ("of a file without", 3, "no head.weight", ("--classes", "file")),
            ("of none", 2, "no count", ("--classes", 0)),
            ("and tokens", 2, "not tokens", ("--classes", 5, "--features", "tokens")),
            ("and no head", 2, "--classes", ("--classes", 5, "--no-head"))]:
        result = export(folder / "base.pth", folder / "x.onnx", *heads, *options)
        check(f"a head {name}", result.returncode == status and says in result.stderr,
              result.stderr.strip())
    files.save(folder / "odd.pth", files.checkpoint({**base, "norm_pre.weight": head["head.bias"]}))
    result = export(folder / "odd.pth", folder / "x.onnx", *heads, "--classes", 5)
    check("a new head does not hide tensors without a place",
          result.returncode == 3 and "norm_pre" in result.stderr, result.stderr.strip())


def check_moco(folder: Path):
    """Two encoders in one file; the small one has 12 heads, which shapes do not tell."""
    images = make_images(32)
    encoders = {name: {**files.backbone(seed, 384, 1, 16, 2), **files.norm("norm", 384, seed)}
                for seed, name in ((7, "base_encoder"), (8, "momentum_encoder"))}
    arrays = {f"module.{name}.{k}": v for name, encoder in encoders.items()
              for k, v in encoder.items()}
    arrays["module.base_encoder.head.0.weight"] = np.ones((4, 384), np.float32)
    arrays["module.predictor.0.weight"] = np.ones((4, 4), np.float32)
    files.save(folder / "moco.pth", files.checkpoint(arrays, "state_dict", arch="vit_small"))
    for name, encoder in encoders.items():
        w = {k: v.astype(np.float64) for k, v in encoder.items()}
        x = layer_norm(tokens_of(images, encoder, 12), w, "norm")
        options = () if name == "base_encoder" else ("--map", "moco-v3-momentum")
        compare(f"moco-v3, {name}", folder, folder / "moco.pth", x[:, 0], images, *options)


def check_positions(folder: Path):
    base = files.backbone(9, WIDTH, 1, PATCH, SIDE)
    files.save(folder / "grid.pth", files.checkpoint(base))
    for side in (SIDE, 3, 7, 12):
        result = export(folder / "grid.pth", folder / "model.onnx", "--heads", HEADS,
                        "--image-size", side * PATCH)
        model = onnx.load(folder / "model.onnx")
        table = next(numpy_helper.to_array(i) for i in model.graph.initializer
                     if i.name == "pos_embed")
        wanted = base["pos_embed"] if side == SIDE else resize(base["pos_embed"], side)
        limit = 0 if side == SIDE else 1e-7
        check(f"positions, {side} x {side}",
              result.returncode == 0 and deviation(table, wanted) <= limit)
    images = make_images(6 * PATCH)
    wanted = tokens_of(images, {**base, "pos_embed": resize(base["pos_embed"], 6)}, HEADS)
    compare("a larger image", folder, folder / "grid.pth", wanted[:, 0], images, "--heads",
            HEADS, "--image-size", 6 * PATCH)


# ---- the object in a file -------------------------------------------------------------------

class Turncoat(files.Storage):
    """Of another type each time somebody asks."""
    last = None

    def __init__(self, array: np.ndarray):
        self.data, self.count = array.tobytes(), array.size
        self.kinds = iter(["float32", "int32"])
        Turncoat.last = self

    @property
    def kind(self) -> str:
        return next(self.kinds)


def check_list(folder: Path):
    base = np.arange(24, dtype=np.float32)
    storage = files.Storage(base.tobytes(), "float32", 24)
    views = {"dense": files.Tensor(storage, 4, (2, 3), (3, 1)),
             "turned": files.Tensor(storage, 0, (4, 6), (1, 4)),
             "steps": files.Tensor(storage, 1, (3,), (7,)),
             "empty": files.Tensor(storage, 0, (0, 3), (3, 1)),
             "scalar": files.Tensor(storage, 5, (), ()),
             "parameter": files.tensor(base, parameter=True),
             "half": files.tensor(base.astype(np.float16)),
             "brain": files.tensor((base.view(np.uint32) >> 16).astype(np.uint16), "bfloat16"),
             "whole": files.tensor(np.arange(3))}
    files.save(folder / "views.pth", {"a": {"b": views}, "n": [1, 2.5, None, True, "x"]})
    result = call("weights", "convert", folder / "views.pth", folder / "views.safetensors",
                  "--prefix", "a.b")
    check("views", result.returncode == 0, result.stderr)
    got = files.read_safetensors(folder / "views.safetensors")
    wanted = {"dense": base[4:10].reshape(2, 3), "turned": base.reshape(6, 4).T,
              "steps": base[1::7][:3], "empty": np.zeros((0, 3), np.float32), "scalar": base[5],
              "parameter": base, "half": base.astype(np.float16),
              "brain": (base.view(np.uint32) >> 16).astype(np.uint16), "whole": np.arange(3)}
    for name, array in wanted.items():
        same = np.array_equal(got[name], array) and got[name].shape == array.shape
        check(f"view {name}", same)
    listed = json.loads(call("weights", "list", folder / "views.pth", "--json").stdout)
    values = {v["name"]: v["value"] for v in listed["values"]}
    check("values", values == {"n.0": "1", "n.1": "2.5", "n.2": "none", "n.3": "true",
                               "n.4": "x"}, str(values))
    repeated = files.Tensor(storage, 0, (100, 24), (0, 1))
    files.save(folder / "repeated.pth", {"a": repeated})
    check_refused("a tensor that repeats itself", folder / "repeated.pth",
                  "repeats its elements")
    many = files.Storage(np.zeros(4096, np.float32).tobytes(), "float32", 4096)
    files.save(folder / "many.pth",
               {str(i): files.Tensor(many, 0, (64, 64), (1, 64)) for i in range(8)})
    check_refused("copies of a storage", folder / "many.pth", "too many views")
    files.save(folder / "two.pth", {"a": files.tensor(base), "b": files.Tensor(
        Turncoat(base), 0, (3,), (1,)), "c": files.Tensor(Turncoat.last, 0, (3,), (1,))})
    check_refused("a storage of two types", folder / "two.pth", "two types")
    for name, sizes, strides in (("outside", (5, 6), (6, 1)), ("far", (2,), (1 << 62,)),
                                 ("many", (1 << 40, 1 << 40), (1, 1)),
                                 ("negative", (-1,), (1,)), ("uneven", (2, 2), (1,))):
        files.save(folder / "bad.pth", {"a": files.Tensor(storage, 0, sizes, strides)})
        check_refused(f"a tensor {name}", folder / "bad.pth", "a:")


def check_convert(folder: Path):
    random = np.random.default_rng(2)
    arrays = {"model.x": random.standard_normal((5, 7)).astype(np.float32),
              "model.y": random.standard_normal(9), "other": np.arange(4)}
    files.save_safetensors(folder / "in.safetensors", arrays)
    out = folder / "out.safetensors"
    call("weights", "convert", folder / "in.safetensors", out)
    got = files.read_safetensors(out)
    check("convert", all(np.array_equal(got[k], v) for k, v in arrays.items()))
    call("weights", "convert", folder / "in.safetensors", out, "--dtype", "f16", "--prefix",
         "model.")
    got = files.read_safetensors(out)
    check("convert to f16", set(got) == {"x", "y"} and
          np.array_equal(got["x"], arrays["model.x"].astype(np.float16)) and
          np.array_equal(got["y"], arrays["model.y"].astype(np.float16)))
    call("weights", "convert", folder / "in.safetensors", folder / "out.npz", "--dtype", "f32")
    got = np.load(folder / "out.npz")
    same = np.array_equal(got["model.y"], arrays["model.y"].astype(np.float32))
    check("convert to .npz", same and np.array_equal(got["other"], arrays["other"]))
    before = out.read_bytes()
    result = call("weights", "convert", folder / "no.safetensors", out)
    check("a failure leaves the old file",
          result.returncode == 5 and out.read_bytes() == before)
    result = call("weights", "convert", folder / "in.safetensors", folder / "out.txt")
    check("a format nobody knows", result.returncode == 2 and not (folder / "out.txt").exists())


def check_round(folder: Path):
    """Weights out of gemel's own models, whose matrices stand the other way round."""
    options = ("export", "vit", "--variant", "ti16", "--image-size", 32, "--no-head")
    call(*options, "-o", folder / "a.onnx")
    result = export(folder / "a.onnx", folder / "b.onnx")
    check("out of a model", result.returncode == 0, result.stderr)
    same = (folder / "a.onnx").read_bytes() == (folder / "b.onnx").read_bytes()
    check("out of a model: the same bytes", same)
    call("weights", "convert", folder / "a.onnx", folder / "a.safetensors", "--map", "auto")
    export(folder / "a.safetensors", folder / "c.onnx")
    same = (folder / "a.onnx").read_bytes() == (folder / "c.onnx").read_bytes()
    check("through safetensors: the same bytes", same)
    # a square head, which stands as frameworks have it: what the model says counts
    head = ("--features", "mean", "--classes")
    call("export", "vit", "--variant", "ti16", "--image-size", 32, "--heads", 4, *head, 192, "-o",
         folder / "square.onnx")
    export(folder / "square.onnx", folder / "square2.onnx", *head, "file")
    same = (folder / "square.onnx").read_bytes() == (folder / "square2.onnx").read_bytes()
    check("a square head, other heads: the same bytes", same)
    initialisers = {i.name: numpy_helper.to_array(i) for i in
                    onnx.load(folder / "a.onnx").graph.initializer}
    files.save_safetensors(folder / "states.safetensors",
                           {k: v for k, v in initialisers.items() if v.dtype == np.float32})
    export(folder / "states.safetensors", folder / "d.onnx")
    same = (folder / "a.onnx").read_bytes() == (folder / "d.onnx").read_bytes()
    check("states, whose biases tell how matrices stand", same)
    changed = {"blocks.0.attn.proj.weight":
               initialisers["blocks.0.attn.proj.weight"] + np.float32(1)}
    files.save_safetensors(folder / "changed.safetensors", changed)
    result = call("export", "vit", "--weights", folder / "a.onnx", "--weights",
                  folder / "changed.safetensors", "-o", folder / "e.onnx")
    got = {i.name: numpy_helper.to_array(i) for i in
           onnx.load(folder / "e.onnx").graph.initializer}
    check("a later file counts", result.returncode == 0 and all(
        np.array_equal(got[k], changed.get(k, v)) for k, v in initialisers.items()))


def own_arrays(checkpoint: Path) -> dict:
    """The online encoder of a checkpoint of gemel's, as frameworks have it."""
    arrays, turned = files.read_safetensors(checkpoint), files.read_texts(checkpoint)
    turned = turned["gemel.transposed"].splitlines()
    return {k: v.T if k in turned else v for k, v in arrays.items()
            if k.startswith(("blocks.", "patch_embed.", "cls_token", "pos_embed"))}


def check_checkpoints(folder: Path):
    """Of a training's model and its checkpoints backbones are made: nobody says how many heads
    there are, and of that size there is no variant."""
    images, step, run = make_images(32), folder / "step.onnx", folder / "run"
    result = call("pictures", "shapes1", folder / "shapes", "--train", 20, "--test", 10)
    check("pictures", result.returncode == 0, result.stderr)
    call("export", "siameseim", "--variant", "tiny", "--heads", 2, "--batch", 4, "--iterations", 5,
         "--epochs", 100, "--warmup", 0, "--lr", 0.01, "-o", step)
    for steps, more in (2, ()), (4, ("--resume",)):
        result = call("train", step, "--data", folder / "shapes/train", "--run", run, "--steps",
                      steps, "--device", "ref", *more)
        check(f"{steps} steps", result.returncode == 0, result.stderr)
        checkpoint = run / f"checkpoint-{steps:09}.safetensors"
        wanted = tokens_of(images, own_arrays(checkpoint), 2)
        compare(f"a checkpoint of step {steps}", folder, checkpoint, wanted, images, "--features",
                "tokens")
        texts = files.read_texts(checkpoint)
        check(f"step {steps} says how pictures are prepared",
              texts["gemel.mean"] == "0.485,0.456,0.406" and "gemel.std" in texts)
        if steps == 2:
            first = wanted
    check("heads matter", deviation(tokens_of(images, own_arrays(checkpoint), 3), wanted) > 1e-3)
    check("training moves features", deviation(first, wanted) > 1e-3)
    compare("other heads when asked", folder, checkpoint,
            tokens_of(images, own_arrays(checkpoint), 3), images, "--features", "tokens", "--heads",
            3)
    call("export", "vit", "--weights", step, "--weights", checkpoint, "--features", "tokens",
         "--batch", len(images), "-o", folder / "both.onnx")
    check("a model and its checkpoint", deviation(run_gemel(folder, folder / "both.onnx", images),
                                                  wanted) <= LIMIT)
    call("export", "vit", "--weights", step, "--features", "tokens", "--batch", len(images), "-o",
         folder / "first.onnx")
    check("a model alone", run_gemel(folder, folder / "first.onnx", images).shape == wanted.shape)


def check_faults(folder: Path):
    base = files.backbone(3, WIDTH, DEPTH, PATCH, SIDE)
    more = np.ones(WIDTH, np.float32)
    heads = ("--heads", HEADS)

    def refuse(name: str, arrays: dict, says: str, *options):
        files.save(folder / "fault.pth", files.checkpoint(arrays))
        (folder / "fault.onnx").unlink(missing_ok=True)
        result = export(folder / "fault.pth", folder / "fault.onnx", *options)
        check(name, result.returncode in (2, 3) and says in result.stderr and
              not (folder / "fault.onnx").exists(), result.stderr.split("\n")[0])

    refuse("a scale nobody reads", {**base, "blocks.0.ls1.gamma": more}, "blocks.0.ls1.gamma",
           *heads)
    refuse("a norm nobody reads", {**base, "norm_pre.weight": more}, "norm_pre.weight", *heads)
    last = "blocks.1.mlp.fc2.weight"
    refuse("a missing tensor", {k: v for k, v in base.items() if k != last}, last, *heads)
    refuse("another shape", {**base, "blocks.1.norm1.bias": more[:5]}, "blocks.1.norm1.bias",
           *heads)
    refuse("no square of positions", {**base, "pos_embed": base["pos_embed"][:, :-2]},
           "pos_embed", *heads)
    refuse("unknown heads", base, "--heads")
    refuse("heads that do not divide", base, "heads", "--heads", 7)
    refuse("another patch", base, "patch_embed.proj.weight", *heads, "--patch", 16)
    refuse("a map that does not fit", base, "fits none", *heads, "--map", "mae")
    refuse("a map nobody has", base, "there is no map", *heads, "--map", "nothing")
    refuse("another variant", base, "ti16", *heads, "--variant", "ti16", "--map", "ti16")
    result = export(folder / "fault.pth", folder / "fault.onnx", *heads)
    check("the same file, well", result.returncode == 0, result.stderr)
    files.save(folder / "fault.pth", files.checkpoint({**base, "norm_pre.weight": more}))
    result = export(folder / "fault.pth", folder / "fault.onnx", *heads, "--leave",
                    "*norm_pre*")
    check("left out when asked", result.returncode == 0, result.stderr)
    two = files.checkpoint(base)
    files.save(folder / "two.pth", {**two, "model_ema": two["model"]})
    result = export(folder / "two.pth", folder / "fault.onnx", *heads)
    check("two networks", result.returncode == 3 and "model_ema." in result.stderr)
    result = export(folder / "two.pth", folder / "fault.onnx", *heads, "--prefix", "model_ema")
    check("two networks, one meant", result.returncode == 0, result.stderr)


# ---- harm -----------------------------------------------------------------------------------

def check_refused(name: str, path: Path, says: str):
    result = call("weights", "list", path)
    check(f"refused: {name}", result.returncode in (3, 4) and says in result.stderr,
          f"{result.returncode} {result.stderr.splitlines()[:1]}")


def check_pickles(folder: Path):
    mark = folder / "it-ran"
    command = pickle.dumps(f"touch {mark}", 2)[2:-1] # the opcodes that push the text
    text = lambda s: b"\x8c" + bytes([len(s)]) + s.encode()
    harmful = {
        "posix.system": b"cposix\nsystem\n" + command + b"\x85R.",
        "os.system": b"cos\nsystem\n.",
        "builtins.eval": b"\x80\x04" + text("builtins") + text("eval") + b"\x93.",
        "subprocess.Popen": b"csubprocess\nPopen\n" + command + b"\x85R.",
        "builtins.getattr": b"cbuiltins\ngetattr\n.",
        "torch.load": b"ctorch\nload\n.",
        "torch._utils._rebuild_wrapper_subclass":
            b"ctorch._utils\n_rebuild_wrapper_subclass\n)R.",
        "torch.FloatStorage.x": b"ctorch\nFloatStorage.x\n.",
        "INST": b"(ios\nsystem\n.", "OBJ": b"(cargparse\nNamespace\no.", "EXT1": b"\x82\x01.",
        "NEWOBJ_EX": b"cargparse\nNamespace\n)}\x92.", "PERSID": b"Pposix\n.",
    }
    for name, code in harmful.items():
        whole = code if code[0] == 0x80 else b"\x80\x02" + code
        files.save(folder / "harm.pth", None, whole)
        check_refused(f"a pickle with {name}", folder / "harm.pth", name)
        inside = b"\x80\x02}" + text("a") + whole[2:-1] + b"s."
        files.save(folder / "harm.pth", None, inside)
        check_refused(f"the same, inside, {name}", folder / "harm.pth", name)
    check("nothing ran", not mark.exists())
    broken = {
        "a loop": b"\x80\x02]q\x00h\x00a.",
        "a deep one": b"\x80\x02" + b"]" * 60 + b"a" * 59 + b".",
        "laughter": b"\x80\x02)q\x00" + b"".join(b"h%ch%c\x86q%c" % (i, i, i + 1)
                                                for i in range(26)) + b".",
        "a memo far out": b"\x80\x02Nr\xff\xff\xff\xff.", "an empty stack": b"\x80\x02R.",
        "no marker": b"\x80\x02Nt.", "half a key": b"\x80\x02}(Nu.", "no end": b"\x80\x02}",
        "a long text": b"\x80\x02X\xff\xff\xff\x7fa.",
        "nothing": b".", "a call of text":
        b"\x80\x02" + text("a") + b")R.", "state of text": b"\x80\x02" + text("a") + b"}b.",
        "a storage of text": b"\x80\x02" + text("a") + b"Q.",
        "a frame": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff.",
        "protocol 9": b"\x80\x09N.",
        "a marker at the end": b"\x80\x02N(.", "a marker in a tuple": b"\x80\x02N(\x85.",
    }
    files.save(folder / "harm.pth", None, b"\x80\x02X\x05\x00\x00\x00abcd")
    check_refused("a text a little too long", folder / "harm.pth", "ends too early")
    for name, code in broken.items():
        files.save(folder / "harm.pth", None, code)
        check_refused(f"a pickle that is broken: {name}", folder / "harm.pth", "harm.pth")


def check_zips(folder: Path):
    warnings.simplefilter("ignore") # of two members of one name, which is the point
    whole = folder / "whole.pth"
    files.save(whole, {"a": files.tensor(np.arange(40, dtype=np.float32))})
    data = whole.read_bytes()
    path = folder / "zip.pth"

    def refuse(name: str, changed: bytes, says: str = "zip.pth"):
        path.write_bytes(changed)
        check_refused(f"a zip: {name}", path, says)

    for cut in (1, 30, 200, len(data) // 2, len(data) - 5):
        refuse(f"cut after {len(data) - cut} bytes", data[:-cut])
    end = data.rindex(b"PK\5\6")
    entries = [i for i in range(len(data)) if data.startswith(b"PK\1\2", i)]

    def patch(at: int, form: str, value: int) -> bytes:
        return data[:at] + struct.pack(form, value) + data[at + struct.calcsize(form):]

    refuse("a directory elsewhere", patch(end + 16, "<I", 3))
    refuse("a directory outside", patch(end + 16, "<I", 1 << 31))
    refuse("many members", patch(end + 10, "<H", 60000))
    refuse("Zip64 without", patch(end + 16, "<I", 0xffffffff))
    storage = next(i for i in entries if data[i + 46:].startswith(b"whole/data/0"))
    refuse("a member outside", patch(storage + 42, "<I", len(data) - 8))
    refuse("a member on another", patch(storage + 42, "<I", 0))
    refuse("a member that is too large", patch(storage + 20, "<I", 1 << 30))
    refuse("two sizes", patch(storage + 24, "<I", 8))
    refuse("encrypted", patch(storage + 8, "<H", 1))
    files.write_zip(path, [("x/data.pkl", b"\x80\x02N."), ("x/data.pkl", b"\x80\x02N.")])
    check_refused("a zip: two of one name", path, "two members have one name")
    files.write_zip(path, [("x/data.pkl", b"\x80\x02N." + b" " * 5000)], zipfile.ZIP_DEFLATED)
    check_refused("a zip: compressed", path, "compressed")
    files.write_zip(path, [("x/y.npy", b"")])
    check_refused("a zip: NumPy's", path, ".npz")
    files.write_zip(path, [("x/data.pkl", b"\x80\x02N."), ("x/constants.pkl", b"")])
    check_refused("a zip: TorchScript", path, "TorchScript")
    files.write_zip(path, [("x/data.pkl", b"\x80\x02N."), ("x/byteorder", b"big")])
    check_refused("a zip: big-endian", path, "big-endian")
    path.write_bytes(pickle.dumps({"a": 1}, 2))
    check_refused("a bare pickle", path, "pickle")
    path.write_bytes(b"storages".ljust(257, b"\0") + b"ustar\0" + bytes(500))
    check_refused("a tar", path, "tar format")
    path.write_bytes(b"")
    check_refused("an empty file", path, "zip.pth")
    files.save_legacy(path, {"a": files.tensor(np.arange(40, dtype=np.float32))})
    old = path.read_bytes()
    for cut in (1, 100, 170, 200, len(old) - 20):
        refuse(f"the old form, cut after {len(old) - cut} bytes", old[:-cut])


with tempfile.TemporaryDirectory() as name:
    for part in (check_list, check_convert, check_siameseim, check_rows, check_others, check_heads,
                 check_moco, check_positions, check_round, check_checkpoints,
                 check_faults, check_pickles, check_zips):
        part(Path(name))
sys.exit(checks.finish())
