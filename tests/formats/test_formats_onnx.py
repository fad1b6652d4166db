"""Networks as ONNX models, run by ONNX Runtime; and ONNX's own cases, run by tinygan's layers."""

import json
import warnings
from collections import Counter

import numpy as np
import pytest

import tinygan
from tinygan import BatchNorm2d, Conv2d, ConvTranspose2d, InstanceNorm2d, LeakyReLU, Sequential
from tinygan.cases import LAYERS
from tinygan.errors import UserError
from tinygan.export.__main__ import main
from tinygan.formats.onnx_file import NODES, to_onnx
from tinygan.models import cyclegan_networks, dcgan
from tinygan.runs.run import load

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


def swapped(x, axes):
    return np.ascontiguousarray(x.transpose(axes)) if x.ndim == 4 else x


def run(model, x):
    """Run a model on channels-last input; return channels-last output."""
    content = model if isinstance(model, str) else model.SerializeToString()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    y = session.run(None, {session.get_inputs()[0].name: swapped(x, (0, 3, 1, 2))})[0]
    return swapped(y, (0, 2, 3, 1))


def trained(network, seed=0):
    """Give every statistic and weight a value that it would not have by itself."""
    rng = np.random.default_rng(seed)
    for _, layer in network.walk():
        if isinstance(layer, BatchNorm2d):
            layer.running_mean[...] = rng.normal(0, 0.2, layer.running_mean.shape)
            layer.running_var[...] = rng.uniform(0.5, 2, layer.running_var.shape)
    for parameter in network.parameters():
        if parameter.data.ndim == 1:
            parameter.data += rng.normal(0, 0.2, parameter.shape).astype(parameter.data.dtype)
    return network


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.id)
def test_every_layer_agrees(case):
    layer, x = trained(case.make()), case.x(np.float32)
    if {type(inner) for _, inner in layer.walk()} - set(NODES):
        pytest.skip("a layer that is not in the table is refused by its name")
    expected = layer.predict(x)
    shape = (None, None, x.shape[3]) if x.ndim == 4 else x.shape[1:]
    fixed = any(isinstance(inner, (tinygan.Reshape, tinygan.Flatten)) for _, inner in layer.walk())
    model = to_onnx(layer, x.shape[1:] if fixed else shape)
    found = run(model, x)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)


NETWORKS = {
    "dcgan G": (lambda: dcgan.generator(32, noise_size=100, width=16), (5, 100), "z", "image"),
    "dcgan D": (lambda: dcgan.discriminator(32, width=16), (5, 32, 32, 3), "image", "score"),
    "translator": (
        lambda: cyclegan_networks.generator(width=16, residual_blocks=3, dropout=0.5),
        *((2, 40, 56, 3), "image", "translated"),
    ),
    "translator, batch norm, resized": (
        lambda: cyclegan_networks.generator(width=16, norm="batch", upsampling="resize"),
        *((2, 40, 56, 3), "image", "translated"),
    ),
    "patches": (
        lambda: cyclegan_networks.patch_discriminator(width=16),
        *((2, 48, 64, 3), "image", "score"),
    ),
}


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("title", NETWORKS)
def test_networks_agree_at_every_size(title, half):
    make, shape, source, target = NETWORKS[title]
    network, rng = trained(make()), np.random.default_rng(1)
    open_size = title[:5] != "dcgan"
    model = to_onnx(network, (None, None, 3) if open_size else shape[1:], half)
    assert (model.graph.input[0].name, model.graph.output[0].name) == (source, target)
    for count, size in ((1, 64), (3, 48), (2, 96)):
        at = (count, size, 64, 3) if open_size else (count, *shape[1:])
        x = rng.uniform(-1, 1, at).astype(np.float32)
        np.testing.assert_allclose(
            run(model, x), network.predict(x), atol=2e-3 if half else 1e-5, rtol=1e-5
        )


def test_a_users_own_network_keeps_the_order_of_its_numbers():
    network = Sequential(
        *(Conv2d(3, 4, 3, rng=0), tinygan.Flatten(), tinygan.Reshape(4, 4, 6)),
        *(ConvTranspose2d(6, 2, 2, rng=1), tinygan.Reshape(50), tinygan.Sigmoid()),
    )
    x = np.random.default_rng(0).standard_normal((3, 8, 6, 3), np.float32)
    np.testing.assert_allclose(run(to_onnx(network, (8, 6, 3)), x), network.predict(x), atol=1e-6)


def test_a_subclass_is_refused():
    class Mine(LeakyReLU):
        pass

    with pytest.raises(UserError, match="Mine: ONNX has no place for this layer"):
        to_onnx(Sequential(Conv2d(1, 1, 3), Mine()), (None, None, 1))


def test_half_precision_takes_half_the_space():
    network = dcgan.generator(32, width=16)
    whole, half = (len(to_onnx(network, (200,), h).SerializeToString()) for h in (False, True))
    assert half < 0.52 * whole


def test_the_command_writes_a_run_with_its_notes(shared_run, tmp_path, capsys):
    for name, shape in (("G", (2, 8)), ("D", (2, 16, 16, 3))):
        out = str(tmp_path / f"{name}.onnx")
        words = [str(shared_run), out, "--network", name]
        assert main(words) == 0
        network = load(shared_run).networks[name]
        x = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        np.testing.assert_allclose(run(out, x), network.predict(x), atol=1e-5)
        notes = {prop.key: prop.value for prop in onnx.load(out).metadata_props}
        assert (notes["network"], notes["step"]) == (name, "7")
        assert notes["made with"] == f"tinygan {tinygan.__version__}"
        assert json.loads(notes["options"])["noise_size"] == 8
        assert "data" not in json.loads(notes["options"])  # the user's own path
        assert main(words) == 2
        assert "is there already; --force replaces it" in capsys.readouterr().err
        assert main([*words, "--force"]) == 0
    assert main([str(shared_run), str(tmp_path / "G.txt")]) == 2
    assert "expected the name of a .onnx file" in capsys.readouterr().err


# --- ONNX's own cases -------------------------------------------------------------------------


def cases():
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    nodes = [(case, case.model.graph.node[0]) for case in found if len(case.model.graph.node) == 1]
    return [(case, node) for case, node in nodes if node.op_type in MAKERS]


def _attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


class NotOurs(Exception):
    """What tinygan's layer does not do."""


def _symmetric(a, known):
    pads = a.get("pads", [0, 0, 0, 0])
    other = set(a) - {"pads", "strides", "kernel_shape", *known}
    if other or len(pads) != 4 or pads[:2] != pads[2:]:
        raise NotOurs
    return tuple(pads[:2])


def _conv(a, x, w):
    layer = Conv2d(*w.shape[1::-1], w.shape[2:], a.get("strides", 1), _symmetric(a, ()), bias=False)
    layer.weight.data[...] = w.transpose(2, 3, 1, 0)
    return layer


def _transposed(a, x, w):
    padding, how = _symmetric(a, ("output_padding",)), (a.get("strides", 1),)
    extra = a.get("output_padding", 0)
    if w.ndim != 4:
        raise NotOurs
    layer = ConvTranspose2d(*w.shape[:2], w.shape[2:], *how, padding, extra, bias=False)
    layer.weight.data[...] = w.transpose(2, 3, 1, 0)
    return layer


def _norm(a, x, scale, bias, mean=None, var=None):
    training, eps = a.pop("training_mode", 0), a.get("epsilon", 1e-5)
    if mean is None:
        layer = InstanceNorm2d(x.shape[1], eps=eps, affine=True)
    else:
        layer = BatchNorm2d(x.shape[1], eps=eps, momentum=0.1)
        layer.running_mean[...], layer.running_var[...] = mean, var
    layer.weight.data[...], layer.bias.data[...] = scale, bias
    if training:
        layer.predict = lambda x: layer(x)[0]
    return layer


def _pad(a, x, pads, *further):
    if a.get("mode") != b"reflect" or list(pads[:4]) != list(pads[4:]) or pads[:2].any():
        raise NotOurs
    return tinygan.ReflectionPad2d(tuple(pads[2:4]))


def _resize(a, x, *sizes):
    scales = sizes[-1]
    known = a.get("mode", b"nearest") == b"nearest" and not set(a) - {"mode"}
    if not known or scales.dtype.kind != "f" or (scales % 1).any() or len(scales) != 4:
        raise NotOurs
    return tinygan.Upsample(tuple(int(s) for s in scales[2:]))


def _flatten(a, x):
    if a.get("axis", 1) % x.ndim != 1:
        raise NotOurs
    return tinygan.Flatten()


def _reshape(a, x, shape):
    if len(shape) < 1 or shape[0] != len(x) or (shape[1:] < 1).any():
        raise NotOurs
    return tinygan.Reshape(*map(int, shape[1:]))


def _dropout(a, x, *further):
    if any(f.dtype == bool and f for f in further):  # training
        raise NotOurs
    return tinygan.Dropout(0.5)


def _pool(kind):
    def make(a, x):
        known = ("count_include_pad",) if kind is tinygan.AvgPool2d else ()
        a = {name: value for name, value in a.items() if value or name == "kernel_shape"}
        padding = _symmetric(a, known)
        wide = any(2 * p > k for p, k in zip(padding, a["kernel_shape"], strict=False))
        if x.ndim != 4 or wide or (known and any(padding) and not a.get("count_include_pad")):
            raise NotOurs
        return kind(tuple(a["kernel_shape"]), tuple(a.get("strides", (1, 1))), padding)

    return make


def _depth_to_space(a, x):
    if a.get("mode", b"DCR") != b"CRD":
        raise NotOurs
    return tinygan.PixelShuffle(a["blocksize"])


def _prelu(a, x, slope):
    if (x.ndim > 2 and slope.shape[1:] != (1,) * (x.ndim - 2)) or slope.ndim < 3 <= x.ndim:
        raise NotOurs
    layer = tinygan.PReLU(len(slope))
    layer.weight.data[...] = slope.ravel()
    return layer


def _group_norm(a, x, scale, bias):
    layer = tinygan.GroupNorm(a["num_groups"], x.shape[1], eps=a.get("epsilon", 1e-5))
    layer.weight.data[...], layer.bias.data[...] = scale, bias
    return layer


def _linear(a, x, w, bias=None):
    if set(a) - {"transB"} or w.ndim != 2 or (bias is not None and bias.size != w.size // len(w)):
        raise NotOurs
    w = w.T if a.get("transB") else w
    layer = tinygan.Linear(*w.shape, bias=bias is not None)
    layer.weight.data[...] = w
    if bias is not None:
        layer.bias.data[...] = bias.ravel()
    return layer


MAKERS = {
    "MaxPool": _pool(tinygan.MaxPool2d),
    "AveragePool": _pool(tinygan.AvgPool2d),
    "DepthToSpace": _depth_to_space,
    "PRelu": _prelu,
    "GroupNormalization": _group_norm,
    "Gemm": _linear,
    "MatMul": _linear,
    "Conv": _conv,
    "ConvTranspose": _transposed,
    "BatchNormalization": _norm,
    "InstanceNormalization": _norm,
    "Relu": lambda a, x: tinygan.ReLU(),
    "LeakyRelu": lambda a, x: LeakyReLU(a.get("alpha", 0.01)),
    "Tanh": lambda a, x: tinygan.Tanh(),
    "Sigmoid": lambda a, x: tinygan.Sigmoid(),
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _resize,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Dropout": _dropout,
}
EXPECTED = {
    "AveragePool": 4,
    "BatchNormalization": 4,
    "Conv": 5,
    "ConvTranspose": 3,
    "DepthToSpace": 1,
    "Dropout": 6,
    "Flatten": 3,
    "Gemm": 3,
    "GroupNormalization": 2,
    "InstanceNormalization": 2,
    "LeakyRelu": 3,
    "MatMul": 1,
    "MaxPool": 6,
    "Pad": 1,
    "Relu": 1,
    "Reshape": 3,
    "Resize": 1,
    "Sigmoid": 2,
    "Tanh": 2,
    "Upsample": 1,
}  # of ONNX 1.23: how many are run at least; older ones have fewer


def test_onnxs_own_cases_agree_with_tinygans_layers():
    ran, left = Counter(), []
    for case, node in cases():
        for inputs, outputs in case.data_sets:
            inputs = [np.asarray(array) for array in inputs]
            try:
                layer = MAKERS[node.op_type](_attributes(node), *inputs)
            except NotOurs:
                left.append(case.name)
                continue
            x, moves = inputs[0].astype(np.float32), node.op_type not in ("Reshape", "Flatten")
            y = layer.predict(swapped(x, (0, 2, 3, 1)) if moves else x)
            y = swapped(y, (0, 3, 1, 2)) if moves else y
            np.testing.assert_allclose(y, outputs[0], atol=1e-5, rtol=1e-5, err_msg=case.name)
            ran[node.op_type] += 1
    few = {kind: count for kind, count in EXPECTED.items() if ran[kind] < count}
    assert few == {}, f"ran {dict(ran)}, left out {left}"
