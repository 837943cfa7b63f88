"""Numbers that everyone can make again: the values of parameters and the inputs of each step
from a hash, so that programs in different languages train on the same data without exchanging
it.

`fill` is the one formula. Tensor ids below 1000 are parameters, counted in the checkpoints'
order without the two position tables. Step s (from 0) with b images of S x S pixels, N patches,
V visible:

    x1       fill(1000 + 10 s, [b, 3, S, S], scale 4)
    x2       fill(1001 + 10 s, [b, 3, S, S], scale 4)
    visible  u = fill(1002 + 10 s, [b, N]); the V patches with the largest u (a tie: the lower
             number first), in ascending order
    crops    u = fill(1003 + 10 s, [b, 9], offset 0.5), of a source of 375 x 500 (H x W) pixels:
             h1, w1, h2, w2 = 110 + floor(265 u[0..3]);
             i1 = floor(u[4] (376 - h1)), j1 = floor(u[5] (501 - w1)),
             i2 = floor(u[6] (376 - h2)), j2 = floor(u[7] (501 - w2));
             f = 1 where u[8] < 0.5, else 0

NumPy alone; everything in double precision.
"""
import numpy as np

HEIGHT, WIDTH = 375, 500  # of a source image
SMALLEST = 110  # side of a crop
CHUNK = 1 << 22  # elements at a time: a large tensor's hashes need no copies of their own size


def hashed(first: int, count: int) -> np.ndarray:
    """[count] numbers in [-0.5, 0.5), multiples of 2^-24: a 32-bit hash of first, first + 1,
    …"""
    h = np.arange(first, first + count, dtype=np.uint64).astype(np.uint32)
    h = h * np.uint32(1664525) + np.uint32(1013904223)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x45D9F3B)
    h ^= h >> np.uint32(16)
    return (h & np.uint32(0xFFFFFF)) / 2.0**24 - 0.5


def fill(tensor_id: int, shape, scale: float = 1.0, offset: float = 0.0,
         dtype=np.float64) -> np.ndarray:
    """hash * scale + offset, element k of tensor t from the hash of k + 1 + 7919 t."""
    result = np.empty(int(np.prod(shape)), dtype)
    for begin in range(0, result.size, CHUNK):
        count = min(CHUNK, result.size - begin)
        values = hashed(1 + 7919 * tensor_id + begin, count)
        result[begin:begin + count] = values * scale + offset
    return result.reshape(shape)


def scale_and_offset(name: str, shape) -> tuple[float, float]:
    """Of a parameter's fill: about as large as an initialisation would make it."""
    if "norm" in name and name.endswith("weight"):
        return 0.2, 1.0
    if len(shape) == 1:
        return 0.2, 0.0
    if len(shape) == 3:
        return 1.0, 0.0
    return 2 / np.sqrt(np.prod(shape[1:])), 0.0


def parameters(shapes: dict[str, tuple], dtype=np.float64) -> dict[str, np.ndarray]:
    """`shapes`: of every parameter but the tables, in the checkpoints' order."""
    return {name: fill(i, shape, *scale_and_offset(name, shape), dtype)
            for i, (name, shape) in enumerate(shapes.items())}


def geometry(crop1, crop2, width, flip) -> np.ndarray:
    """[..., 6] = di, dj, dh, dw, f, fj of crops [..., 4] = top, left, height, width."""
    (i1, j1, h1, w1), (i2, j2, h2, w2) = (np.moveaxis(np.asarray(c, np.float64), -1, 0)
                                          for c in (crop1, crop2))
    return np.stack([(i2 - i1) / h1, (j2 - j1) / w1, h2 / h1, w2 / w1,
                     np.asarray(flip, np.float64), (np.asarray(width) - j1 - j2) / w1], -1)


def crops(step: int, size: int) -> np.ndarray:
    """[size, 6]: the geometry of a step's pairs of crops."""
    u = fill(1003 + 10 * step, (size, 9), offset=0.5)
    h1, w1, h2, w2 = SMALLEST + np.floor((HEIGHT - SMALLEST) * u[:, :4]).T
    i1, i2 = np.floor(u[:, 4] * (HEIGHT + 1 - h1)), np.floor(u[:, 6] * (HEIGHT + 1 - h2))
    j1, j2 = np.floor(u[:, 5] * (WIDTH + 1 - w1)), np.floor(u[:, 7] * (WIDTH + 1 - w2))
    return geometry(np.stack([i1, j1, h1, w1], -1), np.stack([i2, j2, h2, w2], -1), WIDTH,
                    u[:, 8] < 0.5)


def batch(step: int, size: int, image: int, patches: int, visible: int,
          dtype=np.float64) -> dict[str, np.ndarray]:
    """The inputs of a step: x1, x2, visible, geometry."""
    order = np.argsort(-fill(1002 + 10 * step, (size, patches)), 1, kind="stable")
    pictures = [fill(1000 + k + 10 * step, (size, 3, image, image), 4.0, dtype=dtype)
                for k in range(2)]
    return {"x1": pictures[0], "x2": pictures[1],
            "visible": np.sort(order[:, :visible], 1).astype(np.int64),
            "geometry": crops(step, size).astype(dtype)}
