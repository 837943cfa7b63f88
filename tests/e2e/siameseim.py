"""siameseim.py GEMEL - the exported step beside the method's golden values, in double precision
on the interpreter, and every row of the paper's table in ONNX's checker.

Exits 77 without onnx. Values are texts: one is right when it rounds to the digits given
(gradients, which were differences, may be 2 off in the last).
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

import checks
import siameseim_step as step
from checks import check

ROOT = Path(__file__).parents[2]
GOLDEN = json.loads((ROOT / "scripts/gpu/siameseim_golden.json").read_text())
ROWS = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "mae", "moco"]


def half_digit(text: str) -> float:
    mantissa, _, exponent = text.lower().partition("e")
    return 0.5 * 10.0**(int(exponent or 0) - len(mantissa.partition(".")[2]))


def compare(name: str, pairs, limit: float = 1.0):
    """`pairs`: of a value and the text of what it should be."""
    worst, which = 0.0, ""
    for value, text in pairs:
        error = abs(float(value) - float(text)) / (half_digit(text) + 1e-12)
        if not error <= worst:
            worst, which = error, f"{float(value):.13g} for {text}"
    check(name, worst <= limit * 1.001, f"{worst:.2f} {which}")


class Exporter:
    def __init__(self, gemel: str, folder: str):
        self.gemel, self.folder = gemel, folder

    def call(self, *options: str) -> subprocess.CompletedProcess:
        return subprocess.run([self.gemel, "export", "siameseim", *options, "-o",
                               f"{self.folder}/model.onnx"], capture_output=True, text=True)

    def make(self, *options: str) -> onnx.ModelProto:
        result = self.call("--variant", "tiny", "--batch", "2", *options)
        if result.returncode != 0:
            raise RuntimeError(f"gemel export {' '.join(options)}: {result.stderr}")
        onnx.checker.check_model(f"{self.folder}/model.onnx", full_check=True)
        return step.load(f"{self.folder}/model.onnx")


def pick(values: dict, name: str, golden: dict):
    return [pair for place, texts in golden.items()
            for pair in zip(values[name][tuple(map(int, place.split(",")))], texts)]


def standardise(x: np.ndarray, axis: int, epsilon: float, lost: int = 0) -> np.ndarray:
    """Mean 0 and variance 1 along the axis; `lost` degrees of freedom."""
    x = x - x.mean(axis, keepdims=True)
    variance = (x * x).sum(axis, keepdims=True) / (x.shape[axis] - lost)
    return x / np.sqrt(variance + epsilon)


def terms_of_rows(p: np.ndarray, t: np.ndarray) -> tuple[float, float]:
    """The loss's positive and negative term, by their formulas."""
    return ((p - t)**2).sum(1).mean(), ((p @ (t.T @ t / len(t))) * p).sum(1).mean()


def terms(pred: np.ndarray, target: np.ndarray, epsilon: float) -> tuple[float, float]:
    p, t = (x.reshape(-1, x.shape[-1]) for x in (pred, target))
    return terms_of_rows(p, standardise(t, 1, epsilon))


# ---- the golden values -----------------------------------------------------------------------

def check_forward(exporter: Exporter):
    golden = GOLDEN["tiny"]
    model = exporter.make("--dtype", "f64", "--ema", "1")
    parameters = step.fill_parameters(model)
    given = step.inputs(golden)
    named = {**parameters, "x1": given["x1"], "x2": given["x2"]}
    compare("fills", [pair for name, texts in golden["fills"].items()
                      for pair in zip(named[name].flatten(), texts)])
    projector = "projector_decoder_blocks.1.mlp.sum/Add_0_output_0"
    positions = "decoder_pos_mlp/Add_1_output_0"
    wanted = ["loss", "pos", "neg", "pred", "target", projector, positions]
    got = step.run(exporter.gemel, step.join(model), given, wanted, "ref")
    compare("loss", [(got["loss"], golden["loss"])])
    exact = terms(got["pred"], got["target"], 1e-5)
    compare("positive and negative", zip(exact, (golden["positive"], golden["negative"])))
    # ONNX's epsilon is a float, which 12 digits show
    single = terms(got["pred"], got["target"], float(np.float32(1e-5)))
    check("the same of the graph", np.allclose([got["pos"], got["neg"]], single, 1e-14, 0))
    compare("prediction", pick(got, "pred", golden["prediction"]))
    compare("target", pick(got, "target", golden["target"]))
    compare("projector", pick(got, projector, golden["projector"]))
    compare("relative positions", pick(got, positions, golden["position_mlp"]))


def check_step(exporter: Exporter):
    """All that the algorithm makes; the first step, whose learning rate is 0."""
    golden = GOLDEN["tiny"]
    model = exporter.make("--dtype", "f64", "--ema", "1", "--train-patches", "on")
    parameters = step.fill_parameters(model)
    given, bound, turned = step.inputs(golden), step.bindings(model), step.transposed(model)
    node = step.gradient_node(model)
    xs = step.names_of(node, "xs")
    check("all gradients are golden", set(xs) == set(golden["gradients"]))
    running = [f"{k}.bn.running_{kind}" for k in golden["running"] for kind in ("mean", "var")]
    states = running + [bound[k] for k in xs]
    got = step.run(exporter.gemel, step.join(model), given,
                   list(node.output) + [bound.get(k, k) for k in states] + ["step.next"], "ref")
    gradients = {x: got[out].T if x in turned else got[out] for x, out in zip(xs, node.output)}
    told = {x: (np.linalg.norm(g), g.flatten()[0], g.flatten()[-1])
            for x, g in gradients.items()}
    for i, part in enumerate(("length", "first", "last")):
        compare(f"gradients, {part}",
                [(values[i], golden["gradients"][x][i]) for x, values in told.items()], 2.0)
    squares = sum(np.sum(g**2) for x, g in gradients.items() if not x.startswith("patch_embed"))
    compare("gradient norm", [(squares**0.5, golden["gradient_norm"])], 2.0)
    statistics = []
    for name, texts in golden["running"].items():
        mean, variance = (got[bound[f"{name}.bn.running_{kind}"]] for kind in ("mean", "var"))
        statistics += zip([*mean[:2], *variance[:2]], texts)
    compare("running statistics", statistics)
    same = all(np.array_equal(got[bound[x]].T if x in turned else got[bound[x]], parameters[x])
               for x in xs)
    check("a learning rate of 0 changes nothing", same)
    check("the step is counted", got["step.next"] == 1)


def check_following(exporter: Exporter):
    """The fills differ between the branches' patch embeddings, and the golden values average
    these too; a frozen one is not averaged, so it is trained here."""
    golden = GOLDEN["tiny"]["after_following"]
    model = exporter.make("--dtype", "f64", "--ema", str(golden["momentum"]), "--ema-schedule",
                          "const", "--train-patches", "on")
    step.fill_parameters(model)
    weight = step.bindings(model)["mm_blocks.0.attn.qkv.weight"]
    got = step.run(exporter.gemel, step.join(model), step.inputs(GOLDEN["tiny"]),
                   ["loss", weight], "ref")
    compare("loss after following", [(got["loss"], golden["loss"])])
    compare("a followed weight", [(got[weight][0, 0], golden["mm_blocks.0.attn.qkv.weight"])])


def check_schedules(exporter: Exporter):
    """By exports whose counter is set."""
    golden = GOLDEN["schedules"]
    pairs = []
    models = {}
    for epochs, iteration, lr, momentum in golden["values"]:
        if epochs not in models:
            models[epochs] = exporter.make("--dtype", "f64", "--epochs", str(epochs))
        model = models[epochs]
        counter = step.initialisers(model)["step"]
        step.set_initialiser(counter, np.array(iteration, dtype=np.int64))
        got = step.run(exporter.gemel, step.join(model), step.inputs(GOLDEN["tiny"]),
                       ["lr", "momentum"], "ref")
        pairs += [(got["lr"] / float(lr), "1.0000000000"), (got["momentum"], momentum)]
    compare("schedules", pairs)


def adamw(p, m, v, g, lr, t, decay):
    """One step as PyTorch's, of arrays in double precision; t counts from 1."""
    m, v = 0.9 * m + (1 - 0.9) * g, 0.95 * v + (1 - 0.95) * g * g
    deviation = np.sqrt(v) / np.sqrt(1 - 0.95**t) + 1e-8
    return p * (1 - lr * decay) - lr / (1 - 0.9**t) * m / deviation, m, v


def check_updates(exporter: Exporter):
    """Clipping and AdamW of a later step, whose moments are not 0, beside lines of numpy."""
    model = exporter.make("--dtype", "f64")
    step.fill_parameters(model)
    tensors, bound = step.initialisers(model), step.bindings(model)
    step.set_initialiser(tensors["step"], np.array(6240, dtype=np.int64))
    node = step.gradient_node(model)
    xs = step.names_of(node, "xs")
    old = {}
    for i, x in enumerate(xs):
        shape = tuple(tensors[x].dims)
        old[x] = (onnx.numpy_helper.to_array(tensors[x]), step.fill(2000 + i, shape, 0.02),
                  abs(step.fill(3000 + i, shape, 0.0002)))
        step.set_initialiser(tensors["exp_avg." + x], old[x][1])
        step.set_initialiser(tensors["exp_avg_sq." + x], old[x][2])
    wanted = [bound[part + x] for x in xs for part in ("", "exp_avg.", "exp_avg_sq.")]
    got = step.run(exporter.gemel, step.join(model), step.inputs(GOLDEN["tiny"]),
                   list(node.output) + wanted + ["grad_norm", "lr"], "ref")
    norm = sum(np.sum(got[out]**2) for out in node.output)**0.5
    factor = min(1.0, 1.0 / (norm + 1e-6))
    check("clipping happens", factor < 1)
    check("the gradients' norm", abs(got["grad_norm"] / norm - 1) < 1e-12)
    check("the learning rate", abs(got["lr"] - 1e-3 * 6240 / 312 / 40) < 1e-15)
    worst = 0.0
    for x, out in zip(xs, node.output):
        decay = 0.05 if len(old[x][0].shape) > 1 else 0.0
        new = adamw(*old[x], factor * got[out], got["lr"], 6241, decay)
        for value, part in zip(new, ("", "exp_avg.", "exp_avg_sq.")):
            scale = max(1e-6, abs(value).max())
            worst = max(worst, abs(got[bound[part + x]] - value).max() / scale)
    check("AdamW", worst < 1e-12, f"{worst:.1e}")


# ---- the table's rows ------------------------------------------------------------------------

def options_of(model: onnx.ModelProto) -> dict[str, str]:
    prefix = "siameseim."
    return {entry.key.removeprefix(prefix): entry.value for entry in model.metadata_props
            if entry.key.startswith(prefix)}


def pixels(x: np.ndarray, patch: int) -> np.ndarray:
    """(B, N, K): row, column and channel of a patch's pixels."""
    size, _, side, _ = x.shape
    grid = side // patch
    x = x.reshape(size, 3, grid, patch, grid, patch).transpose(0, 2, 4, 3, 5, 1)
    return x.reshape(size, grid * grid, -1)


def row_loss(options: dict, got: dict, visible: np.ndarray) -> float:
    """The loss of a row from what is predicted and the target, by the paper's words."""
    pred, target = got["pred"], got["target"]
    if options["scope"] == "global" and options["head"] == "blocks":
        pred, target = pred.mean(1), target.mean(1)
    p, t = (x.reshape(-1, x.shape[-1]) for x in (pred, target))
    if options["loss-norm"] == "moco":
        p, t = (standardise(x, 0, float(np.float32(1e-5))) for x in (p, t))
        p, t = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (p, t))
    elif options["target"] == "pixel":
        t = standardise(t, 1, 1e-6, 1)
    else:
        t = standardise(t, 1, float(np.float32(1e-5)))
    if options["loss-on"] == "masked":
        is_masked = np.ones(pred.shape[:2], dtype=bool)
        np.put_along_axis(is_masked, visible, False, 1)
        p, t = p[is_masked.flatten()], t[is_masked.flatten()]
    positive, negative = terms_of_rows(p, t)
    weight = float(options["lambda"]) if options["form"] == "unigrad" else 0.0
    return (positive + weight * negative) / p.shape[1]


def difference(exporter: Exporter, model: onnx.ModelProto, given: dict, line: tuple,
               h: float) -> float:
    """The loss's central difference along the line (begin, way), which sets the parameters."""
    tensors, losses = step.initialisers(model), []
    for at in (h, -h):
        for x, begin in line[0].items():
            step.set_initialiser(tensors[x], begin + at * line[1][x])
        got = step.run(exporter.gemel, step.join(model), given, ["loss"], "ref")
        losses.append(float(got["loss"]))
    return (losses[0] - losses[1]) / (2 * h)


def check_row_values(exporter: Exporter):
    """The loss of every row, and its derivative along one direction beside a difference,
    of which the better of two steps counts. The target does not follow, so that it is as
    constant to the difference as to the gradient. One vector for an image takes more than two
    images, of which BatchNorm leaves only signs."""
    for row in ROWS:
        size = 5 if row in ("k", "moco") else 2
        model = exporter.make("--row", row, "--dtype", "f64", "--ema", "1", "--batch",
                              str(size))
        options = options_of(model)
        given = step.more_inputs(size, 4 if options["mask"] == "random" else 7)
        node, tensors = step.gradient_node(model), step.initialisers(model)
        xs, joined = step.names_of(node, "xs"), step.join(model)
        got = step.run(exporter.gemel, joined, given,
                       ["loss", "pred", "target", *node.output], "ref")
        if options["target"] == "pixel":
            view = given["x1" if options["views"] == "same" else "x2"]
            check(f"pixels of row {row}", np.array_equal(got["target"], pixels(view, 8)))
        expected = row_loss(options, got, given["visible"])
        check(f"loss of row {row}", abs(got["loss"] / expected - 1) < 1e-12,
              f"{got['loss']:.9f}")
        begin = {x: onnx.numpy_helper.to_array(tensors[x]) for x in xs}
        way = {x: step.fill(4000 + i, begin[x].shape, 1.0) for i, x in enumerate(xs)}
        slope = sum(np.sum(got[out] * way[x]) for x, out in zip(xs, node.output))
        length = sum(np.sum(got[out]**2) for out in node.output)**0.5
        found = [difference(exporter, model, given, (begin, way), h) for h in (1e-5, 1e-6)]
        best = min(found, key=lambda value: abs(slope - value))
        check(f"gradient of row {row}", abs(slope - best) < 1e-6 * max(length, abs(slope)),
              f"{slope:.9f} for {best:.9f}")


def check_open_batch(exporter: Exporter):
    results = []
    for batch in ("2", "batch"):
        model = exporter.make("--dtype", "f64", "--batch", batch)
        step.fill_parameters(model)
        bound = step.bindings(model)
        wanted = ["loss", "grad_norm", bound["projector_decoder_blocks.0.norm1.bn.running_var"]]
        results.append(step.run(exporter.gemel, step.join(model), step.inputs(GOLDEN["tiny"]),
                                wanted, "ref"))
    worst = max(np.abs(results[0][name] / results[1][name] - 1).max() for name in results[0])
    check("an open batch", worst < 1e-13, f"{worst:.1e}")


def check_accumulation(exporter: Exporter):
    """Two iterations make one step: parameters move after the second, the target before the
    first."""
    model = exporter.make("--dtype", "f64", "--accum", "2", "--warmup", "0", "--iterations",
                          "1", "--epochs", "10")
    step.fill_parameters(model)
    tensors, bound = step.initialisers(model), step.bindings(model)
    node = step.gradient_node(model)
    xs = step.names_of(node, "xs")
    begin = {x: onnx.numpy_helper.to_array(tensors[x]) for x in xs}
    batches = [step.inputs(GOLDEN["tiny"]) for _ in range(2)]
    batches[1]["x1"], batches[1]["x2"] = batches[0]["x2"], batches[0]["x1"]
    runs = []
    for batch in batches:
        runs.append(step.run(exporter.gemel, step.join(model), batch,
                             [*node.output, *bound.values(), "grad_norm", "lr"], "ref"))
        for state, value in bound.items():
            step.set_initialiser(tensors[state], runs[-1][value])
    first, second = runs
    followed = "mm_blocks.0.mlp.fc1.weight"
    check("parameters wait", all(np.array_equal(first[bound[x]], begin[x]) for x in xs))
    check("the target waits", np.array_equal(first[bound[followed]], second[bound[followed]]))
    check("sums begin anew", all(not second[bound[f"grad_sum.{x}"]].any() for x in xs))
    mean = {x: (first[out] + second[out]) / 2 for x, out in zip(xs, node.output)}
    norm = sum(np.sum(g**2) for g in mean.values())**0.5
    check("the mean's norm", abs(second["grad_norm"] / norm - 1) < 1e-12)
    check("one learning rate", first["lr"] == second["lr"] == 1e-3)
    worst = 0.0
    for x in xs:
        decay = 0.05 if begin[x].ndim > 1 else 0.0
        value = adamw(begin[x], 0, 0, mean[x] * min(1.0, 1 / (norm + 1e-6)), 1e-3, 1, decay)[0]
        worst = max(worst, np.abs(second[bound[x]] - value).max())
    check("parameters move once", worst < 1e-12, f"{worst:.1e}")


def macs(image: int, patch: int, d: int, depth: int, e: int, visible: int, projector: int,
         predictor: int) -> dict[str, float]:
    """Multiply-adds for an image, with attention: a block of T tokens and C channels has
    12 T C^2 + 2 T^2 C; the backward pass has two products for one of the forward pass, but one
    for the relative positions, whose input is given, and none for the frozen embedding and the
    loss."""
    def blocks(count, tokens, width):
        return count * (12 * tokens * width**2 + 2 * tokens**2 * width)

    n = (image // patch)**2
    seen, all_tokens = 1 + visible, 1 + visible + n
    embed = n * 3 * patch**2 * d
    positions, trained = n * 2 * e * e, (
        blocks(depth, seen, d) + seen * d * e + blocks(projector, seen, e) +
        blocks(predictor, all_tokens, e) + all_tokens * e * e)
    target = embed + blocks(depth, 1 + n, d) + (1 + n) * d * e + blocks(projector, 1 + n, e)
    forward = embed + trained + positions + target + 2 * n * e * e
    return {"forward": forward, "step": forward + 2 * trained + positions}


def check_info(exporter: Exporter):
    final = macs(224, 16, 768, 12, 768, 78, 2, 4)
    check("the paper's model", round(final["step"] / 1e9, 2) == 70.66, f"{final['step']:.4g}")
    model = exporter.make()
    result = subprocess.run([exporter.gemel, "info", "--json", f"{exporter.folder}/model.onnx"],
                            capture_output=True, text=True)
    told, expected = json.loads(result.stdout), macs(32, 8, 24, 2, 16, 7, 2, 2)
    check("multiply-adds of the graph", told["macs"] == 2 * expected["forward"])
    check("multiply-adds of a step", told["training"]["macs"] == 2 * expected["step"])
    tensors = step.initialisers(model)
    xs = step.names_of(step.gradient_node(model), "xs")
    trained = sum(np.prod(tensors[x].dims) for x in xs)
    check("trained parameters", told["training"]["parameters"] == trained == 28808)


# ---- forms -----------------------------------------------------------------------------------

def check_rows(exporter: Exporter):
    for row in ROWS:
        for batch in ("2", "batch"):
            model = exporter.make("--row", row, "--batch", batch)
            onnx.checker.check_model(model, full_check=True)
            onnx.checker.check_model(step.join(model), full_check=True)
        opsets = {o.domain: o.version for o in model.opset_import}
        check(f"row {row}", opsets == {"": 20, "ai.onnx.preview.training": 1},
              f"inputs {' '.join(i.name for i in model.graph.input)}")


def check_round_trip(exporter: Exporter):
    """The joined graph as ONNX's text; the whole file as protobuf's, since ONNX's text has no
    words for training_info."""
    from google.protobuf import text_format
    model = exporter.make()
    joined = step.join(model)
    for tensor in joined.graph.initializer: # the text has fewer digits than the elements
        if tensor.data_type == onnx.TensorProto.FLOAT:
            step.set_initialiser(tensor, np.zeros(tuple(tensor.dims), dtype=np.float32))
    text = onnx.printer.to_text(joined)
    again = onnx.parser.parse_model(text)
    check("the joined graph as text", onnx.printer.to_text(again) == text and
          len(again.graph.node) == len(joined.graph.node))
    text = text_format.MessageToString(model)
    check("the file as text", text_format.Parse(text, onnx.ModelProto()) == model)


def check_faults(exporter: Exporter):
    for options, text in [
            (["--row", "z"], "there is no row 'z'"),
            (["--lambda", "much"], "option lambda: 'much' is no number"),
            (["--depth", "1.5"], "option depth: 1.5 is no count"),
            (["--target", "words"], "option target: 'words' is neither pixel nor feature"),
            (["--masked", "196"], "option masked: '196' is no number from 0 to 195"),
            (["--heads", "7"], "a width is no multiple of its number of heads"),
            (["--image-size", "100"], "image size 100 is no multiple of the patch's 16"),
            (["--layout", "fill"], "fill goes with the same view"),
            (["--loss-on", "masked"], "masked patches are those of the same view"),
            (["--scope", "global", "--target", "pixel"], "pixels have no global vector"),
            (["--head", "mlp"], "mlp goes with the scope global"),
            (["--warmup", "400"], "the warm-up takes all of the 400 epochs"),
            (["--variant", "huge"], "it has no such variant"),
            (["--momentum", "1"], "there is no option '--momentum'")]:
        result = exporter.call(*options)
        check(f"fault {' '.join(options)}", result.returncode == 2 and text in result.stderr,
              result.stderr.strip().split("\n")[0])


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        exporter = Exporter(sys.argv[1], folder)
        return checks.run((check_faults, check_info, check_rows, check_round_trip, check_forward,
                           check_following, check_step, check_schedules, check_updates,
                           check_row_values, check_open_batch, check_accumulation), exporter,
                          errors=(RuntimeError, onnx.checker.ValidationError))


if __name__ == "__main__":
    sys.exit(main())
