"""pictures.py - what the tests of `gemel train --data` share: folders of pictures, trainings as
processes, and readers of what they leave that know nothing of gemel's own.

A training is that of a small SiameseIM step. Without sanitizers it is compiled once (OUT.so), so
that a process begins within milliseconds; a sanitized program interprets it (--device ref).
"""
import json
import struct
import subprocess
import sys
from pathlib import Path

try:
    import numpy as np
    import onnx
    from PIL import Image
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

SMALL = ("--variant", "tiny", "--batch", 4, "--depth", 1, "--projector-depth", 1,
         "--predictor-depth", 1, "--width", 12, "--decoder-width", 8, "--decoder-heads", 2,
         "--iterations", 5, "--epochs", 100, "--warmup", 1)


def make_pictures(folder: Path, count: int, height: int = 40, width: int = 56):
    """JPEG files of two classes: slopes of colour with noise."""
    rng = np.random.default_rng(5)
    for i in range(count):
        rows, columns = np.mgrid[0:height, 0:width]
        slopes = rows[..., None] * rng.uniform(0, 4, 3) + columns[..., None] * rng.uniform(0, 4, 3)
        pixels = slopes + rng.integers(0, 40, (height, width, 3))
        path = folder / f"class{i % 2}" / f"{i:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=90)


def save_linear(path: Path, shape: tuple) -> Path:
    """A classifier of two classes: one product of all that is in a row or picture."""
    size = int(np.prod(shape[1:]))
    weight = np.linspace(-0.1, 0.1, 2 * size, dtype=np.float32).reshape(size, 2)
    nodes = [onnx.helper.make_node("Flatten", ["pictures"], ["flat"]),
             onnx.helper.make_node("MatMul", ["flat", "weight"], ["logits"])]
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes, "linear", [onnx.helper.make_tensor_value_info("pictures", kind, shape)],
        [onnx.helper.make_tensor_value_info("logits", kind, (shape[0], 2))],
        [onnx.numpy_helper.from_array(weight, "weight")])
    onnx.save(onnx.helper.make_model(graph, ir_version=10,
                                     opset_imports=[onnx.helper.make_opsetid("", 20)]), path)
    return path


class Gemel:
    """The program, a folder for everything, and how a training is called."""

    def __init__(self, program: str, folder: str, sanitizers: str):
        self.program, self.folder = str(Path(program).resolve()), Path(folder)
        self.is_sanitized = bool(sanitizers)
        self.data = self.folder / "data"
        make_pictures(self.data, 20)
        self.model = self.export("step.onnx")
        self.graph = (self.model, "--device", "ref")
        if not self.is_sanitized:
            self.call("compile", self.model, "--entry", "step", "-o", self.folder / "step.so")
            self.graph = (self.folder / "step.so", "--patch", 8)

    def command(self, *options) -> list[str]:
        return [self.program, *map(str, options)]

    def run(self, *options, **how) -> subprocess.CompletedProcess:
        return subprocess.run(self.command(*options), capture_output=True, text=True,
                              errors="replace", **how)

    def call(self, *options) -> str:
        result = self.run(*options)
        if result.returncode != 0:
            raise RuntimeError(f"gemel {' '.join(map(str, options))}: {result.stderr}")
        return result.stdout

    def export(self, name: str, *options) -> Path:
        path = self.folder / name
        self.call("export", "siameseim", *SMALL, *options, "-o", path)
        return path

    def training(self, run, *options) -> list:
        return ["train", *self.graph, "--data", self.data, "--run", self.folder / run,
                "--log-every", 1, "--save-every", 2, "--threads", 1, *options]

    def train(self, run, *options, **how) -> subprocess.CompletedProcess:
        return self.run(*self.training(run, *options), **how)

    def start(self, run, *options) -> subprocess.Popen:
        return subprocess.Popen(self.command(*self.training(run, *options)), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def states(self, run, step: int) -> bytes:
        return (self.folder / run / f"checkpoint-{step:09}.safetensors").read_bytes()


def log_lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


# ---- TensorBoard's records -------------------------------------------------------------------

def crc32c(data: bytes) -> int:
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 128:
            return value, at


def fields(data: bytes):
    """(number, value) of a protobuf message; fixed and long fields as bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        else:
            size, at = varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
            value, at = data[at:at + size], at + size
        yield key >> 3, value


def read_events(path: Path) -> list[dict]:
    """{step, time, version, tag: value…} for each record; ValueError on a wrong checksum."""
    data, events = path.read_bytes(), []
    while data:
        size, sum_of_size = struct.unpack_from("<QI", data)
        body = data[12:12 + size]
        if masked(data[:8]) != sum_of_size or \
           struct.unpack_from("<I", data, 12 + size)[0] != masked(body):
            raise ValueError("a checksum is wrong")
        event = {"step": 0}
        for number, value in fields(body):
            if number == 1:
                event["time"] = struct.unpack("<d", value)[0]
            elif number == 2:
                event["step"] = value
            elif number == 3:
                event["version"] = value.decode()
            elif number == 5:
                for _, scalar in fields(value):
                    parts = dict(fields(scalar))
                    event[parts[1].decode()] = struct.unpack("<f", parts.get(2, bytes(4)))[0]
        events.append(event)
        data = data[16 + size:]
    return events
