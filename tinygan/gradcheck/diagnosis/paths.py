r"""Products inside a function, :math:`y_n = f(x_n W, \dots)`: found by their derivatives.

Where :math:`\partial y_{no}/\partial W_{ih} = x_{ni} S_{nho}`, the output sees W through x W alone,
and S is the slope of what follows.  Then :math:`\sum_h W_{ih} S_{nho}` is the part of dx that comes
through W: of a gate, of one gate's weights, of a layer behind which another follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Guess

HIDDEN = "the hidden layer"


@dataclass(frozen=True)
class Path:
    """From the tensor `image`, x ``(N, D)``, through `weight`, W ``(D, H)``, to the output."""

    image: str
    weight: str
    x: np.ndarray
    w: np.ndarray
    turned: bool
    slope: np.ndarray

    def dz(self, dy, slope=None):
        """Return the gradient of x W."""
        slope = self.slope if slope is None else slope
        return np.einsum("nho,no->nh", slope, dy.reshape(len(self.x), -1))

    def dx(self, dy, slope=None, w=None):
        """Return the part of dx that comes through W."""
        return self.dz(dy, slope) @ (self.w if w is None else w).T

    def dw(self, dy, slope=None, x=None):
        """Return dW, in the order of axes that the weight has."""
        dw = (self.x if x is None else x).T @ self.dz(dy, slope)
        return dw.T if self.turned else dw


def paths(evidence: Evidence) -> list[Path]:
    """Return all products of a batch and a matrix among the tensors that the output depends on."""
    if "paths" not in evidence.known:
        evidence.known["paths"] = list(_search(evidence))
    return evidence.known["paths"]


def _search(evidence):
    tensors, y = evidence.tensors, evidence.y
    matrices = [n for n, v in tensors.items() if v.ndim == 2] if y.ndim > 1 else []
    for weight, turned in product(matrices if len(matrices) > 1 else (), (False, True)):
        w = tensors[weight].T if turned else tensors[weight]
        jacobian = evidence.jacobian(weight).reshape(*tensors[weight].shape, len(y), -1)
        jacobian = jacobian.swapaxes(0, 1) if turned else jacobian
        images = {n: tensors[n] for n in matrices if n != weight}
        if jacobian.shape[1] == jacobian.shape[3]:  # the last layer sees a hidden one
            images[HIDDEN] = np.einsum("ihnh->ni", jacobian) / jacobian.shape[1]
        for image, x in images.items():
            if x.shape != (len(y), len(w)) or not x.any(axis=1).all():
                continue
            slope = np.einsum("ihno,ni->nho", jacobian, x) / (x * x).sum(1)[:, None, None]
            rest = np.abs(jacobian - np.einsum("ni,nho->ihno", x, slope)).max()
            if np.any(slope) and rest <= 1e-6 * np.abs(jacobian).max():
                yield Path(image, weight, x, w, turned, slope)
                break


def wrong_product(evidence: Evidence, name):
    """What follows a product is forgotten or there twice, or one of its factors is another."""
    for path in paths(evidence):
        what, others = f"{path.image}·{path.weight}", evidence.tensors
        if name == path.image:

            def dx(slope=None, w=None, path=path):
                return lambda dy: evidence.pull(name, dy) + path.dx(dy, slope, w) - path.dx(dy)

            for kind, text, rank, slope in _slopes(evidence, path):
                yield Guess(kind, text.format(what), rank, dx(slope))
            if path.w.shape[0] == path.w.shape[1]:
                text = f"{path.weight} is used where its transpose is due"
                yield Guess("transposed", text, 1, dx(w=path.w.T))
            for other, v in others.items():
                if other not in (name, path.weight) and v.shape == others[path.weight].shape:
                    text = f"{other} is used where {path.weight} is due"
                    yield Guess("wrong tensor", text, 1, dx(w=v.T if path.turned else v))
        elif name == path.weight:

            def dw(slope=None, x=None, path=path):
                return lambda dy: path.dw(dy, slope, x)

            for kind, text, rank, slope in _slopes(evidence, path):
                yield Guess(kind, text.format(what), rank, dw(slope))
            for other, v in {**others, "y": evidence.y}.items():
                if other not in (name, path.image) and v.shape == path.x.shape:
                    text = f"{other} is used where {path.image} is due"
                    yield Guess("wrong tensor", text, 1, dw(x=v))


def _slopes(evidence, path):
    """Yield ``(kind, sentence, rank, slope)`` of what may stand in the place of f's slope.

    That is a number each, s, and behind it a matrix: none, or another weight.
    """
    _, h, o = path.slope.shape
    for matrix in ([np.eye(h)] if h == o else []) + [
        v for v in evidence.tensors.values() if v.shape == (h, o)
    ]:
        s = (path.slope * matrix).sum(2) / (matrix * matrix).sum(1)
        if np.abs(path.slope - s[:, :, None] * matrix).max() > 1e-6 * np.abs(path.slope).max():
            continue
        mask = len(np.unique(np.round(s, 6))) == 2
        kinds = [
            ("wrong mask" if mask else "missing term",
             "the slope of what follows {} is missing", 1, np.ones_like(s)),
            ("extra term", "the slope of what follows {} is there twice", 1, s * s),
        ]  # fmt: skip
        if mask:
            kinds += [("wrong mask", "the mask behind {} is inverted", 2, s.max() + s.min() - s)]
        for other in paths(evidence):
            if other is not path and other.slope.shape == path.slope.shape and h == o:
                t, y = np.einsum("nhh->nh", other.slope), evidence.y.reshape(s.shape)
                text = "a factor of the slope of {} is missing"
                kinds += [("missing term", text, 2, f) for f in (t * (1 - t), y / t, 1 - t * t)]
        for kind, text, rank, values in kinds:
            yield kind, text, rank, values[:, :, None] * matrix
