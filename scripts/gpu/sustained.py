#!/usr/bin/env python3
"""sustained.py - whether the bf16 matrix rate holds for a minute, with clocks and power beside it."""
import subprocess
import threading
import time

import torch

from measure import Section, spread

QUERY = "clocks.sm,clocks.mem,power.draw,temperature.gpu"


def sample(stop: threading.Event, samples: list):
    """A row of nvidia-smi a second."""
    while not stop.wait(1.0):
        try:
            line = subprocess.run(["nvidia-smi", f"--query-gpu={QUERY}",
                                   "--format=csv,noheader,nounits"], capture_output=True, text=True,
                                  timeout=5, check=True).stdout.splitlines()[0]
            samples.append([float(v) for v in line.split(",")])
        except (OSError, subprocess.SubprocessError, ValueError, IndexError):
            continue


def run(section: Section, seconds: float, size: int) -> dict:
    a, b = (torch.randn(size, size, device=section.device, dtype=torch.bfloat16) for _ in range(2))
    out = torch.empty_like(a)
    stop, samples, rates = threading.Event(), [], []
    watcher = threading.Thread(target=sample, args=(stop, samples))
    watcher.start()
    begin, per_round = time.monotonic(), 100 if not section.smoke else 2
    while time.monotonic() - begin < seconds:
        start = time.perf_counter()
        for _ in range(per_round):
            torch.mm(a, b, out=out)
        if section.device == "cuda":
            torch.cuda.synchronize()
        rates.append(per_round * 2 * size**3 / (time.perf_counter() - start) / 1e12)
    stop.set()
    watcher.join()
    fifth = max(1, len(rates) // 5)
    columns = {f"{name}": spread(list(column)) for name, column in
               zip(("sm_mhz", "memory_mhz", "watts", "celsius"), zip(*samples))} if samples else {}
    return {"seconds": seconds, "size": size, "tflops": spread(rates)["median"],
            "tflops_first_fifth": spread(rates[:fifth])["median"],
            "tflops_last_fifth": spread(rates[-fifth:])["median"], **columns,
            "samples": samples}


def main():
    section = Section("sustained")
    seconds = 0.5 if section.smoke else min(60.0, section.left() - 3)
    if not section.smoke and seconds < 20:
        section.skip("bf16 product, held", f"{section.left():.0f} s left, 23 s wanted")
    else:
        section.attempt("bf16 product, held", 0,
                        lambda: run(section, seconds, 64 if section.smoke else 8192))


if __name__ == "__main__":
    main()
