#!/usr/bin/env python3
"""peer.py - how fast PyTorch does SiameseIM's pre-training step of ViT-B/16, and ViT-B/16 inference.

Every mode is a process of its own: one that runs out of memory or time stops no other. Blocks are
compiled in regions of a few, once for all that are alike, since compiling all 34 unrolled takes
longer than measuring; `region` in the results says how many blocks lie in one.
"""
import ctypes
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time

import torch

import siameseim_torch as sim
from measure import Section, spread, time_runs

PEAK_FLOPS = 989e12  # dense bf16, the datasheet's; the share of it is counted against this
STEPS = 8
GRADIENT_LIMIT = 0.1  # of a tensor, relative to eager; bf16 itself is some 0.01 from single precision


# ---- one mode, in a process of its own -----------------------------------------------------------

def compile_with(function, mode: str):
    if mode == "eager":
        return function
    torch._dynamo.config.recompile_limit = 64
    options = {"max-autotune": {"mode": "max-autotune-no-cudagraphs"}}.get(mode, {})
    return torch.compile(function, dynamic=False, **options)


def build(job: dict, device: str):
    cfg = sim.TINY if job["tiny"] else sim.VIT_B
    parameters = sim.draw_parameters(cfg, device)
    model = sim.Model(cfg, parameters, sim.make_buffers(cfg, device),
                      compile_with(sim.apply_blocks, job["mode"]), compile_with(sim.loss, job["mode"]),
                      job["region"])
    kind = {"fused": True, "capturable": True} if device == "cuda" else {}
    batches = [sim.random_batch(cfg, job["batch"], device, seed) for seed in (1, 2)]
    return model, sim.make_optimizer(parameters, 1e-4, **kind), batches


def summarise(job: dict, times: list[float], losses: list[float]) -> dict:
    rate = job["batch"] / spread(times)["median"]
    result = {"ms": {k: v * 1e3 for k, v in spread(times).items()}, "img_per_s": rate,
              "mfu": rate * sim.FLOP_PER_IMAGE / PEAK_FLOPS, "losses": losses,
              "finite": all(abs(v) < 1e6 for v in losses)}
    return result


def peak_memory() -> dict:
    return {"peak_memory_gb": torch.cuda.max_memory_allocated() / 1e9}


def gradients(model: sim.Model, batch: dict, autocast: bool) -> dict:
    """Of all that is trained, with nothing updated but running statistics."""
    with torch.autocast(batch["x1"].device.type, torch.bfloat16, enabled=autocast):
        value, _, _ = model.forward(batch)
    value.backward()
    result = {}
    for name, tensor in model.parameters.items():
        if tensor.requires_grad:
            result[name], tensor.grad = tensor.grad, None
    return result


def deviation(got: dict, wanted: dict) -> dict:
    """|got - wanted| / |wanted| over all gradients, and of the three tensors where it is largest. `off`
    counts those above the limit, and `last` is the last of them in the checkpoints' order, which nearly
    is the forward pass's: there a spoiled gradient enters."""
    errors = torch.stack([(got[n] - wanted[n]).norm() for n in wanted])
    norms = torch.stack([wanted[n].norm() for n in wanted])
    each = dict(zip(wanted, (errors / norms).tolist()))
    # nan is the worst
    worst = sorted(each, key=lambda n: -each[n] if each[n] == each[n] else -math.inf)[:3]
    off = [n for n in each if not each[n] <= GRADIENT_LIMIT]
    return {"all": float(errors.norm() / norms.norm()), "worst": {n: each[n] for n in worst},
            "off": len(off), "last": off[-1] if off else None}


def compare_with_eager(model: sim.Model, batch: dict, autocast: bool, first: dict) -> dict:
    """How far `first`, the gradients of the very first call, in which kernels are still being chosen,
    and those of a later one are from what the same functions give when they are not compiled."""
    eager = sim.Model(model.cfg, model.parameters, model.buffers)
    wanted = gradients(eager, batch, autocast)
    return {"first_call": deviation(first, wanted),
            "later_call": deviation(gradients(model, batch, autocast), wanted)}


def run_step(job: dict, device: str, report):
    """The step by itself, then, where asked for, replayed from a CUDA graph."""
    begin = time.monotonic()
    model, optimizer, batches = build(job, device)
    count, autocast, checked = [0], device == "cuda", {}

    def one():
        count[0] += 1
        return sim.step(model, optimizer, batches[count[0] % 2], 0.996, autocast)

    found = gradients(model, batches[1], autocast)
    if device == "cuda":
        torch.cuda.synchronize()
    compiled = time.monotonic() - begin
    if job["mode"] != "eager":
        try:
            checked = {"gradient_error": compare_with_eager(model, batches[1], autocast, found)}
        except torch.OutOfMemoryError:  # eager needs more; the mode itself may fit
            checked = {"not_compared": "eager does not fit beside it"}
    del found
    if device == "cuda":
        torch.cuda.empty_cache()
    first = [one() for _ in range(3)]
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    times = time_runs(one, job["steps"], 1, device)
    losses = [float(v) for v in first + [one()]]
    report("step", compile_s=compiled, **summarise(job, times, losses), **checked,
           **(peak_memory() if device == "cuda" else {}))
    if job["graph"] and device == "cuda":
        run_graph(job, model, optimizer, batches, report)


def run_graph(job: dict, model, optimizer, batches, report):
    """One graph of the whole step. Rates are baked into it: good for timing, not for training."""
    batch = {k: v.clone() for k, v in batches[0].items()}
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            sim.step(model, optimizer, batch, 0.996, True)
    torch.cuda.current_stream().wait_stream(stream)
    optimizer.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        value = sim.step(model, optimizer, batch, 0.996, True)
    count = [0]

    def one():
        count[0] += 1
        for name, tensor in batches[count[0] % 2].items():
            batch[name].copy_(tensor)
        graph.replay()

    times = time_runs(one, job["steps"], 1)
    report("graph", **summarise(job, times, [float(value)]))


class Classifier(torch.nn.Module):
    """ViT of the encoder's kind with a norm and a head of 1000 classes on the class token."""

    def __init__(self, cfg: sim.Config, device: str, kind):
        super().__init__()
        drawn = sim.draw_parameters(cfg, device)
        self.parameter = {n: drawn[n].detach().to(kind) for n in drawn
                          if n.startswith(("cls", "patch_embed", "blocks"))}
        self.model = sim.Model(cfg, self.parameter, {}, region=cfg.depth)
        self.head = torch.randn(1000, cfg.width, device=device, dtype=kind) / cfg.width**0.5
        self.scale = torch.ones(cfg.width, device=device, dtype=kind)

    def forward(self, x):
        model, cfg = self.model, self.model.cfg
        weight = self.parameter["patch_embed.proj.weight"].flatten(1)
        tokens = torch.nn.functional.linear(model.patches(x), weight,
                                            self.parameter["patch_embed.proj.bias"])
        tokens = tokens + model.encoder_table[1:]
        tokens = torch.cat([self.parameter["cls_token"].expand(len(x), -1, -1), tokens], 1)
        tokens = model.blocks(tokens, "blocks.", cfg.depth, cfg.heads)
        last = torch.nn.functional.layer_norm(tokens[:, 0], (cfg.width,), self.scale, None,
                                              sim.LN_EPS)
        return last @ self.head.T


def run_inference(job: dict, device: str, report):
    """All in bf16, replayed from CUDA graphs."""
    cfg = sim.TINY if job["tiny"] else sim.VIT_B
    kind = torch.bfloat16 if device == "cuda" else torch.float32
    compiled = torch.compile(Classifier(cfg, device, kind), dynamic=False)
    for batch in job["batches"]:
        images = [torch.randn(batch, 3, cfg.image, cfg.image, device=device, dtype=kind)
                  for _ in range(2)]
        static, count = images[0].clone(), [0]
        with torch.no_grad():
            begin = time.monotonic()
            compiled(static)
            if device == "cpu":
                times = time_runs(lambda: compiled(static), 3, 1, device)
            else:
                torch.cuda.synchronize()
                graph = torch.cuda.CUDAGraph()
                compiled(static)
                with torch.cuda.graph(graph):
                    compiled(static)

                def one():
                    count[0] += 1
                    static.copy_(images[count[0] % 2])
                    graph.replay()
                times = time_runs(one, 50 if batch < 64 else 20)
            took = time.monotonic() - begin
        report("inference", batch=batch, compile_s=took, img_per_s=batch / spread(times)["median"],
               us={k: v * 1e6 for k, v in spread(times).items()})


def run_onnxruntime(job: dict, device: str, report):
    """The same network in fp16, operands and results already on the device."""
    import numpy
    import onnxruntime  # where it is not installed, the job is not begun
    cfg = sim.TINY if job["tiny"] else sim.VIT_B
    kind = torch.float16 if device == "cuda" else torch.float32
    provider = "CUDAExecutionProvider" if device == "cuda" else "CPUExecutionProvider"
    module = Classifier(cfg, device, kind).eval()
    for batch in job["batches"]:
        x = torch.randn(batch, 3, cfg.image, cfg.image, device=device, dtype=kind)
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            file = os.path.join(folder, "vit.onnx")
            torch.onnx.export(module, (x,), file, input_names=["x"], output_names=["y"],
                              dynamo=True, verbose=False)
            session = onnxruntime.InferenceSession(file, providers=[provider])
        y = torch.empty(batch, 1000, device=device, dtype=kind)
        binding = session.io_binding()
        numpy_type = "float16" if kind == torch.float16 else "float32"
        for bind, name, tensor in ((binding.bind_input, "x", x), (binding.bind_output, "y", y)):
            bind(name, device, 0, numpy.dtype(numpy_type).type, tuple(tensor.shape),
                 tensor.data_ptr())

        def one():
            session.run_with_iobinding(binding)

        times = []
        for _ in range(10 if not job["tiny"] else 3):
            begin = time.perf_counter()
            one()
            binding.synchronize_outputs()
            times.append(time.perf_counter() - begin)
        times = times[2:] or times
        report("inference", batch=batch, img_per_s=batch / spread(times)["median"],
               us={k: v * 1e6 for k, v in spread(times).items()},
               error=float((y - module(x)).norm() / y.norm()))


def run_job(text: str):
    job = json.loads(text)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")  # the loss's two products in TF32

    def report(kind, **fields):
        print("RESULT " + json.dumps({"kind": kind, **fields}), flush=True)

    if job.get("attention") == "cudnn" and device == "cuda":
        torch.backends.cuda.enable_flash_sdp(False)
        torch.backends.cuda.enable_mem_efficient_sdp(False)
    {"step": run_step, "inference": run_inference, "onnxruntime": run_onnxruntime}[job["what"]](
        job, device, report)


# ---- all of them ---------------------------------------------------------------------------------

def die_with_parent():
    """Between fork and exec: when this program is killed, so is the one that measures."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def run_apart(section: Section, name: str, job: dict, limit: float, cache: str):
    """Records what the process reports; its end, or the limit, in seconds, kills all of its group."""
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": cache, "PYTHONUNBUFFERED": "1",
                   "TORCHINDUCTOR_COMPILE_THREADS": str(min(16, os.cpu_count() or 1))}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen([sys.executable, __file__, "--job", json.dumps(job)], text=True,
                                   stdout=subprocess.PIPE, stderr=log, env=environment,
                                   start_new_session=True, preexec_fn=die_with_parent)
        stopped = False
        try:
            out, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, _ = process.communicate()
            stopped = True
            section.skip(name, f"stopped after {limit:.0f} s")
        for line in out.splitlines():
            if line.startswith("RESULT "):
                record(section, name, job, json.loads(line.removeprefix("RESULT ")))
        if process.returncode != 0 and not stopped:
            log.seek(0)
            section.fail(name, f"exit status {process.returncode}\n{log.read()[-3000:]}")
        return 0 if stopped else process.returncode


def record(section: Section, name: str, job: dict, fields: dict):
    """A result, and an error beside it when the mode computes something else than eager does."""
    name += ", CUDA graph" if fields.pop("kind") == "graph" else ""
    section.record(name, **{"mode": job["mode"], "region": job["region"],
                            "attention": job.get("attention"), "batch": job.get("batch"), **fields})
    for call, error in fields.get("gradient_error", {}).items():
        if error["off"]:
            section.fail(name, f"in the {call.replace('_', ' ')} {error['off']} gradients are not "
                               f"eager's, the last of {error['last']}; the worst: " +
                         ", ".join(f"{n} by {e:.2g}" for n, e in error["worst"].items()))


def step_jobs(tiny: bool) -> list[tuple[str, dict, float]]:
    """Name, job and the seconds it is likely to take; the most wanted first."""
    def job(mode, batch, graph=False, attention="default"):
        return {"what": "step", "mode": mode, "batch": batch, "graph": graph, "tiny": tiny,
                "attention": attention,
                "region": 3 if mode != "eager" else 12, "steps": 2 if tiny else STEPS}

    large, middle, small = (4, 3, 2) if tiny else (1024, 512, 128)
    inference = {"what": "inference", "mode": "compile", "region": 12, "tiny": tiny,
                 "batches": [1, 2] if tiny else [1, 8, 256]}
    runtime = {**inference, "what": "onnxruntime", "mode": "ONNX Runtime"}
    return [(f"step, compile, cuDNN attention, batch {large}",
             job("compile", large, attention="cudnn"), 60),
            (f"step, compile, batch {large}", job("compile", large), 60),
            (f"step, compile, batch {small}", job("compile", small, True), 60),
            (f"step, eager, batch {large}", job("eager", large), 25),
            ("inference, compile", inference, 45),
            (f"step, compile, batch {middle}", job("compile", middle, True), 60),
            ("inference, ONNX Runtime", runtime, 30),
            (f"step, max-autotune, batch {large}", job("max-autotune", large), 145),
            (f"step, eager, batch {middle}", job("eager", middle), 20),
            (f"step, eager, batch {small}", job("eager", small), 18)]


def has_onnxruntime(device: str) -> bool:
    try:
        import onnxruntime
    except ImportError:
        return False
    return device == "cpu" or "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def smaller(job: dict) -> dict:
    return {**job, "batch": job["batch"] * 3 // 4}


def main():
    section = Section("peer", [("--cache", {"default": None}), ("--only", {"nargs": "*"})])
    section.data["about"] = {
        "flop_per_image": sim.FLOP_PER_IMAGE, "peak_flops": PEAK_FLOPS, "torch": torch.__version__,
        "arithmetic": "bf16 autocast; sums over blocks, norms, loss, AdamW in fp32; the loss's two "
                      "products in TF32",
        "attention": "scaled_dot_product_attention, PyTorch's choice"}
    cache = section.args.cache or tempfile.mkdtemp(prefix="inductor-")
    for name, job, seconds in step_jobs(section.smoke):
        if section.args.only and not any(word in name for word in section.args.only):
            continue
        if job["what"] == "onnxruntime" and not has_onnxruntime(section.device):
            section.skip(name, "ONNX Runtime with its CUDA provider is not installed")
            continue
        seconds = seconds if not section.smoke else 60
        if section.left() < seconds:
            section.skip(name, f"{section.left():.0f} s left, {seconds:.0f} s wanted")
            continue
        limit = section.left() if section.smoke else min(section.left(), 2 * seconds)
        code = run_apart(section, name, job, limit, cache)
        if code != 0 and "OutOfMemory" in section.data["errors"][-1]["error"] and \
                section.left() > seconds:
            job = smaller(job)
            run_apart(section, f"{name}, of which {job['batch']} fit", job,
                      min(section.left(), 2 * seconds), cache)
    section.write()


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--job":
        run_job(sys.argv[2])
    else:
        main()
