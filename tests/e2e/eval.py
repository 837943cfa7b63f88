"""eval.py GEMEL - `gemel eval` beside ONNX Runtime, Pillow and NumPy: features of pictures of odd
sizes, neighbours, both linear probes, logistic regression, and what is said about them.

Exits 77 without onnxruntime or Pillow. The formulas are those of docs/eval.md, written down again.
"""
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
    from PIL import Image
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

import checks
from checks import check

GEMEL = sys.argv[1]
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
N_CLASSES, K = 10, 5


def call(*options) -> subprocess.CompletedProcess:
    return subprocess.run([GEMEL, *map(str, options)], capture_output=True, text=True)


def gemel(*options) -> str:
    result = call(*options)
    if result.returncode != 0:
        raise RuntimeError(f"gemel {' '.join(map(str, options))}: {result.stderr}")
    return result.stdout


def evaluate(folder: Path, *options) -> tuple[dict, dict]:
    """What --json says, and the arrays of --numbers."""
    numbers = folder / "numbers.npz"
    report = json.loads(gemel("eval", *options, "--json", "--numbers", numbers))
    with np.load(numbers) as arrays:
        return report, dict(arrays)


def result_of(report: dict, method: str, kind: str) -> dict:
    return next(r for r in report["results"] if (r["method"], r["features"]) == (method, kind))


# ---- features ------------------------------------------------------------------------------------

def write_odd_pictures(root: Path):
    """Smooth PPM pictures, wide and tall, in three classes."""
    rng = np.random.default_rng(0)
    for i, (height, width) in enumerate([(40, 57), (61, 36), (33, 33), (36, 90), (70, 37)]):
        small = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((width, height), Image.BILINEAR)
        folder = root / "abc"[i % 3]
        folder.mkdir(parents=True, exist_ok=True)
        picture.save(folder / f"{i}.ppm")


def preprocess(path: Path, resize: int, crop: int, filter_: int) -> np.ndarray:
    """torchvision's Resize, CenterCrop, ToTensor and Normalize: (3, crop, crop)."""
    picture = Image.open(path).convert("RGB")
    width, height = picture.size
    short = min(width, height)
    picture = picture.resize((resize * width // short, resize * height // short), filter_)
    left, top = round((picture.size[0] - crop) / 2), round((picture.size[1] - crop) / 2)
    pixels = np.asarray(picture.crop((left, top, left + crop, top + crop)), np.float32) / 255
    return ((pixels - MEAN) / STD).transpose(2, 0, 1)


def test_features(folder: Path, model: Path):
    pictures = folder / "odd"
    write_odd_pictures(pictures)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for name, filter_, resize in [("bicubic", Image.BICUBIC, 36), ("bilinear", Image.BILINEAR, 33)]:
        inputs = np.stack([preprocess(p, resize, 32, filter_)
                           for p in sorted(pictures.glob("*/*"))])
        tokens = session.run(None, {"images": inputs})[0].astype(np.float64)
        report, arrays = evaluate(folder, model, "--train", pictures, "--test", pictures, "--k", 1,
                                  "--method", "knn", "--resize", resize, "--filter", name,
                                  "--batch", 2, "--pixels")
        expected = {"mean": tokens[:, 1:].mean(1), "cls": tokens[:, 0],
                    "pixels": inputs.reshape(len(inputs), -1)}
        for kind, y in expected.items():
            for part in "train", "test":
                error = np.abs(arrays[f"{part}_{kind}"] - y).max() / np.abs(y).max()
                check(f"{name} {part} {kind}", error < 1e-5, f"{error:.1e}")
        grey = ((inputs * STD[:, None, None] + MEAN[:, None, None]) *
                np.array([0.299, 0.587, 0.114])[:, None, None]).sum(1)
        grey = grey.reshape(-1, 16, 2, 16, 2).mean((2, 4)).reshape(len(inputs), -1)
        check(f"{name} grey16", np.abs(arrays["test_grey16"] - grey).max() < 1e-5)
        check(f"{name} its own neighbour", result_of(report, "knn", "cls")["accuracy"] == 1)


# ---- methods -------------------------------------------------------------------------------------

def neighbours(arrays: dict, kind: str, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest rows and their cosines, in double precision."""
    bank, queries = (arrays[f"{p}_{kind}"].astype(np.float64) for p in ("train", "test"))
    bank /= np.linalg.norm(bank, axis=1, keepdims=True)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    cosines = queries @ bank.T
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(cosines, order, 1)


def test_knn(report: dict, arrays: dict, kind: str, temperature: float):
    order, cosines = neighbours(arrays, kind, K)
    labels = arrays["train_labels"][order]
    above = cosines - cosines[:, :1]
    weights = np.exp(above / temperature) if temperature else np.ones_like(cosines)
    votes = np.stack([(weights * (labels == c)).sum(1) for c in range(N_CLASSES)], 1)
    check(f"knn {kind} neighbours", (arrays[f"knn_{kind}_neighbours"] == order).all())
    check(f"knn {kind} predictions", (arrays[f"knn_{kind}"] == votes.argmax(1)).all())
    check_scores(report, arrays, "knn", kind)


def check_scores(report: dict, arrays: dict, method: str, kind: str):
    """What JSON says of the predictions."""
    result, predicted, labels = (result_of(report, method, kind), arrays[f"{method}_{kind}"],
                                 arrays["test_labels"])
    confusion = np.zeros((N_CLASSES, N_CLASSES), int)
    np.add.at(confusion, (labels, predicted), 1)
    shares = confusion.diagonal() / confusion.sum(1)
    same = (np.array_equal(result["confusion"], confusion) and
            np.allclose(result["classes"], shares) and
            np.isclose(result["balanced"], shares.mean()) and
            np.isclose(result["accuracy"], (labels == predicted).mean()))
    check(f"{method} {kind} scores", same, f"{result['accuracy']:.3f}")


def layer_norm(x: np.ndarray) -> np.ndarray:
    x = x - x.mean(1, keepdims=True)
    return x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-6)


def fit_ridge(x: np.ndarray, y: np.ndarray, strength: float) -> np.ndarray:
    penalty = len(x) * strength * np.eye(x.shape[1])
    penalty[-1, -1] = 0
    return np.linalg.solve(x.T @ x + penalty, x.T @ np.eye(N_CLASSES)[y])


def ridge_rows(arrays: dict, kind: str) -> tuple[np.ndarray, np.ndarray]:
    train, test = (layer_norm(arrays[f"{p}_{kind}"].astype(np.float64)) for p in ("train", "test"))
    mean, deviation = train.mean(0), train.std(0)
    return tuple(np.c_[(x - mean) / deviation, np.ones(len(x))] for x in (train, test))


def count_right(arrays: dict, kind: str) -> dict[float, int]:
    """How many are right with each strength, each fifth predicted by a fit to the others."""
    train, _ = ridge_rows(arrays, kind)
    order, labels = arrays["ridge_order"], arrays["train_labels"]
    n = len(order)
    folds = [order[n * f // 5:n * (f + 1) // 5] for f in range(5)]
    right = dict.fromkeys((1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0), 0)
    for fold in folds:
        fit = np.setdiff1d(order, fold)
        for strength in right:
            scores = train[fold] @ fit_ridge(train[fit], labels[fit], strength)
            right[strength] += int((scores.argmax(1) == labels[fold]).sum())
    return right


def test_strength(report: dict, arrays: dict, kind: str) -> float:
    right = count_right(arrays, kind)
    strength = max(right, key=lambda s: (right[s], s))
    found = result_of(report, "ridge", kind)["strength"]
    check(f"ridge {kind} strength", np.isclose(found, strength), f"{found} of {right}")
    return strength


def test_ridge(report: dict, arrays: dict, kind: str):
    train, test = ridge_rows(arrays, kind)
    order, labels = arrays["ridge_order"], arrays["train_labels"]
    strength = test_strength(report, arrays, kind)
    predicted = (test @ fit_ridge(train, labels, strength)).argmax(1)
    check(f"ridge {kind} predictions", (arrays[f"ridge_{kind}"] == predicted).all())
    check("ridge order", sorted(order) == list(range(len(labels))) and list(order) != sorted(order))
    check_scores(report, arrays, "ridge", kind)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def lars(weight: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(weight), np.linalg.norm(gradient)
    is_matrix = weight.ndim > 1 and min(lengths) > 0
    return gradient * (0.001 * lengths[0] / lengths[1] if is_matrix else 1)


def train_probe(x: np.ndarray, y: np.ndarray, weight: np.ndarray, epochs: int, warmup: int,
                lr: float) -> tuple:
    """Full batches, so that their order is nothing: weight, bias, running mean and variance."""
    n = len(x)
    params = [weight.astype(np.float64), np.zeros(N_CLASSES)]
    moves = [np.zeros_like(p) for p in params]
    running_mean, running_var = np.zeros(x.shape[1]), np.ones(x.shape[1])
    h = layer_norm(x)
    mean, var = h.mean(0), h.var(0)
    z = (h - mean) / np.sqrt(var + 1e-6)
    for step in range(epochs):
        p = (softmax(z @ params[0] + params[1]) - np.eye(N_CLASSES)[y]) / n
        rate = lr * (step / warmup if step < warmup else
                     (1 + np.cos(np.pi * (step - warmup) / (epochs - warmup))) / 2)
        for i, gradient in enumerate((z.T @ p, p.sum(0))):
            moves[i] = 0.9 * moves[i] + lars(params[i], gradient)
            params[i] = params[i] - rate * moves[i]
        running_mean = 0.9 * running_mean + 0.1 * mean
        running_var = 0.9 * running_var + 0.1 * var * n / (n - 1)
    return *params, running_mean, running_var


def test_linear(report: dict, arrays: dict, kind: str, epochs: int, warmup: int, lr: float):
    train, test = (arrays[f"{p}_{kind}"].astype(np.float64) for p in ("train", "test"))
    weight, bias, mean, var = train_probe(train, arrays["train_labels"],
                                          arrays[f"linear_{kind}_initial"], epochs, warmup,
                                          lr * len(train) / 256)
    check("linear began small", 0.008 < arrays[f"linear_{kind}_initial"].std() < 0.012)
    for name, expected in ("weight", weight), ("bias", bias), ("running_mean", mean), \
            ("running_var", var):
        found = arrays[f"linear_{kind}_{name}"].reshape(expected.shape)
        error = np.abs(found - expected).max() / np.abs(expected).max()
        check(f"linear {kind} {name}", error < 1e-4, f"{error:.1e}")
    moved = np.abs(weight - arrays[f"linear_{kind}_initial"]).max()
    check(f"linear {kind} moves", moved > 0.01, f"{moved:.3f}")
    logits = (layer_norm(test) - mean) / np.sqrt(var + 1e-6) @ weight + bias
    check(f"linear {kind} predictions", (arrays[f"linear_{kind}"] == logits.argmax(1)).all())
    top5 = (np.argsort(-logits, 1)[:, :5] == arrays["test_labels"][:, None]).any(1).mean()
    check(f"linear {kind} top 5", np.isclose(result_of(report, "linear", kind)["top5"], top5))
    check_scores(report, arrays, "linear", kind)


def unit_rows(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64) - x.mean(1, keepdims=True, dtype=np.float64)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_fewshot(report: dict, arrays: dict, kind: str, rows: np.ndarray, lam: float, gap: float):
    """The penalty makes P strongly convex: it is within |gradient|^2 / (2 lambda) of its least."""
    x, y, weight = (unit_rows(arrays[f"train_{kind}"])[rows], arrays["train_labels"][rows],
                    arrays[f"fewshot_{kind}_weight"])
    p = softmax(x @ weight)
    loss = -np.log(p[np.arange(len(y)), y]).sum() + lam / 2 * (weight**2).sum()
    gradient = x.T @ (p - np.eye(N_CLASSES)[y]) + lam * weight
    rest = (gradient**2).sum() / (2 * lam)
    result = result_of(report, "fewshot", kind)
    check(f"fewshot {kind} optimum", rest <= gap * loss, f"{rest / loss:.1e} of the loss")
    check(f"fewshot {kind} loss", np.isclose(result["loss"], loss, rtol=1e-9), f"{loss:.3f}")
    check(f"fewshot {kind} gap", rest / loss <= result["gap"] * (1 + 1e-6) <= gap * 1.001)
    check(f"fewshot {kind} pictures", result["pictures"] == len(y), f"{result['steps']} steps")
    logits = unit_rows(arrays[f"test_{kind}"]) @ weight
    check(f"fewshot {kind} predictions", (arrays[f"fewshot_{kind}"] == logits.argmax(1)).all())
    check_scores(report, arrays, "fewshot", kind)


def test_rank(report: dict, arrays: dict, kind: str):
    values = np.linalg.eigvalsh(np.cov(arrays[f"train_{kind}"].astype(np.float64).T))
    p = np.maximum(values, 1e-300) / values.sum()
    rank = np.exp(-(p * np.log(p)).sum())
    found = next(f["rank"] for f in report["features"] if f["name"] == kind)
    check(f"effective rank {kind}", np.isclose(found, rank, rtol=1e-6), f"{found:.3f}")


# ---- the command ---------------------------------------------------------------------------------

def test_methods(folder: Path, model: Path, sets: list):
    epochs, warmup, lr, lam, gap = 12, 3, 40, 0.3, 1e-7
    subset = folder / "subset.txt"
    listed = [path for i, path in enumerate(sorted((folder / "shapes/train").glob("*/*")))
              if i % 3 == 0]
    subset.write_text("".join(f"{path.name}\n" for path in listed))
    report, arrays = evaluate(folder, model, *sets, "--pixels", "--k", K, "--epochs", epochs,
                              "--warmup", warmup, "--lr", lr, "--probe-batch", 10000, "--lambda",
                              lam, "--tolerance", gap, "--subset", subset,
                              "--method", "knn,ridge,linear,fewshot")
    for kind in "mean", "cls", "pixels":
        test_knn(report, arrays, kind, 0)
    for kind in "mean", "cls", "grey16":
        test_ridge(report, arrays, kind)
        test_fewshot(report, arrays, kind, np.arange(0, len(arrays["train_labels"]), 3), lam, gap)
        test_linear(report, arrays, kind, epochs, warmup, lr)
        test_rank(report, arrays, kind)
    plain = arrays["knn_mean"]
    report, arrays = evaluate(folder, model, *sets, "--k", K, "--method", "knn,fewshot", "--shots",
                              4, "--temperature", 1e-3, "--threads", 1)
    test_knn(report, arrays, "mean", 1e-3)
    check("the temperature matters", (arrays["knn_mean"] != plain).any())
    check("shots", result_of(report, "fewshot", "mean")["pictures"] == 4 * N_CLASSES)


def test_augmented(folder: Path, sets: list):
    """Random crops are other rows each epoch, and the same ones again, by any number of threads."""
    model = folder / "perceptron.onnx"
    save_perceptron(model, 20)
    options = [model, *sets, "--method", "linear", "--epochs", 2, "--warmup", 0, "--lr", 40]
    plain, first, second, other = (
        evaluate(folder, *options, *more)[1]["linear_features_weight"]
        for more in ([], ["--augment", "--threads", 1], ["--augment", "--threads", 3],
                     ["--augment", "--seed", 5]))
    check("augmented is not plain", not np.array_equal(plain, first))
    check("augmented by threads", np.array_equal(first, second))
    check("augmented by seed", not np.array_equal(first, other))
    still = ["--pixels", "--image-size", 32, *sets, "--method", "linear", "--warmup", 0, "--lr",
             1e-9, "--probe-batch", 10000]
    losses = [result_of(evaluate(folder, *still, *more, "--epochs", n)[0], "linear",
                        "grey16")["loss"] for more in ([], ["--augment"]) for n in (1, 2)]
    check("nothing moves without a rate", abs(losses[0] - losses[1]) < 1e-5, str(losses[:2]))
    check("other crops each epoch", abs(losses[2] - losses[3]) > 1e-4, str(losses[2:]))


def save_perceptron(path: Path, batch: int):
    """Pictures of 16 pixels to 48 features, by a random matrix."""
    weight = np.random.default_rng(1).standard_normal((768, 48)).astype(np.float32) / 28
    nodes = [helper.make_node("Flatten", ["x"], ["a"]),
             helper.make_node("MatMul", ["a", "w"], ["b"]),
             helper.make_node("Relu", ["b"], ["features"])]
    sizes = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 16, 16]),
             helper.make_tensor_value_info("features", TensorProto.FLOAT, [batch, 48])]
    graph = helper.make_graph(nodes, "net", sizes[:1], sizes[1:],
                              [numpy_helper.from_array(weight, "w")])
    opset = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)


def test_finetune(folder: Path):
    """All weights are trained: bars and rings are told apart soon, with any number of threads."""
    pictures, model = folder / "two", folder / "perceptron.onnx"
    gemel("pictures", "shapes1", pictures, "--train", 600, "--test", 200, "--size", 20)
    for part in "train", "test":
        for kind in (pictures / part).iterdir():
            if kind.name not in ("bar", "ring"):
                shutil.rmtree(kind)
    sets = ["--train", pictures / "train", "--test", pictures / "test"]
    report, arrays = evaluate(folder, "--pixels", "--image-size", 16, *sets, "--method", "ridge",
                              "--seed", 8)
    right = list(count_right(arrays, "grey16").values())
    check("several strengths are as good", right.count(max(right)) > 1, str(right))
    test_strength(report, arrays, "grey16")
    options = [model, *sets, "--method", "finetune", "--epochs", 12, "--warmup", 1, "--lr", 0.03,
               "--batch", 7]
    unmixed = ["--mixup", 0, "--cutmix", 0, "--erase", 0]
    plain = [*unmixed, "--rand-augment", 0]
    results = [evaluate(folder, *options, *more)[0]["results"][0]
               for more in (["--threads", 1], ["--threads", 2], ["--seed", 9], plain,
                            [*plain, "--epochs", 2], unmixed, [*unmixed, "--rand-augment", 2])]
    check("fine-tuning learns", results[0]["accuracy"] > 0.85, f"{results[0]['accuracy']:.3f}")
    check("fine-tuning's loss falls", results[3]["loss"] < results[4]["loss"] - 0.05,
          f"{results[4]['loss']:.3f} to {results[3]['loss']:.3f}")
    check("fine-tuning mixes", results[0]["loss"] > results[3]["loss"] + 0.05)
    losses = [results[i]["loss"] for i in (3, 6, 5)]
    check("fine-tuning augments", losses == sorted(losses) and losses[2] > losses[0] + 0.02,
          str(losses))
    check("fine-tuning by threads", results[0] == results[1])
    check("fine-tuning by seed", results[0] != results[2])
    check("fine-tuning's features", results[0]["features"] == "features")


def test_drop_path(folder: Path, model: Path):
    """Branches of eleven blocks of twelve are found, and a model without blocks is said to have
    none; what is drawn moves the training."""
    sets = ["--train", folder / "odd", "--test", folder / "odd", "--method", "finetune",
            "--batch", 5, "--epochs", 2, "--warmup", 0, "--lr", 0.2]
    some, none = (evaluate(folder, model, *sets, "--drop-path", rate)[0]["results"][0]
                  for rate in (0.5, 0))
    check("branches of a transformer", (some["branches"], none["branches"]) == (22, 0))
    check("branches are left out", np.isfinite(some["loss"]) and some["loss"] != none["loss"],
          f"{some['loss']} and {none['loss']}")
    other = folder / "odd.onnx"
    save_perceptron(other, 5)
    for rate, says in (0.1, True), (0, False):
        result = call("eval", other, *sets, "--json", "--drop-path", rate)
        check(f"a model without branches at {rate}", result.returncode == 0 and
              ("without --drop-path" in result.stderr) == says and
              json.loads(result.stdout)["results"][0]["branches"] == 0, result.stderr)


def test_report(folder: Path, sets: list):
    page, log = folder / "report.html", folder / "log.jsonl"
    log.write_text('{"trained":3}\nno JSON\n' + "".join(
        f'{{"step":{i},"loss":{5 / i}}}\n' for i in range(1, 900)))
    model = folder / "perceptron.onnx"
    text = gemel("eval", model, *sets, "--method", "knn", "--report", page, "--log", log,
                 "--confusion")
    html = page.read_text()
    check("report has pictures", html.count("data:image/jpeg;base64,") == 16 * (1 + 8))
    check("report needs no network", not re.search(r"(src|href)=.?(?!.?data:)", html.replace(
        'src="data:', "")), "")
    check("report has a curve", "<polyline" in html and "step 899" in html)
    check("report has classes", html.count("half-disc") > 2)
    check("text has accuracies", "knn" in text and "half-disc" in text)
    hidden = folder / "a<b>&'\"" / "test"
    hidden.parent.mkdir()
    hidden.symlink_to(folder / "shapes/test")
    gemel("eval", "--pixels", "--image-size", 16, "--train", hidden, "--test", hidden,
          "--method", "knn", "--report", page)
    check("report is escaped", "a&lt;b&gt;&amp;&#39;&quot;" in page.read_text())


def test_refusals(folder: Path, sets: list, model: Path):
    odd, double = folder / "odd", folder / "double"
    for name in "ab":
        (double / name).mkdir(parents=True)
        Image.new("RGB", (40, 40)).save(double / name / "same.ppm")
    twice = folder / "twice.txt"
    twice.write_text("same.ppm\n")
    bad = folder / "bad/a"
    bad.mkdir(parents=True)
    (bad / "x.jpg").write_bytes(b"\xff\xd8\xff nothing")
    listed = folder / "none.txt"
    listed.write_text("nothing.jpg\n")
    empty = folder / "empty.jsonl"
    empty.write_text("{}\n")
    plain = ["--pixels", "--image-size", 32]
    for name, status, says, options in [
            ("classes", 3, "lack", [*plain, "--train", odd, "--test", sets[3]]),
            ("picture", 3, "x.jpg", [*plain, "--train", bad.parent, "--test", bad.parent,
                                     "--k", 1]),
            ("output", 2, "tokens", [model, *sets, "--output", "nothing"]),
            ("neighbours", 2, "neighbours", [*plain, *sets, "--k", 100000]),
            ("size", 2, "another size", [model, *sets, "--image-size", 64]),
            ("no size", 2, "--image-size", ["--pixels", *sets]),
            ("resize", 2, "no middle", [*plain, *sets, "--resize", 16]),
            ("subset", 3, "nothing.jpg", [*plain, *sets, "--method", "fewshot", "--subset",
                                          listed]),
            ("names of two", 3, "several", [*plain, "--train", double, "--test", double,
                                            "--method", "fewshot", "--subset", twice]),
            ("log", 3, "no line", [*plain, *sets, "--method", "knn", "--report",
                                   folder / "x.html", "--log", empty]),
            ("a bound", 3, "of its loss away", [*plain, *sets, "--method", "fewshot",
                                                "--lambda", 1e-12, "--tolerance", 1e-12]),
            ("warm-up", 2, "--warmup", [*plain, *sets, "--method", "linear", "--epochs", 10]),
            ("tuned pixels", 2, "needs a model", [*plain, *sets, "--method", "finetune"]),
            ("two trainings", 2, "one at a time", [model, *sets, "--method", "linear,finetune",
                                                   "--lr", 1]),
            ("a magnitude", 2, "10.5", [model, *sets, "--rand-augment", 10.5]),
            ("a share of branches", 2, "1\\.5", [model, *sets, "--drop-path", 1.5]),
            ("folders", 2, "--train", [model]),
            ("pixels", 2, "--pixels", [*sets]),
            ("method", 2, "will not do", [model, *sets, "--method", "knn,guess"]),
            ("model", 3, "", [folder / "subset.txt", *sets])]:
        result = call("eval", *options)
        check(f"refuses {name}", result.returncode == status and
              re.search(says, result.stderr) is not None, result.stderr.strip()[:100])
    check("no report is left", not (folder / "x.html").exists())


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "vit.onnx"
        gemel("pictures", "shapes1", folder / "shapes", "--train", 240, "--test", 60, "--size", 40)
        gemel("export", "vit", "--variant", "ti16", "--patch", 8, "--image-size", 32, "--no-head",
              "--features", "tokens", "--batch", "batch", "-o", model)
        sets = ["--train", folder / "shapes/train", "--test", folder / "shapes/test"]
        test_features(folder, model)
        test_methods(folder, model, sets)
        test_augmented(folder, sets)
        test_finetune(folder)
        test_drop_path(folder, model)
        test_report(folder, sets)
        test_refusals(folder, sets, model)
    sys.exit(checks.finish())


main()
