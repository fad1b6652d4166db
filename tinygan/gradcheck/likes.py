"""What a function or layer is called with when it is to be checked "like" one of tinygan's own.

`LIKES` is the table: a few sets of arguments by their usual names, and the output that is due.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygan import layers, losses
from tinygan.convolution import convolve, convolve_grad_input
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
    output: Callable
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
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                continue
            wanted = parameter.name.lower()
            known = [n for n in left if n == wanted or wanted in ALIASES.get(n, "").split()]
            if not known and parameter.default is not parameter.empty:
                break
            name = wanted if wanted in left else next(iter([*known, *left]), None)
            if name is None:
                raise NotCheckable(
                    f"{function.__name__}: nothing is known to give for its argument "
                    f"{parameter.name!r}; expected ({', '.join(case)})"
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


def _activation(layer, **options):
    values = tuple(options.values())
    draws = [{"x": shape, **options} for shape in ((2, 3, 4, 2), (5, 3))]
    return Like(draws, lambda c, y: layer(*values).forward(c["x"])[0], layer, lambda c: values)


def _transposed(c, _):
    sizes = zip(c["x"].shape[1:3], c["w"].shape, strict=False)
    size: Any = [(n - 1) * c["stride"] - 2 * c["padding"] + k for n, k in sizes]
    return (
        convolve_grad_input(c["x"], c["w"], _pair(c, "stride"), _pair(c, "padding"), size) + c["b"]
    )


def _pair(c, name):
    return c[name], c[name]


def _convolutions(x, w, strides):
    return [{"x": x, "w": w, "b": (3,), "stride": s, "padding": p} for s, p in strides]


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


def _pool(layer):
    draws = [{"x": (2, 4, 6, 3), "size": 2, "stride": 2}]
    return Like(draws, lambda c, y: layer(c["size"], c["stride"]).forward(c["x"])[0], layer,
                lambda c: (c["size"], c["stride"]))  # fmt: skip


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


LIKES: dict[str, Like] = {
    "ReLU": _activation(layers.ReLU),
    "LeakyReLU": _activation(layers.LeakyReLU, negative_slope=0.2),
    "Sigmoid": _activation(layers.Sigmoid),
    "Tanh": _activation(layers.Tanh),
    "Linear": Like(
        [{"x": (4, 5), "w": (5, 3), "b": (3,)}],
        lambda c, y: c["x"] @ c["w"] + c["b"],
        layers.Linear,
        lambda c: c["w"].shape,
    ),
    "Conv2d": Like(
        _convolutions((2, 5, 6, 2), (3, 3, 2, 3), ((1, 0), (1, 1), (2, 1))),
        lambda c, y: convolve(c["x"], c["w"], _pair(c, "stride"), _pair(c, "padding")) + c["b"],
        layers.Conv2d,
        lambda c: (*c["w"].shape[2:], c["w"].shape[0], c["stride"], c["padding"]),
    ),
    "ConvTranspose2d": Like(
        _convolutions((2, 3, 2, 2), (4, 4, 3, 2), ((1, 0), (2, 1))),
        _transposed,
        layers.ConvTranspose2d,
        lambda c: (*c["w"].shape[:1:-1], c["w"].shape[0], c["stride"], c["padding"]),
    ),
    "BatchNorm2d": _norm((0, 1, 2), layers.BatchNorm2d),
    "InstanceNorm2d": _norm((1, 2), layers.InstanceNorm2d, weights=False),
    "LayerNorm": _norm(-1),
    "MaxPool2d": _pool(layers.MaxPool2d),
    "AvgPool2d": _pool(layers.AvgPool2d),
    "Dropout": Like(
        [{"x": (4, 5), "rate": 0.3, "rng": np.random.default_rng}],
        lambda c, y: np.where(np.asarray(y) == 0, 0, c["x"] / (1 - c["rate"])),
        layers.Dropout,
        lambda c: (c["rate"],),
    ),
    "Flatten": Like(
        [{"x": (2, 3, 4, 2)}], lambda c, y: c["x"].reshape(len(c["x"]), -1), layers.Flatten
    ),
    "softmax_cross_entropy": Like(
        [{"p": (5, 4), "t": lambda rng: rng.integers(0, 4, 5)}], _cross_entropy
    ),
    "bce": _loss(losses.bce, 0.1, 0.9),
    "bce_with_logits": _loss(losses.bce_with_logits, -2, 2),
    "mse": _loss(losses.mse, -2, 2),
    "l1": _loss(losses.l1, -2, 2),
}
