"""A network as its layers' names and numbers, and its weights in one row, for interpreter.js."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygan import layers
from tinygan.errors import UserError
from tinygan.formats.sizes import output_padding
from tinygan.layer import Layer
from tinygan.layers.sequential import Residual, Sequential
from tinygan.machine.arrays import asnumpy

__all__ = ["LAYERS", "describe"]

_PLAIN: tuple[type, ...] = (
    *(Sequential, Residual, layers.Linear, layers.PReLU, layers.Flatten),
    *(layers.ReLU, layers.Tanh, layers.Sigmoid, layers.Dropout, layers.GaussianNoise),
    *(layers.RandomColor, layers.RandomCutout, layers.RandomTranslation),
)
LAYERS: dict[type, tuple[str, ...]] = {
    **dict.fromkeys(_PLAIN, ()),
    layers.Conv2d: ("stride", "padding"),
    layers.ConvTranspose2d: ("stride", "padding"),
    layers.BatchNorm2d: ("eps",),
    layers.InstanceNorm2d: ("eps",),
    layers.GroupNorm: ("eps", "groups"),
    layers.MaxPool2d: ("kernel_size", "stride", "padding"),
    layers.AvgPool2d: ("kernel_size", "stride", "padding"),
    layers.PixelShuffle: ("scale",),
    layers.LeakyReLU: ("negative_slope",),
    layers.ReflectionPad2d: ("padding",),
    layers.Upsample: ("scale",),
    layers.Reshape: ("shape",),
}
"""The numbers that each layer is made with, by its exact type."""


def describe(network: Layer, half: bool = False) -> tuple[dict, bytes]:
    """Return what interpreter.js loads: the layers as JSON can hold them, and the weights' bytes.

    Parameters
    ----------
    network : Layer
        Of the layers in `LAYERS`.
    half : bool
        Write the weights as 16-bit numbers.

    Raises
    ------
    UserError
        If there is a layer that the interpreter does not know.
    """
    weights: list[np.ndarray] = []
    if type(network) is not Sequential:
        network = Sequential(network)
    described = _describe(network, weights)
    flat = np.concatenate([array.ravel() for array in weights] or [np.zeros(0)])
    return described, flat.astype("<f2" if half else "<f4").tobytes()


def _describe(layer: Layer, weights: list) -> dict:
    if type(layer) not in LAYERS:
        known = ", ".join(kind.__name__ for kind in LAYERS)
        raise UserError(f"{type(layer).__name__}: a page cannot run this layer; it knows {known}")
    described: dict[str, Any] = {"kind": type(layer).__name__}
    described |= {name: getattr(layer, name) for name in LAYERS[type(layer)]}
    if isinstance(layer, layers.ConvTranspose2d):
        described["output_padding"] = output_padding(layer)
    if isinstance(layer, Sequential):
        described["layers"] = [_describe(inner, weights) for inner in layer]
        return described
    arrays = {name: parameter.data for name, parameter in layer.named_parameters().items()}
    for name, array in (arrays | layer.buffers()).items():
        if array.dtype.kind == "f":  # not a dropout's random state
            described[name] = {"start": sum(a.size for a in weights), "shape": list(array.shape)}
            weights.append(asnumpy(array))
    return described
