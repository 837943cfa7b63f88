"""train_form.py GEMEL - `gemel train MODEL --loss …` beside NumPy in double precision, and on models
that were made elsewhere: by the onnx package, and its light networks.

Exits 77 without onnx. The formulas are those of docs/training.md, written down again.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

import checks
from checks import check
from states_file import read_safetensors

GEMEL = sys.argv[1]
LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
LIMIT = 1e-9 # of the largest element


# ---- running gemel -------------------------------------------------------------------------------

def call(*options) -> subprocess.CompletedProcess:
    return subprocess.run([GEMEL, "train", *map(str, options)], capture_output=True, text=True)


def train(folder: Path, model: Path, *options) -> tuple[list[dict], dict, dict]:
    """The plan (None for a file that has an algorithm), each step's results, the states."""
    result = call(model, "--json", "--save", folder / "states.safetensors", *options)
    if result.returncode != 0:
        raise RuntimeError(f"gemel train {' '.join(map(str, options))}: {result.stderr}")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    plan = lines.pop(0) if "trained" in lines[0] else None
    return plan, lines, read_safetensors(folder / "states.safetensors")


def save_model(path: Path, nodes, inputs, outputs, weights, opset=20):
    graph = helper.make_graph(nodes, "net", inputs, outputs,
                              [numpy_helper.from_array(v, k) for k, v in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


# ---- a perceptron, and the same in NumPy ---------------------------------------------------------

BATCH, SIZES = 4, (5, 7, 3)


def perceptron_weights(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {"fc1.weight": SIZES[:2], "fc1.bias": SIZES[1:2], "fc2.weight": SIZES[1:],
              "fc2.bias": SIZES[2:]}
    return {name: rng.standard_normal(shape) / 2 for name, shape in shapes.items()}


def floats(name: str, rank: int, kind=TensorProto.DOUBLE):
    """A value whose sizes the file leaves open."""
    return helper.make_tensor_value_info(name, kind, [f"{name}{d}" for d in range(rank)])


def save_perceptron(path: Path, weights: dict, tail: list = (), rank: int = 2):
    """tanh(x W1 + b1) W2 + b2, and perhaps a softmax; "half" is a number of the formula."""
    nodes = [helper.make_node("MatMul", ["x", "fc1.weight"], ["a"]),
             helper.make_node("Add", ["a", "fc1.bias"], ["b"]),
             helper.make_node("Tanh", ["b"], ["h"]),
             helper.make_node("MatMul", ["h", "fc2.weight"], ["c"]),
             helper.make_node("Add", ["c", "fc2.bias"], ["d"]),
             helper.make_node("Mul", ["d", "half"], ["logits"]), *tail]
    last = tail[-1].output[0] if tail else "logits"
    save_model(path, nodes, [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", 5])],
               [floats(last, rank)],
               {**weights, "half": np.array(0.5)})


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def loss_of(kind: str, y: np.ndarray, given: dict, smoothing: float) -> tuple[float, np.ndarray]:
    """The loss, and its derivative by y."""
    if kind == "mse":
        return np.mean((y - given["target"])**2), 2 * (y - given["target"]) / y.size
    if kind == "mean":
        return y.mean(), np.full_like(y, 1 / y.size)
    n, c = y.shape
    wanted = (1 - smoothing) * np.eye(c)[given["labels"]] + smoothing / c
    return -np.sum(wanted * np.log(softmax(y))) / n, (softmax(y) - wanted) / n


def gradients_of(w: dict, given: dict, kind: str, smoothing: float):
    h = np.tanh(given["x"] @ w["fc1.weight"] + w["fc1.bias"])
    loss, dy = loss_of(kind, (h @ w["fc2.weight"] + w["fc2.bias"]) / 2, given, smoothing)
    dy = dy / 2
    dh = (dy @ w["fc2.weight"].T) * (1 - h * h)
    return loss, {"fc1.weight": given["x"].T @ dh, "fc1.bias": dh.sum(0),
                  "fc2.weight": h.T @ dy, "fc2.bias": dy.sum(0)}


# ---- the optimizers ------------------------------------------------------------------------------

def rate(o: dict, now: int) -> float:
    warmup, lr, low = o.get("warmup", 0), o["lr"], o.get("min-lr", 0.0)
    if now < warmup:
        return lr * now / warmup
    if o.get("schedule", "const") == "const":
        return lr
    x = min(1.0, (now - warmup) / (o["total"] - warmup))
    if o["schedule"] == "linear":
        return lr + (low - lr) * x
    return low + (lr - low) * (1 + np.cos(np.pi * x)) / 2


def adamw(o, states, name, p, g, lr, decay, t):
    b1, b2 = (float(b) for b in o.get("betas", "0.9,0.999").split(","))
    m = b1 * states.get(f"exp_avg.{name}", 0) + (1 - b1) * g
    v = b2 * states.get(f"exp_avg_sq.{name}", 0) + (1 - b2) * g**2
    states.update({f"exp_avg.{name}": m, f"exp_avg_sq.{name}": v})
    p = p - lr * decay * p
    return p - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + o.get("epsilon", 1e-8))


def sgd(o, states, name, p, g, lr, decay, t):
    g = g + decay * p
    momentum = o.get("momentum", 0.0)
    if momentum == 0:
        return p - lr * g
    u = momentum * states.get(f"momentum_buffer.{name}", 0) + g
    states[f"momentum_buffer.{name}"] = u
    return p - lr * (g + momentum * u if o.get("nesterov") else u)


def lars(o, states, name, p, g, lr, decay, t):
    g = g + decay * p
    lengths = np.linalg.norm(p), np.linalg.norm(g)
    if p.ndim > 1 and min(lengths) > 0:
        g = g * o.get("trust", 0.001) * lengths[0] / lengths[1]
    return sgd({"momentum": o.get("momentum", 0.9)}, states, name, p, g, lr, 0, t)


def expected(weights: dict, batches: list[dict], kind: str, o: dict, steps: int):
    """What `steps` steps give: of each the loss, the rate, the length; then the states."""
    rule = {"adamw": adamw, "sgd": sgd, "lars": lars}[o["optimizer"]]
    w, states, rows, n = dict(weights), {}, [], o.get("accumulate", 1)
    sums = {name: 0 for name in w}
    for step in range(steps):
        given = batches[step % len(batches)]
        loss, gradients = gradients_of(w, given, kind, o.get("label-smoothing", 0.0))
        sums = {name: sums[name] + gradients[name] for name in w}
        mean = {name: sums[name] / n for name in w}
        length = np.sqrt(sum(np.sum(g**2) for g in mean.values()))
        lr = rate(o, step // n)
        rows.append({"loss": loss, "lr": lr, "grad_norm": length})
        if (step + 1) % n != 0:
            continue
        factor = min(1, o["clip"] / (length + 1e-6)) if "clip" in o else 1
        for name, p in w.items():
            decay = o.get("weight-decay", 0.01 if o["optimizer"] == "adamw" else 0.0)
            decay = decay if p.ndim > 1 and not name.endswith(".bias") else 0.0
            w[name] = rule(o, states, name, p, factor * mean[name], lr, decay, step // n + 1)
        sums = {name: 0 for name in w}
    return rows, {**w, **states}


def deviation(got, wanted) -> float:
    wanted = np.asarray(wanted)
    return float(np.max(np.abs(got - wanted))) / max(1e-12, float(np.max(np.abs(wanted))))


CASES = [
    ("cross-entropy", {"optimizer": "adamw", "lr": 0.01}),
    ("cross-entropy", {"optimizer": "adamw", "lr": 0.02, "betas": "0.8,0.95", "epsilon": 1e-3,
                       "weight-decay": 0.2, "label-smoothing": 0.1, "clip": 0.3}),
    ("mse", {"optimizer": "adamw", "lr": 0.05, "schedule": "cosine", "warmup": 2, "total": 4,
             "min-lr": 0.01}),
    ("mse", {"optimizer": "adamw", "lr": 0.05, "accumulate": 2, "schedule": "linear", "total": 3,
             "clip": 0.1}),
    ("logits", {"optimizer": "sgd", "lr": 0.1}),
    ("mse", {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight-decay": 0.05,
             "schedule": "linear", "total": 4, "min-lr": 0.02}),
    ("cross-entropy", {"optimizer": "sgd", "lr": 0.1, "momentum": 0.8, "nesterov": True,
                       "weight-decay": 0.1, "accumulate": 2, "clip": 0.2}),
    ("cross-entropy", {"optimizer": "lars", "lr": 5.0}),
    ("mse", {"optimizer": "lars", "lr": 3.0, "momentum": 0.5, "trust": 0.02, "weight-decay": 0.3,
             "schedule": "cosine", "warmup": 1, "total": 5}),
]


def options_of(o: dict) -> list[str]:
    return [part for key, value in o.items()
            for part in ([f"--{key}"] if value is True else [f"--{key}", str(value)])]


def make_batches(folder: Path, kind: str, n: int) -> tuple[list[dict], list]:
    rng = np.random.default_rng(7)
    batches, options = [], []
    for i in range(n):
        batch = {"x": rng.standard_normal((BATCH, SIZES[0]))}
        if kind == "mse":
            batch["target"] = rng.standard_normal((BATCH, SIZES[2]))
        elif kind == "cross-entropy":
            batch["labels"] = rng.integers(0, SIZES[2], BATCH)
        np.savez(folder / f"batch{i}.npz", **batch)
        batches.append(batch)
        options += ["--batch", folder / f"batch{i}.npz"]
    return batches, options


def check_optimizers(folder: Path):
    weights, steps = perceptron_weights(), 6
    model = folder / "perceptron.onnx"
    save_perceptron(model, weights)
    before = model.read_bytes()
    for kind, o in CASES:
        batches, given = make_batches(folder, kind, 3)
        rows, states = expected(weights, batches, "mean" if kind == "logits" else kind, o, steps)
        options = ["--loss", kind, *options_of(o), *given, "--steps", steps, "--device", "ref"]
        plan, got, saved = train(folder, model, *options)
        worst = max([deviation(saved[name], value) for name, value in states.items()] +
                    [abs(g[key] - row[key]) for g, row in zip(got, rows) for key in row])
        kept = {"step"} | {f"grad_sum.{name}" for name in weights if "accumulate" in o}
        check(f"{kind} {' '.join(options_of(o))}",
              worst < LIMIT and set(saved) == set(states) | kept and saved["step"] == steps,
              f"{worst:.1e}")
        check("  what is trained", (plan["trained"], plan["kept"]) == (4, 1))
    check("the file stays as it was", model.read_bytes() == before)


# ---- logits --------------------------------------------------------------------------------------

def check_softmax(folder: Path):
    """A softmax behind the logits makes no difference, wherever the classes are."""
    weights = perceptron_weights()
    batches, given = make_batches(folder, "cross-entropy", 1)
    o = {"optimizer": "sgd", "lr": 0.5}
    _, states = expected(weights, batches, "cross-entropy", o, 2)
    turn = helper.make_node("Transpose", ["logits"], ["t"], perm=[1, 0])
    for name, tail in [
            ("Softmax", [helper.make_node("Softmax", ["logits"], ["p"], axis=1, name="last")]),
            ("LogSoftmax", [helper.make_node("LogSoftmax", ["logits"], ["p"], name="last")]),
            ("Identity", [helper.make_node("Softmax", ["logits"], ["q"], name="last"),
                          helper.make_node("Identity", ["q"], ["p"])]),
            ("axis 0", [turn, helper.make_node("Softmax", ["t"], ["p"], axis=0, name="last")]),
            ("--class-axis", [turn])]:
        save_perceptron(folder / "tail.onnx", weights, tail)
        more = ["--class-axis", "-2"] if name == "--class-axis" else []
        plan, _, saved = train(folder, folder / "tail.onnx", "--loss", "cross-entropy", "--steps",
                               2, *options_of(o), *given, "--device", "ref", *more)
        worst = max(deviation(saved[k], v) for k, v in states.items())
        wanted = None if more else "last"
        check(f"logits: {name}", worst < LIMIT and plan["softmax"] == wanted, f"{worst:.1e}")


# ---- which weights -------------------------------------------------------------------------------

def check_choice(folder: Path):
    weights = perceptron_weights()
    model = folder / "perceptron.onnx"
    save_perceptron(model, weights)
    for options, names in [(["--freeze", "fc1.*"], ["fc2.weight", "fc2.bias"]),
                           (["--freeze", "*.bias", "--freeze", "fc1*"], ["fc2.weight"]),
                           (["--train-only", "fc1.*"], ["fc1.weight", "fc1.bias"])]:
        plan, _, saved = train(folder, model, "--loss", "mse", *options, "--list")
        trained = [w["name"] for w in plan["weights"] if w["fate"] == "trained"]
        check(f"{' '.join(options)}", trained == names and
              all(np.array_equal(saved[name], weights[name]) == (name not in names)
                  for name in weights))


def check_kept(folder: Path):
    """Nothing is trained that the loss does not move by, or that decides sizes, or was measured."""
    rng = np.random.default_rng(1)
    weights = {"w": rng.standard_normal((4, 3, 3, 3)) / 5, "scale": np.ones(4), "shift": np.zeros(4),
               "mean": rng.standard_normal(4) / 5, "variance": 1 + rng.random(4),
               "scales": np.array([1, 1, 2, 2]), "unused": np.ones((2, 2)), "one": np.ones(1)}
    weights = {k: v.astype(np.float32) for k, v in weights.items()}
    norm = helper.make_node("BatchNormalization", ["b", "scale", "shift", "mean", "variance"],
                            ["c"], momentum=0.75)
    nodes = [helper.make_node("Resize", ["x", "", "scales"], ["a"], mode="nearest"),
             helper.make_node("Conv", ["a", "w"], ["b"]), norm,
             helper.make_node("Mul", ["c", "one"], ["y"]),
             helper.make_node("MatMul", ["unused", "unused"], ["z"])]
    model = folder / "conv.onnx"
    save_model(model, nodes, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 4, 4])],
               [floats("y", 4, TensorProto.FLOAT), floats("z", 2, TensorProto.FLOAT)], weights)
    x = rng.standard_normal((2, 3, 4, 4)).astype(np.float32)
    np.save(folder / "x.npy", x)
    options = ["--loss", "y", "--input", folder / "x.npy", "--list", "--device", "ref"]
    plan, _, _ = train(folder, model, *options)
    fates = {w["name"]: w["fate"] for w in plan["weights"]}
    check("what is kept", fates == {
        "w": "trained", "scale": "trained", "shift": "trained", "mean": "a running statistic",
        "variance": "a running statistic", "scales": "decides shapes",
        "unused": "without influence on the loss", "one": "a single number"}, str(fates))
    _, _, saved = train(folder, model, *options, "--batch-norm", "train")
    patches = np.lib.stride_tricks.sliding_window_view(x.repeat(2, 2).repeat(2, 3), (3, 3), (2, 3))
    b = np.einsum("nchwij,ocij->nohw", patches, weights["w"])
    worst = max(deviation(saved["mean"], 0.75 * weights["mean"] + 0.25 * b.mean((0, 2, 3))),
                deviation(saved["variance"],
                          0.75 * weights["variance"] + 0.25 * b.var((0, 2, 3))))
    check("--batch-norm train", worst < 1e-5, f"{worst:.1e}")


# ---- the form as a file --------------------------------------------------------------------------

def check_form(folder: Path):
    """The file with the form passes ONNX's checker, and trains to the same bits."""
    weights = {k: v.astype(np.float32) for k, v in perceptron_weights().items()}
    nodes = [helper.make_node("Gemm", ["x", "fc1.weight", "fc1.bias"], ["a"]),
             helper.make_node("LayerNormalization", ["a", "fc1.bias"], ["b"]),
             helper.make_node("Gelu", ["b"], ["c"]),
             helper.make_node("Gemm", ["c", "fc2.weight", "fc2.bias"], ["labels"])]
    model, form = folder / "net.onnx", folder / "form.onnx"
    save_model(model, nodes, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 5])],
               [helper.make_tensor_value_info("labels", TensorProto.FLOAT, ["n", 3])], weights)
    rng = np.random.default_rng(3)
    np.savez(folder / "in.npz", x=rng.standard_normal((8, 5)).astype(np.float32),
             labels_1=rng.integers(0, 3, 8))
    for more in ([], ["--external-data"], ["--accumulate", "2"]):
        for device in ("cpu", "ref"):
            given = ["--steps", 4, "--batch", folder / "in.npz", "--device", device]
            _, got, saved = train(folder, model, "--loss", "cross-entropy", "--clip", 1, "--warmup",
                                  1, "--schedule", "cosine", "--form", form, *more, *given)
            onnx.checker.check_model(str(form), full_check=True)
            _, again, loaded = train(folder, form, *given)
            is_same = [{**a, "ms": 0} for a in got] == [{**b, "ms": 0} for b in again]
            check(f"the form {' '.join(more)} on {device}", is_same and list(saved) == list(loaded)
                  and all(np.array_equal(saved[k], loaded[k]) for k in saved))


# ---- models from elsewhere -----------------------------------------------------------------------

def check_falling(name: str, folder: Path, model: Path, *options):
    before = model.read_bytes()
    plan, rows, _ = train(folder, model, *options)
    losses = [row["loss"] for row in rows]
    check(f"{name} learns", losses[-1] < losses[0] and model.read_bytes() == before,
          f"{plan['trained']} weights, {losses[0]:.4f} to {losses[-1]:.4f}")


def check_models(folder: Path):
    vit = folder / "vit.onnx"
    subprocess.run([GEMEL, "export", "vit", "--variant", "ti16", "-o", vit], check=True,
                   capture_output=True)
    check_falling("ViT", folder, vit, "--loss", "cross-entropy", "--lr", 1e-4, "--steps", 4)
    for name in ("shufflenet", "squeezenet"):
        model = LIGHT / f"light_{name}.onnx"
        if model.exists():
            check_falling(name, folder, model, "--loss", "cross-entropy", "--optimizer", "sgd",
                          "--clip", 1, "--lr", 0.01, "--steps", 3)


# ---- faults --------------------------------------------------------------------------------------

def check_faults(folder: Path):
    model = folder / "perceptron.onnx"
    save_perceptron(model, perceptron_weights())
    np.savez(folder / "bad.npz", x=np.ones((4, 5)), labels=np.array([0, 1, 2, 3]))
    entropy = ["--loss", "cross-entropy"]
    for path, options, text in [
            (model, ["--loss", "mse", "--output", "lugits"], "did you mean 'logits'"),
            (model, ["--loss", "logit"], "there is no output called 'logit'"),
            (model, ["--loss", "mse", "--freeze", "*"], "nothing to train"),
            (model, ["--loss", "mse", "--freeze", "fc9*"], "there is no weight called 'fc9*'"),
            (model, ["--loss", "mse", "--nesterov"], "--nesterov goes with sgd"),
            (model, ["--loss", "mse", "--momentum", "0.9"], "--momentum goes with sgd and lars"),
            (model, ["--loss", "mse", "--label-smoothing", "0.1"], "goes with the loss cross"),
            (model, ["--loss", "mse", "--schedule", "cosine", "--warmup", "3"], "warm-up"),
            (model, ["--lr", "1"], "--lr goes with --loss"),
            (model, [], "--loss makes a training algorithm"),
            (model, entropy + ["--class-axis", "2"], "have no axis 2 of classes"),
            (model, entropy + ["--batch", folder / "bad.npz"], "index 3 is outside"),
            (model, entropy + ["--batch", folder / "bad.npz", "--device", "ref"],
             "index 3 is outside")]:
        result = call(path, *options)
        check(f"fault {' '.join(map(str, options))}", result.returncode in (2, 3, 4) and
              text in result.stderr, result.stderr.strip().split("\n")[0])


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        return checks.run((check_faults, check_optimizers, check_softmax, check_choice, check_kept,
                           check_form, check_models), Path(name),
                          errors=(RuntimeError, onnx.checker.ValidationError))


if __name__ == "__main__":
    sys.exit(main())
