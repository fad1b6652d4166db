"""One kernel of tinygan at a time, with the bytes that it must read and write at least."""

from __future__ import annotations

import numpy as np

from tinygan import Adam, Parameter, asarray
from tinygan.fast import cuda as kernels

WEIGHTS = (4, 4, 256, 512)
"""Of each of the four layers that Adam changes."""


def prepare_kernel(backend: str, name: str, batch: int, size: int, channels: int):
    """Return a function that runs the kernel once; its ``bytes`` are those of all its arrays."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return asarray(rng.standard_normal(shape).astype(np.float32), backend)

    x, dy = draw(batch, size, size, channels), draw(batch, size, size, channels)
    one, two, three = x.nbytes, 2 * x.nbytes, 3 * x.nbytes
    grouped = x.reshape(1, -1, channels), dy.reshape(1, -1, channels)
    window = (4, 4), (2, 2), (1, 1), size // 2, size // 2
    copies = draw(batch * (size // 2) ** 2, 16 * channels) if "patches" in name else None
    row = draw(1, channels)
    cache = grouped[0], row, row, row, None, None
    weights = [Parameter(draw(*WEIGHTS)) for _ in range(4)] if name == "adam" else ()
    adam = Adam(weights) if name == "adam" else None
    for weight in weights:
        weight.add_grad(draw(*WEIGHTS))
    job, moved = {
        "copy": (lambda: dy.__setitem__(..., x), two),
        "relu": (lambda: kernels.relu(x), two),
        "relu_backward": (lambda: kernels.relu_backward(dy, x), three),
        "leaky_relu_backward": (lambda: kernels.leaky_relu_backward(dy, (x, 0.2)), three),
        "moments": (lambda: kernels.moments(grouped[0]), one),
        "normalize": (lambda: kernels.normalize(grouped[0], row, row * row, None, None, 1e-5), two),
        "normalize_sums": (lambda: kernels.normalize_sums(grouped[1], cache), two),
        "normalize_backward": (
            lambda: kernels.normalize_backward(grouped[1], cache, row, row),
            three,
        ),
        "patches": (lambda: kernels.patches(x, *window), one + 4 * one),
        "sum_patches": (lambda: kernels.sum_patches(copies, dy, *window), one + 4 * one),
        "reflection_pad": (lambda: kernels.reflection_pad(x, (1, 1)), two),
        "bce_with_logits": (lambda: kernels.bce_with_logits(x, 1.0), two),
        "adam": (
            lambda: adam.step(),
            sum(7 * weight.data.nbytes for weight in weights),  # reads four arrays, writes three
        ),
    }[name]
    return job, moved
