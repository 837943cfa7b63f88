#!/usr/bin/env python3
"""compare.py REFERENCE.npz OTHER.npz [--limit L] [--keys] [--also-missing] - arrays by name.

Prints for each kind of array how many there are and the largest deviation, |other - reference|
over the reference's largest element (or over 1e-3, where all are smaller: what is nothing but
rounding counts as that), and where it is; then what only one file has. Exits 1 when a deviation
is above the limit (1e-9), a shape differs, or nothing has the same name; with --also-missing
also when OTHER lacks a name.

The biases of attention's keys are a kind of their own and count with --keys alone: softmax does
not see them, so that their gradients are rounding, which AdamW divides by its own size.
"""
import argparse
import sys

import numpy as np

KINDS = {"step.": "results of steps", "exp_avg.": "Adam's means",
         "exp_avg_sq.": "Adam's squares", "mm_": "the target"}
KEYS = "biases of keys"
FLOOR = 1e-3


def kind_of(name: str) -> str:
    if name.endswith("[keys]"):
        return KEYS
    if "running_" in name or name.endswith("num_batches_tracked"):
        return "statistics"
    kinds = [kind for prefix, kind in KINDS.items() if name.startswith(prefix)]
    return kinds[0] if kinds else "parameters"


def deviation(reference: np.ndarray, other: np.ndarray) -> float:
    if reference.shape != other.shape:
        return np.inf
    if reference.size == 0:
        return 0.0
    reference, other = reference.astype(np.float64), other.astype(np.float64)
    worst = np.abs(other - reference).max() / max(np.abs(reference).max(), FLOOR)
    return worst if worst == worst else np.inf


def deviations(reference, other) -> dict[str, float]:
    """By name; the keys' third of a bias of queries, keys and values is "NAME[keys]"."""
    errors = {}
    for name in reference:
        if name not in other:
            continue
        a, b = reference[name], other[name]
        if name.endswith("attn.qkv.bias") and a.shape == b.shape:
            a, b = a.reshape(3, -1), b.reshape(3, -1)
            errors[name + "[keys]"] = deviation(a[1], b[1])
            a, b = a[::2], b[::2]
        errors[name] = deviation(a, b)
    return errors


def report(reference, other, limit: float, with_keys: bool) -> tuple[int, int, list[str]]:
    """Prints; how many counted, how many of them are above the limit, what only the reference
    has."""
    errors = deviations(reference, other)
    missing = [name for name in reference if name not in other]
    unknown = [name for name in other if name not in reference]
    groups: dict[str, list[str]] = {}
    for name in errors:
        groups.setdefault(kind_of(name), []).append(name)
    for kind, names in groups.items():
        worst = max(names, key=errors.get)
        counts = kind != KEYS or with_keys
        word = "ok  " if errors[worst] <= limit else "FAIL"
        print(f"{word if counts else '    '} {kind}: {len(names)}, "
              f"largest deviation {errors[worst]:.1e} ({worst})")
    for what, names in (("the reference", missing), ("the other", unknown)):
        if names:
            print(f"only {what} has {len(names)}: {', '.join(names[:5])}"
                  + (", …" if len(names) > 5 else ""))
    counting = [n for n in errors if with_keys or kind_of(n) != KEYS]
    bad = sum(not errors[name] <= limit for name in counting)
    print(f"{len(counting)} compared, {bad} above {limit:.0e}")
    return len(counting), bad, missing


def main():
    parser = argparse.ArgumentParser(description="compares arrays of the same name")
    parser.add_argument("reference")
    parser.add_argument("other")
    parser.add_argument("--limit", type=float, default=1e-9)
    parser.add_argument("--keys", action="store_true", help="the biases of keys count too")
    parser.add_argument("--also-missing", action="store_true")
    arguments = parser.parse_args()
    with np.load(arguments.reference) as reference, np.load(arguments.other) as other:
        counted, bad, missing = report(reference, other, arguments.limit, arguments.keys)
    return int(bad > 0 or not counted or (arguments.also_missing and bool(missing)))


if __name__ == "__main__":
    sys.exit(main())
