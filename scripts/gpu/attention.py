#!/usr/bin/env python3
"""attention.py - cuDNN's and PyTorch's flash attention at the five shapes of SiameseIM's step.

Queries, keys and values are views of what one linear layer writes, [B, S, 3, H, d], as in the model.
FLOPs are counted as 4 B H S^2 d forward and 10 B H S^2 d backward (scores computed once more);
bytes as each operand read and each result written once.
"""
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from measure import Section, relative_error, spread, time_runs

# heads, tokens, width of a head, trained, where
SHAPES = [(12, 79, 64, True, "online encoder"), (12, 197, 64, False, "target encoder"),
          (16, 79, 48, True, "online projector"), (16, 197, 48, False, "target projector"),
          (16, 275, 48, True, "predictor")]
BACKENDS = {"cudnn": SDPBackend.CUDNN_ATTENTION, "flash": SDPBackend.FLASH_ATTENTION,
            "efficient": SDPBackend.EFFICIENT_ATTENTION}
ON_CPU = {"math": SDPBackend.MATH}
attend = torch.nn.functional.scaled_dot_product_attention


def views(qkv):
    return qkv.permute(2, 0, 3, 1, 4)


def check(qkv, gradient, backend) -> dict:
    """Errors of the first two images beside fp32."""
    part = qkv[:2].detach().clone().requires_grad_(True)
    exact = part.detach().float().requires_grad_(True)
    with sdpa_kernel(backend):
        got = attend(*views(part))
    wanted = attend(*views(exact))
    errors = {"error_forward": relative_error(got.detach(), wanted.detach())}
    if gradient is not None:
        with sdpa_kernel(backend):
            got.backward(gradient[:2])
        wanted.backward(gradient[:2].float())
        errors["error_backward"] = relative_error(part.grad, exact.grad)
    return errors


def measure(section: Section, shape, batch: int, backend) -> dict:
    heads, tokens, width, trained, _ = shape
    kind = torch.bfloat16
    qkv = torch.randn(batch, tokens, 3, heads, width, device=section.device, dtype=kind)
    gradient = torch.randn(batch, tokens, heads, width, device=section.device, dtype=kind)
    gradient = gradient.transpose(1, 2) if trained else None
    fields = check(qkv, gradient, backend)
    runs = 20 if not section.smoke else 2
    flops = 4 * batch * heads * tokens**2 * width
    size = batch * tokens * heads * width * 2
    with sdpa_kernel(backend):
        with torch.no_grad():
            times = spread(time_runs(lambda: attend(*views(qkv)), runs, 3, section.device))
        fields |= rates("forward", times, flops, 4 * size)
        if trained:
            parts = views(qkv.requires_grad_(True)).unbind()
            out = attend(*parts)

            def backward():
                torch.autograd.grad(out, parts, gradient, retain_graph=True)

            times = spread(time_runs(backward, runs, 3, section.device))
            # reads q k v, the output and its gradient, writes the gradients of q k v
            fields |= rates("backward", times, flops * 5 // 2, 8 * size)
    return fields


def rates(name: str, times: dict, flops: int, size: int) -> dict:
    return {f"{name}_us": {k: v * 1e6 for k, v in times.items()},
            f"{name}_tflops": flops / times["median"] / 1e12,
            f"{name}_tb_per_s": size / times["median"] / 1e12}


def main():
    section = Section("attention")
    batch = 4 if section.smoke else 1024
    for shape in SHAPES:
        heads, tokens, width, _, where = shape
        for name, backend in (BACKENDS if section.device == "cuda" else ON_CPU).items():
            section.attempt(f"{where}: {heads} heads of {width}, {tokens} tokens, {name}", 3,
                            lambda: {"batch": batch, "backend": name,
                                     **measure(section, shape, batch, backend)})


if __name__ == "__main__":
    main()
