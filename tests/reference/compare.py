#!/usr/bin/env python3
"""compare.py REFERENCE.npz OTHER.npz [--limit L] [--also-missing] - arrays of the same name.

Prints for each kind of array how many there are and the largest deviation, |other - reference| over
the reference's largest element (or over 1e-3, where all are smaller, so that a gradient that is
nothing but rounding counts as that); the names of the worst; and what only one file has. Exits 1
when a deviation is above the limit (1e-9), a shape differs, or nothing has the same name; with
--also-missing also when OTHER lacks a name.
"""
import argparse
import sys

import numpy as np

KINDS = {"step.": "results of steps", "exp_avg.": "Adam's means", "exp_avg_sq.": "Adam's squares",
         "mm_": "the target"}
FLOOR = 1e-3


def kind_of(name: str) -> str:
    if "running_" in name or name.endswith("num_batches_tracked"):
        return "statistics"
    return next((kind for prefix, kind in KINDS.items() if name.startswith(prefix)), "parameters")


def deviation(reference: np.ndarray, other: np.ndarray) -> float:
    if reference.shape != other.shape:
        return np.inf
    if reference.size == 0:
        return 0.0
    reference, other = reference.astype(np.float64), other.astype(np.float64)
    worst = np.abs(other - reference).max() / max(np.abs(reference).max(), FLOOR)
    return worst if worst == worst else np.inf


def main():
    parser = argparse.ArgumentParser(description="compares arrays of the same name")
    parser.add_argument("reference")
    parser.add_argument("other")
    parser.add_argument("--limit", type=float, default=1e-9)
    parser.add_argument("--also-missing", action="store_true")
    arguments = parser.parse_args()
    with np.load(arguments.reference) as reference, np.load(arguments.other) as other:
        common = [name for name in reference if name in other]
        errors = {name: deviation(reference[name], other[name]) for name in common}
        missing = [name for name in reference if name not in other]
        unknown = [name for name in other if name not in reference]
    groups: dict[str, list[str]] = {}
    for name in common:
        groups.setdefault(kind_of(name), []).append(name)
    for kind, names in groups.items():
        worst = max(names, key=errors.get)
        print(f"{'ok  ' if errors[worst] <= arguments.limit else 'FAIL'} {kind}: {len(names)}, "
              f"largest deviation {errors[worst]:.1e} ({worst})")
    for what, names in (("the reference", missing), ("the other", unknown)):
        if names:
            print(f"only {what} has {len(names)}: {', '.join(names[:5])}"
                  + (", …" if len(names) > 5 else ""))
    bad = sum(not error <= arguments.limit for error in errors.values())
    print(f"{len(common)} compared, {bad} above {arguments.limit:.0e}")
    return int(bad > 0 or not common or (arguments.also_missing and bool(missing)))


if __name__ == "__main__":
    sys.exit(main())
