"""Convolutions: recognised by their numbers, then compared with every near miss of their gradient.

The forward pass is tried as a convolution or transposed convolution in every usual order of axes.
Once it is known which one it is, the gradient is computed with a stride or a padding that is one
off, and compared with what the code returned.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from tinygan.convolution import convolve, convolve_grad_input, convolve_grad_weight
from tinygan.gradcheck.diagnosis.evidence import Evidence, Guess

# orders of the axes of images and of weights that turn them into (N, H, W, C) and (KH, KW, C, O)
IMAGES = {"NHWC": (0, 1, 2, 3), "NCHW": (0, 2, 3, 1)}
WEIGHTS = {
    "KH KW C O": (0, 1, 2, 3),
    "KH KW O C": (0, 1, 3, 2),
    "O C KH KW": (2, 3, 1, 0),
    "C O KH KW": (2, 3, 0, 1),
}


def stride_or_padding(evidence: Evidence, name):
    """The gradient of a convolution with another stride or padding."""
    known = _recognise(evidence)
    if known is None or name not in (known.image, known.weight):
        return
    for stride, padding in _near(known.stride, known.padding):
        pairs = (("stride", stride, known.stride), ("padding", padding, known.padding))
        what = [f"{n} {_short(a)} where it is {_short(b)}" for n, a, b in pairs if a != b]
        text = f"the gradient of {name} is computed with {' and '.join(what)}"
        yield Guess("stride or padding", text, 1,
                    lambda dy, s=stride, p=padding: known.gradient(name, dy, s, p))  # fmt: skip


def _near(stride, padding):
    """Yield strides and paddings that are off, on both axes or on one, the nearest first."""
    steps = sorted(product((0, -1, 1), (0, -1, 1, -2, 2)), key=lambda c: abs(c[0]) + abs(c[1]))
    for ds, dp in steps[1:]:
        for axes in ((1, 1), (1, 0), (0, 1)):
            s = tuple(k + ds * a for k, a in zip(stride, axes, strict=True))
            p = tuple(k + dp * a for k, a in zip(padding, axes, strict=True))
            if min(s) >= 1 and min(p) >= 0:
                yield s, p


def _short(pair):
    return str(pair[0]) if pair[0] == pair[1] else str(pair)


class _Convolution:
    """A recognised convolution: images x, weights w, stride and padding.

    `transposed` means that the forward pass is the adjoint of a convolution with these weights.
    """

    def __init__(self, image, weight, x, w, orders, stride, padding, transposed):
        self.image, self.weight = image, weight
        self.x, self.w = x, w  # in the order NHWC and (KH, KW, C, O) of the plain convolution
        self.orders, self.stride, self.padding = orders, stride, padding
        self.transposed = transposed

    def gradient(self, name, dy, stride, padding):
        """Return what the gradient is with another stride and padding."""
        images, weights = self.orders
        dy = dy.transpose(images)
        small, large = (self.x, dy) if self.transposed else (dy, self.x)
        sizes = zip(small.shape[1:3], self.w.shape, stride, strict=False)
        full, none = tuple(s * (n - 1) + k for n, k, s in sizes), (0, 0)
        if name == self.weight:
            large = _cut(large, tuple(-p for p in padding), full)
            dw = convolve_grad_weight(large, small, stride, none, self.w.shape[:2])
            return dw.transpose(np.argsort(weights))
        if self.transposed:
            dx = convolve(_cut(dy, tuple(-p for p in padding), full), self.w, stride, none)
        else:
            dx = convolve_grad_input(dy, self.w, stride, none, full)
            dx = _cut(dx, padding, self.x.shape[1:3])
        return dx.transpose(np.argsort(images))


def _cut(image, start, size):
    """Return `size` pixels of an image from `start` on, zeros where it has none."""
    for axis, (first, n) in enumerate(zip(start, size, strict=True), 1):
        rest = max(0, first + n - image.shape[axis])
        image = np.pad(image, [(max(0, -first), rest) if a == axis else (0, 0) for a in range(4)])
        image = image.take(range(max(0, first), max(0, first) + n), axis)
    return image


def _recognise(evidence) -> _Convolution | None:
    if hasattr(evidence, "convolution"):
        return evidence.convolution
    evidence.convolution = None
    tensors = evidence.tensors
    four = [n for n, v in tensors.items() if v.ndim == 4]
    if evidence.y.ndim != 4 or len(four) < 2:
        return None
    image, weight = four[:2]
    for images, weights in product(IMAGES.values(), WEIGHTS.values()):
        x, y = tensors[image].transpose(images), evidence.y.transpose(images)
        w = tensors[weight].transpose(weights)
        for transposed in (False, True):
            small, large = (x, y) if transposed else (y, x)
            if w.shape[2:] != (large.shape[3], small.shape[3]):
                continue
            for stride, padding in _geometries(small.shape, large.shape, w.shape):
                if transposed:
                    mine = convolve_grad_input(x, w, stride, padding, y.shape[1:3])
                else:
                    mine = convolve(x, w, stride, padding)
                rest = y - mine
                if np.abs(rest - rest[:1, :1, :1]).max() < 1e-9 * (1 + np.abs(y).max()):
                    evidence.convolution = _Convolution(
                        image, weight, x, w, (images, weights), stride, padding, transposed
                    )
                    return evidence.convolution
    return None


def _geometries(small, large, kernel):
    """Yield the strides and paddings with which `large` may become `small`."""
    axes = [
        [(s, p) for s in range(1, 5) for p in range(k) if 0 <= n + 2 * p - k - s * (m - 1) < s]
        for k, n, m in zip(kernel[:2], large[1:3], small[1:3], strict=True)
    ]
    for (s, p), (t, q) in sorted(product(*axes), key=lambda c: (c[0] != c[1], c)):
        yield (s, t), (p, q)
