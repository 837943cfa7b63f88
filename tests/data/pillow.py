"""The operations of data/ beside Pillow's: every byte must be equal.

usage: pillow.py OPS, the test program of tests/data/ops.c.

Pillow is the version of tests/requirements.txt. Pictures are noise, smooth gradients and flat
colours of many sizes; parameters are drawn from wider ranges than training's, and their corners
are taken. The hue is compared on every one of the 2^24 colours. Decoded JPEG may differ between
versions of libjpeg-turbo; the versions in use agree, and so the comparison is exact as well.
"""
import io
import subprocess
import sys

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

RNG = np.random.default_rng(7)
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Ops:
    """The test program, one request at a time."""

    def __init__(self, program: str):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def ask(self, name: str, pixels, args=()):
        """The answer as (status, bytes, height, width)."""
        shape = pixels.shape if isinstance(pixels, np.ndarray) else (1, len(pixels))
        height, width = shape[:2]
        channels = shape[2] if len(shape) == 3 else 1
        data = pixels.tobytes() if isinstance(pixels, np.ndarray) else pixels
        words = [name, height, width, channels, len(data), *(repr(float(a)) for a in args)]
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode() + data)
        self.process.stdin.flush()
        status, height, width, size = map(int, self.process.stdout.readline().split())
        return status, self.process.stdout.read(size), height, width

    def pixels(self, name: str, pixels, args=()):
        """The resulting picture."""
        status, data, height, width = self.ask(name, pixels, args)
        if status != 0:
            raise AssertionError(f"{name} {args}: status {status}")
        return np.frombuffer(data, np.uint8).reshape(height, width, -1)


def picture(height: int, width: int):
    """One of three kinds: noise, gradients with a little noise, one colour."""
    kind = RNG.integers(4)
    if kind == 0:
        return np.full((height, width, 3), RNG.integers(0, 256, 3), np.uint8)
    noise = RNG.integers(0, 256, (height, width, 3))
    if kind == 1:
        return noise.astype(np.uint8)
    rows = np.linspace(0, RNG.uniform(50, 400), height)[:, None, None]
    columns = np.linspace(0, RNG.uniform(50, 400), width)[None, :, None]
    waves = rows * np.array([1, 0.5, 0.1]) + columns * np.array([0.2, 0.4, 1]) + noise * 0.1
    return np.clip(waves, 0, 255).astype(np.uint8)


def same(what: str, ours, theirs):
    """Fails unless all bytes are equal."""
    theirs = np.asarray(theirs)
    if theirs.ndim == 2:
        theirs = theirs[:, :, None]
    if ours.shape != theirs.shape or not np.array_equal(ours, theirs):
        raise AssertionError(
            f"{what}: {ours.shape} against {theirs.shape}, "
            f"{np.sum(ours != theirs) if ours.shape == theirs.shape else 'all'} differ")


def check_resize(ops: Ops) -> int:
    """Crops, flips and sizes of both filters, one channel and three."""
    cases = [(500, 375, 224, 224), (375, 500, 224, 224), (48, 48, 32, 32), (1, 1, 5, 7),
             (7, 1, 1, 3), (1, 9, 4, 2), (900, 40, 30, 37), (40, 900, 37, 30), (33, 17, 33, 8),
             (33, 17, 16, 17), (20, 20, 20, 20), (224, 224, 1, 1), (3, 1000, 2, 16),
             (1000, 3, 16, 2), (600, 300, 100, 100)]
    cases += [tuple(int(v) for v in RNG.integers(1, 300, 4)) for _ in range(250)]
    for height, width, new_height, new_width in cases:
        source = picture(height, width)
        if RNG.random() < 0.2:
            source = np.ascontiguousarray(source[:, :, :1])
        h, w = (int(RNG.integers(1, n + 1)) if RNG.random() < 0.7 else n
                for n in (height, width))
        top, left = int(RNG.integers(0, height - h + 1)), int(RNG.integers(0, width - w + 1))
        flip = int(RNG.integers(2))
        image = Image.fromarray(source[:, :, 0] if source.shape[2] == 1 else source)
        if flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        image = image.crop((left, top, left + w, top + h))
        for name, how in (("bicubic", Image.Resampling.BICUBIC),
                          ("bilinear", Image.Resampling.BILINEAR)):
            ours = ops.pixels(name, source, (top, left, h, w, flip, new_height, new_width))
            same(f"{name} {source.shape} {(top, left, h, w, flip)} to "
                 f"{(new_height, new_width)}", ours, image.resize((new_width, new_height), how))
    return 2 * len(cases)


def check_enhance(ops: Ops) -> int:
    """Brightness, contrast and saturation."""
    return check_factors(ops, {"brightness": ImageEnhance.Brightness,
                               "contrast": ImageEnhance.Contrast,
                               "saturation": ImageEnhance.Color})


def check_sharpness(ops: Ops) -> int:
    """The blend with the smoothed picture."""
    return check_factors(ops, {"sharpness": ImageEnhance.Sharpness})


def check_factors(ops: Ops, kinds: dict) -> int:
    """ImageEnhance by factors of all kinds."""
    count = 0
    for name, kind in kinds.items():
        factors = [0, 1, 0.6, 1.4, 0.8, 1.2, 2, 0.5, 1e-3, 3.7, *RNG.uniform(0.5, 1.5, 60)]
        for factor in map(float, factors):
            source = picture(*RNG.integers(1, 130, 2))
            same(f"{name} {factor}", ops.pixels(name, source, (factor,)),
                 kind(Image.fromarray(source)).enhance(factor))
            count += 1
    return count


def shift_hue(image, shift: float):
    """torchvision's adjust_hue for Pillow's images."""
    hue, saturation, value = image.convert("HSV").split()
    moved = (np.asarray(hue).astype(np.int32) + int(shift * 255)) & 255
    hue = Image.fromarray(moved.astype(np.uint8))
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def check_hue(ops: Ops) -> int:
    """Every colour without a shift, and with one; small pictures for the ends of runs."""
    blue = np.arange(256, dtype=np.uint8)
    for red in range(0, 256, 16):
        reds = np.arange(red, red + 16, dtype=np.uint8)
        grid = np.stack(np.meshgrid(reds, blue, blue, indexing="ij"), -1)
        source = np.ascontiguousarray(grid.reshape(1024, 1024, 3))
        for shift in (0, RNG.uniform(-0.5, 0.5)):
            same(f"hue {shift} of all colours", ops.pixels("hue", source, (shift,)),
                 shift_hue(Image.fromarray(source), shift))
    shifts = [0.1, -0.1, 0.5, -0.5, 1 / 255, -1 / 255, *RNG.uniform(-0.1, 0.1, 60)]
    for shift in map(float, shifts):
        source = picture(*RNG.integers(1, 90, 2))
        same(f"hue {shift}", ops.pixels("hue", source, (shift,)),
             shift_hue(Image.fromarray(source), shift))
    return 32 + len(shifts)


def check_blur(ops: Ops) -> int:
    """Standard deviations of training, and far larger ones."""
    sigmas = [0.1, 2, 0.5, 1, 1.4142, 5, 12, 40, *RNG.uniform(0.1, 2, 120),
              *RNG.uniform(2, 30, 20)]
    for sigma in map(float, sigmas):
        source = picture(*RNG.integers(1, 160, 2))
        same(f"blur {sigma} of {source.shape}", ops.pixels("blur", source, (sigma,)),
             Image.fromarray(source).filter(ImageFilter.GaussianBlur(sigma)))
    return len(sigmas)


def check_rest(ops: Ops) -> int:
    """Grey, solarise, normalisation."""
    for _ in range(20):
        source = picture(*RNG.integers(1, 200, 2))
        image = Image.fromarray(source)
        same("grey", ops.pixels("grey", source), image.convert("L").convert("RGB"))
        for threshold in (128, 0, 255, 256, int(RNG.integers(256))):
            same(f"solarise {threshold}", ops.pixels("solarise", source, (threshold,)),
                 ImageOps.solarize(image, threshold))
        status, data, height, width = ops.ask("normalise", source, (*MEAN, *STD))
        planes = source.astype(np.float32).transpose(2, 0, 1) / np.float32(255)
        expected = ((planes - np.array(MEAN, np.float32)[:, None, None])
                    / np.array(STD, np.float32)[:, None, None])
        ours = np.frombuffer(data, np.float32).reshape(3, height, width)
        if status != 0 or not np.array_equal(ours, expected):
            raise AssertionError("normalise")
    return 20 * 7


def check_tones(ops: Ops) -> int:
    """What tables of tones do. Few and narrow tones for those that the histogram decides."""
    count = 0
    for i in range(60):
        source = picture(*RNG.integers(1, 150, 2))
        if i % 3 == 0:  # few tones, some of which are frequent
            source = (source // 32 * 20 + int(RNG.integers(100))).astype(np.uint8)
        image = Image.fromarray(source)
        add, below = int(RNG.integers(0, 256)), int(RNG.integers(0, 257))
        bits = i % 9
        for name, args, expected in (
                ("autocontrast", (), ImageOps.autocontrast(image)),
                ("equalise", (), ImageOps.equalize(image)),
                ("invert", (), ImageOps.invert(image)),
                ("posterise", (bits,), posterised(image, bits)),
                ("lift", (add, below), lifted(image, add, below))):
            same(f"{name} {args} of {source.shape}", ops.pixels(name, source, args), expected)
            count += 1
    return count


def posterised(image, bits: int):
    """Pillow 13 refuses to keep no bit at all; versions before made the picture black."""
    return ImageOps.posterize(image, bits) if bits > 0 else Image.new("RGB", image.size)


def lifted(image, add: int, below: int):
    """Values less than `below` become lighter, by a table as Pillow applies it."""
    return image.point([min(255, v + add) if v < below else v for v in range(256)] * 3)


def moved(image, matrix, fill):
    """The picture through an affine map, with the filter and colour of RandAugment."""
    return image.transform(image.size, Image.Transform.AFFINE, matrix,
                           resample=Image.Resampling.BICUBIC, fillcolor=fill)


def check_affine(ops: Ops) -> int:
    """Rotations, and maps that shear, move, shrink and enlarge, with parts outside."""
    angles = [0, 30, -30, 1e-3, -1e-3, 44.9, 200, *RNG.uniform(-44, 44, 80)]
    for angle in map(float, angles):
        source = picture(*RNG.integers(1, 130, 2))
        fill = tuple(int(v) for v in RNG.integers(0, 256, 3))
        image = Image.fromarray(source)
        same(f"rotate {angle} of {source.shape}", ops.pixels("rotate", source, (angle, *fill)),
             image.rotate(angle, resample=Image.Resampling.BICUBIC, fillcolor=fill))
    for i in range(120):
        source = picture(*RNG.integers(1, 130, 2))
        fill = tuple(int(v) for v in RNG.integers(0, 256, 3))
        matrix = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        for place in ([1], [3], [2], [5], range(6))[i % 5]:
            scale = source.shape[1 if place < 3 else 0] / 2 if place in (2, 5) else 0.5
            matrix[place] += float(RNG.uniform(-scale, scale))
        if i >= 110:
            matrix[2] = float(RNG.integers(-3, 4)) / 2  # whole and half pixels
        same(f"affine {matrix} of {source.shape}", ops.pixels("affine", source, (*matrix, *fill)),
             moved(Image.fromarray(source), matrix, fill))
    return len(angles) + 120


def augmented(image, name: str, magnitude: float, sign: int):
    """An operation of RandAugment with Pillow, as "rand-m9-mstd0.5-inc1" defines it."""
    t = magnitude / 10
    width, height = image.size
    fill = (124, 116, 104)
    factor = max(0.1, 1 + sign * t * 0.9)
    return {
        "autocontrast": lambda: ImageOps.autocontrast(image),
        "equalise": lambda: ImageOps.equalize(image),
        "invert": lambda: ImageOps.invert(image),
        "rotate": lambda: image.rotate(sign * t * 30, resample=Image.Resampling.BICUBIC,
                                       fillcolor=fill),
        "posterise": lambda: posterised(image, 4 - int(t * 4)),
        "solarise": lambda: ImageOps.solarize(image, 256 - int(t * 256)),
        "solarise-add": lambda: lifted(image, int(t * 110), 128),
        "color": lambda: ImageEnhance.Color(image).enhance(factor),
        "contrast": lambda: ImageEnhance.Contrast(image).enhance(factor),
        "brightness": lambda: ImageEnhance.Brightness(image).enhance(factor),
        "sharpness": lambda: ImageEnhance.Sharpness(image).enhance(factor),
        "shear-x": lambda: moved(image, (1, sign * t * 0.3, 0, 0, 1, 0), fill),
        "shear-y": lambda: moved(image, (1, 0, 0, sign * t * 0.3, 1, 0), fill),
        "translate-x": lambda: moved(image, (1, 0, sign * t * 0.45 * width, 0, 1, 0), fill),
        "translate-y": lambda: moved(image, (1, 0, 0, 0, 1, sign * t * 0.45 * height), fill),
    }[name]()


RAND = ("autocontrast", "equalise", "invert", "rotate", "posterise", "solarise", "solarise-add",
        "color", "contrast", "brightness", "sharpness", "shear-x", "shear-y", "translate-x",
        "translate-y")


def check_rand(ops: Ops) -> int:
    """RandAugment's operations at magnitudes of all kinds, and in both directions."""
    magnitudes = (0, 10, 9, 5, 2.5, *RNG.uniform(0, 10, 12), *RNG.uniform(7.5, 10, 8))
    for name in RAND:
        for magnitude in map(float, magnitudes):
            for sign in (1, -1):
                source = picture(*((224, 224) if magnitude == 9 else RNG.integers(1, 100, 2)))
                same(f"rand-{name} {magnitude} {sign} of {source.shape}",
                     ops.pixels(f"rand-{name}", source, (magnitude, sign < 0)),
                     augmented(Image.fromarray(source), name, magnitude, sign))
    return len(RAND) * len(magnitudes) * 2


def encoded(image, kind: str, **how) -> bytes:
    """The file as bytes."""
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def files() -> list:
    """(name, bytes) of the formats and modes a data set may hold."""
    made = []
    for size in ((375, 500), (224, 224), (17, 33), (8, 8), (1, 1), (61, 7)):
        image = Image.fromarray(picture(*size))
        grey = image.convert("L")
        alpha = image.convert("RGBA")
        alpha.putalpha(Image.fromarray(picture(*size)[:, :, 0].copy()))
        for sampling in (0, 1, 2):
            for progressive in (False, True):
                made.append((f"jpeg {size} {sampling} {progressive}",
                             encoded(image, "JPEG", quality=int(RNG.integers(40, 98)),
                                     subsampling=sampling, progressive=progressive)))
        made.append((f"jpeg grey {size}", encoded(grey, "JPEG")))
        made.append((f"jpeg cmyk {size}", encoded(image.convert("CMYK"), "JPEG", quality=95)))
        exif = Image.Exif()
        exif[0x0112] = 6  # turned: must stay as it lies
        made.append((f"jpeg exif {size}", encoded(image, "JPEG", exif=exif)))
        for name, other in (("rgb", image), ("grey", grey), ("rgba", alpha),
                            ("grey alpha", alpha.convert("LA")), ("bits", grey.convert("1")),
                            ("palette", image.quantize(17)), ("palette 2", image.quantize(3))):
            made.append((f"png {name} {size}", encoded(other, "PNG")))
        made.append((f"png see-through palette {size}",
                     encoded(image.quantize(9), "PNG", transparency=3)))
        made.append((f"webp {size}", encoded(image, "WEBP", quality=80)))
        made.append((f"webp lossless {size}", encoded(image, "WEBP", lossless=True)))
        made.append((f"webp alpha {size}", encoded(alpha, "WEBP", lossless=True, exact=True)))
        made.append((f"bmp {size}", encoded(image, "BMP")))
        made.append((f"ppm {size}", encoded(image, "PPM")))
    return made


def check_decode(ops: Ops) -> int:
    """Formats and modes as Pillow's convert("RGB"); files that end early are refused."""
    made = files()
    for name, data in made:
        same(f"decode {name}", ops.pixels("decode", data),
             Image.open(io.BytesIO(data)).convert("RGB"))
        for share in (0.3, 0.7, 0.95):
            status, _, _, _ = ops.ask("decode", data[:int(len(data) * share)])
            if status == 0 and pillow_takes(data[:int(len(data) * share)]) is False:
                raise AssertionError(f"{name}, the first {share} of it: decoded")
    return len(made)


def pillow_takes(data: bytes) -> bool:
    """Whether Pillow decodes these bytes."""
    try:
        Image.open(io.BytesIO(data)).convert("RGB")
    except Exception:  # noqa: BLE001 - Pillow raises all kinds
        return False
    return True


def main() -> int:
    """Runs all comparisons; the last line counts them."""
    ops = Ops(sys.argv[1])
    count = 0
    failed = 0
    for check in (check_resize, check_enhance, check_hue, check_blur, check_rest, check_decode,
                  check_sharpness, check_tones, check_affine, check_rand):
        try:
            count += check(ops)
        except AssertionError as error:
            failed += 1
            print(f"FAIL {check.__name__}: {error}")
    ops.process.stdin.close()
    failed += ops.process.wait() != 0
    print(f"{count} pictures equal Pillow's {Image.__version__}, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
