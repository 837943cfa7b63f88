#!/usr/bin/env python3
"""siameseim_jax.py - SiameseIM's pre-training step in JAX: the reference for other programs'
steps.

    siameseim_jax.py [--model tiny] [--batch 2] [--steps 10] [--dtype f64] --out FILE.npz
                     [--inputs FILE.npz] [--initial FILE.npz] [--follow-frozen]
                     [--peak 1e-3] [--warmup 2] [--total 20] [--m0 0.9] [--weight-decay 0.05]
                     [--clip 1]

Written from the specification of the method and sharing no code with the PyTorch version in
scripts/gpu. Starts from siameseim_fills.py's parameters and inputs and does some steps.

--out: the arrays `step.loss`, `step.positive`, `step.negative`, `step.lr`, `step.momentum`,
`step.gradient_norm` (before clipping), one element a step; what every parameter, target
parameter, table, running statistic and counter is after the last one, by its name in the
authors' checkpoints; Adam's moments as `exp_avg.NAME` and `exp_avg_sq.NAME`. --initial: the
same before the first step. --inputs: x1, x2, visible (int64, row-major numbers of patches),
geometry (di, dj, dh, dw, f, fj), each with the steps as its first axis.

The target's copy of the frozen patch embedding stays as it is, which in training, where both
begin equal, is the same as following; --follow-frozen averages it too. In single precision the
inputs are rounded to it first; tables are made in double precision either way.

Letters: B images, N patches, V visible ones, T tokens, C channels, D width of the encoder, E of
the decoder, H heads.
"""
import argparse
import math
import sys
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import siameseim_fills as fills

NEGATIVE_WEIGHT = 0.02
LAYER_NORM_EPS = 1e-6  # of the encoder's; the loss's has BatchNorm's
BATCH_NORM_EPS = 1e-5
STATISTICS_MOMENTUM = 0.1
ADAM_BETA1, ADAM_BETA2, ADAM_EPS = 0.9, 0.95, 1e-8


@dataclass(frozen=True)
class Sizes:
    image: int
    patch: int
    width: int
    depth: int
    heads: int
    decoder_width: int
    decoder_heads: int
    projector_depth: int
    predictor_depth: int
    visible: int

    @property
    def grid(self) -> int:
        return self.image // self.patch

    @property
    def patches(self) -> int:
        return self.grid**2


MODELS = {
    "tiny": Sizes(32, 8, 24, 2, 3, 16, 4, 2, 2, 7),
    "vit_s": Sizes(224, 16, 384, 12, 6, 768, 16, 2, 4, 78),
    "vit_b": Sizes(224, 16, 768, 12, 12, 768, 16, 2, 4, 78),
}


@dataclass(frozen=True)
class Recipe:
    """What a step does with gradients. Warm-up and total are in steps; the target's momentum
    goes from m0 to 1 over the total."""
    peak: float = 1e-3
    warmup: int = 2
    total: int = 20
    m0: float = 0.9
    weight_decay: float = 0.05
    clip: float = 1.0
    follow_frozen: bool = False


# ---- names and shapes ------------------------------------------------------------------------

def block_parameters(prefix: str, width: int, norm: str) -> dict[str, tuple]:
    """`norm`: "" for LayerNorm, ".bn" where BatchNorm is wrapped."""
    layers = [("norm1" + norm, (width,)), ("attn.qkv", (3 * width, width)),
              ("attn.proj", (width, width)), ("norm2" + norm, (width,)),
              ("mlp.fc1", (4 * width, width)), ("mlp.fc2", (width, 4 * width))]
    return {f"{prefix}.{layer}.{kind}": shape if kind == "weight" else shape[:1]
            for layer, shape in layers for kind in ("weight", "bias")}


def branch_parameters(sizes: Sizes, prefix: str) -> dict[str, tuple]:
    """Patch embedding, encoder and projector; "mm_" is the target's prefix."""
    d, e = sizes.width, sizes.decoder_width
    shapes = {prefix + "patch_embed.proj.weight": (d, 3, sizes.patch, sizes.patch),
              prefix + "patch_embed.proj.bias": (d,)}
    for i in range(sizes.depth):
        shapes |= block_parameters(f"{prefix}blocks.{i}", d, "")
    shapes |= {prefix + "decoder_embed.weight": (e, d), prefix + "decoder_embed.bias": (e,)}
    for i in range(sizes.projector_depth):
        shapes |= block_parameters(f"{prefix}projector_decoder_blocks.{i}", e, ".bn")
    return shapes


def all_parameters(sizes: Sizes) -> dict[str, tuple]:
    """In the checkpoints' order, without the two fixed tables."""
    d, e = sizes.width, sizes.decoder_width
    shapes = {"cls_token": (1, 1, d), "mask_token": (1, 1, e),
              "mm_cls_token": (1, 1, d), "mm_mask_token": (1, 1, e)}
    shapes |= branch_parameters(sizes, "")
    for i in range(sizes.predictor_depth):
        shapes |= block_parameters(f"predictor_decoder_blocks.{i}", e, ".bn")
    shapes |= {"decoder_pred.weight": (e, e), "decoder_pred.bias": (e,),
               "decoder_pos_mlp.weight": (e, 2 * e), "decoder_pos_mlp.bias": (e,)}
    return shapes | branch_parameters(sizes, "mm_")


def is_trained(name: str) -> bool:
    return not name.startswith(("mm_", "patch_embed."))


def initial_state(sizes: Sizes, dtype) -> dict:
    """Of NumPy arrays. `trained`, `frozen` and `target` are parameters; `running` are
    BatchNorm's statistics; `mean` and `square` are Adam's; `count` is of steps done."""
    values = fills.parameters(all_parameters(sizes), dtype)
    trained = {n: v for n, v in values.items() if is_trained(n)}
    target = {n: v for n, v in values.items() if n.startswith("mm_")}
    running = {}
    for name in values:
        if name.endswith(".bn.weight"):
            norm = name.removesuffix(".weight")
            running[norm + ".running_mean"] = np.zeros(sizes.decoder_width, dtype)
            running[norm + ".running_var"] = np.ones(sizes.decoder_width, dtype)
    return {"trained": trained, "target": target, "running": running,
            "frozen": {n: v for n, v in values.items() if n not in trained and n not in target},
            "mean": {n: np.zeros_like(v) for n, v in trained.items()},
            "square": {n: np.zeros_like(v) for n, v in trained.items()},
            "count": np.zeros((), np.int32)}


def named_arrays(sizes: Sizes, state: dict, dtype) -> dict[str, np.ndarray]:
    """The state as --out has it."""
    arrays = {}
    for part in ("trained", "frozen", "target", "running"):
        arrays |= state[part]
    for name in state["running"]:
        if name.endswith("running_mean"):
            arrays[name.removesuffix("running_mean") + "num_batches_tracked"] = \
                np.int64(state["count"])
    arrays["pos_embed"] = position_table(sizes.grid, sizes.width)[None].astype(dtype)
    arrays["decoder_pos_embed"] = \
        position_table(sizes.grid, sizes.decoder_width)[None].astype(dtype)
    arrays |= {"exp_avg." + n: v for n, v in state["mean"].items()}
    arrays |= {"exp_avg_sq." + n: v for n, v in state["square"].items()}
    return {name: np.asarray(value) for name, value in arrays.items()}


# ---- positions -------------------------------------------------------------------------------

def position_table(grid: int, width: int) -> np.ndarray:
    """[1 + N, width]: sin and cos of the row's angles, then of the column's; zeros for the
    class token."""
    n = width // 4
    omega = 10000.0 ** (-np.arange(n) / n)
    table = np.zeros((1 + grid * grid, width))
    for r in range(grid):
        for c in range(grid):
            table[1 + r * grid + c] = np.concatenate(
                [np.sin(r * omega), np.cos(r * omega), np.sin(c * omega), np.cos(c * omega)])
    return table


def relative_positions(grid: int, width: int, geometry):
    """[B, 6] -> [B, N, 2 width]: view 2's patch centres in view 1's patches, and 10 ln of how
    much larger view 2 is."""
    n = width // 4
    omega = 10000.0 ** (-jnp.arange(n, dtype=geometry.dtype) / n)
    di, dj, dh, dw, flipped, fj = (geometry[:, k, None] for k in range(6))
    centre = jnp.arange(grid, dtype=geometry.dtype) + 0.5
    rows = dh * centre + grid * di - 0.5
    columns = jnp.where(flipped != 0, grid * fj - dw * centre, dw * centre + grid * dj) - 0.5

    def sin_cos(coordinate):
        angle = coordinate[..., None] * omega
        return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], -1)

    shape = (geometry.shape[0], grid, grid, width // 2)
    parts = [sin_cos(rows)[:, :, None], sin_cos(columns)[:, None],
             sin_cos(10 * jnp.log(dh))[:, None], sin_cos(10 * jnp.log(dw))[:, None]]
    joined = jnp.concatenate([jnp.broadcast_to(part, shape) for part in parts], -1)
    return joined.reshape(shape[0], grid * grid, 2 * width)


# ---- layers ----------------------------------------------------------------------------------

def linear(p: dict, name: str, x):
    return x @ p[name + ".weight"].T + p[name + ".bias"]


def standardised(x, axes, eps: float):
    """Also the mean and the biased variance."""
    mean = x.mean(axes, keepdims=True)
    variance = jnp.square(x - mean).mean(axes, keepdims=True)
    return (x - mean) / jnp.sqrt(variance + eps), mean, variance


def normalise(p: dict, name: str, x, statistics: dict):
    """LayerNorm, or, where the parameters are BatchNorm's, one mean and variance a channel over
    all tokens of the batch, which go into `statistics`, the variance unbiased."""
    if name + ".weight" in p:
        y, _, _ = standardised(x, -1, LAYER_NORM_EPS)
        return y * p[name + ".weight"] + p[name + ".bias"]
    y, mean, variance = standardised(x, (0, 1), BATCH_NORM_EPS)
    n = x.shape[0] * x.shape[1]
    statistics[name + ".bn.running_mean"] = mean.reshape(-1)
    statistics[name + ".bn.running_var"] = variance.reshape(-1) * (n / (n - 1))
    return y * p[name + ".bn.weight"] + p[name + ".bn.bias"]


def attend(p: dict, name: str, x, heads: int):
    b, t, c = x.shape
    qkv = linear(p, name + ".qkv", x).reshape(b, t, 3, heads, c // heads)
    q, k, v = (qkv[:, :, i].transpose(0, 2, 1, 3) for i in range(3))  # [B, H, T, C / H]
    scores = (q * (c // heads) ** -0.5) @ k.transpose(0, 1, 3, 2)
    y = jax.nn.softmax(scores, -1) @ v
    return linear(p, name + ".proj", y.transpose(0, 2, 1, 3).reshape(b, t, c))


def gelu(x):
    return 0.5 * x * (1 + jax.lax.erf(x * math.sqrt(0.5)))


def blocks(p: dict, prefix: str, depth: int, x, heads: int, statistics: dict):
    for i in range(depth):
        name = f"{prefix}.{i}"
        x = x + attend(p, name + ".attn", normalise(p, name + ".norm1", x, statistics), heads)
        y = linear(p, name + ".mlp.fc1", normalise(p, name + ".norm2", x, statistics))
        x = x + linear(p, name + ".mlp.fc2", gelu(y))
    return x


# ---- the two branches ------------------------------------------------------------------------

def cut(sizes: Sizes, x):
    """[B, 3, S, S] -> [B, N, 3 patch patch]: a patch's pixels by channel, row, column."""
    g, s = sizes.grid, sizes.patch
    x = x.reshape(x.shape[0], 3, g, s, g, s).transpose(0, 2, 4, 1, 3, 5)
    return x.reshape(x.shape[0], g * g, 3 * s * s)


def project(sizes: Sizes, p: dict, prefix: str, x, visible, statistics: dict):
    """Encoder and projector of the patches that are visible (all where that is None): [B, 1 +
    V, E], the class token first."""
    table = jnp.asarray(position_table(sizes.grid, sizes.width)[1:], x.dtype)
    patches = cut(sizes, x)
    if visible is not None:
        patches = jnp.take_along_axis(patches, visible[..., None], 1)
        table = table[visible]
    weight = p[prefix + "patch_embed.proj.weight"].reshape(sizes.width, -1)
    tokens = patches @ weight.T + p[prefix + "patch_embed.proj.bias"] + table
    cls = jnp.broadcast_to(p[prefix + "cls_token"], (x.shape[0], 1, sizes.width))
    tokens = jnp.concatenate([cls, tokens], 1)
    tokens = blocks(p, prefix + "blocks", sizes.depth, tokens, sizes.heads, statistics)
    tokens = linear(p, prefix + "decoder_embed", tokens)
    return blocks(p, prefix + "projector_decoder_blocks", sizes.projector_depth, tokens,
                  sizes.decoder_heads, statistics)


def predict(sizes: Sizes, p: dict, inputs: dict, statistics: dict):
    """[B, N, E]: what view 2's features should be, seen from view 1."""
    e, visible = sizes.decoder_width, inputs["visible"]
    seen = project(sizes, p, "", inputs["x1"], visible, statistics)
    table = jnp.asarray(position_table(sizes.grid, e), seen.dtype)
    relative = relative_positions(sizes.grid, e, inputs["geometry"])
    queries = p["mask_token"] + linear(p, "decoder_pos_mlp", relative)
    tokens = jnp.concatenate([seen[:, :1], seen[:, 1:] + table[1 + visible], queries], 1)
    tokens = blocks(p, "predictor_decoder_blocks", sizes.predictor_depth, tokens,
                    sizes.decoder_heads, statistics)
    return linear(p, "decoder_pred", tokens[:, -sizes.patches:])


def loss_terms(prediction, target):
    """Positive and negative term, sums over channels and means over tokens. C = T'T / n counts
    as a constant, and so does the target."""
    e = target.shape[-1]
    p = prediction.reshape(-1, e)
    t, _, _ = standardised(jax.lax.stop_gradient(target).reshape(-1, e), -1, BATCH_NORM_EPS)
    second_moment = t.T @ t / t.shape[0]
    positive = jnp.square(p - t).sum(-1).mean()
    negative = ((p @ second_moment) * p).sum(-1).mean()
    return positive, negative


def forward(sizes: Sizes, trained: dict, fixed: dict, inputs: dict):
    """The loss, and beside it all else: `fixed` are the parameters without a gradient."""
    p, statistics = trained | fixed, {}
    prediction = predict(sizes, p, inputs, statistics)
    target = project(sizes, p, "mm_", inputs["x2"], None, statistics)[:, 1:]
    positive, negative = loss_terms(prediction, target)
    loss = (positive + NEGATIVE_WEIGHT * negative) / sizes.decoder_width
    return loss, {"loss": loss, "positive": positive, "negative": negative,
                  "prediction": prediction, "target": target, "statistics": statistics}


# ---- the step --------------------------------------------------------------------------------

def learning_rate(recipe: Recipe, step, dtype=float):
    """Linear from 0, then a cosine to 0."""
    s = jnp.asarray(step, dtype)
    after = (s - recipe.warmup) / (recipe.total - recipe.warmup)
    return jnp.where(s < recipe.warmup, recipe.peak * s / max(recipe.warmup, 1),
                     recipe.peak / 2 * (1 + jnp.cos(math.pi * after)))


def target_momentum(recipe: Recipe, step, dtype=float):
    s = jnp.asarray(step, dtype)
    return 1 - (1 - recipe.m0) / 2 * (1 + jnp.cos(math.pi * s / recipe.total))


def follow(recipe: Recipe, state: dict, momentum) -> dict:
    """The target's parameters, nearer to those that the forward pass uses."""
    result = {}
    for name, value in state["target"].items():
        online = state["trained"].get(name[3:])
        if online is None and recipe.follow_frozen:
            online = state["frozen"][name[3:]]
        result[name] = value if online is None else momentum * value + (1 - momentum) * online
    return result


def clipped(recipe: Recipe, gradients: dict):
    norm = jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in gradients.values()))
    factor = jnp.minimum(1, recipe.clip / (norm + 1e-6))
    return {n: g * factor for n, g in gradients.items()}, norm


def adamw(recipe: Recipe, p: dict, gradients: dict, mean: dict, square: dict, lr, step):
    """`step` counts from 1. Matrices and tokens decay."""
    t = jnp.asarray(step, lr.dtype)
    correction1, correction2 = 1 - ADAM_BETA1**t, 1 - ADAM_BETA2**t
    new = {}, {}, {}
    for name, g in gradients.items():
        decays = p[name].ndim > 1 and not name.endswith(".bias")
        m = ADAM_BETA1 * mean[name] + (1 - ADAM_BETA1) * g
        v = ADAM_BETA2 * square[name] + (1 - ADAM_BETA2) * jnp.square(g)
        rate = (m / correction1) / (jnp.sqrt(v / correction2) + ADAM_EPS)
        kept = 1 - lr * (recipe.weight_decay if decays else 0.0)
        for part, value in zip(new, (p[name] * kept - lr * rate, m, v)):
            part[name] = value
    return new


def step(sizes: Sizes, recipe: Recipe, state: dict, inputs: dict):
    """The next state, and what --out has of a step."""
    dtype = inputs["x1"].dtype
    lr = learning_rate(recipe, state["count"], dtype)
    momentum = target_momentum(recipe, state["count"], dtype)
    target = follow(recipe, state, momentum)
    fixed = state["frozen"] | target
    gradients, results = jax.grad(lambda p: forward(sizes, p, fixed, inputs),
                                  has_aux=True)(state["trained"])
    gradients, norm = clipped(recipe, gradients)
    count = state["count"] + 1
    trained, mean, square = adamw(recipe, state["trained"], gradients, state["mean"],
                                  state["square"], lr, count)
    running = {name: (1 - STATISTICS_MOMENTUM) * value
               + STATISTICS_MOMENTUM * results["statistics"][name]
               for name, value in state["running"].items()}
    report = {"loss": results["loss"], "positive": results["positive"],
              "negative": results["negative"], "lr": lr, "momentum": momentum,
              "gradient_norm": norm}
    return {"trained": trained, "frozen": state["frozen"], "target": target, "running": running,
            "mean": mean, "square": square, "count": count}, report


def compiled_step(sizes: Sizes, recipe: Recipe):
    """The step as one program, which reuses the old state's memory for the new one."""
    return jax.jit(partial(step, sizes, recipe), donate_argnums=0)


# ---- reference data --------------------------------------------------------------------------

def set_precision(dtype: str):
    """Before anything else is done with JAX. Returns the NumPy type."""
    jax.config.update("jax_enable_x64", dtype == "f64")
    jax.config.update("jax_platforms", "cpu")
    return {"f32": np.float32, "f64": np.float64}[dtype]


def run_steps(sizes: Sizes, recipe: Recipe, size: int, steps: int, dtype):
    """States before and after as named arrays, with the steps' results in the latter; the
    inputs."""
    state = initial_state(sizes, dtype)
    before = named_arrays(sizes, state, dtype)
    one, reports, inputs = compiled_step(sizes, recipe), [], []
    for index in range(steps):
        inputs.append(fills.batch(index, size, sizes.image, sizes.patches, sizes.visible,
                                  dtype))
        state, report = one(state, inputs[-1])
        reports.append({name: float(value) for name, value in report.items()})
        print(f"step {index}: " + ", ".join(f"{n} {v:.12g}" for n, v in reports[-1].items()),
              flush=True)
    after = named_arrays(sizes, state, dtype)
    for name in reports[0]:
        after["step." + name] = np.array([report[name] for report in reports])
    return before, after, {name: np.stack([i[name] for i in inputs]) for name in inputs[0]}


def parse_arguments():
    parser = argparse.ArgumentParser(description="reference data of SiameseIM's step")
    parser.add_argument("--model", choices=MODELS, default="tiny")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--dtype", choices=("f32", "f64"), default="f64")
    parser.add_argument("--out", required=True)
    parser.add_argument("--inputs")
    parser.add_argument("--initial")
    defaults = Recipe()
    for name in ("peak", "warmup", "total", "m0", "weight_decay", "clip"):
        value = getattr(defaults, name)
        parser.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    parser.add_argument("--follow-frozen", action="store_true")
    arguments = parser.parse_args()
    if arguments.steps < 1 or arguments.batch < 1 or arguments.total <= arguments.warmup:
        parser.error("there must be a step, an image, and a step after the warm-up")
    return arguments


def main():
    arguments = parse_arguments()
    dtype = set_precision(arguments.dtype)
    recipe = Recipe(**{name: getattr(arguments, name) for name in Recipe.__dataclass_fields__})
    before, after, inputs = run_steps(MODELS[arguments.model], recipe, arguments.batch,
                                      arguments.steps, dtype)
    for path, arrays in ((arguments.out, after), (arguments.inputs, inputs),
                         (arguments.initial, before)):
        if path:
            with open(path, "wb") as file:
                np.savez(file, **arrays)


if __name__ == "__main__":
    sys.exit(main())
