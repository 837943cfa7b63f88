"""tests/e2e/floor.py GEMEL - `gemel bench --kernels --device emu`: sums that are the sums of their lines, the
products of a ViT counted from its sizes, and a step that no machine has memory for.
"""
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import checks
from checks import check


class Gemel:
    def __init__(self, binary: str, folder: str):
        self.binary, self.folder = binary, Path(folder)

    def run(self, *arguments) -> str:
        result = subprocess.run([self.binary, *map(str, arguments)], capture_output=True, text=True,
                                timeout=240)
        assert result.returncode == 0, result.stderr[-2000:]
        return result.stdout

    def export(self, *arguments) -> Path:
        path = self.folder / "model.onnx"
        self.run("export", *arguments, "-o", path)
        return path

    def floors(self, path: Path, *options) -> dict:
        return json.loads(self.run("bench", "--kernels", "--device", "emu", "--json", *options, path))


def is_close(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b))


def check_sums(name: str, found: dict):
    for part in ("kernels", "groups"):
        for key in ("bytes", "mma_flop", "flop", "ms", "memory_ms", "mma_ms", "flop_ms", "launches", "share"):
            all_lines = sum(line[key] for line in found[part])
            check(f"{name}: {key} of {part}", is_close(all_lines, found["sum"][key]),
                  f"{all_lines}, {found['sum'][key]}")
    check(f"{name}: kernels", len(found["kernels"]) == found["kernel_count"] ==
          sum(group["count"] for group in found["groups"]))
    for line in found["kernels"]:
        least = max(line["bytes"] / found["bytes_per_second"], line["mma_flop"] / found["mma_flop_per_second"],
                    line["flop"] / found["flop_per_second"]) * 1e3
        parts = line["memory_ms"] + line["mma_ms"] + line["flop_ms"]
        if line["ms"] < least * (1 - 1e-9) or not is_close(line["ms"], parts):
            check(f"{name}: {line['kernel']}", False, f"{line['ms']} ms, at least {least}, {parts} in parts")
    check(f"{name}: pictures", is_close(found["images_per_second"] * found["sum"]["ms"] / 1e3, found["batch"]))
    path = found["critical_path"]
    check(f"{name}: the critical path", max(line["ms"] for line in found["kernels"]) <= path["values_ms"] <=
          path["ms"] * (1 + 1e-9) and path["ms"] <= found["sum"]["ms"] * (1 + 1e-9) and
          path["waits"] < found["kernel_count"] * 4, f"{path} of {found['sum']['ms']}")
    bytes_left, ms = found["sum"]["bytes"], found["sum"]["ms"]
    for saving in found["savings"]:
        bytes_left -= saving["bytes"]
        check(f"{name}: {saving['what']}", is_close(saving["after"]["bytes"], bytes_left) and
              saving["after"]["ms"] <= ms * (1 + 1e-9) and
              is_close(sum(part["bytes"] for part in saving["parts"]), saving["bytes"]) and
              sum(part["count"] for part in saving["parts"]) == saving["count"])
        ms = saving["after"]["ms"]


def check_vit(gemel: Gemel):
    """ViT-Ti/16: its head has too few rows for tensor cores."""
    batch, width, tokens, depth = 2, 192, 197, 12
    path = gemel.export("vit", "--variant", "ti16", "--batch", batch)
    found = gemel.floors(path, "--precision", "medium")
    block = tokens * 12 * width * width + 2 * tokens * tokens * width
    right = 2 * batch * (depth * block + 196 * 768 * width)
    check("products of a ViT", found["sum"]["mma_flop"] == right, f"{found['sum']['mma_flop']}, {right}")
    check_sums("ViT", found)
    exact = gemel.floors(path)
    check("the same in f32", exact["sum"]["mma_flop"] == 0 and
          right < exact["sum"]["flop"] < right * 1.1, f"{exact['sum']['flop']}")
    open_batch = gemel.floors(gemel.export("vit", "--variant", "ti16", "--batch", "N"))
    check("no path of open sizes", open_batch["critical_path"] is None)
    check("no bf16 in f32", all(saving["bytes"] == 0 for saving in exact["savings"]
                                if saving["what"] in ("operands", "narrow")))


def check_step(gemel: Gemel):
    path = gemel.export("siameseim", "--variant", "tiny", "--batch", 4)
    for precision in ("highest", "medium"):
        found = gemel.floors(path, "--step", "--precision", precision)
        check_sums(f"a step, {precision}", found)
        parts = [kernel for kernel in found["kernels"] if kernel["kernel"].split()[0].isdigit()]
        check(f"parts, {precision}", parts and all(kernel["launches"] == 1 for kernel in parts))
        faster = gemel.floors(path, "--step", "--precision", precision, "--floor", "h200")
        slower = gemel.floors(path, "--step", "--precision", precision, "--floor", "h100")
        check(f"another GPU, {precision}", faster == found and slower["floors_of"] == "h100" and
              slower["sum"]["bytes"] == found["sum"]["bytes"] and slower["sum"]["ms"] > found["sum"]["ms"])
        path_ms, least = found["critical_path"]["ms"], found["critical_path"]["values_ms"]
        check(f"kernels beside each other, {precision}", path_ms < found["sum"]["ms"] * 0.8 and path_ms < least * 1.25,
              f"{path_ms}, {least} of {found['sum']['ms']}")
    text = gemel.run("bench", "--kernels", "--device", "emu", "--step", path)
    check("no times", text.startswith("floors, not times: nothing was run") and "what would lower it" in text)


def check_large(gemel: Gemel):
    """Nothing is allocated, nothing runs."""
    path = gemel.export("siameseim", "--variant", "tiny", "--batch", 1 << 20)
    found = gemel.floors(path, "--step", "--precision", "medium")
    check("a large batch", found["batch"] == 1 << 20 and found["arena_bytes"] > 5e10,
          f"{found['batch']}, {found['arena_bytes']}")
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    check("in little memory", most < 2e6, f"{most} kB")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        gemel = Gemel(sys.argv[1], folder)
        return checks.run((check_vit, check_step, check_large), gemel)


if __name__ == "__main__":
    sys.exit(main())
