"""How fast pictures become the two views of a SiameseIM step: gemel beside Pillow and torchvision.

usage: bench_data.py GEMEL FOLDER [--data DIR] [--rounds N] [--seconds X] [--json]

All read, decode and augment the same JPEG files (500 x 375 unless --data names others, of which
all must be RGB) on one thread, in rounds that take turns: random resized crop to 224 pixels,
bicubic, with mirrored pictures; jitter of brightness, contrast, saturation and hue in a drawn
order; grey, Gaussian blur (always in view 1), solarise; normalised floats. The recipe is that of
docs/data.md. `pillow` is Pillow's operations with NumPy for the hue and the floats, drawn by
Python's random; `torchvision` its transforms on Pillow's images, where it is installed.

A rate is pictures, with both views of each, a second of processor time. Ratios are gemel's rate
over the peer's, the median of the rounds' with the least and the most.
"""
import argparse
import json
import math
import random
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps, __version__ as pillow_version

try:
    import torch
    from torchvision import __version__ as torchvision_version, transforms
except ImportError:
    transforms = None

SIZE = 224
MEAN = np.array((0.485, 0.456, 0.406), np.float32)[:, None, None]
STD = np.array((0.229, 0.224, 0.225), np.float32)[:, None, None]


def make_pictures(folder: Path, count: int = 128):
    """JPEG files of 500 x 375, quality 90: slopes, waves and noise; some 100 kB each."""
    rng = np.random.default_rng(1)
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[0:375, 0:500][..., None]
    for i in range(count):
        path = folder / f"{i:03}.jpg"
        if path.exists():
            continue
        waves = 60 * np.sin(rows * rng.uniform(0, 0.3, 3) + columns * rng.uniform(0, 0.3, 3))
        slopes = rows * rng.uniform(0, 0.4, 3) + columns * rng.uniform(0, 0.3, 3)
        pixels = slopes + waves + rng.normal(0, 12, (375, 500, 3))
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=90)


# ---- Pillow ----------------------------------------------------------------------------------

def draw_crop(width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom; torchvision's RandomResizedCrop.get_params."""
    for _ in range(10):
        area = width * height * random.uniform(0.08, 1)
        aspect = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = random.randint(0, width - w), random.randint(0, height - h)
            return left, top, left + w, top + h
    return 0, 0, width, height


def shift_hue(image, shift: float):
    hue, saturation, value = image.convert("HSV").split()
    moved = np.asarray(hue) + np.uint8(int(shift * 255) & 255)
    return Image.merge("HSV", (Image.fromarray(moved), saturation, value)).convert("RGB")


def jitter(image):
    steps = [lambda x: ImageEnhance.Brightness(x).enhance(random.uniform(0.6, 1.4)),
             lambda x: ImageEnhance.Contrast(x).enhance(random.uniform(0.6, 1.4)),
             lambda x: ImageEnhance.Color(x).enhance(random.uniform(0.8, 1.2)),
             lambda x: shift_hue(x, random.uniform(-0.1, 0.1))]
    random.shuffle(steps)
    for step in steps:
        image = step(image)
    return image


def view_by_pillow(image, blur: float, solarise: float):
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = image.crop(draw_crop(*image.size)).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    if random.random() < 0.8:
        image = jitter(image)
    if random.random() < 0.2:
        image = image.convert("L").convert("RGB")
    if random.random() < blur:
        image = image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2)))
    if random.random() < solarise:
        image = ImageOps.solarize(image, 128)
    pixels = np.asarray(image).transpose(2, 0, 1).astype(np.float32) / 255
    return (pixels - MEAN) / STD


def load_by_pillow(path: Path):
    with Image.open(path) as file:
        image = file.convert("RGB")
    return view_by_pillow(image, 1, 0), view_by_pillow(image, 0.1, 0.2)


# ---- torchvision -----------------------------------------------------------------------------

def torchvision_view(blur: float, solarise: float):
    def blurred(image):
        return image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2)))
    return transforms.Compose([
        transforms.RandomHorizontalFlip(0.5),
        transforms.RandomResizedCrop(SIZE, (0.08, 1),
                                     interpolation=transforms.InterpolationMode.BICUBIC),
        transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.2, 0.1)], 0.8),
        transforms.RandomGrayscale(0.2),
        transforms.RandomApply([transforms.Lambda(blurred)], blur),
        transforms.RandomSolarize(128, solarise),
        transforms.ToTensor(),
        transforms.Normalize(MEAN.ravel().tolist(), STD.ravel().tolist())])


def torchvision_loader():
    torch.set_num_threads(1)
    first, second = torchvision_view(1, 0), torchvision_view(0.1, 0.2)

    def load(path: Path):
        with Image.open(path) as file:
            image = file.convert("RGB")
        return first(image), second(image)
    return load


# ---- rates -----------------------------------------------------------------------------------

def rate_of(load, paths: list[Path], seconds: float) -> float:
    """Pictures a second of this process's processor time."""
    begin, done = time.process_time(), 0
    while time.process_time() - begin < seconds:
        load(paths[done % len(paths)])
        done += 1
    return done / (time.process_time() - begin)


def rate_of_gemel(program: str, folder: Path, seconds: float) -> float:
    command = [program, "bench", "--data", str(folder), "--seconds", str(seconds), "--batch", "32",
               "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)[
        "pictures_core_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("gemel")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    data = arguments.data or arguments.folder / "pictures-500x375"
    if not arguments.data:
        make_pictures(data)
    paths = sorted(path for path in data.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    loaders = {f"pillow {pillow_version}": load_by_pillow}
    if transforms:
        loaders[f"torchvision {torchvision_version}"] = torchvision_loader()
    rates = {name: [] for name in ["gemel", *loaders]}
    for _ in range(arguments.rounds):
        rates["gemel"].append(rate_of_gemel(arguments.gemel, data, arguments.seconds))
        for name, load in loaders.items():
            rates[name].append(rate_of(load, paths, arguments.seconds))
    ratios = {name: [a / b for a, b in zip(rates["gemel"], rates[name])] for name in loaders}
    if arguments.json:
        print(json.dumps({"rates": rates, "ratios": ratios}))
        return
    for name, found in rates.items():
        print(f"{name:26} {statistics.median(found):7.1f} pictures a second and core")
    for name, found in ratios.items():
        print(f"gemel / {name}: {statistics.median(found):.2f} ({min(found):.2f} to "
              f"{max(found):.2f})")


if __name__ == "__main__":
    main()
