"""fewshot.py GEMEL - the logistic regression of `gemel eval` beside scikit-learn's, which minimises
the same sum (docs/eval.md; C = 1 / lambda): weights, loss and predictions.

Exits 77 without scikit-learn; scripts/test has it in build/venv-results.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    from sklearn.linear_model import LogisticRegression
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

import checks
from checks import check

GEMEL = sys.argv[1]
KINDS = ("mean", "cls", "grey16")
TOLERANCE = 1e-12  # of gemel's search, in shares of the loss
LIMIT = 2e-5       # of the largest weight


def gemel(*options) -> str:
    result = subprocess.run([GEMEL, *map(str, options)], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"gemel {' '.join(map(str, options))}: {result.stderr}")
    return result.stdout


def unit_rows(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64) - x.mean(1, keepdims=True, dtype=np.float64)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def loss_of(x: np.ndarray, y: np.ndarray, weight: np.ndarray, lam: float) -> float:
    z = x @ weight
    z = z - z.max(1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    return float(-log_p[np.arange(len(y)), y].sum() + lam / 2 * (weight**2).sum())


class Case:
    """A call of `gemel eval`, and for each kind of features scikit-learn's answer."""

    def __init__(self, folder: Path, model: Path, name: str, lam: float, tolerance: float, rows=None):
        self.name, self.lam = name, lam
        shapes, numbers = folder / "shapes", folder / "numbers.npz"
        more = []
        if rows is not None:
            paths = sorted((shapes / "train").glob("*/*"))
            (folder / "subset.txt").write_text("".join(f"{paths[i].name}\n" for i in rows))
            more = ["--subset", folder / "subset.txt"]
        report = json.loads(gemel("eval", model, "--train", shapes / "train", "--test",
                                  shapes / "test", "--pixels", "--method", "fewshot", "--lambda", lam,
                                  "--tolerance", tolerance, "--numbers", numbers, "--json", *more))
        self.results = {r["features"]: r for r in report["results"]}
        with np.load(numbers) as arrays:
            self.arrays = dict(arrays)
        self.rows = np.arange(len(self.arrays["train_labels"])) if rows is None else rows

    def train(self, kind: str) -> tuple[np.ndarray, np.ndarray]:
        return unit_rows(self.arrays[f"train_{kind}"])[self.rows], self.arrays["train_labels"][self.rows]

    def solve(self, kind: str) -> LogisticRegression:
        x, y = self.train(kind)
        theirs = LogisticRegression(C=1 / self.lam, fit_intercept=False, solver="lbfgs", tol=1e-12,
                                    max_iter=100000)
        return theirs.fit(x, y)

    def check_same(self, kind: str):
        """Both at the optimum."""
        weight, theirs = self.arrays[f"fewshot_{kind}_weight"], self.solve(kind)
        name = f"{self.name}, {kind}"
        error = np.abs(weight - theirs.coef_.T).max() / np.abs(theirs.coef_).max()
        check(f"{name}: weights", error < LIMIT, f"{error:.1e} of the largest")
        losses = [loss_of(*self.train(kind), w, self.lam) for w in (weight, theirs.coef_.T)]
        check(f"{name}: loss", np.isclose(*losses, rtol=1e-9, atol=0) and
              np.isclose(self.results[kind]["loss"], losses[1], rtol=1e-9, atol=0),
              f"{losses[0]:.9f} and {losses[1]:.9f}")
        test = unit_rows(self.arrays[f"test_{kind}"])
        order = np.sort(test @ weight, axis=1)
        predicted = self.arrays[f"fewshot_{kind}"]
        check(f"{name}: predictions", np.array_equal(predicted, theirs.predict(test)),
              f"{len(set(predicted))} classes, least margin {(order[:, -1] - order[:, -2]).min():.1e}")
        right = theirs.score(test, self.arrays["test_labels"])
        check(f"{name}: accuracy", np.isclose(self.results[kind]["accuracy"], right), f"{right:.3f}")

    def check_near(self, kind: str):
        """The penalty makes the sum strongly convex: what may be missing of it bounds how far the
        weights are from the optimum."""
        result = self.results[kind]
        theirs = self.solve(kind).coef_.T
        away = np.linalg.norm(self.arrays[f"fewshot_{kind}_weight"] - theirs)
        bound = np.sqrt(2 * result["gap"] * result["loss"] / self.lam)
        missing = result["loss"] - loss_of(*self.train(kind), theirs, self.lam)
        check(f"{self.name}, {kind}: what is missing of the loss",
              -1e-9 * result["loss"] < missing <= result["gap"] * result["loss"],
              f"{missing / result['loss']:.1e}, at most {result['gap']:.1e}")
        check(f"{self.name}, {kind}: away from the optimum", away <= bound,
              f"{away:.1e}, at most {bound:.1e}")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "vit.onnx"
        gemel("pictures", "shapes1", folder / "shapes", "--train", 240, "--test", 60, "--size", 40)
        gemel("export", "vit", "--variant", "ti16", "--patch", 8, "--image-size", 32, "--no-head",
              "--features", "tokens", "--batch", "batch", "-o", model)
        for case in (Case(folder, model, "all pictures", 0.1, TOLERANCE),
                     Case(folder, model, "a third", 0.3, TOLERANCE, np.arange(1, 240, 3)),
                     Case(folder, model, "a strong penalty", 2, TOLERANCE)):
            for kind in KINDS:
                case.check_same(kind)
        case = Case(folder, model, "as it is by default", 0.1, 1e-3)
        for kind in KINDS:
            case.check_near(kind)
    sys.exit(checks.finish())


main()
