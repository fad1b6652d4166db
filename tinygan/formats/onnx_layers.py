"""What an ONNX network makes of pictures, as tinygan's layers: with their backward passes.

ONNX Runtime computes a network and no gradients.  A chain of convolutions, activations and pools,
as VGG's features are, is one of tinygan's own networks, which gives them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinygan.errors import UserError
from tinygan.files import read_regular
from tinygan.layer import Layer
from tinygan.layers import AvgPool2d, Conv2d, LeakyReLU, MaxPool2d, ReLU, Sequential

__all__ = ["read_onnx"]

_USUAL = {
    "dilations": 1,
    "group": 1,
    "auto_pad": b"NOTSET",
    "ceil_mode": 0,
    "training_mode": 0,
    "storage_order": 0,
}


def read_onnx(path: str | Path, until: str | None = None) -> Sequential:
    """Return the layers of an ONNX file that lead from its picture to a node.

    Parameters
    ----------
    path : str or Path
        A file whose input is pictures, ``(N, C, H, W)``.
    until : str, optional
        The name of a node, or of what it puts out: the last one that is read.  By default the last
        is the last convolution or pool with what follows it in `NODES`; a classifier behind it,
        ``Flatten`` and ``Gemm`` for instance, is left out.

    Returns
    -------
    Sequential
        From pictures ``(N, H, W, C)``, float32, to ``(N, H', W', C')``.

    Raises
    ------
    UserError
        If the file cannot be read, or a node is none of `NODES` or not in one row with the others.

    Notes
    -----
    Batch normalization by fixed statistics multiplies each channel and adds to it.  So does a
    convolution in front of it, and the two are one.
    """
    graph, constants = _opened(Path(path))
    at = graph.output[0].name
    if until is not None:
        named = {name: node.output[0] for node in graph.node for name in (node.name, *node.output)}
        if until not in named:
            names = ", ".join(map(_name, graph.node))
            raise UserError(f"{path}: has no node {until}; expected one of {names}")
        at = named[until]
    makers = {name: node for node in graph.node for name in node.output if name}
    chain: list[Any] = []
    while at in makers and makers[at].input:
        chain.insert(0, makers[at])
        at = chain[0].input[0]
    if at not in {given.name for given in graph.input} - set(constants):
        raise UserError(f"{path}: expected nodes in one row from its input on, got {at} instead")
    if until is None:
        count = max((i + 1 for i, node in enumerate(chain) if node.op_type in _SEES), default=0)
        while 0 < count < len(chain) and chain[count].op_type in NODES:
            count += 1
        chain = chain[:count]
    layers: list[Layer] = []
    for node in chain:
        try:
            _add(layers, node, constants)
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{path}: node {_name(node)} ({node.op_type}): {error}; supported are, one after "
                f"the other, {', '.join(NODES)}"
            ) from None
    if not layers:
        raise UserError(f"{path}: no layer of pictures in it; supported are {', '.join(NODES)}")
    return Sequential(*layers)


def _opened(path: Path) -> tuple[Any, dict[str, np.ndarray]]:
    """Return a file's graph, and its constants by name."""
    try:
        import onnx
    except ImportError:
        raise UserError(f"{path}: ONNX needs a package: pip install 'tinygan[onnx]'") from None
    try:
        model = onnx.load_model_from_string(read_regular(path))
        onnx.external_data_helper.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
        if not model.graph.output or not all(node.output for node in model.graph.node):
            raise ValueError("a node, or the whole, puts nothing out")
        found = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute[0].HasField("t"):
                found[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
            elif node.op_type in ("Cast", "Identity") and node.input[0] in found:
                found[node.output[0]] = found[node.input[0]]  # half precision, or shared weights
    except Exception as error:  # protobuf, onnx and NumPy raise a dozen kinds for damaged files
        why = " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
        raise UserError(f"{path}: cannot be read as an ONNX network: {why}") from None
    return model.graph, found


def _name(node: Any) -> str:
    return node.name or node.output[0]


def _add(layers: list[Layer], node: Any, constants: dict[str, np.ndarray]) -> None:
    """Append what a node stands for."""
    import onnx

    if node.op_type not in NODES:
        raise ValueError("its kind is not supported")
    if missing := [name for name in node.input[1:] if name and name not in constants]:
        raise ValueError(f"{missing[0]} is no constant")
    known, make = NODES[node.op_type]
    how = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    for name, value in how.items():
        if name not in known and not np.all(np.asarray(value) == _USUAL.get(name)):
            raise ValueError(f"{name} {value} is not supported")
    weights = [constants[name].astype(np.float32) for name in node.input[1:] if name]
    if not all(np.isfinite(array).all() for array in weights):
        raise ValueError("its weights are not finite")
    made = make(layers, how, *weights)
    if made is not None:
        layers.append(made)
    if layers and not all(np.isfinite(p.data).all() for p in layers[-1].parameters()):
        raise ValueError("its weights are not finite: a variance below 0?")


def _window(how: dict[str, Any]) -> dict[str, Any]:
    """Return stride and padding of a window."""
    pads = how.get("pads", [0] * 4)
    if len(pads) != 4 or pads[:2] != pads[2:]:
        raise ValueError(f"pads are {pads}, expected the same on both sides")
    return {"stride": tuple(how.get("strides", (1, 1))), "padding": tuple(pads[:2])}


def _conv(layers: Any, how: Any, w: np.ndarray, b: np.ndarray | None = None) -> Conv2d:
    if w.ndim != 4:
        raise ValueError(f"its weights are of shape {w.shape}, expected four axes")
    layer = Conv2d(w.shape[1], w.shape[0], w.shape[2:], **_window(how))
    layer.weight.data = np.ascontiguousarray(w.transpose(2, 3, 1, 0))
    if b is not None:
        layer.bias.data = b.reshape(len(w))
    return layer


def _norm(layers: Any, how: Any, *weights: np.ndarray) -> Layer | None:
    gain, shift, mean, var = weights
    front = layers[-1] if layers and type(layers[-1]) is Conv2d else None
    if front and front.out_channels != len(gain):
        raise ValueError(f"{len(gain)} channels behind {front!r}")
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = gain / np.sqrt(var + np.float32(how.get("epsilon", 1e-5)))
    layer = front or _conv(layers, {}, np.eye(len(gain), dtype=np.float32)[:, :, None, None])
    layer.weight.data = layer.weight.data * gain
    layer.bias.data = (layer.bias.data - mean) * gain + shift
    return None if front else layer


def _pool(kind: Callable[..., Layer]) -> Callable[..., Layer]:
    def make(layers: Any, how: dict[str, Any]) -> Layer:
        if kind is AvgPool2d and any(how.get("pads", ())) and not how.get("count_include_pad"):
            raise ValueError("its mean leaves the padding out")
        return kind(tuple(how["kernel_shape"]), **_window(how))

    return make


_SEES = ("Conv", "MaxPool", "AveragePool")
_PLACED = {"kernel_shape", "strides", "pads"}
NODES: dict[str, tuple[set[str], Callable[..., Layer | None]]] = {
    "Conv": (_PLACED, _conv),
    "Relu": (set(), lambda layers, how: ReLU()),
    "LeakyRelu": ({"alpha"}, lambda layers, how: LeakyReLU(how.get("alpha", 0.01))),
    "MaxPool": (_PLACED, _pool(MaxPool2d)),
    "AveragePool": ({*_PLACED, "count_include_pad"}, _pool(AvgPool2d)),
    "BatchNormalization": ({"epsilon", "momentum"}, _norm),
    "Identity": (set(), lambda layers, how: None),
    "Dropout": ({"ratio", "seed"}, lambda layers, how, *further: None),
}
"""What can be read: which of a node's attributes, and the layer that it becomes."""
