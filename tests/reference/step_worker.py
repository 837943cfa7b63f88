#!/usr/bin/env python3
"""step_worker.py - one rival of SiameseIM's pre-training step, in a process of its own.

    step_worker.py jax|torch-compile|torch-eager [--model vit_b] [--batch 8] [--threads 2]
                   [--dtype f32] [--region 3] [--cache FOLDER]

Sets up, does the first steps and prints a line of JSON: who it is, how long that took, the
losses. Then it reads lines and answers each with one:

    steps N    does N steps: {"ms": [each], "losses": [each]}
    memory     {"peak_rss": bytes, "step_rss": bytes}, the process's largest resident set of its
               life and since the first steps
    save FILE  writes parameters, statistics and moments by name, as siameseim_jax.py's --out

It ends with its input. All rivals get the same parameters and inputs, siameseim_fills.py's, of
which two batches take turns, the same schedule, decay and clipping. Timed is the step alone,
from inputs in memory to the loss as a number.
"""
import argparse
import json
import os
import sys
import time
from pathlib import Path

PEAK, WARMUP, TOTAL, M0 = 1e-3, 2, 1000, 0.995  # the recipe; steps
BATCHES = 2


def limit_threads(count: int):
    """Before a library looks how many there are."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) > count:
        os.sched_setaffinity(0, cpus[:count])
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"):
        os.environ[name] = str(count)


def largest_set_bytes() -> int:
    return status_bytes("VmHWM")


def forget_largest_set():
    """Linux counts anew from what is resident now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def status_bytes(field: str) -> int:
    """Of /proc/self/status, which counts in kB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


# ---- JAX -------------------------------------------------------------------------------------

class Jax:
    def __init__(self, arguments):
        import siameseim_jax as sim
        self.sim, self.sizes = sim, sim.MODELS[arguments.model]
        self.dtype = sim.set_precision(arguments.dtype)
        import jax
        if arguments.cache:
            jax.config.update("jax_compilation_cache_dir", os.path.join(arguments.cache, "jax"))
        import siameseim_fills as fills
        recipe = sim.Recipe(peak=PEAK, warmup=WARMUP, total=TOTAL, m0=M0)
        self.name, self.version = "JAX jit", jax.__version__
        self.inputs = [jax.device_put(fills.batch(i, arguments.batch, self.sizes.image,
                                                  self.sizes.patches, self.sizes.visible,
                                                  self.dtype)) for i in range(BATCHES)]
        # device_put may share NumPy's memory, which a donated state must own
        self.state = jax.jit(lambda s: jax.tree.map(lambda v: v.copy(), s), donate_argnums=0)(
            sim.initial_state(self.sizes, self.dtype))
        self.step = sim.compiled_step(self.sizes, recipe)

    def run(self, index: int) -> float:
        self.state, report = self.step(self.state, self.inputs[index % BATCHES])
        self.state["count"].block_until_ready()
        return float(report["loss"])

    def arrays(self) -> dict:
        return self.sim.named_arrays(self.sizes, self.state, self.dtype)


# ---- PyTorch ---------------------------------------------------------------------------------

class Torch:
    """The step of scripts/gpu/siameseim_torch.py, its blocks compiled as scripts/gpu/peer.py
    does."""

    def __init__(self, arguments, compiled: bool):
        if arguments.cache:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(arguments.cache, "torch")
        import torch
        sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "gpu"))
        import siameseim_fills as fills
        import siameseim_torch as sim
        torch.set_num_threads(arguments.threads)
        self.torch, self.sim = torch, sim
        self.cfg = {"tiny": sim.TINY, "vit_s": sim.VIT_S, "vit_b": sim.VIT_B}[arguments.model]
        self.name = "PyTorch, compiled" if compiled else "PyTorch, eager"
        self.version = torch.__version__
        dtype = {"f32": "float32", "f64": "float64"}[arguments.dtype]
        parameters = {n: torch.from_numpy(v).requires_grad_(sim.is_trained(n)) for n, v in
                      fills.parameters(sim.parameter_shapes(self.cfg), dtype).items()}
        buffers = sim.make_buffers(self.cfg, "cpu", getattr(torch, dtype))
        functions = [sim.apply_blocks, sim.loss]
        if compiled:
            torch._dynamo.config.recompile_limit = 64
            functions = [torch.compile(f, dynamic=False) for f in functions]
        self.model = sim.Model(self.cfg, parameters, buffers, *functions, arguments.region)
        self.optimizer = sim.make_optimizer(parameters, 0.0, fused=True)
        self.batches = [self.tensors(fills.batch(i, arguments.batch, self.cfg.image,
                                                 self.cfg.grid**2,
                                                 self.cfg.grid**2 - self.cfg.masked, dtype))
                        for i in range(BATCHES)]
        self.count = 0

    def tensors(self, inputs: dict) -> dict:
        inputs = {name: self.torch.from_numpy(value) for name, value in inputs.items()}
        geometry = inputs.pop("geometry").T.contiguous()
        return inputs | dict(zip(("di", "dj", "dh", "dw", "flip", "fj"), geometry))

    def run(self, index: int) -> float:
        sim = self.sim
        for group in self.optimizer.param_groups:
            group["lr"] = sim.learning_rate(self.count, TOTAL, PEAK, WARMUP)
        momentum = sim.ema_momentum(self.count, TOTAL, M0)
        self.count += 1
        batch = self.batches[index % BATCHES]
        return float(sim.step(self.model, self.optimizer, batch, momentum, False))

    def arrays(self) -> dict:
        tensors = self.model.parameters | self.model.buffers
        for name, tensor in self.model.parameters.items():
            for kind in ("exp_avg", "exp_avg_sq"):
                if tensor.requires_grad:
                    tensors[f"{kind}.{name}"] = self.optimizer.state[tensor][kind]
        return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


# ---- answering -------------------------------------------------------------------------------

def make_rival(arguments):
    if arguments.rival == "jax":
        return Jax(arguments)
    return Torch(arguments, arguments.rival == "torch-compile")


def parse_arguments():
    parser = argparse.ArgumentParser(description="one rival of SiameseIM's pre-training step")
    parser.add_argument("rival", choices=("jax", "torch-compile", "torch-eager"))
    parser.add_argument("--model", choices=("tiny", "vit_s", "vit_b"), default="vit_b")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", choices=("f32", "f64"), default="f32")
    parser.add_argument("--first", type=int, default=3, help="steps of setting up")
    parser.add_argument("--region", type=int, default=3, help="blocks PyTorch compiles as one")
    parser.add_argument("--cache", help="a folder where compiled code is kept")
    arguments = parser.parse_args()
    if arguments.rival == "torch-compile" and arguments.dtype == "f64":
        parser.error("PyTorch's compiled attention has no double precision on the CPU")
    return arguments


def main():
    arguments = parse_arguments()
    limit_threads(arguments.threads)
    begin, count = time.perf_counter(), 0
    rival = make_rival(arguments)

    def steps(n: int) -> dict:
        nonlocal count
        ms, losses = [], []
        for _ in range(n):
            start = time.perf_counter()
            losses.append(rival.run(count))
            ms.append((time.perf_counter() - start) * 1e3)
            count += 1
        return {"ms": ms, "losses": losses}

    first = steps(arguments.first)
    setup_rss = largest_set_bytes()
    forget_largest_set()
    print(json.dumps({"name": rival.name, "version": rival.version, "losses": first["losses"],
                      "setup_s": time.perf_counter() - begin}), flush=True)
    for line in sys.stdin:
        command, *words = line.split()
        if command == "steps":
            answer = steps(int(words[0]))
        elif command == "memory":
            step_rss = largest_set_bytes()
            answer = {"peak_rss": max(setup_rss, step_rss), "step_rss": step_rss}
        elif command == "save":
            import numpy as np
            with open(words[0], "wb") as file:
                np.savez(file, **rival.arrays())
            answer = {"saved": words[0]}
        else:
            sys.exit(f"step_worker.py: there is no command {command}")
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
