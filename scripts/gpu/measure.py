"""What the GPU measurements share: a time budget, timing, and results that survive a kill.

A section is a program `X.py --out FILE --seconds BUDGET [--smoke]`. It writes FILE anew after every
measurement: {"section", "started", "seconds", "results": [...], "skipped": [...], "errors": [...]}.
With --smoke sizes are tiny, and without a GPU everything runs on the CPU: for testing the program.
"""
import argparse
import json
import os
import statistics
import time
import traceback
from datetime import datetime, timezone

import torch


class Section:
    def __init__(self, name: str, arguments=()):
        parser = argparse.ArgumentParser(prog=f"{name}.py")
        parser.add_argument("--out", required=True)
        parser.add_argument("--seconds", type=float, default=60)
        parser.add_argument("--smoke", action="store_true")
        for flag, options in arguments:
            parser.add_argument(flag, **options)
        self.args = parser.parse_args()
        self.smoke = self.args.smoke
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        if self.device == "cpu" and not self.smoke:
            parser.error("there is no GPU; --smoke runs tiny sizes on the CPU")
        self.begin = time.monotonic()
        self.data = {"section": name, "started": datetime.now(timezone.utc).isoformat("T", "seconds"),
                     "seconds": 0.0, "results": [], "skipped": [], "errors": []}
        self.write()

    def left(self) -> float:
        return self.args.seconds - (time.monotonic() - self.begin)

    def write(self):
        self.data["seconds"] = round(time.monotonic() - self.begin, 1)
        with open(self.args.out + ".part", "w", encoding="utf-8") as file:
            json.dump(self.data, file, indent=1)
        os.replace(self.args.out + ".part", self.args.out)

    def record(self, name: str, **fields):
        self.data["results"].append({"name": name, **fields})
        self.write()
        print(f"  {name}: " + ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}"
                                        for k, v in fields.items()
                                        if isinstance(v, (int, float, str))), flush=True)

    def skip(self, name: str, why: str):
        self.data["skipped"].append({"name": name, "why": why})
        self.write()
        print(f"  {name}: skipped, {why}", flush=True)

    def fail(self, name: str, error: str):
        self.data["errors"].append({"name": name, "error": error})
        self.write()
        print(f"  {name}: failed, {error.strip().splitlines()[-1]}", flush=True)

    def attempt(self, name: str, estimate: float, function):
        """Records the fields that `function` returns, if the estimate in seconds fits the budget."""
        if self.left() < estimate:
            self.skip(name, f"{self.left():.0f} s left, {estimate:.0f} s wanted")
            return
        try:
            fields = function()
            if fields is not None:
                self.record(name, **fields)
        except Exception as error:  # one measurement lost, the others go on
            self.fail(name, "".join(traceback.format_exception(error))[-2000:])
            if self.device == "cuda":
                torch.cuda.empty_cache()


def spread(values: list[float]) -> dict:
    """Median, 10th and 90th percentile."""
    values = sorted(values)
    last = len(values) - 1
    return {"median": statistics.median(values), "p10": values[round(last * 0.1)],
            "p90": values[round(last * 0.9)]}


def time_runs(function, runs: int, warm: int = 3, device: str = "cuda") -> list[float]:
    """Seconds of each run, by events on the device."""
    for _ in range(warm):
        function()
    if device == "cpu":
        times = []
        for _ in range(runs):
            begin = time.perf_counter()
            function()
            times.append(time.perf_counter() - begin)
        return times
    torch.cuda.synchronize()
    events = [torch.cuda.Event(enable_timing=True) for _ in range(runs + 1)]
    events[0].record()
    for event in events[1:]:
        function()
        event.record()
    torch.cuda.synchronize()
    return [a.elapsed_time(b) * 1e-3 for a, b in zip(events, events[1:])]


def relative_error(got, wanted) -> float:
    """|got - wanted| / |wanted|, both as doubles; nan when not finite."""
    wanted = wanted.double()
    return float((got.double() - wanted).norm() / wanted.norm())
