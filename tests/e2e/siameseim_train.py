"""siameseim_train.py GEMEL - what training SiameseIM shows by itself: every row of the paper's
Table 3 has its switches and its loss falls; gradients that BatchNorm and softmax make equal or
zero are; any number of threads and every repetition give the same bits; pass by pass, the
compiled step does what the interpreter does.

Exits 77 without onnx.
"""
import json
import re
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

import checks
import siameseim_step as step
from checks import check

GOLDEN = json.loads((Path(__file__).parents[2] / "scripts/gpu/siameseim_golden.json").read_text())
STEPS = 10
SWITCHES = ("views", "color", "mask", "target", "norm", "loss-norm", "scope", "form")
TABLE3 = {
    "mae": "same off random pixel ln mae dense l2",
    "a": "same off random pixel ln mae dense l2",
    "b": "same off random feature ln moco dense unigrad",
    "c": "same on random pixel ln mae dense l2",
    "d": "different off random pixel ln mae dense l2",
    "e": "different off random feature ln moco dense unigrad",
    "f": "different on random feature ln moco dense unigrad",
    "g": "different on random feature bn moco dense unigrad",
    "h": "different on block feature bn moco dense unigrad",
    "i": "different on block feature bn mae dense unigrad",
    "j": "different on block feature bn mae dense l2",
    "k": "different on random feature bn moco global unigrad",
    "moco": "different on random feature bn moco global unigrad",
}


def is_finite(number) -> bool:
    """JSON has null for what is no number."""
    return number is not None and bool(np.isfinite(number))


class Gemel:
    def __init__(self, program: str, folder: str):
        self.program, self.folder = program, Path(folder)

    def run(self, *options) -> subprocess.CompletedProcess:
        return subprocess.run([self.program, *map(str, options)], capture_output=True,
                              text=True)

    def call(self, *options) -> str:
        result = self.run(*options)
        if result.returncode != 0:
            raise RuntimeError(f"gemel {' '.join(map(str, options))}: {result.stderr}")
        return result.stdout

    def export(self, *options) -> Path:
        path = self.folder / "model.onnx"
        self.call("export", "siameseim", "--variant", "tiny", *options, "-o", path)
        return path

    def batch(self, model: onnx.ModelProto, arrays: dict) -> Path:
        """Those that the model takes, in its types."""
        path = self.folder / "batch.npz"
        kinds = {i.name: onnx.helper.tensor_dtype_to_np_dtype(i.type.tensor_type.elem_type)
                 for i in model.graph.input}
        np.savez(path, **{name: arrays[name].astype(kind) for name, kind in kinds.items()})
        return path

    def train(self, path: Path, *options) -> tuple[list[dict], bytes]:
        """Each step's results, and the file of states."""
        saved = self.folder / "states.safetensors"
        lines = self.call("train", path, "--steps", STEPS, "--json", "--save", saved, *options)
        return [json.loads(line) for line in lines.splitlines()], saved.read_bytes()


# ---- rows ------------------------------------------------------------------------------------

def check_rows(gemel: Gemel):
    """Ten steps on one batch at the published peak of the learning rate. One vector for an
    image takes more than two images, of which BatchNorm leaves only signs."""
    for row, switches in TABLE3.items():
        size = 5 if "global" in switches else 2
        path = gemel.export("--row", row, "--batch", size, "--lr", "1e-3", "--warmup", "0")
        model = onnx.load(path)
        options = {entry.key: entry.value for entry in model.metadata_props}
        found = " ".join(options[f"siameseim.{name}"] for name in SWITCHES)
        check(f"switches of row {row}", found == switches, found)
        inputs = step.more_inputs(size, 4 if "random" in switches else 7)
        steps, _ = gemel.train(path, "--batch", gemel.batch(model, inputs))
        losses = [line["loss"] for line in steps]
        check(f"loss of row {row} falls", all(map(is_finite, losses)) and len(losses) == STEPS
              and losses[-1] < 0.9 * losses[0], f"{losses[0]} to {losses[-1]}")


# ---- identities ------------------------------------------------------------------------------

def gradients_of(gemel: Gemel, dtype: str, device: str) -> dict[str, np.ndarray]:
    """Of the golden step, whose parameters are far from any symmetry."""
    model = step.load(str(gemel.export("--batch", 2, "--dtype", dtype)))
    parameters = step.fill_parameters(model)
    assert all(parameters[name].any() for name in parameters)
    node = step.gradient_node(model)
    kinds = {i.name: onnx.helper.tensor_dtype_to_np_dtype(i.type.tensor_type.elem_type)
             for i in model.graph.input}
    inputs = {name: value.astype(kinds[name])
              for name, value in step.inputs(GOLDEN["tiny"]).items()}
    got = step.run(gemel.program, step.join(model), inputs, list(node.output), device)
    return {x: got[out] for x, out in zip(step.names_of(node, "xs"), node.output)}


def check_equal(name: str, gradients: list, count: int, limit: float):
    """All are the same vector, to `limit` of its largest element, and it is not nothing."""
    vectors = [np.asarray(g, np.float64).reshape(-1) for g in gradients]
    largest = np.abs(vectors[0]).max()
    worst = max(np.abs(v - vectors[0]).max() for v in vectors) / largest
    check(name, len(vectors) == count and largest > 1e-3 and worst < limit,
          f"{len(vectors)} of {largest:.3f}, {worst:.1e}")


def check_identities(gemel: Gemel):
    """BatchNorm takes out what is the same for all tokens, so that a bias of any block moves
    all that comes behind as those before it do; softmax does not see what all keys share."""
    for dtype, device, limit in (("f64", "ref", 1e-12), ("f64", "cpu", 1e-12),
                                 ("f32", "cpu", 1e-5)):
        where = f", {dtype} on {device}"
        g = gradients_of(gemel, dtype, device)

        def biases(part: str) -> list:
            return [value for name, value in g.items() if name.startswith(part)
                    and name.endswith(("attn.proj.bias", "mlp.fc2.bias"))]

        check_equal(f"biases of the projector{where}",
                    [g["decoder_embed.bias"], *biases("projector_")], 5, limit)
        check_equal(f"biases of the predictor{where}", biases("predictor_"), 4, limit)
        check_equal(f"mask token and positions{where}",
                    [g["mask_token"], g["decoder_pos_mlp.bias"]], 2, limit)
        thirds = [value.reshape(3, -1) for name, value in g.items()
                  if name.endswith("attn.qkv.bias")]
        worst = max(np.abs(third[1]).max() / np.abs(third).max() for third in thirds)
        others = min(np.abs(third[i]).max() for third in thirds for i in (0, 2))
        check(f"biases of keys{where}", len(thirds) == 6 and worst < limit and others > 1e-5,
              f"{len(thirds)}, {worst:.1e}")


# ---- bits ------------------------------------------------------------------------------------

def check_bits(gemel: Gemel):
    runs = []
    for seed, threads in ((7, 1), (7, 2), (7, 2), (8, 2)):
        path = gemel.export("--batch", 4, "--warmup", "0", "--seed", seed)
        batch = gemel.batch(onnx.load(path), step.more_inputs(4, 7))
        steps, states = gemel.train(path, "--batch", batch, "--threads", threads)
        check(f"finite, seed {seed}, {threads} threads", is_finite(steps[-1]["loss"]))
        runs.append(states)
    check("one thread and two", runs[0] == runs[1], f"{len(runs[0])} bytes")
    check("the same seed twice", runs[1] == runs[2])
    check("another seed", runs[2] != runs[3])


def check_memory(gemel: Gemel):
    """What is computed again is what was kept, to the bit."""
    path = gemel.export("--batch", 4, "--warmup", "0")
    batch = gemel.batch(onnx.load(path), step.more_inputs(4, 7))
    _, kept = gemel.train(path, "--batch", batch)
    told = gemel.run("bench", "--step", "--runs", "1", "--memory", "350k", path).stdout
    alive = re.search(r"memory: ([0-9.]+) MB of values are alive at once, before ([0-9.]+);", told)
    check("less is alive", alive and float(alive[1]) < float(alive[2]) and
          "computed again: blocks." in told, told[-300:])
    _, again = gemel.train(path, "--batch", batch, "--memory", "350k")
    check("kept or computed again", kept == again, f"{len(kept)} bytes")


# ---- pass by pass ----------------------------------------------------------------------------

SMALL = ("--batch", 2, "--dtype", "f64", "--depth", 1, "--projector-depth", 1,
         "--predictor-depth", 1)
TIGHT = ("--rtol", "1e-9", "--atol", "1e-9")
# Of the passes; those before them work on single operators.
LAST = ("fuse", "stage", "layout", "fold", "sums", "order", "budget", "bundle")


def check_pass_by_pass(gemel: Gemel):
    """From the fourth step on, where no moment is 0 and the rate is not."""
    path = gemel.export(*SMALL, "--warmup", 2, "--iterations", 1)
    model = onnx.load(path)
    n_states = len(model.training_info[0].update_binding)
    batch = gemel.batch(model, step.more_inputs(2, 7))
    states = gemel.folder / "begin.safetensors"
    gemel.call("train", path, "--steps", 3, "--batch", batch, "--save", states)
    given = ("--step", path, "--load", states, "--inputs", batch, *TIGHT, "--json")
    result = gemel.run("compare", *given, "--pass-by-pass")
    check("pass by pass", result.returncode == 0, result.stderr)
    runs = json.loads(result.stdout)
    names = [run["up_to"] for run in runs]
    check("every optional pass", names[0] is None and tuple(names[-len(LAST):]) == LAST and
          {"simplify", "cse", "recognise", "dce", "autocast", "recompute"} < set(names), str(names[1:]))
    counts = [run["compared"] for run in runs]
    check("every state is compared", min(counts) > 2 * n_states, f"{counts}, {n_states}")
    worst = max(run["worst"]["share"] for run in runs)
    check("no deviation", all(run["first"] is None for run in runs), f"{worst:.1e}")
    again = json.loads(gemel.run("compare", *given).stdout)
    check("all passes at once", again["compared"] == counts[-1] and again["deviating"] == 0)


def check_deviating(gemel: Gemel):
    """A state that is not the same, and weights that are not."""
    path = gemel.export(*SMALL)
    batch = gemel.batch(onnx.load(path), step.more_inputs(2, 7))
    given = ("--step", "--inputs", batch, *TIGHT, "--json")
    other = gemel.folder / "other.onnx"
    model = onnx.load(path)
    counter = step.initialisers(model)["step"]
    step.set_initialiser(counter, np.array(1))
    onnx.save(model, other)
    result = gemel.run("compare", path, "--against", other, *given)
    told = json.loads(result.stdout)
    check("another counter", result.returncode == 1 and "schedule" in told["first"]["node"],
          str(told["first"]))
    model = onnx.load(path)
    step.set_initialiser(step.initialisers(model)["decoder_pred.bias"], np.ones(16))
    onnx.save(model, other)
    result = gemel.run("compare", path, "--against", other, *given, "--pass-by-pass")
    told = json.loads(result.stdout)
    check("another weight", result.returncode == 1 and len(told) == 1 and
          told[0]["first"]["node"].startswith("decoder_pred/Add"), str(told[0]["first"]))


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        gemel = Gemel(sys.argv[1], folder)
        return checks.run((check_identities, check_bits, check_memory, check_pass_by_pass, check_deviating,
                           check_rows), gemel)


if __name__ == "__main__":
    sys.exit(main())
