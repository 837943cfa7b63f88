#!/usr/bin/env python3
"""check_jax.py - siameseim_jax.py in double precision beside the golden values of the method.

Prints each group of values with its largest deviation and the limit; exits 1 when one is above.
A golden value is right to within half of its last digit, plus 1e-11; where it has more digits
than 9 after the point, to within 1e-9 at most. Gradients are given to 8 digits: that they are
derivatives is checked to 1e-9 by differences of fourth order along random directions. Needs the
packages of tests/requirements-jax.txt.
"""
import json
import sys
from pathlib import Path

import numpy as np

import siameseim_fills as fills
import siameseim_jax as sim

DTYPE = sim.set_precision("f64")

import jax  # noqa: E402 - the precision is set first
import jax.numpy as jnp  # noqa: E402

GOLDEN_FILE = Path(__file__).resolve().parents[2] / "scripts" / "gpu" / "siameseim_golden.json"
GOLDEN = json.loads(GOLDEN_FILE.read_text(encoding="utf-8"))
TINY = sim.MODELS["tiny"]
LIMIT = 1e-9
failures = 0


def half_digit(text: str) -> float:
    mantissa, _, exponent = text.lower().partition("e")
    return 0.5 * 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def verdict(name: str, count: int, good: bool, words: str):
    global failures
    failures += not good
    print(f"{'ok  ' if good else 'FAIL'} {name}: {count} values, {words}")


def compare(name: str, pairs, digits: float = 1.0):
    """`pairs`: of a value and the text of what it should be; `digits`: of half last digits."""
    pairs = [(float(value), text) for value, text in pairs]
    errors, excesses, bad = [], [], ""
    for value, text in pairs:
        allowed = digits * half_digit(text) + 1e-11
        if half_digit(text) < LIMIT:
            allowed = min(allowed, LIMIT)
        errors.append(abs(value - float(text)))
        excesses.append(errors[-1] / allowed)
        if not excesses[-1] <= 1:  # or not a number
            bad = f" ({value:.13g} for {text})"
    verdict(name, len(pairs), bool(pairs) and not bad,
            f"largest deviation {np.max(errors):.1e}, {np.max(excesses):.2f} of what is "
            f"allowed{bad}")


def agree(name: str, value, wanted, limit: float):
    value, wanted = np.asarray(value, float), np.asarray(wanted, float)
    error = np.abs(value - wanted).max()
    verdict(name, value.size, bool(error <= limit),
            f"largest deviation {error:.1e} of {limit:.0e}")


def at(array, place: str):
    return array[tuple(int(index) for index in place.split(","))]


def places(array, golden: dict) -> list:
    """Pairs for {"row,column": [first, second, …]}."""
    return [pair for place, values in golden.items() for pair in zip(at(array, place), values)]


def tiny_inputs() -> dict:
    """The golden step's."""
    golden = GOLDEN["tiny"]
    seen = [[k for k in range(TINY.patches) if k not in masked] for masked in golden["masked"]]
    rows = [fills.geometry(c["crop1"], c["crop2"], c["source_width"], c["flip"])
            for c in golden["crops"]]
    return {"x1": fills.fill(1000, (2, 3, 32, 32), 4.0),
            "x2": fills.fill(1001, (2, 3, 32, 32), 4.0),
            "visible": np.array(seen), "geometry": np.stack(rows)}


def tiny_state() -> dict:
    return jax.tree.map(jnp.asarray, sim.initial_state(TINY, DTYPE))


def check_tables():
    table = sim.position_table(14, 768)
    compare("grid table", [(at(table, k), v) for k, v in GOLDEN["grid_table_768"].items()])
    for row in GOLDEN["relative"]:
        c = row["geometry"]
        numbers = fills.geometry(c["crop1"], c["crop2"], c["source_width"], c["flip"])
        relative = sim.relative_positions(14, 768, jnp.asarray(numbers[None]))[0]
        compare(f"relative positions, flip {c['flip']}",
                [(at(relative, k), v) for k, v in row["values"].items()])
    same = fills.geometry((3, 4, 50, 60), (3, 4, 50, 60), 200, 0)
    relative = sim.relative_positions(14, 768, jnp.asarray(same[None]))[0]
    agree("relative positions of equal crops", relative[:, :768], table[1:], 1e-12)


def check_schedules():
    pairs, per_epoch = [], GOLDEN["schedules"]["iterations_per_epoch"]
    for epochs, iteration, lr, momentum in GOLDEN["schedules"]["values"]:
        recipe = sim.Recipe(warmup=40 * per_epoch, total=epochs * per_epoch, m0=0.995)
        pairs += [(sim.learning_rate(recipe, iteration) / float(lr), "1.0000000000"),
                  (sim.target_momentum(recipe, iteration), momentum)]
    compare("schedules", pairs)


def check_adamw():
    golden = GOLDEN["adamw"]
    recipe = sim.Recipe(weight_decay=golden["weight_decay"])
    p = {"w": jnp.array([golden["parameter"]])}
    mean = square = {"w": jnp.zeros((1, 3))}
    pairs = []
    for i, gradient in enumerate(golden["gradients"]):
        p, mean, square = sim.adamw(recipe, p, {"w": jnp.array([gradient])}, mean, square,
                                    jnp.array(golden["lr"]), i + 1)
        pairs += zip(p["w"][0], golden["after"][i])
    first = {"w": jnp.array([golden["gradients"][0]])}
    after, norm = sim.clipped(recipe, first)
    pairs += [(norm, golden["norm"]), (after["w"][0, 0] / first["w"][0, 0], golden["clip"])]
    compare("AdamW and clipping", pairs)


def check_forward(inputs: dict):
    golden, state = GOLDEN["tiny"], tiny_state()
    p = state["trained"] | state["frozen"] | state["target"]
    named = p | inputs
    compare("fills", [pair for name, values in golden["fills"].items()
                      for pair in zip(np.ravel(named[name]), values)])
    columns = dict(zip(("di", "dj", "dh", "dw", "f", "fj"), inputs["geometry"].T))
    compare("geometry", [pair for name, values in golden["geometry"].items()
                         for pair in zip(columns[name], values)])
    seen = sim.project(TINY, p, "", jnp.asarray(inputs["x1"]), inputs["visible"], {})
    compare("projector", places(seen, golden["projector"]))
    relative = sim.relative_positions(TINY.grid, TINY.decoder_width,
                                      jnp.asarray(inputs["geometry"]))
    compare("position MLP", places(sim.linear(p, "decoder_pos_mlp", relative),
                                   golden["position_mlp"]))


def check_results(results: dict):
    golden = GOLDEN["tiny"]
    target = results["target"]
    normalised, _, _ = sim.standardised(target, -1, sim.BATCH_NORM_EPS)
    for name, array in (("prediction", results["prediction"]), ("target", target),
                        ("normalised_target", normalised)):
        compare(name.replace("_", " "), places(array, golden[name]))
    rows = normalised.reshape(-1, TINY.decoder_width)
    moment = rows.T @ rows / len(rows)
    compare("second moment", [*zip(moment[0], golden["covariance"]),
                              (jnp.trace(moment), golden["trace"])])
    names = "loss", "positive", "negative"
    compare("loss", [(results[name], golden[name]) for name in names])


def check_statistics(results: dict):
    running, pairs = sim.initial_state(TINY, DTYPE)["running"], []
    for layer, values in GOLDEN["tiny"]["running"].items():
        for k, kind in enumerate(("mean", "var")):
            name = f"{layer}.bn.running_{kind}"
            after = 0.9 * running[name] + 0.1 * results["statistics"][name]
            pairs += zip(after, values[2 * k:2 * k + 2])
    compare("running statistics", pairs)


def check_gradients(gradients: dict):
    golden, pairs = GOLDEN["tiny"]["gradients"], []
    for name, (norm, first, last) in golden.items():
        g = gradients[name]
        pairs += [(jnp.linalg.norm(g.ravel()), norm), (g.ravel()[0], first),
                  (g.ravel()[-1], last)]
    compare("gradients", pairs, 2.0)
    trained = {name: g for name, g in gradients.items() if sim.is_trained(name)}
    _, norm = sim.clipped(sim.Recipe(), trained)
    compare("gradient norm", [(norm, GOLDEN["tiny"]["gradient_norm"])], 2.0)
    keys = [gradients[name].reshape(3, -1)[1] for name in trained if name.endswith("qkv.bias")]
    agree("gradients of keys' biases", np.concatenate(keys), 0.0, 1e-15)
    projector = [g for name, g in gradients.items() if name == "decoder_embed.bias"
                 or name.startswith("projector") and name.endswith(("proj.bias", "fc2.bias"))]
    agree("gradients of biases that BatchNorm takes out",
          np.stack(projector), np.broadcast_to(projector[0], (len(projector), 16)), 1e-14)


def check_differences(loss, parameters: dict, gradients: dict):
    """(8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12 h along directions of length 1."""
    random, h, got, wanted = np.random.default_rng(0), 1e-3, [], []
    for _ in range(4):
        way = {name: random.standard_normal(p.shape) for name, p in parameters.items()}
        length = np.sqrt(sum(np.square(v).sum() for v in way.values()))
        way = {name: v / length for name, v in way.items()}
        f = [float(loss({name: p + k * h * way[name] for name, p in parameters.items()}))
             for k in (-2, -1, 1, 2)]
        got.append(sum(float(jnp.vdot(gradients[name], v)) for name, v in way.items()))
        wanted.append((8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * h))
    agree("gradients and differences", got, wanted, 1e-9)


def check_golden_step(inputs: dict):
    state = tiny_state()
    parameters = state["trained"] | state["frozen"]  # the frozen ones' gradients are given too
    function = jax.jit(lambda p: sim.forward(TINY, p, state["target"], inputs))
    _, results = function(parameters)
    check_results(results)
    check_statistics(results)
    gradients = jax.grad(lambda p: function(p)[0])(parameters)
    check_gradients(gradients)
    check_differences(lambda p: function(p)[0], parameters, gradients)


def check_following(inputs: dict):
    """The golden value moves the frozen embedding's copy too."""
    golden, state = GOLDEN["tiny"]["after_following"], tiny_state()
    target = sim.follow(sim.Recipe(follow_frozen=True), state, golden["momentum"])
    loss, _ = sim.forward(TINY, state["trained"], state["frozen"] | target, inputs)
    name = "mm_blocks.0.attn.qkv.weight"
    compare("loss after following", [(loss, golden["loss"]),
                                     (target[name].ravel()[0], golden[name])])


def check_step(inputs: dict):
    """The whole step is its parts: the target follows first, moments move at a rate of 0,
    statistics are kept, and what is frozen stays."""
    recipe, before = sim.Recipe(follow_frozen=True), tiny_state()
    state, report = jax.jit(lambda s: sim.step(TINY, recipe, s, inputs))(before)
    compare("loss of a step", [(report["loss"], GOLDEN["tiny"]["after_following"]["loss"]),
                               (report["momentum"], "0.900000000000"),
                               (report["lr"], "0.000000000000"), (state["count"], "1")])
    gradients = jax.grad(lambda p: sim.forward(TINY, p, before["frozen"] | state["target"],
                                               inputs)[0])(before["trained"])
    factor = min(1, 1 / (float(report["gradient_norm"]) + 1e-6))
    for part, wanted in (("mean", lambda g: 0.1 * factor * g),
                         ("square", lambda g: 0.05 * (factor * g) ** 2)):
        agree(f"moments after a step, {part}",
              np.concatenate([value.ravel() for value in state[part].values()]),
              np.concatenate([wanted(gradients[name]).ravel() for name in state[part]]), 1e-14)
    kept = [np.abs(state[part][n] - before[part][n]).max()
            for part in ("trained", "frozen") for n in before[part]]
    agree("parameters after a step at rate 0", kept, np.zeros(len(kept)), 0.0)


def check_counts():
    shapes = sim.all_parameters(sim.MODELS["vit_b"])
    count = {name: int(np.prod(shape)) for name, shape in shapes.items()}
    trained = [name for name in shapes if sim.is_trained(name)]
    decayed = [n for n in trained if len(shapes[n]) > 1]
    compare("counts of ViT-B", [(sum(count[n] for n in trained), "129944832"),
                                (sum(c for n, c in count.items() if n.startswith("mm_")),
                                 "100412928"), (len(shapes), "400"), (len(decayed), "77"),
                                (sum(count[n] for n in decayed), "129762816")])


def main():
    inputs = tiny_inputs()
    check_tables()
    check_schedules()
    check_adamw()
    check_counts()
    check_forward(inputs)
    check_golden_step(inputs)
    check_following(inputs)
    check_step(inputs)
    print("all agree" if failures == 0 else f"{failures} groups deviate")
    return int(failures != 0)


if __name__ == "__main__":
    sys.exit(main())
