"""gemel's training step beside JAX's and PyTorch's: SiameseIM's pre-training step on the CPU.

usage: bench_train.py GEMEL FOLDER JAX_PYTHON TORCH_PYTHON [--onnx-python PYTHON] [--peers-only] [--json] [--batch N]
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
import time
from pathlib import Path

FILL_MODEL = Path(__file__).resolve().parent / "reference" / "fill_model.py"
WORKER = Path(__file__).resolve().parent / "reference" / "step_worker.py"
MODELS = ("vit_s", "vit_b")
BATCHES = 2  # that take turns, as step_worker.py has them
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


def resident_bytes(pid: int) -> int:
    """The largest resident set of a process so far."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has ended")


def make_model(arguments, model: str) -> list[str]:
    """Exports the model with the fills as its weights, and inputs. The arguments of the verb."""
    path = os.path.join(arguments.folder, f"siameseim-{model}.onnx")
    subprocess.run([arguments.gemel, "export", "siameseim", "--variant", model, "--batch",
                    str(arguments.batch), "--iterations", "1", "--warmup", "2", "--epochs", "1000",
                    "-o", path], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    batches = os.path.join(arguments.folder, f"siameseim-{model}-")
    subprocess.run([sys.executable if arguments.onnx_python is None else arguments.onnx_python,
                    str(FILL_MODEL), path, path, batches, str(BATCHES)], check=True)
    command = [path]
    for index in range(BATCHES):
        command += ["--batch", f"{batches}{index}.npz"]
    return command


class Gemel:
    """`gemel train`, which waits for a line before each step."""

    def __init__(self, arguments, model: str):
        self.name, self.setup_s = "gemel", None
        command = [arguments.gemel, "train", *make_model(arguments, model), "--steps", "-",
                   "--json", "--threads", str(arguments.threads)]
        began = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.losses = [self.step()["loss"] for _ in range(FIRST)]
        self.setup_s = time.monotonic() - began
        self.peak = resident_bytes(self.process.pid)
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="ascii")

    def step(self) -> dict:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"bench_train.py: {' '.join(self.process.args)} ended")
        return json.loads(line)

    def steps(self, count: int) -> list[float]:
        return [self.step()["ms"] for _ in range(count)]

    def memory(self) -> dict:
        since = resident_bytes(self.process.pid)
        return {"peak_rss": max(self.peak, since), "step_rss": since}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


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
    parser.add_argument("--onnx-python", help="an interpreter with the onnx package")
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
