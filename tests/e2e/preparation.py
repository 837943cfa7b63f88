"""preparation.py GEMEL - how a model's metadata says that its pictures are prepared (gemel.mean,
gemel.std, gemel.resize): what exports write and hand on, what `gemel eval` and `gemel run` make of
it, beside Pillow, NumPy and ONNX Runtime, and what is refused.

Exits 77 without onnxruntime or Pillow.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import onnx
    import onnxruntime
    from PIL import Image
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

import checks
from checks import check

GEMEL = sys.argv[1]
IMAGENET = {"gemel.mean": "0.485,0.456,0.406", "gemel.std": "0.229,0.224,0.225"}
OTHER = {"gemel.mean": "0.5,0.25,-0.125", "gemel.std": "0.5,1,0.3", "gemel.resize": "40"}
SIZE = 32


def call(*options) -> subprocess.CompletedProcess:
    return subprocess.run([GEMEL, *map(str, options)], capture_output=True, text=True)


def gemel(*options) -> str:
    result = call(*options)
    if result.returncode != 0:
        raise RuntimeError(f"gemel {' '.join(map(str, options))}: {result.stderr}")
    return result.stdout


def entries(path: Path) -> dict[str, str]:
    return {e.key: e.value for e in onnx.load(path).metadata_props if e.key in OTHER}


def with_entries(path: Path, out: Path, changed: dict) -> Path:
    model = onnx.load(path)
    kept = {e.key: e.value for e in model.metadata_props} | changed
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, kept)
    onnx.save(model, out)
    return out


def options_of(wanted: dict) -> list[str]:
    return [f"--{key.removeprefix('gemel.')}={value}" for key, value in wanted.items()]


def write_pictures(root: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = []
    for i, (height, width) in enumerate([(40, 57), (61, 45), (50, 50), (44, 90)]):
        pixels = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
        path = root / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((width, height), Image.BILINEAR).save(path)
        paths.append(path)
    return sorted(paths)


# ---- exports -------------------------------------------------------------------------------------

def test_exports(folder: Path, model: Path) -> Path:
    check("an export has ImageNet's", entries(model) == IMAGENET, str(entries(model)))
    other = folder / "other.onnx"
    gemel("export", "vit", "--weights", model, "--features", "tokens", "--batch", 2, *options_of(OTHER),
          "-o", other)
    check("options are written", entries(other) == OTHER, str(entries(other)))
    again = folder / "again.onnx"
    gemel("export", "vit", "--weights", other, "--features", "tokens", "--batch", 2, "-o", again)
    check("the weights' are handed on", again.read_bytes() == other.read_bytes())
    gemel("export", "vit", "--weights", other, "--resize", SIZE, "--mean", "0,0,0", "-o", again)
    check("an option comes before the weights', the rule's size is not written",
          entries(again) == {"gemel.mean": "0,0,0", "gemel.std": OTHER["gemel.std"]},
          str(entries(again)))
    gemel("export", "vit", "--weights", model, "--weights", other, "-o", again)
    check("the last file's counts", entries(again) == OTHER, str(entries(again)))
    gemel("export", "siameseim", "--variant", "tiny", "-o", again)
    check("the step has ImageNet's", entries(again) == IMAGENET, str(entries(again)))
    return other


# ---- features ------------------------------------------------------------------------------------

def features(folder: Path, model: Path, *options) -> np.ndarray:
    numbers = folder / "numbers.npz"
    pictures = folder / "pictures"
    gemel("eval", model, "--train", pictures, "--test", pictures, "--method", "knn", "--k", 1,
          "--numbers", numbers, "--json", *options)
    with np.load(numbers) as arrays:
        return arrays["test_cls"]


def run(folder: Path, model: Path, picture: Path, *options) -> np.ndarray:
    gemel("run", model, "--input", picture, "-o", folder / "out", *options)
    return np.load(folder / "out" / "output_0.npy")


def colors(text: str) -> np.ndarray:
    return np.array(text.split(","), np.float32)


def expected(model: Path, paths: list[Path], wanted: dict) -> np.ndarray:
    """Resize, the middle, and (v / 255 - mean) / std, by Pillow and NumPy; then ONNX Runtime."""
    inputs = []
    for path in paths:
        picture = Image.open(path).convert("RGB")
        width, height = picture.size
        resize, short = int(wanted["gemel.resize"]), min(width, height)
        picture = picture.resize((resize * width // short, resize * height // short),
                                 Image.BICUBIC)
        left, top = (round((side - SIZE) / 2) for side in picture.size)
        pixels = np.asarray(picture.crop((left, top, left + SIZE, top + SIZE)), np.float32) / 255
        inputs.append(((pixels - colors(wanted["gemel.mean"])) / colors(wanted["gemel.std"]))
                      .transpose(2, 0, 1))
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": np.stack(inputs)})[0][:, 0]


def test_eval(folder: Path, plain: Path, other: Path, paths: list[Path]):
    by_model, by_options = features(folder, other), features(folder, plain, *options_of(OTHER))
    usual = features(folder, plain)
    check("eval: metadata as options", np.array_equal(by_model, by_options))
    check("eval: these matter", np.abs(by_model - usual).max() > 1e-2 * np.abs(usual).max())
    wanted = expected(with_entries(other, folder / "open.onnx", {}), paths[:2], OTHER)
    error = np.abs(by_model[:2] - wanted).max() / np.abs(wanted).max()
    check("eval: beside Pillow and ONNX Runtime", error < 1e-5, f"{error:.1e}")
    back = features(folder, other, *options_of({**IMAGENET, "gemel.resize": SIZE}))
    check("eval: options come first", np.array_equal(back, usual))
    half = with_entries(plain, folder / "half.onnx", {"gemel.std": OTHER["gemel.std"]})
    check("eval: one entry alone", np.array_equal(
        features(folder, half), features(folder, plain, "--std", OTHER["gemel.std"])))


def test_run(folder: Path, plain: Path, other: Path, picture: Path):
    wanted = {key: OTHER[key] for key in IMAGENET}
    one, usual = run(folder, other, picture), run(folder, plain, picture)
    check("run: metadata as options", np.array_equal(
        one, run(folder, plain, picture, *options_of(wanted))))
    check("run: these matter", np.abs(one - usual).max() > 1e-2 * np.abs(usual).max())
    check("run: options come first", np.array_equal(
        run(folder, other, picture, *options_of(IMAGENET)), usual))
    check("run: neither where pictures stay 0 to 1", np.array_equal(
        run(folder, other, picture, "--no-normalize"),
        run(folder, plain, picture, "--no-normalize")))


# ---- refusals ------------------------------------------------------------------------------------

BROKEN = [("gemel.mean", "0.5"), ("gemel.mean", "0.5,0.5,0.5,0.5"), ("gemel.mean", "a,b,c"),
          ("gemel.mean", "0.5,0.5,nan"), ("gemel.mean", "0.5,0.5,1e300"), ("gemel.mean", ""),
          ("gemel.std", "1,0,1"), ("gemel.std", "1,1,-1"), ("gemel.std", "1,1,inf"),
          ("gemel.std", "1,1,1e-60"), ("gemel.resize", "large"), ("gemel.resize", "0"),
          ("gemel.resize", "9999999999999999999999"), ("gemel.resize", "31")]


def test_refusals(folder: Path, plain: Path, picture: Path):
    sets = ["--train", folder / "pictures", "--test", folder / "pictures", "--method", "knn", "--k",
            1, "--json"]
    for key, value in BROKEN:
        name = f"{key} '{value}'"
        broken = with_entries(plain, folder / "broken.onnx", {key: value})
        calls = {"eval": ["eval", broken, *sets],
                 "export": ["export", "vit", "--weights", broken, "-o", folder / "x.onnx"]}
        if value != "31":  # which is one for pictures that are not 32 pixels wide
            calls["run"] = ["run", broken, "--input", picture, "-o", folder / "out"]
        for verb, options in calls.items():
            result = call(*options)
            check(f"{verb} refuses {name}", result.returncode in (2, 3) and
                  (key in result.stderr or "--resize" in result.stderr) and
                  ("broken.onnx" in result.stderr or value == "31"), result.stderr.strip()[:150])
        if value in ("0.5", "1,0,1"):
            result = call(*calls["eval"], *options_of({key: IMAGENET[key]}))
            check(f"an option overrides {name}", result.returncode == 0, result.stderr)
    for option in "--mean=1,2", "--std=0,1,1", "--resize=-3":
        result = call("export", "vit", "--weights", plain, option, "-o", folder / "x.onnx")
        check(f"export refuses {option}", result.returncode == 2 and
              option.split("=")[0] in result.stderr, result.stderr.strip())
        result = call("eval", plain, *sets, option)
        check(f"eval refuses {option}", result.returncode == 2, result.stderr.strip())
    check("nothing is left", not (folder / "x.onnx").exists())


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_pictures(folder / "pictures")
        plain = folder / "plain.onnx"
        gemel("export", "vit", "--variant", "ti16", "--patch", 8, "--image-size", SIZE, "--no-head",
              "--features", "tokens", "--batch", 2, "-o", plain)
        other = test_exports(folder, plain)
        test_eval(folder, plain, other, paths)
        one = [folder / "one.onnx", folder / "one-other.onnx"]
        for source, out in zip((plain, other), one):
            gemel("export", "vit", "--weights", source, "-o", out)
        test_run(folder, *one, paths[0])
        test_refusals(folder, one[0], paths[0])
    sys.exit(checks.finish())


main()
