"""Networks as ONNX models, which browsers, phones and most other tools run.

`to_onnx` turns a network into nodes by one table, from a layer's exact type to what it is in ONNX.
The model takes and gives pictures as the other tools have them, ``(N, C, H, W)`` in [−1, 1]; inside
it they stand so, too, except where a layer puts the numbers of a sample into another shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tinygan
from tinygan import layers
from tinygan.errors import UserError
from tinygan.files import replaced
from tinygan.formats.sizes import output_padding
from tinygan.layer import Layer
from tinygan.layers.sequential import Residual, Sequential
from tinygan.machine.arrays import Array, asnumpy

__all__ = ["NODES", "to_onnx", "write_onnx"]

_OPSET, _IR = 17, 8  # of 2022: ONNX Runtime 1.12 and later run them
_TO_NCHW, _TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


def to_onnx(
    network: Layer,
    input_shape: tuple[int | None, ...],
    half: bool = False,
    metadata: dict | None = None,
) -> Any:
    """Return a network's inference (`predict`) as an ONNX model, checked.

    Parameters
    ----------
    network : Layer
        Of the layers in `NODES`, in any nesting of `Sequential` and `Residual`.
    input_shape : tuple of int or None
        The shape of one sample in tinygan's order: ``(100,)``, ``(64, 64, 3)``; None for a size
        that is left open: ``(None, None, 3)``.  The number of samples is always open.
    half : bool
        Keep the convolutions' weights as 16-bit numbers, in half the space.  It is computed in 32
        bits.
    metadata : dict, optional
        Further notes for the model, texts by name.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    UserError
        If a layer has no place in the table, or the package ``onnx`` is not installed.

    Examples
    --------
    >>> from tinygan import Conv2d, ReLU, Sequential
    >>> model = to_onnx(Sequential(Conv2d(3, 8, 3), ReLU()), (None, None, 3))  # doctest: +SKIP
    >>> [node.op_type for node in model.graph.node]  # doctest: +SKIP
    ['Conv', 'Relu']
    """
    try:
        import onnx
    except ImportError:
        raise UserError("ONNX needs a package: pip install 'tinygan[onnx]'") from None
    from onnx import TensorProto, helper, shape_inference

    graph = _Graph(onnx, half, 1 + len(input_shape))
    image = len(input_shape) == 3
    source = "image" if image else "z"
    target = "score" if _ends_in_scores(network) else "translated" if image else "image"
    graph.last = source
    graph.add(network)
    graph.add_node("Identity", output=target)
    sizes = [size or ("H", "W", "C")[i] for i, size in enumerate(input_shape)]
    sizes = ["N", *([sizes[2], *sizes[:2]] if image else sizes)]
    made = helper.make_graph(
        graph.nodes,
        "tinygan",
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info(target, TensorProto.FLOAT, [None] * graph.rank)],
        graph.initializers,
    )
    model = helper.make_model(
        made,
        producer_name="tinygan",
        producer_version=tinygan.__version__,
        ir_version=_IR,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        doc_string="Made with tinygan. Pictures are (N, C, H, W) in [-1, 1].",
    )
    notes = {"made with": f"tinygan {tinygan.__version__}", "layout": "NCHW", "range": "[-1, 1]"}
    notes |= {"weights": "float16" if half else "float32"} | (metadata or {})
    helper.set_model_props(model, {name: str(text) for name, text in notes.items()})
    model = shape_inference.infer_shapes(model)
    for value in (*model.graph.output, *model.graph.value_info):
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            if size.dim_param.startswith("unk"):  # what it could not infer
                size.Clear()
            if axis == 0 and not size.HasField("dim_value"):
                size.dim_param = "N"
    onnx.checker.check_model(model, full_check=True)
    return model


def write_onnx(path: Path, model: Any) -> None:
    """Write a model to a file, whole or not at all."""
    with replaced(Path(path)) as beside:
        beside.write_bytes(model.SerializeToString(deterministic=True))


def _ends_in_scores(network: Layer) -> bool:
    """Whether the network's output is no picture: what `Tanh` or `Sigmoid` last gives is one."""
    while isinstance(network, Sequential) and len(network):
        network = network[len(network) - 1]
    return not isinstance(network, (layers.Tanh, layers.Sigmoid))


class _Graph:
    """Nodes in the order in which they are computed, each after what it takes.

    Attributes
    ----------
    last : str
        The name of the newest output; the next node takes it.
    rank : int
        Its number of axes.  With four it is ``(N, C, H, W)``.
    """

    def __init__(self, onnx: Any, half: bool, rank: int):
        self._onnx, self._half, self.rank = onnx, half, rank
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.last = ""

    def add(self, layer: Layer) -> None:
        """Add a layer, what it holds included."""
        make = NODES.get(type(layer))
        if make is None:
            known = ", ".join(kind.__name__ for kind in NODES)
            raise UserError(
                f"{type(layer).__name__}: ONNX has no place for this layer; there are {known}"
            )
        make(self, layer)

    def add_node(self, kind: str, *further: str, output: str = "", **attributes: Any) -> None:
        """Add a node that takes `last` and `further` inputs; its output is `last` then."""
        inputs, self.last = [self.last, *further], output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, [self.last], **attributes))

    def constant(self, array: Array, name: str) -> str:
        """Add an array that the model holds; return its name."""
        array, name = np.ascontiguousarray(asnumpy(array)), f"{name}_{len(self.nodes)}"
        shorten = self._half and array.ndim == 4
        if array.dtype.kind == "f":
            array = array.astype(np.float16 if shorten else np.float32)
        self.initializers.append(self._onnx.numpy_helper.from_array(array, name))
        if not shorten:
            return name
        to = self._onnx.TensorProto.FLOAT
        self.nodes.append(self._onnx.helper.make_node("Cast", [name], [f"{name}_float"], to=to))
        return f"{name}_float"

    def for_channels(self, array: Array, name: str) -> str:
        """Add one number for each channel, of a shape that goes with `last`."""
        return self.constant(np.reshape(asnumpy(array), (-1, *[1] * (self.rank - 2))), name)

    def transpose(self, axes: Sequence[int]) -> None:
        if self.rank == 4:
            self.add_node("Transpose", perm=axes)


def _sequential(graph: _Graph, layer: Any) -> None:
    for inner in layer:
        graph.add(inner)


def _residual(graph: _Graph, layer: Any) -> None:
    x = graph.last
    _sequential(graph, layer)
    graph.add_node("Add", x)


def _convolution(kind: str) -> Callable[[_Graph, Any], None]:
    def add(graph: _Graph, layer: Any) -> None:
        weights = [graph.constant(asnumpy(layer.weight.data).transpose(3, 2, 0, 1), "weight")]
        if layer.bias is not None:
            weights.append(graph.constant(layer.bias.data, "bias"))
        how = {"kernel_shape": layer.kernel_size, "strides": layer.stride}
        if kind == "ConvTranspose" and any(output_padding(layer)):
            how["output_padding"] = output_padding(layer)
        graph.add_node(kind, *weights, pads=[*layer.padding] * 2, **how)

    return add


def _norm(kind: str, *statistics: str) -> Callable[[_Graph, Any], None]:
    def add(graph: _Graph, layer: Any) -> None:
        affine = (
            np.ones(layer.channels) if layer.weight is None else layer.weight.data,
            np.zeros(layer.channels) if layer.bias is None else layer.bias.data,
        )
        arrays = [*affine, *(getattr(layer, name) for name in statistics)]
        names = ("weight", "bias", *statistics)
        inputs = [graph.constant(a, name) for a, name in zip(arrays, names, strict=True)]
        graph.add_node(kind, *inputs, epsilon=layer.eps)

    return add


def _group_norm(graph: _Graph, layer: Any) -> None:
    """A group is normalized like an instance's channel, once it stands in a row."""
    x = graph.last
    graph.add_node("Reshape", graph.constant(np.array([0, layer.groups, -1]), "groups"))
    ones = np.ones(layer.groups), np.zeros(layer.groups)
    inputs = [graph.constant(a, name) for a, name in zip(ones, ("ones", "zeros"), strict=True)]
    graph.add_node("InstanceNormalization", *inputs, epsilon=layer.eps)
    grouped, graph.last = graph.last, x
    graph.add_node("Shape")
    shape, graph.last = graph.last, grouped
    graph.add_node("Reshape", shape)
    if layer.weight is not None:
        graph.add_node("Mul", graph.for_channels(layer.weight.data, "weight"))
        graph.add_node("Add", graph.for_channels(layer.bias.data, "bias"))


def _linear(graph: _Graph, layer: Any) -> None:
    graph.transpose(_TO_NHWC)
    graph.add_node("MatMul", graph.constant(layer.weight.data, "weight"))
    if layer.bias is not None:
        graph.add_node("Add", graph.constant(layer.bias.data, "bias"))
    graph.transpose(_TO_NCHW)


def _pool(kind: str, **how: Any) -> Callable[[_Graph, Any], None]:
    def add(graph: _Graph, layer: Any) -> None:
        window = {"kernel_shape": layer.kernel_size, "strides": layer.stride}
        graph.add_node(kind, pads=[*layer.padding] * 2, **window, **how)

    return add


def _elementwise(kind: str) -> Callable[[_Graph, Any], None]:
    return lambda graph, layer: graph.add_node(kind)


def _nothing(graph: _Graph, layer: Any) -> None:
    pass


def _leaky_relu(graph: _Graph, layer: Any) -> None:
    graph.add_node("LeakyRelu", alpha=layer.negative_slope)


def _prelu(graph: _Graph, layer: Any) -> None:
    graph.add_node("PRelu", graph.for_channels(layer.weight.data, "slope"))


def _pixel_shuffle(graph: _Graph, layer: Any) -> None:
    graph.add_node("DepthToSpace", blocksize=layer.scale, mode="CRD")


def _pad(graph: _Graph, layer: Any) -> None:
    pads = np.array([0, 0, *layer.padding] * 2, np.int64)
    graph.add_node("Pad", graph.constant(pads, "pads"), mode="reflect")


def _upsample(graph: _Graph, layer: Any) -> None:
    scales = graph.constant(np.array([1, 1, *layer.scale], np.float64), "scales")
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    graph.add_node("Resize", "", scales, mode="nearest", **how)


def _reshape(graph: _Graph, layer: Any) -> None:
    shape = () if type(layer) is layers.Flatten else layer.shape
    graph.transpose(_TO_NHWC)
    if type(layer) is layers.Flatten:
        graph.add_node("Flatten", axis=1)
        graph.rank = 2
    else:
        target = graph.constant(np.array([-1, *shape], np.int64), "shape")
        graph.add_node("Reshape", target)
        graph.rank = 1 + len(shape)
    graph.transpose(_TO_NCHW)


NODES: dict[type, Callable] = {
    Sequential: _sequential,
    Residual: _residual,
    layers.Conv2d: _convolution("Conv"),
    layers.ConvTranspose2d: _convolution("ConvTranspose"),
    layers.BatchNorm2d: _norm("BatchNormalization", "running_mean", "running_var"),
    layers.InstanceNorm2d: _norm("InstanceNormalization"),
    layers.GroupNorm: _group_norm,
    layers.Linear: _linear,
    layers.MaxPool2d: _pool("MaxPool"),
    layers.AvgPool2d: _pool("AveragePool", count_include_pad=1),
    layers.PixelShuffle: _pixel_shuffle,
    layers.PReLU: _prelu,
    layers.ReLU: _elementwise("Relu"),
    layers.LeakyReLU: _leaky_relu,
    layers.Tanh: _elementwise("Tanh"),
    layers.Sigmoid: _elementwise("Sigmoid"),
    layers.Dropout: _nothing,
    layers.GaussianNoise: _nothing,
    layers.RandomColor: _nothing,
    layers.RandomCutout: _nothing,
    layers.RandomTranslation: _nothing,
    layers.ReflectionPad2d: _pad,
    layers.Upsample: _upsample,
    layers.Reshape: _reshape,
    layers.Flatten: _reshape,
}
"""What each layer becomes, by its exact type: a subclass may compute something else."""
