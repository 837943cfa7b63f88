#!/usr/bin/env python3
"""check_siameseim.py - siameseim_torch.py beside the golden values, in double precision on the CPU.

Prints every group of values with its largest deviation in units of half the last digit given, and
exits 1 when one is above 1 (2 for gradients, which were differences). Needs PyTorch alone.
"""
import json
import sys
from pathlib import Path

import torch

import siameseim_torch as sim

GOLDEN = json.loads((Path(__file__).parent / "siameseim_golden.json").read_text())
failures = 0


def half_digit(text: str) -> float:
    """Half a unit of the last digit written."""
    mantissa, _, exponent = text.lower().partition("e")
    digits = len(mantissa.partition(".")[2])
    return 0.5 * 10.0 ** (int(exponent or 0) - digits)


def compare(name: str, pairs, limit: float = 1.0):
    """`pairs`: of a value and the text of what it should be."""
    global failures
    worst, which = 0.0, ""
    for value, text in pairs:
        error = abs(float(value) - float(text)) / (half_digit(text) + 1e-12)
        if not error <= worst:
            worst, which = error, f"{float(value):.12g} for {text}"
    failed = not worst <= limit * 1.001
    failures += failed
    print(f"{'FAIL' if failed else 'ok  '} {name}: {worst:.2f}{' (' + which + ')' if failed else ''}")


def fill(tensor_id: int, shape, scale: float, offset: float = 0.0) -> torch.Tensor:
    """Numbers from a hash of the tensor's id and the element's index."""
    count = 1
    for size in shape:
        count *= size
    values = []
    for k in range(count):
        h = (1664525 * (k + 1 + 7919 * tensor_id) + 1013904223) & 0xFFFFFFFF
        h ^= h >> 16
        h = (h * 0x45D9F3B) & 0xFFFFFFFF
        h ^= h >> 16
        values.append(((h & 0xFFFFFF) / 2**24 - 0.5) * scale + offset)
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def scale_of(name: str, shape) -> tuple[float, float]:
    if "norm" in name and name.endswith("weight"):
        return 0.2, 1.0
    if len(shape) == 1:
        return 0.2, 0.0
    if len(shape) == 3:
        return 1.0, 0.0
    inputs = 1
    for size in shape[1:]:
        inputs *= size
    return 2 / inputs**0.5, 0.0


def geometry(crops: list) -> dict:
    """The loader's numbers, of crops (top, left, height, width)."""
    rows = []
    for crop in crops:
        (i1, j1, h1, w1), (i2, j2, h2, w2) = crop["crop1"], crop["crop2"]
        rows.append([(i2 - i1) / h1, (j2 - j1) / w1, h2 / h1, w2 / w1, crop["flip"],
                     (crop["source_width"] - j1 - j2) / w1])
    columns = torch.tensor(rows, dtype=torch.float64).T
    return dict(zip(("di", "dj", "dh", "dw", "flip", "fj"), columns))


def at(tensor, place: str):
    for index in place.split(","):
        tensor = tensor[int(index)]
    return tensor


def check_tables():
    table = sim.grid_table(14, 768, "cpu", torch.float64)
    compare("grid table", [(at(table, k), v) for k, v in GOLDEN["grid_table_768"].items()])
    for row in GOLDEN["relative"]:
        relative = sim.relative_positions(sim.VIT_B, geometry([row["geometry"]]))[0]
        compare(f"relative positions, flip {row['geometry']['flip']}",
                [(at(relative, k), v) for k, v in row["values"].items()])


def check_schedules():
    pairs = []
    for epochs, iteration, lr, momentum in GOLDEN["schedules"]["values"]:
        epoch = iteration / GOLDEN["schedules"]["iterations_per_epoch"]
        pairs += [(sim.learning_rate(epoch, epochs) / float(lr), "1.0000000000"),
                  (sim.ema_momentum(epoch, epochs), momentum)]
    compare("schedules", pairs)


def check_adamw():
    golden = GOLDEN["adamw"]
    p = torch.tensor([golden["parameter"]], dtype=torch.float64, requires_grad=True)
    optimizer = sim.make_optimizer({"w": p}, golden["lr"])
    pairs = []
    for gradient, after in zip(golden["gradients"], golden["after"]):
        p.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        pairs += list(zip(p.detach()[0].tolist(), after))
    p.grad = torch.tensor([golden["gradients"][0]], dtype=torch.float64)
    norm = torch.nn.utils.clip_grad_norm_([p], sim.CLIP)
    pairs += [(norm, golden["norm"]), (p.grad[0, 0] / golden["gradients"][0][0], golden["clip"])]
    compare("AdamW and clipping", pairs)


def tiny_model() -> tuple[sim.Model, dict]:
    golden, parameters = GOLDEN["tiny"], {}
    for i, (name, shape) in enumerate(sim.parameter_shapes(sim.TINY).items()):
        parameters[name] = fill(i, shape, *scale_of(name, shape)).requires_grad_(sim.is_trained(name))
    model = sim.Model(sim.TINY, parameters, sim.make_buffers(sim.TINY, "cpu", torch.float64))
    batch = geometry(golden["crops"])
    n = sim.TINY.grid**2
    batch["visible"] = torch.tensor([[k for k in range(n) if k not in masked]
                                     for masked in golden["masked"]])
    batch["x1"], batch["x2"] = (fill(1000 + k, (2, 3, 32, 32), 4.0) for k in range(2))
    return model, batch


def check_forward():
    golden = GOLDEN["tiny"]
    model, batch = tiny_model()
    named = {**model.parameters, **batch}
    compare("fills", [p for k, v in golden["fills"].items()
                      for p in zip(named[k].detach().flatten(), v)])
    compare("geometry", [p for k, v in golden["geometry"].items() for p in zip(batch[k], v)])
    with torch.no_grad():
        seen = model.encode(batch["x1"], batch["visible"], "")
        relative = model.linear(sim.relative_positions(sim.TINY, batch), "decoder_pos_mlp")
    compare("projector", [p for k, v in golden["projector"].items() for p in zip(at(seen, k), v)])
    compare("position MLP", [p for k, v in golden["position_mlp"].items()
                             for p in zip(at(relative, k), v)])


def check_step():
    golden = GOLDEN["tiny"]
    model, batch = tiny_model()
    value, prediction, target = model.forward(batch)
    t = torch.nn.functional.layer_norm(target, target.shape[-1:], eps=1e-5)
    rows = t.reshape(-1, t.shape[-1])
    c = rows.T @ rows / len(rows)
    p = prediction.detach().reshape(rows.shape)
    for name, tensor in (("prediction", prediction), ("target", target), ("normalised_target", t)):
        compare(name, [pair for k, v in golden[name].items()
                       for pair in zip(at(tensor, k).detach(), v)])
    compare("covariance", list(zip(c[0], golden["covariance"])) + [(c.trace(), golden["trace"])])
    compare("loss", [(value.detach(), golden["loss"]),
                     ((p - rows).square().sum(1).mean(), golden["positive"]),
                     ((p @ c * p).sum(1).mean(), golden["negative"])])
    compare("running statistics",
            [(model.buffers[f"{layer}.bn.running_{kind}"][i], values[2 * k + i])
             for layer, values in golden["running"].items()
             for k, kind in enumerate(("mean", "var")) for i in range(2)])
    model.parameters["patch_embed.proj.weight"].requires_grad_(True)
    model.parameters["patch_embed.proj.bias"].requires_grad_(True)
    value = model.forward(batch)[0]
    value.backward()
    pairs, square = [], 0.0
    for name, (norm, first, last) in golden["gradients"].items():
        g = model.parameters[name].grad
        pairs += [(g.norm(), norm), (g.flatten()[0], first), (g.flatten()[-1], last)]
        square += 0.0 if name.startswith("patch_embed") else float(g.square().sum())
    compare("gradients", pairs, 2.0)
    compare("gradient norm", [(square**0.5, golden["gradient_norm"])], 2.0)
    # softmax does not see what all keys have in common
    compare("gradients of keys' biases",
            [(p.grad.view(3, -1)[1].abs().max(), "0.000000000000")
             for n, p in model.parameters.items() if n.endswith("qkv.bias") and sim.is_trained(n)])


def check_following():
    """The golden value moves the frozen embedding too: here it differs from its copy."""
    golden = GOLDEN["tiny"]["after_following"]
    model, batch = tiny_model()
    for name in ("patch_embed.proj.weight", "patch_embed.proj.bias"):
        model.parameters["mm_" + name].lerp_(model.parameters[name], 1 - golden["momentum"])
    value = model.forward(batch, golden["momentum"])[0]
    name = "mm_blocks.0.attn.qkv.weight"
    compare("loss after following", [(value.detach(), golden["loss"]),
                                     (model.parameters[name].flatten()[0], golden[name])])


def check_update():
    """Two whole steps: clipping, AdamW with and without decay, and that the target follows the
    parameters that the forward pass used, not those after it."""
    lr, rate = 1e-3, 0.1
    model, batch = tiny_model()
    model.forward(batch)[0].backward()
    trained = [n for n in model.parameters if sim.is_trained(n)]
    norm = float(GOLDEN["tiny"]["gradient_norm"])
    wanted = {n: p.detach().clone() for n, p in model.parameters.items()}
    for n in trained:
        g = model.parameters[n].grad / (norm + 1e-6)
        decay = 0.05 if g.ndim > 1 else 0.0
        wanted[n] -= lr * (decay * wanted[n] + g / (g.abs() + 1e-8))
    optimizer = sim.make_optimizer(model.parameters, lr)
    sim.step(model, optimizer, batch, 1.0, False)  # 1: the target stays

    def farthest(names):
        return max(float((model.parameters[n].detach() - wanted[n]).abs().max()) for n in names)

    # the norm is given to 8 digits, and where a gradient is near AdamW's 1e-8 that shows
    compare("a step's update", [(farthest(trained), "0.0000000000")])
    compare("a step leaves the rest", [(farthest(set(wanted) - set(trained)), "0.000000000000")])
    for n in trained:
        wanted[n] = model.parameters[n].detach().clone()
        if "mm_" + n in wanted:
            wanted["mm_" + n] += rate * (wanted[n] - wanted["mm_" + n])
    sim.step(model, optimizer, batch, 1 - rate, False)
    compare("the target follows before the update",
            [(farthest(n for n in wanted if n.startswith("mm_")), "0.000000000000")])


def check_precision():
    """With bf16 products the sums over blocks stay single, and the loss stays what it is."""
    model, batch = tiny_model()
    for tensors in (model.parameters, model.buffers, batch):
        for name, tensor in tensors.items():
            if tensor.is_floating_point():
                tensors[name] = tensor.detach().float().requires_grad_(tensor.requires_grad)
    model = sim.Model(model.cfg, model.parameters, model.buffers)
    kinds = set()

    def watched(x, blocks, heads):
        y = sim.apply_blocks(x, blocks, heads)
        kinds.update((x.dtype, y.dtype))
        return y

    model.blocks_fn = watched
    with torch.autocast("cpu", torch.bfloat16):
        value, prediction, _ = model.forward(batch)
    compare("sums in single precision", [(len(kinds - {torch.float32}), "0"),
                                         (prediction.dtype == torch.bfloat16, "1")])
    compare("loss of bf16 products", [(value.detach(), "1.06")])


def check_counts():
    shapes = sim.parameter_shapes(sim.VIT_B)
    count = {n: torch.Size(s).numel() for n, s in shapes.items()}
    compare("parameters", [(sum(c for n, c in count.items() if sim.is_trained(n)), "129944832"),
                           (sum(c for n, c in count.items() if n.startswith("mm_")), "100412928")])
    optimizer = sim.make_optimizer({n: torch.empty(shape, device="meta", requires_grad=True)
                                    for n, shape in shapes.items()}, 0.0)
    decayed = {g["weight_decay"]: g["params"] for g in optimizer.param_groups}
    compare("weight decay", [(len(decayed[0.05]), "77"), (len(decayed[0.0]), "147"),
                             (sum(p.numel() for p in decayed[0.05]), "129762816"),
                             (sum(p.numel() for p in decayed[0.0]), "182016")])


if __name__ == "__main__":
    torch.set_num_threads(2)
    check_tables()
    check_schedules()
    check_adamw()
    check_counts()
    check_forward()
    check_step()
    check_following()
    check_update()
    check_precision()
    print("all agree" if failures == 0 else f"{failures} groups deviate")
    sys.exit(failures != 0)
