"""ten_steps.py GEMEL PYTHON_WITH_JAX - ten steps of SiameseIM by `gemel train` beside ten by
tests/reference/siameseim_jax.py, from the same parameters and inputs: every parameter, moment,
statistic and result, in double precision on ref, cpu and emu, in
single precision on cpu and emu, and on emu with the operands of products in bf16.

Fails, rather than being skipped, where JAX is missing (scripts/test installs it); exits 77
without onnx.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import onnx
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
sys.path.insert(0, str(REFERENCE))
import compare
import fill_model
from states_file import read_safetensors

STEPS = 10
CASES = [("f64", "ref", "highest", 1e-9), ("f64", "cpu", "highest", 1e-9),
         ("f32", "cpu", "highest", 1e-5), ("f64", "emu", "highest", 1e-9),
         ("f32", "emu", "highest", 1e-5), ("f32", "emu", "medium", 2e-2)]
RESULTS = {"loss": "loss", "positive": "pos", "negative": "neg", "lr": "lr",
           "momentum": "momentum", "gradient_norm": "grad_norm"}
RECIPE = ["--batch", "2", "--iterations", "1", "--warmup", "2", "--epochs", "20",
          "--ema", "0.9"] # siameseim_jax.py's defaults


def start_reference(python: str, out: Path) -> subprocess.Popen:
    command = [python, str(REFERENCE / "siameseim_jax.py"), "--model", "tiny", "--batch", "2",
               "--steps", str(STEPS), "--dtype", "f64", "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            text=True)


def call(*command) -> str:
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {result.stderr}")
    return result.stdout


def make_model(gemel: str, folder: Path, dtype: str) -> tuple[Path, set[str]]:
    """The exported step with the reference's parameters, its batches beside it as
    DTYPE-0.npz, …; the weights it stores transposed."""
    path = folder / f"{dtype}.onnx"
    call(gemel, "export", "siameseim", "--variant", "tiny", "--dtype", dtype, *RECIPE, "-o",
         path)
    model = onnx.load(path)
    fill_model.set_parameters(model)
    fill_model.write_batches(model, f"{folder}/{dtype}-", STEPS)
    onnx.save(model, path)
    return path, fill_model.transposed(model)


def is_turned(name: str, turned: set[str]) -> bool:
    """Moments are stored as their weights are."""
    return name.removeprefix("exp_avg.").removeprefix("exp_avg_sq.") in turned


def train(gemel: str, model: Path, turned: set[str], device: str,
          precision: str) -> dict[str, np.ndarray]:
    """All states after the last step and all results of steps, named as the reference's."""
    saved = model.with_suffix(".safetensors")
    batches = [f"--batch={model.with_suffix('')}-{i}.npz" for i in range(STEPS)]
    lines = [json.loads(line) for line in call(
        gemel, "train", model, "--steps", STEPS, *batches, "--device", device, "--precision",
        precision, "--json", "--save", saved).splitlines()]
    states = read_safetensors(saved)
    arrays = {name: value.T if is_turned(name, turned) else value
              for name, value in states.items()}
    for theirs, ours in RESULTS.items():
        arrays[f"step.{theirs}"] = np.array([line[ours] for line in lines])
    for name in states:
        if name.endswith(".running_mean"):
            arrays[name.replace("running_mean", "num_batches_tracked")] = states["step"]
    return arrays


def is_constant(name: str) -> bool:
    """What no step changes is no state: tables and the frozen embedding."""
    return name in ("pos_embed", "decoder_pos_embed") or "patch_embed.proj" in name


def agrees(reference: dict, got: dict, limit: float) -> bool:
    counted, bad, missing = compare.report(reference, got, limit, False)
    lost = [name for name in missing if not is_constant(name)]
    for name in lost:
        print(f"FAIL {name} is no state")
    return counted > 0 and bad == 0 and not lost


def main() -> int:
    gemel, python = sys.argv[1:3]
    if not Path(python).exists():
        print(f"FAIL there is no {python}: scripts/test installs tests/requirements-jax.txt")
        return 1
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference_run = start_reference(python, folder / "reference.npz")
        models = {dtype: make_model(gemel, folder, dtype) for dtype in ("f64", "f32")}
        results = [train(gemel, *models[dtype], device, precision)
                   for dtype, device, precision, _ in CASES]
        _, words = reference_run.communicate()
        if reference_run.returncode != 0:
            print(f"FAIL siameseim_jax.py: {words}")
            return 1
        with np.load(folder / "reference.npz") as file:
            reference = dict(file)
    for (dtype, device, precision, limit), got in zip(CASES, results):
        print(f"== {dtype} on {device}, {precision}")
        failures += not agrees(reference, got, limit)
    print(f"{failures} failures" if failures else "all right")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
