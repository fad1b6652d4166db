"""What a function or layer is called with when it is to be checked "like" one of tinygan's own.

`LIKES` is the table: a few sets of arguments by their usual names, and the output that is due.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygan import layers, losses
from tinygan.gradcheck.conventions import positional
from tinygan.gradcheck.subject import NotCheckable

__all__ = ["LIKES", "Like", "find_like"]

ALIASES = {
    "x": "x input inputs images a z s score scores",
    "w": "w weight weights kernel kernels filters",
    "b": "b bias biases",
    "gamma": "gamma g scale weight",
    "beta": "beta b shift bias",
    "t": "t target targets y label labels",
    "p": "p prediction predictions probability probabilities x score scores s logits",
    "negative_slope": "negative_slope slope alpha leak",
    "padding": "padding pad p",
    "stride": "stride s",
    "eps": "eps epsilon",
    "size": "size k kernel_size pool_size window pool",
    "rate": "rate p drop_prob probability",
    "rng": "rng generator random seed",
}


@dataclass(frozen=True)
class Like:
    """How to call what is like a layer or loss of tinygan.

    Attributes
    ----------
    draws : list of dict
        Sets of arguments by name, in the usual order: a tuple is the shape of normal numbers off
        the kinks at 0, a function of a generator draws the value, the rest is given as it is.
    output : callable
        Takes the arguments and the student's output, and returns the output that is due.
    layer : type or None
        tinygan's own layer.
    built_with : callable
        Takes the arguments and returns those that the layer is built with.
    """

    draws: list[dict]
    output: Callable = lambda case, y: y
    layer: type | None = None
    built_with: Callable = lambda case: ()

    def cases(self, rng) -> list[dict]:
        """Return the sets of arguments."""
        return [{name: _draw(value, rng) for name, value in draw.items()} for draw in self.draws]

    def arguments(self, function, case) -> list:
        """Return positional arguments for `function`: by its parameters' names, else in order.

        Parameters with defaults that nothing is known for keep them.
        """
        left, found = dict(case), []
        required = positional(function, required=True)
        for parameter in positional(function):
            wanted = parameter.lower()
            known = [n for n in left if n == wanted or wanted in ALIASES.get(n, "").split()]
            if not known and parameter not in required:
                break
            name = wanted if wanted in left else next(iter([*known, *left]), None)
            if name is None:
                raise NotCheckable(
                    f"{function.__name__}: nothing is known to give for its argument "
                    f"{parameter!r}; expected ({', '.join(case)})"
                )
            found.append(left.pop(name))
        return found


def _draw(value, rng):
    if isinstance(value, tuple):
        x = rng.standard_normal(value)
        return x + 0.05 * np.sign(x)
    return value(rng) if callable(value) else value


def find_like(name: str) -> Like:
    """Return the entry called `name`, whatever its capitals and underscores.

    Raises
    ------
    ValueError
        If there is none; the message lists them.
    """

    def plain(text):
        return text.lower().replace("_", "")

    for known, like in LIKES.items():
        if plain(name) in (plain(known), plain(known).removesuffix("2d")):
            return like
    raise ValueError(f"--like: expected one of {', '.join(LIKES)}, got {name!r}")


def _layer(layer, draws, built_with: Callable = lambda c: ()):
    """Return how to call what is like a layer, whose own output is due."""

    def output(c, _):
        due = layer(*built_with(c)).to(dtype=np.float64)
        for parameter, name in zip(due.parameters(), "wb", strict=False):
            parameter.data[...] = c[name]
        return due.forward(c["x"])[0]

    return Like(draws, output, layer, built_with)


def _convolution(layer, x, w, strides, sizes):
    draws = [{"x": x, "w": w, "b": (3,), "stride": s, "padding": p} for s, p in strides]
    return _layer(layer, draws, lambda c: (*sizes, len(c["w"]), c["stride"], c["padding"]))


def _norm(axes, layer=None, weights=True):
    def output(c, _):
        x = c["x"]
        centred = x - x.mean(axis=axes, keepdims=True)
        xhat = centred / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + c["eps"])
        return xhat * c.get("gamma", 1) + c.get("beta", 0)

    draw: dict[str, Any] = {"x": lambda rng: 1 + 2 * rng.standard_normal((3, 4, 2, 3))}
    if weights:
        draw |= {"gamma": lambda rng: rng.uniform(0.5, 2, 3), "beta": (3,)}
    return Like([{**draw, "eps": 1e-5}], output, layer, lambda c: c["x"].shape[-1:])


def _loss(loss, low, high):
    draws = [
        {
            "p": lambda rng: rng.uniform(low, high, (4, 3)),
            "t": lambda rng: (rng.random((4, 3)) < 0.5) * 0.9,
        }
    ]
    return Like(draws, lambda c, y: loss(c["p"], c["t"])[0])


def _cross_entropy(c, _):
    p = c["p"] - c["p"].max(axis=1, keepdims=True)
    return (np.log(np.exp(p).sum(axis=1)) - p[np.arange(len(p)), c["t"]]).mean()


PLAIN: list[dict] = [{"x": (2, 3, 4, 2)}, {"x": (5, 3)}]
POOL: list[dict] = [{"x": (2, 4, 6, 3), "size": 2, "stride": 2}]

LIKES: dict[str, Like] = {
    "ReLU": _layer(layers.ReLU, PLAIN),
    "LeakyReLU": _layer(
        layers.LeakyReLU,
        [{**c, "negative_slope": 0.2} for c in PLAIN],
        lambda c: (c["negative_slope"],),
    ),
    "Sigmoid": _layer(layers.Sigmoid, PLAIN),
    "Tanh": _layer(layers.Tanh, PLAIN),
    "Linear": _layer(
        layers.Linear, [{"x": (4, 5), "w": (5, 3), "b": (3,)}], lambda c: c["w"].shape
    ),
    "Conv2d": _convolution(
        layers.Conv2d, (2, 5, 6, 2), (3, 3, 2, 3), ((1, 0), (1, 1), (2, 1)), (2, 3)
    ),
    "ConvTranspose2d": _convolution(
        layers.ConvTranspose2d, (2, 3, 2, 2), (4, 4, 3, 2), ((1, 0), (2, 1)), (2, 3)
    ),
    "BatchNorm2d": _norm((0, 1, 2), layers.BatchNorm2d),
    "InstanceNorm2d": _norm((1, 2), layers.InstanceNorm2d, weights=False),
    "LayerNorm": _norm(-1),
    "MaxPool2d": _layer(layers.MaxPool2d, POOL, lambda c: (c["size"], c["stride"])),
    "AvgPool2d": _layer(layers.AvgPool2d, POOL, lambda c: (c["size"], c["stride"])),
    "Dropout": Like(
        [{"x": (4, 5), "rate": 0.3, "rng": np.random.default_rng}],
        lambda c, y: np.where(np.asarray(y) == 0, 0, c["x"] / (1 - c["rate"])),
        layers.Dropout,
        lambda c: (c["rate"],),
    ),
    "Flatten": _layer(layers.Flatten, [{"x": (2, 3, 4, 2)}]),
    "softmax_cross_entropy": Like(
        [{"p": (5, 4), "t": lambda rng: rng.integers(0, 4, 5)}], _cross_entropy
    ),
    "bce": _loss(losses.bce, 0.1, 0.9),
    "bce_with_logits": _loss(losses.bce_with_logits, -2, 2),
    "mse": _loss(losses.mse, -2, 2),
    "l1": _loss(losses.l1, -2, 2),
}
