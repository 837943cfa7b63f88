"""gemel's kernels beside oneDNN's primitives: the products and convolutions of the models it is judged by.

usage: bench_rival.py GEMEL TIMER FOLDER [--json] [--rounds N] [--threads N] [ROW…]

One model holds all rows, each a layer behind one that writes its input, so that activations come from the
cache and weights from where they would in a network. `gemel bench --kernels` tells what each kernel took;
TIMER (tests/bench_rival.c) runs the same rows in the same order with oneDNN. Both in turn, ROUNDS times; a
round is one run of all rows after one that does not count. A row's ratio is the median over the rounds of
gemel's time over oneDNN's; beside it the ratio of the fastest rounds, which others on the machine disturb
least. Of oneDNN's implementations of a layer the one with the least median counts; "direct" is the ratio to
the best of those that are not Winograd's, which round less.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RUNS = 1
ROWS = {
    # name: product, rows, depth, columns, what follows the bias
    "vit-qkv": ("product", 197, 768, 2304, "none"),
    "vit-projection": ("product", 197, 768, 768, "residual"),
    "vit-mlp-1": ("product", 197, 768, 3072, "gelu"),
    "vit-mlp-2": ("product", 197, 3072, 768, "residual"),
    "bert-query": ("product", 128, 768, 768, "none"),
    "bert-mlp-1": ("product", 128, 768, 3072, "gelu"),
    "bert-mlp-2": ("product", 128, 3072, 768, "none"),
    # name: conv, channels, pixels a side, results' channels, kernel, stride, padding, what follows
    "vit-patches": ("conv", 3, 224, 768, 16, 16, 0, "none"),
    "resnet-stem": ("conv", 3, 224, 64, 7, 2, 3, "relu"),
    "resnet-1x1-64-256": ("conv", 64, 56, 256, 1, 1, 0, "relu"),
    "resnet-1x1-256-64": ("conv", 256, 56, 64, 1, 1, 0, "relu"),
    "resnet-3x3-64": ("conv", 64, 56, 64, 3, 1, 1, "relu"),
    "resnet-3x3-128-s2": ("conv", 128, 56, 128, 3, 2, 1, "relu"),
    "resnet-3x3-128": ("conv", 128, 28, 128, 3, 1, 1, "relu"),
    "resnet-3x3-256": ("conv", 256, 14, 256, 3, 1, 1, "relu"),
    "resnet-3x3-512": ("conv", 512, 7, 512, 3, 1, 1, "relu"),
    "resnet-1x1-256-512-s2": ("conv", 256, 56, 512, 1, 2, 0, "none"),
    "resnet-1x1-1024-256": ("conv", 1024, 14, 256, 1, 1, 0, "relu"),
    "resnet-1x1-512-2048": ("conv", 512, 7, 2048, 1, 1, 0, "relu"),
    "superres-conv1": ("conv", 1, 224, 64, 5, 1, 2, "relu"),
    "superres-conv2": ("conv", 64, 224, 64, 3, 1, 1, "relu"),
    "superres-conv3": ("conv", 64, 224, 32, 3, 1, 1, "relu"),
    "superres-conv4": ("conv", 32, 224, 9, 3, 1, 1, "none"),
}
NEIGHBOUR = 8  # channels at the far ends of the convolutions around a row's own
IMAGE_CHANNELS = 3  # a layer with that many or fewer reads the picture itself


# ---- the model -----------------------------------------------------------------------------------

class Model:
    """An ONNX model that grows by layers."""

    def __init__(self):
        self.random = np.random.default_rng(0)
        self.nodes, self.weights, self.inputs, self.outputs = [], [], [], []

    def input(self, name: str, shape: list[int]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def output(self, name: str, shape: list[int]):
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def weight(self, name: str, shape: list[int], fan_in: int) -> str:
        array = self.random.standard_normal(shape).astype(np.float32) / np.float32(fan_in ** 0.5)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, name: str, *inputs: str, **attributes) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [name + ".y"], name, **attributes))
        return name + ".y"

    def conv(self, name: str, x: str, shape: tuple) -> str:
        channels, _, out, kernel, stride, padding = shape
        weight = self.weight(name + ".w", [out, channels, kernel, kernel],
                             channels * kernel * kernel)
        return self.node("Conv", name, x, weight, self.weight(name + ".b", [out], 1),
                         strides=[stride] * 2, pads=[padding] * 4)

    def save(self, path: str):
        graph = helper.make_graph(self.nodes, "rows", self.inputs, self.outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)],
                                  ir_version=9)
        onnx.save(model, path)


def add_product(model: Model, name: str, rows: int, depth: int, columns: int, post: str):
    x = model.input(name + ":x", [1, rows, depth])
    x = model.node("Softmax", name + ":before", x, axis=-1)
    y = model.node("MatMul", name + "/MatMul", x,
                   model.weight(name + ".w", [depth, columns], depth))
    y = model.node("Add", name + "/Add", y, model.weight(name + ".b", [columns], 1))
    if post == "gelu":
        y = model.node("Gelu", name + "/Gelu", y)
    if post == "residual":
        y = model.node("Add", name + "/Residual", y, model.input(name + ":r", [1, rows, columns]))
    model.output(y, [1, rows, columns])


def add_conv(model: Model, name: str, *shape_and_post):
    *shape, post = shape_and_post
    channels, size, out, kernel, stride, padding = shape
    if channels <= IMAGE_CHANNELS:
        x = model.input(name + ":x", [1, channels, size, size])
    else:
        x = model.input(name + ":x", [1, NEIGHBOUR, size, size])
        x = model.conv(name + ":before", x, (NEIGHBOUR, size, channels, 1, 1, 0))
    y = model.conv(name + "/Conv", x, tuple(shape))
    if post == "relu":
        y = model.node("Relu", name + "/Relu", y)
    size = (size + 2 * padding - kernel) // stride + 1
    y = model.conv(name + ":after", y, (out, size, NEIGHBOUR, 1, 1, 0))
    model.output(y, [1, NEIGHBOUR, size, size])


def write_model(path: str, names: list[str]):
    model = Model()
    for name in names:
        kind, *rest = ROWS[name]
        (add_product if kind == "product" else add_conv)(model, name, *rest)
    model.save(path)


# ---- measuring -----------------------------------------------------------------------------------

def gemel_us(gemel: str, library: str, threads: int) -> dict[str, float]:
    """Microseconds of each row: of all kernels whose node is one of the row's own."""
    report = subprocess.run(
        [gemel, "bench", "--kernels", "--json", "--threads", str(threads), "--runs", str(RUNS),
         "--warmup", "1", library], capture_output=True, text=True, check=True).stdout
    times: dict[str, float] = {}
    for kernel in json.loads(report)["kernels"]:
        row, own, _ = kernel["node"].partition("/")
        if own:
            times[row] = times.get(row, 0) + kernel["ms"] * 1e3
    return times


def rival_us(timer: str, names: list[str], threads: int) -> list[dict]:
    """What the timer printed: one entry for each implementation of each row."""
    lines = "".join(f"{name} {' '.join(map(str, ROWS[name]))}\n" for name in names)
    done = subprocess.run([timer, str(RUNS)], input=lines, capture_output=True, text=True,
                          check=False, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
    if done.returncode != 0:
        sys.exit(f"bench_rival.py: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def measure(arguments, library: str, threads: int) -> list[dict]:
    ours: dict[str, list[float]] = {name: [] for name in arguments.rows}
    theirs: dict[tuple, list[float]] = {}
    errors: dict[tuple, float] = {}
    for _ in range(arguments.rounds):
        for row, us in gemel_us(arguments.gemel, library, threads).items():
            ours[row].append(us)
        for entry in rival_us(arguments.timer, arguments.rows, threads):
            key = entry["row"], entry["way"], entry["implementation"]
            theirs.setdefault(key, []).append(entry["us"])
            errors[key] = entry["error"]
    return [summary(name, threads, ours[name],
                    {key: times for key, times in theirs.items() if key[0] == name}, errors)
            for name in arguments.rows]


def median_ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def summary(name: str, threads: int, ours: list[float], theirs: dict[tuple, list[float]],
            errors: dict[tuple, float]) -> dict:
    """One row. `all` are oneDNN's implementations; an error is the largest one over the largest result."""
    by_median = sorted(theirs, key=lambda key: statistics.median(theirs[key]))
    best = by_median[0]
    direct = next(key for key in by_median if key[1] != "winograd")
    return {"row": name, "threads": threads, "gemel_us": statistics.median(ours),
            "onednn_us": statistics.median(theirs[best]),
            "ratio": median_ratio(ours, theirs[best]), "fastest": min(ours) / min(theirs[best]),
            "direct": median_ratio(ours, theirs[direct]),
            "way": best[1], "implementation": best[2],
            "all": [{"way": key[1], "implementation": key[2], "us": statistics.median(times),
                     "fastest_us": min(times), "error": errors[key]}
                    for key, times in theirs.items()],
            "gemel_fastest_us": min(ours)}


def print_row(row: dict):
    print(f"{row['row']:<23}{row['threads']:>7}{row['gemel_us']:>10.0f}{row['onednn_us']:>11.0f}"
          f"{row['ratio']:>7.2f}{row['fastest']:>9.2f}{row['direct']:>8.2f}   "
          f"{row['way']}, {row['implementation']}", flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description="gemel's kernels beside oneDNN's primitives")
    parser.add_argument("gemel")
    parser.add_argument("timer")
    parser.add_argument("folder")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, action="append", help="1 and 2 unless told")
    parser.add_argument("rows", nargs="*", metavar="ROW")
    arguments = parser.parse_intermixed_args()
    unknown = [name for name in arguments.rows if name not in ROWS]
    if unknown:
        parser.error(f"there is no row {unknown[0]}; there are {', '.join(ROWS)}")
    arguments.rows = arguments.rows or list(ROWS)
    return arguments


def main():
    arguments = parse_arguments()
    model = os.path.join(arguments.folder, "rival.onnx")
    library = os.path.join(arguments.folder, "rival.so")
    write_model(model, arguments.rows)
    subprocess.run([arguments.gemel, "compile", model, "-o", library], check=True,
                   stdout=subprocess.DEVNULL)
    results = []
    if not arguments.json:
        print(f"{'layer':<23}{'threads':>7}{'gemel us':>10}{'oneDNN us':>11}{'ratio':>7}{'fastest':>9}"
              f"{'direct':>8}   oneDNN's implementation")
    for threads in arguments.threads or (1, 2):
        rows = measure(arguments, library, threads)
        results += rows
        if not arguments.json:
            for row in rows:
                print_row(row)
    if arguments.json:
        json.dump(results, sys.stdout, indent=2)
        print()


if __name__ == "__main__":
    main()
