"""gemel's training step beside JAX's and PyTorch's: SiameseIM's pre-training step on the CPU.

usage: bench_train.py GEMEL FOLDER JAX_PYTHON TORCH_PYTHON [--peers-only] [--json] [--batch N]
                      [--threads N] [--rounds N] [--steps N] [--rivals NAME…] [--cache] [MODEL…]

Rivals are processes (tests/reference/step_worker.py), set up once each; a round lets every one
do --steps steps, one rival at a time in an order that rotates, while the others wait. A round's
value is the median of its steps. gemel is a process a round, `gemel bench --step`, whose
warm-up does not count.

First the rivals must prove that they do the same: the losses of the first steps, in which
parameters, moments and the target have moved, lie within 1e-4 of each other. Where they do not,
or where gemel gives none, the exit status is 1.

The best peer is the one with the least median over the rounds. Ratios are gemel's over the best
peer's, below 1 is faster or smaller: the median of the rounds' ratios with the least and the
most, and of peak resident memory, which for a peer counts all its life, with its imports,
setting up and compiling, as it does for gemel; "steps" is the peak since the first steps were
done. With --peers-only the ratios are the peers' over the best one's. --cache keeps compiled
code of peers between runs, which makes setting up shorter and its peak of memory smaller.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

WORKER = Path(__file__).resolve().parent / "reference" / "step_worker.py"
MODELS = ("vit_s", "vit_b")
PEERS = ("jax", "torch-compile", "torch-eager")
FIRST = 3  # steps whose losses are compared
SAME_LOSS = 1e-4


# ---- contenders ------------------------------------------------------------------------------

class Peer:
    """A worker, which waits between commands."""

    def __init__(self, arguments, rival: str, model: str):
        python = arguments.jax_python if rival == "jax" else arguments.torch_python
        command = [python, str(WORKER), rival, "--model", model, "--first", str(FIRST),
                   "--batch", str(arguments.batch), "--threads", str(arguments.threads)]
        if arguments.cache:
            command += ["--cache", os.path.join(arguments.folder, "train-cache")]
        log = os.path.join(arguments.folder, f"train-{rival}.log")
        self.log = open(log, "w+", encoding="utf-8")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)
        ready = self.answer()
        self.name = f"{ready['name']} {ready['version']}"
        self.losses, self.setup_s = ready["losses"], ready["setup_s"]

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            sys.exit(f"bench_train.py: {' '.join(self.process.args)} ended: "
                     + self.log.read()[-2000:])
        return json.loads(line)

    def ask(self, command: str) -> dict:
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.answer()

    def steps(self, count: int) -> list[float]:
        return self.ask(f"steps {count}")["ms"]

    def memory(self) -> dict:
        return self.ask("memory")

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.log.close()


def gemel_export(arguments, model: str, path: str) -> list[str]:
    """The command that writes the model with the fills as its weights."""
    return [arguments.gemel, "export", "siameseim", "--variant", model, "--batch",
            str(arguments.batch), "--fill", "golden", "-o", path]


def gemel_bench(arguments, path: str, steps: int, warmup: int) -> list[str]:
    """The command that does steps with the fills as inputs, and prints {"ms": [of each that
    counts], "losses": [of each, the warm-up's too]}. The one place that knows how."""
    return [arguments.gemel, "bench", path, "--step", "--json", "--threads",
            str(arguments.threads), "--runs", str(steps), "--warmup", str(warmup)]


class Gemel:
    """A process for each round."""

    def __init__(self, arguments, model: str):
        self.arguments, self.name, self.setup_s = arguments, "gemel", None
        self.path, self.peak = os.path.join(arguments.folder, f"siameseim-{model}.onnx"), 0
        command = gemel_export(arguments, model, self.path)
        if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode != 0:
            sys.exit(f"bench_train.py: {' '.join(command)} failed")
        self.losses = self.run(1, FIRST - 1).get("losses")

    def run(self, steps: int, warmup: int) -> dict:
        """Also keeps the largest resident set of all its processes."""
        command = gemel_bench(self.arguments, self.path, steps, warmup)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        report = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        if process.returncode != 0:
            sys.exit(f"bench_train.py: {' '.join(command)} ended with {process.returncode}")
        self.peak = max(self.peak, usage.ru_maxrss * 1024)
        return json.loads(report)

    def steps(self, count: int) -> list[float]:
        return self.run(count, 1)["ms"]

    def memory(self) -> dict:
        return {"peak_rss": self.peak, "step_rss": self.peak}

    def close(self):
        pass


# ---- measuring -------------------------------------------------------------------------------

def disagreements(contenders: list) -> list[str]:
    """Why the contenders are not known to do the same."""
    wanted, words = contenders[-1].losses, []
    for contender in contenders:
        losses = contender.losses
        if losses is None:
            words.append(f"{contender.name} gave no loss")
        elif len(losses) != len(wanted) or not all(
                abs(a - b) <= SAME_LOSS * abs(b) for a, b in zip(losses, wanted)):
            words.append(f"{contender.name} has losses {losses}, "
                         f"{contenders[-1].name} {wanted}")
    return words


def run_rounds(arguments, contenders: list) -> dict[str, list[float]]:
    """Milliseconds of a step in each round."""
    times: dict[str, list[float]] = {c.name: [] for c in contenders}
    for index in range(arguments.rounds):
        turn = index % len(contenders)
        for contender in contenders[turn:] + contenders[:turn]:
            times[contender.name].append(statistics.median(contender.steps(arguments.steps)))
    return times


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def summary(contenders: list, times: dict[str, list[float]]) -> dict:
    """Of each contender its times and memory, and what they are of the best peer's."""
    peers = [c for c in contenders if isinstance(c, Peer)]
    best = min(peers, key=lambda c: statistics.median(times[c.name]))
    memory = {c.name: c.memory() for c in contenders}
    rows = []
    for c in contenders:
        ratios = [a / b for a, b in zip(times[c.name], times[best.name], strict=True)]
        rows.append({"name": c.name, "ms": spread(times[c.name]), "ratio": spread(ratios),
                     **memory[c.name], "setup_s": c.setup_s, "losses": c.losses,
                     "memory_ratio": memory[c.name]["peak_rss"] / memory[best.name]["peak_rss"],
                     "step_memory_ratio":
                         memory[c.name]["step_rss"] / memory[best.name]["step_rss"]})
    return {"best": best.name, "rows": rows}


def measure(arguments, model: str) -> dict:
    contenders: list = [] if arguments.peers_only else [Gemel(arguments, model)]
    load = [os.getloadavg()[0]]
    for rival in arguments.rivals:
        contenders.append(Peer(arguments, rival, model))
    differ = disagreements(contenders)
    result = {"model": model, "batch": arguments.batch, "threads": arguments.threads,
              "differ": differ}
    if not differ:
        load.append(os.getloadavg()[0])
        result |= summary(contenders, run_rounds(arguments, contenders))
        load.append(os.getloadavg()[0])
    for contender in contenders:
        contender.close()
    return result | {"load_averages": load}


def print_result(result: dict):
    loads = ", ".join(f"{load:.1f}" for load in result["load_averages"])
    print(f"\n{result['model']}, batch {result['batch']}, {result['threads']} threads; load "
          f"averages {loads}")
    if result["differ"]:
        print("not the same step: " + "; ".join(result["differ"]))
        return
    print(f"{'':<30}{'ms':>8}{'least to most':>18}{'to best':>9}{'least to most':>15}"
          f"{'peak MB':>9}{'to best':>9}{'steps MB':>10}{'to best':>9}")
    for row in result["rows"]:
        ms, ratio = row["ms"], row["ratio"]
        print(f"{row['name']:<30}{ms['median']:>8.0f}"
              f"{ms['least']:>9.0f} to {ms['most']:<5.0f}{ratio['median']:>9.2f}"
              f"{ratio['least']:>7.2f} to {ratio['most']:.2f}{row['peak_rss'] / 1e6:>9.0f}"
              f"{row['memory_ratio']:>9.2f}{row['step_rss'] / 1e6:>10.0f}"
              f"{row['step_memory_ratio']:>9.2f}", flush=True)


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def parse_arguments():
    parser = argparse.ArgumentParser(description="gemel's training step beside its peers'")
    for name in ("gemel", "folder", "jax_python", "torch_python"):
        parser.add_argument(name)
    parser.add_argument("--peers-only", action="store_true", help="without gemel")
    parser.add_argument("--json", action="store_true", help="JSON instead of tables")
    parser.add_argument("--batch", type=positive, default=8)
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--steps", type=positive, default=1, help="a round")
    parser.add_argument("--rivals", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--cache", action="store_true", help="keep the peers' compiled code")
    parser.add_argument("models", nargs="*", metavar="MODEL", help="tiny, vit_s, vit_b")
    arguments = parser.parse_intermixed_args()
    unknown = [name for name in arguments.models if name not in ("tiny",) + MODELS]
    if unknown:
        parser.error(f"there is no model {unknown[0]}; there are tiny, {', '.join(MODELS)}")
    arguments.folder = os.path.abspath(arguments.folder)
    arguments.models = arguments.models or list(MODELS)
    return arguments


def main():
    arguments = parse_arguments()
    os.makedirs(arguments.folder, exist_ok=True)
    results = []
    for model in arguments.models:
        results.append(measure(arguments, model))
        if not arguments.json:
            print_result(results[-1])
    if arguments.json:
        json.dump(results, sys.stdout, indent=2)
        print()
    sys.exit(any(result["differ"] for result in results))


if __name__ == "__main__":
    main()
