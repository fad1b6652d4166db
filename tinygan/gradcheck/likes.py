"""What a function or layer is called with when it is to be checked "like" one of tinygan's own.

Each entry knows a few sets of arguments by their usual names, and the output that is due.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinygan import layers, losses
from tinygan.convolution import convolve, convolve_grad_input
from tinygan.gradcheck.subject import NotCheckable

__all__ = ["LIKES", "Like", "find_like"]

ALIASES = {
    "x": ("x", "input", "inputs", "images", "a", "z", "s", "score", "scores"),
    "w": ("w", "weight", "weights", "kernel", "kernels", "filters"),
    "b": ("b", "bias", "biases"),
    "gamma": ("gamma", "g", "scale", "weight"),
    "beta": ("beta", "b", "shift", "bias"),
    "t": ("t", "target", "targets", "y", "label", "labels"),
    "p": ("p", "prediction", "predictions", "probability", "probabilities", "x", "score", "s"),
    "negative_slope": ("negative_slope", "slope", "alpha", "leak"),
    "padding": ("padding", "pad", "p"),
    "stride": ("stride", "s"),
    "eps": ("eps", "epsilon"),
}


@dataclass(frozen=True)
class Like:
    """How to call what is like a layer or loss of tinygan.

    Attributes
    ----------
    cases : callable
        ``cases(rng)`` returns dictionaries of arguments by name, in the usual order.
    output : callable
        Takes such a dictionary and returns the output that is due.
    layer : type or None
        tinygan's own layer.
    built_with : callable
        Takes such a dictionary and returns the arguments that the layer is built with.
    """

    cases: Callable
    output: Callable
    layer: type | None = None
    built_with: Callable = lambda case: ()

    def arguments(self, function, case):
        """Return positional arguments for `function`: by its parameters' names, else in order.

        Parameters with defaults that nothing is known for keep them.
        """
        left, found = dict(case), []
        parameters = inspect.signature(function).parameters.values()
        for parameter in parameters:
            if parameter.kind not in (
                parameter.POSITIONAL_ONLY,
                parameter.POSITIONAL_OR_KEYWORD,
            ):
                continue
            name = _named(parameter.name, left)
            if name is None and parameter.default is not parameter.empty:
                break
            if name is None and left:
                name = next(iter(left))
            if name is None:
                raise NotCheckable(
                    f"{function.__name__}: nothing is known to give for its argument "
                    f"{parameter.name!r}; expected ({', '.join(case)})"
                )
            found.append(left.pop(name))
        return found


def _named(name, left):
    if name in left:
        return name
    for known in left:
        if name.lower() in ALIASES.get(known, ()):
            return known
    return None


def find_like(name: str) -> Like:
    """Return the entry called `name`, whatever its capitals and underscores.

    Raises
    ------
    ValueError
        If there is none; the message lists them.
    """
    wanted = _plain(name)
    for known, like in LIKES.items():
        if wanted in (_plain(known), _plain(known).removesuffix("2d")):
            return like
    raise ValueError(f"--like: expected one of {', '.join(LIKES)}, got {name!r}")


def _plain(name):
    return name.lower().replace("_", "")


def _x(rng, *shape):
    x = rng.standard_normal(shape)
    return x + 0.05 * np.sign(x)  # off the kinks at 0


def _activation(layer, **options):
    def cases(rng):
        return [{"x": _x(rng, 2, 3, 4, 2), **options}, {"x": _x(rng, 5, 3), **options}]

    def output(case):
        return layer(*options.values()).forward(case["x"])[0]

    return Like(cases, output, layer, lambda case: tuple(options.values()))


def _conv_cases(rng):
    return [
        {
            "x": _x(rng, 2, 5, 6, 2),
            "w": rng.standard_normal((3, 3, 2, 3)),
            "b": rng.standard_normal(3),
            "stride": stride,
            "padding": padding,
        }
        for stride, padding in ((1, 0), (1, 1), (2, 1))
    ]


def _transposed_cases(rng):
    return [
        {
            "x": _x(rng, 2, 3, 2, 2),
            "w": rng.standard_normal((4, 4, 3, 2)),
            "b": rng.standard_normal(3),
            "stride": stride,
            "padding": padding,
        }
        for stride, padding in ((1, 0), (2, 1))
    ]


def _enlarged(x, w, stride, padding):
    height, width = ((n - 1) * stride - 2 * padding + w.shape[0] for n in x.shape[1:3])
    return convolve_grad_input(x, w, (stride, stride), (padding, padding), (height, width))


def _conv_output(case):
    pairs = ((case[k], case[k]) for k in ("stride", "padding"))
    return convolve(case["x"], case["w"], *pairs) + case["b"]


def _transposed_output(case):
    return _enlarged(case["x"], case["w"], case["stride"], case["padding"]) + case["b"]


def _conv_built_with(case):
    return (*case["w"].shape[2:], case["w"].shape[0], case["stride"], case["padding"])


def _transposed_built_with(case):
    return (*case["w"].shape[:1:-1], case["w"].shape[0], case["stride"], case["padding"])


def _channels(case):
    return (case["x"].shape[-1],)


def _norm_cases(rng):
    return [
        {
            "x": 1 + 2 * rng.standard_normal((3, 4, 2, 3)),
            "gamma": rng.uniform(0.5, 2, 3),
            "beta": rng.standard_normal(3),
            "eps": 1e-5,
        }
    ]


def _normalised(axes):
    def output(case):
        x = case["x"]
        centred = x - x.mean(axis=axes, keepdims=True)
        xhat = centred / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + case["eps"])
        return xhat * case.get("gamma", 1) + case.get("beta", 0)

    return output


def _instance_cases(rng):
    return [{"x": 1 + 2 * rng.standard_normal((3, 4, 2, 3)), "eps": 1e-5}]


def _loss(loss, low, high):
    def cases(rng):
        t = (rng.random((4, 3)) < 0.5).astype(float) * 0.9
        return [{"p": rng.uniform(low, high, (4, 3)), "t": t}]

    return Like(cases, lambda case: loss(case["p"], case["t"])[0])


LIKES: dict[str, Like] = {
    "ReLU": _activation(layers.ReLU),
    "LeakyReLU": _activation(layers.LeakyReLU, negative_slope=0.2),
    "Sigmoid": _activation(layers.Sigmoid),
    "Tanh": _activation(layers.Tanh),
    "Conv2d": Like(_conv_cases, _conv_output, layers.Conv2d, _conv_built_with),
    "ConvTranspose2d": Like(
        _transposed_cases, _transposed_output, layers.ConvTranspose2d, _transposed_built_with
    ),
    "BatchNorm2d": Like(_norm_cases, _normalised((0, 1, 2)), layers.BatchNorm2d, _channels),
    "InstanceNorm2d": Like(_instance_cases, _normalised((1, 2)), layers.InstanceNorm2d, _channels),
    "Flatten": Like(
        lambda rng: [{"x": _x(rng, 2, 3, 4, 2)}],
        lambda case: case["x"].reshape(len(case["x"]), -1),
        layers.Flatten,
    ),
    "bce": _loss(losses.bce, 0.1, 0.9),
    "bce_with_logits": _loss(losses.bce_with_logits, -2, 2),
    "mse": _loss(losses.mse, -2, 2),
    "l1": _loss(losses.l1, -2, 2),
}
