#!/usr/bin/env python3
"""ceilings.py - the most that the machine gives: bytes a second, bf16 products a second.

Copies count bytes read plus bytes written. Data is random: products of zeros draw less power and
run faster than any real ones.
"""
import torch

from measure import Section, spread, time_runs


def copy_rate(section: Section, moved: int, runs: int) -> dict:
    """Device to device, `moved` bytes read and written in all. Buffers take turns over twice the L2
    cache where they are smaller, so that memory is measured."""
    half = moved // 2
    pairs = max(1, min(8, (1 << 28) // moved)) if not section.smoke else 1
    source = [torch.randint(0, 255, (half,), dtype=torch.uint8, device=section.device)
              for _ in range(pairs)]
    target = [torch.empty_like(s) for s in source]
    turn = [0]

    def one():
        turn[0] += 1
        target[turn[0] % pairs].copy_(source[turn[0] % pairs])

    times = spread(time_runs(one, runs, 3, section.device))
    return {"bytes": moved, "us": {k: v * 1e6 for k, v in times.items()},
            "tb_per_s": moved / times["median"] / 1e12}


def product_rate(section: Section, size: int, runs: int) -> dict:
    kind = torch.bfloat16
    a, b = (torch.randn(size, size, device=section.device, dtype=kind) for _ in range(2))
    out = torch.empty(size, size, device=section.device, dtype=kind)
    times = spread(time_runs(lambda: torch.mm(a, b, out=out), runs, 3, section.device))
    return {"size": size, "us": {k: v * 1e6 for k, v in times.items()},
            "tflops": 2 * size**3 / times["median"] / 1e12}


def main():
    section = Section("ceilings")
    tiny = section.smoke
    section.attempt("copy, large", 4, lambda: copy_rate(section, 1 << 20 if tiny else 8 * 10**9, 20))
    section.attempt("copy, 64 MB", 3, lambda: copy_rate(section, 1 << 16 if tiny else 64 * 10**6, 100))
    for size in (64,) if tiny else (8192, 4096):
        section.attempt(f"bf16 product {size}", 3, lambda: product_rate(section, size, 20))


if __name__ == "__main__":
    main()
