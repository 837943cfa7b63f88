#!/usr/bin/env python3
"""norms.py - PyTorch's compiled normalisations: LayerNorm after a residual sum, BatchNorm of tokens.

Rows of 768, as in the step at batch 1024: x is fp32 (the sums over blocks), what a linear layer adds
is bf16, what goes on to the next one is bf16. Bytes are what must move: each operand read and each
result written once; statistics and affine parameters are nothing beside them.
"""
import torch
import torch.nn.functional as F

from measure import Section, relative_error, spread, time_runs

WIDTH = 768


def layer_norm(x, y, weight, bias):
    """The new sum, and its norm for the next layer."""
    x = x + y
    return x, F.layer_norm(x, (x.shape[-1],), weight, bias, 1e-6).to(y.dtype)


def batch_norm(x, weight, bias, mean, variance):
    return F.batch_norm(x, mean, variance, weight, bias, True, 0.1, 1e-5).to(torch.bfloat16)


def rates(times: list[float], size: int, name: str) -> dict:
    times = spread(times)
    return {f"{name}_us": {k: v * 1e6 for k, v in times.items()}, f"{name}_bytes": size,
            f"{name}_tb_per_s": size / times["median"] / 1e12}


def affine(section: Section):
    return [torch.rand(WIDTH, device=section.device).add_(offset).requires_grad_(True)
            for offset in (0.5, -0.5)]


def measure_layer(section: Section, rows: int, eager: bool) -> dict:
    function = layer_norm if eager else torch.compile(layer_norm, dynamic=False)
    x = torch.randn(rows, WIDTH, device=section.device, requires_grad=True)
    y = torch.randn(rows, WIDTH, device=section.device, dtype=torch.bfloat16, requires_grad=True)
    weight, bias = affine(section)
    g_sum = torch.randn(rows, WIDTH, device=section.device)
    g_out = torch.randn(rows, WIDTH, device=section.device, dtype=torch.bfloat16)
    runs = 30 if not section.smoke else 2
    with torch.no_grad():
        times = time_runs(lambda: function(x, y, weight, bias), runs, 3, section.device)
    n = rows * WIDTH
    fields = rates(times, n * (4 + 2 + 4 + 2), "forward")  # x, y in; x, norm out
    total, out = function(x, y, weight, bias)
    exact = F.layer_norm((x[:64] + y[:64]).double(), (WIDTH,), weight.double(), bias.double(), 1e-6)
    fields["error"] = relative_error(out[:64].detach(), exact.detach())

    def backward():
        torch.autograd.grad((total, out), (x, y, weight, bias), (g_sum, g_out), retain_graph=True)

    times = time_runs(backward, runs, 3, section.device)
    # the sum again and both gradients in; the gradients of x and of y out
    fields |= rates(times, n * (4 + 4 + 2 + 4 + 2), "backward")
    return fields


def measure_batch(section: Section, rows: int, eager: bool) -> dict:
    function = batch_norm if eager else torch.compile(batch_norm, dynamic=False)
    x = torch.randn(rows, WIDTH, device=section.device, requires_grad=True)
    weight, bias = affine(section)
    running = [torch.zeros(WIDTH, device=section.device), torch.ones(WIDTH, device=section.device)]
    g_out = torch.randn(rows, WIDTH, device=section.device, dtype=torch.bfloat16)
    runs = 30 if not section.smoke else 2
    with torch.no_grad():
        times = time_runs(lambda: function(x, weight, bias, *running), runs, 3, section.device)
    n = rows * WIDTH
    fields = rates(times, n * (4 + 4 + 2), "forward")  # x twice: statistics first
    out = function(x, weight, bias, *running)

    def backward():
        torch.autograd.grad(out, (x, weight, bias), g_out, retain_graph=True)

    times = time_runs(backward, runs, 3, section.device)
    fields |= rates(times, n * (4 + 2 + 4 + 2 + 4), "backward")  # both twice, the gradient out
    return fields


def main():
    section = Section("norms")
    rows = (lambda n: n) if section.smoke else (lambda n: n * 1024)
    for eager in (False, True):
        kind = "eager" if eager else "compiled"
        for tokens in (79, 197):
            section.attempt(f"LayerNorm of a sum, {tokens} tokens, {kind}", 6,
                            lambda: {"rows": rows(tokens),
                                     **measure_layer(section, rows(tokens), eager)})
        section.attempt(f"BatchNorm, 275 tokens, {kind}", 6,
                        lambda: {"rows": rows(275), **measure_batch(section, rows(275), eager)})


if __name__ == "__main__":
    main()
