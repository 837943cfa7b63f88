"""gemel beside ONNX Runtime: the same models and inputs, in alternation.

usage: bench_peers.py GEMEL FOLDER [MODEL…]

Each row runs both, ROUNDS times in turn; a round's time is the median of its runs, the row's ratio the
median over the rounds. Results are compared on one input: the largest difference over the largest
absolute output.
"""
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import onnxruntime as ort

ROUNDS = 5
RUNS = 5
MODELS = {
    # name: arguments of gemel export
    "vit-b16-1": ["vit", "--variant", "b16"],
    "vit-b16-8": ["vit", "--variant", "b16", "--batch", "8"],
    "resnet50-1": ["resnet", "--variant", "50"],
    "resnet50-8": ["resnet", "--variant", "50", "--batch", "8"],
    "bert-base-128": ["bert", "--variant", "base"],
    "superres": ["superres"],
}


def export(gemel, folder, name):
    path = os.path.join(folder, name + ".onnx")
    if not os.path.exists(path):
        subprocess.run([gemel, "export", *MODELS[name], "-o", path], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return path


def session_of(path, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    begin = time.perf_counter()
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session, time.perf_counter() - begin


def inputs_of(session):
    random = np.random.default_rng(0)
    feed = {}
    for value in session.get_inputs():
        shape = [d if isinstance(d, int) else 1 for d in value.shape]
        if "float" in value.type:
            feed[value.name] = random.standard_normal(shape).astype(np.float32)
        else:
            feed[value.name] = np.ones(shape, np.int64)
    return feed


def peer_ms(session, feed):
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        session.run(None, feed)
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times)


def gemel_ms(gemel, path, threads):
    out = subprocess.run([gemel, "bench", "--json", "--threads", str(threads), "--runs", str(RUNS),
                          "--warmup", "1", path], check=True, capture_output=True, text=True)
    return json.loads(out.stdout)["median_ms"]


def largest_difference(gemel, folder, path, session, feed):
    expected = session.run(None, feed)
    work = os.path.join(folder, "agree")
    os.makedirs(work, exist_ok=True)
    arguments = []
    for number, (name, value) in enumerate(feed.items()):
        file = os.path.join(work, f"in{number}.npy")
        np.save(file, value)
        arguments += ["--input", f"{name}={file}"]
    subprocess.run([gemel, "run", path, *arguments, "--output-dir", work], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    worst = 0.0
    for number, value in enumerate(expected):
        got = np.load(os.path.join(work, f"output_{number}.npy")).astype(np.float64)
        worst = max(worst, np.abs(got - value).max() / np.abs(value).max())
    return worst


def main():
    gemel, folder, *names = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    print(f"gemel / ONNX Runtime {ort.__version__}: ratio of median times, {ROUNDS} rounds\n")
    print(f"{'model':<16}{'threads':>8}{'ratio':>8}   least to most   difference")
    for name in names or MODELS:
        path = export(gemel, folder, name)
        for threads in (1, 2):
            session, _ = session_of(path, threads)
            feed = inputs_of(session)
            session.run(None, feed)
            ratios = []
            for _ in range(ROUNDS):
                peer = peer_ms(session, feed)
                ratios.append(gemel_ms(gemel, path, threads) / peer)
            difference = largest_difference(gemel, folder, path, session, feed)
            print(f"{name:<16}{threads:>8}{statistics.median(ratios):>8.2f}   "
                  f"{min(ratios):.2f} to {max(ratios):.2f}    {difference:.1e}", flush=True)


if __name__ == "__main__":
    main()
