"""ONNX networks as tinygan's layers: the same numbers, the right gradients, or one clear line."""

import warnings

import numpy as np
import pytest

from tinygan import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    LeakyReLU,
    MaxPool2d,
    ReLU,
    Sequential,
    check_gradients,
)
from tinygan.errors import UserError
from tinygan.formats.onnx_file import to_onnx
from tinygan.formats.onnx_layers import NODES, read_onnx
from tinygan.models import dcgan, srgan

onnx = pytest.importorskip("onnx")
helper = onnx.helper


def network(seed=0):
    """A small network of every kind of node, with statistics and biases that matter."""
    rng = np.random.default_rng(seed)
    made = Sequential(
        *(BatchNorm2d(3), Conv2d(3, 6, 3, padding=1, bias=False), BatchNorm2d(6), ReLU()),
        *(MaxPool2d(3, 2, padding=1), Conv2d(6, 5, (2, 3), stride=(1, 2)), LeakyReLU(0.3)),
        *(AvgPool2d(2, stride=1, padding=1), BatchNorm2d(5), Conv2d(5, 4, 1)),
    )
    for _, layer in made.walk():
        if isinstance(layer, BatchNorm2d):
            layer.running_mean[...] = rng.normal(0, 0.3, layer.running_mean.shape)
            layer.running_var[...] = rng.uniform(0.5, 2, layer.running_var.shape)
    for parameter in made.parameters():
        parameter.data = rng.normal(0, 0.4, parameter.shape).astype(np.float32)
    return made


def pictures(*shape, dtype=np.float32):
    return np.random.default_rng(1).uniform(-1, 1, shape).astype(dtype)


def write(path, nodes, constants=()):
    """Write a file of nodes from "x" to "y"."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "test",
        [value("x", 1, ["N", 3, "H", "W"])],
        [value("y", 1, list("ABCD"))],
        [onnx.numpy_helper.from_array(np.asarray(a, np.float32), n) for n, a in constants],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def run(path, x, output=None):
    """Compute a file by ONNX Runtime, on channels-last pictures."""
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: np.ascontiguousarray(x.transpose(0, 3, 1, 2))}
    y = session.run(output and [output], feed)[0]
    return y.transpose(0, 2, 3, 1)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("size", [(9, 12), (16, 16)])
def test_it_is_what_onnx_runtime_computes(tmp_path, size, half):
    path = tmp_path / "a.onnx"
    onnx.save(to_onnx(network(), (None, None, 3), half=half), path)
    assert {node.op_type for node in onnx.load(path).graph.node} >= set(NODES) - {"Dropout"}
    x = pictures(2, *size, 3)
    np.testing.assert_allclose(read_onnx(path).predict(x), run(path, x), rtol=1e-5, atol=1e-5)
    if not half:
        np.testing.assert_allclose(read_onnx(path).predict(x), network().predict(x), atol=1e-5)


def test_its_gradients_agree_with_differences(tmp_path):
    onnx.save(to_onnx(network(), (None, None, 3)), tmp_path / "a.onnx")
    layers = read_onnx(tmp_path / "a.onnx").to(dtype=np.float64)
    assert check_gradients(layers, pictures(2, 8, 9, 3, dtype=np.float64)).ok


def test_a_content_loss_of_it_has_the_right_gradient(tmp_path):
    onnx.save(to_onnx(network(), (None, None, 3)), tmp_path / "a.onnx")
    stage = read_onnx(tmp_path / "a.onnx").to(dtype=np.float64)
    made, true, way = (pictures(3, 2, 8, 8, 3, dtype=np.float64)[i] for i in range(3))
    loss, gradient = srgan.feature_loss([stage], made, true)
    assert loss == pytest.approx(((stage.predict(made) - stage.predict(true)) ** 2).mean())
    step = 1e-6
    ahead, behind = (srgan.feature_loss([stage], made + s * way, true)[0] for s in (step, -step))
    assert (gradient * way).sum() == pytest.approx((ahead - behind) / (2 * step), rel=1e-6)
    assert not any(parameter.grad.any() for parameter in stage.parameters())


def test_a_named_node_is_the_last(tmp_path):
    path = tmp_path / "a.onnx"
    onnx.save(to_onnx(network(), (None, None, 3)), path)
    x, kinds = pictures(1, 12, 12, 3), [node.op_type for node in onnx.load(path).graph.node]
    name = onnx.load(path).graph.node[kinds.index("LeakyRelu")].output[0]
    found = read_onnx(path, name)
    np.testing.assert_allclose(found.predict(x), Sequential(*network()[:7]).predict(x), atol=1e-5)
    with pytest.raises(UserError, match=r"has no node relu5_4; expected one of .*conv|.*Conv"):
        read_onnx(path, "relu5_4")


def test_a_classifier_behind_the_features_is_left_out(tmp_path):
    rng = np.random.default_rng(0)
    constants = [("w", rng.normal(size=(4, 3, 3, 3))), ("v", rng.normal(size=(4, 2)))]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "v"], ["e"]),
        helper.make_node("Relu", ["e"], ["y"]),
    ]
    found = read_onnx(write(tmp_path / "a.onnx", nodes, constants))
    assert [type(layer) for layer in found] == [Conv2d, ReLU]
    onnx.save(to_onnx(dcgan.discriminator(16, width=4, rng=0), (16, 16, 3)), tmp_path / "d.onnx")
    assert read_onnx(tmp_path / "d.onnx").predict(pictures(2, 16, 16, 3)).shape == (2, 1, 1, 1)


def test_pytorchs_files_are_read(tmp_path):
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(0)
    features = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)),
        *(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Dropout()),
        *(nn.Conv2d(8, 4, 3, padding=1), nn.LeakyReLU(0.1), nn.AvgPool2d(2)),
    ).eval()
    whole = nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)).eval()
    x = pictures(2, 16, 16, 3)
    with torch.no_grad():
        expected = features(torch.tensor(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    for title, model in (("features", features), ("whole", whole)):
        path = tmp_path / f"{title}.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the older exporter; the newer needs a package
            torch.onnx.export(model, torch.zeros(1, 3, 16, 16), str(path), dynamo=False)
        np.testing.assert_allclose(read_onnx(path).predict(x), expected, atol=1e-5)


def conv(*further, **how):
    return helper.make_node("Conv", ["x", "w", *further], ["a"], "first", **how)


AFTER = {"Relu": helper.make_node("Relu", ["a"], ["y"])}
W = ("w", np.ones((3, 3, 3, 3)))


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        ([conv(dilations=[2, 2]), AFTER["Relu"]], [W], r"node first \(Conv\): dilations \[2, 2\]"),
        ([conv(group=3), AFTER["Relu"]], [("w", np.ones((3, 1, 3, 3)))], "group 3 is not supp"),
        ([conv(pads=[0, 0, 1, 1]), AFTER["Relu"]], [W], "expected the same on both sides"),
        ([conv(auto_pad="SAME_UPPER"), AFTER["Relu"]], [W], "auto_pad b'SAME_UPPER'"),
        ([conv(), AFTER["Relu"]], [("w", np.ones((3, 3, 3)))], r"of shape \(3, 3, 3\)"),
        ([conv(), AFTER["Relu"]], [("w", np.full((3, 3, 3, 3), np.nan))], "are not finite"),
        ([conv("b"), AFTER["Relu"]], [W, ("b", np.ones(2))], r"node first \(Conv\)"),
        (
            [conv(pads=[1] * 4), helper.make_node("Add", ["a", "x"], ["b"], "skip"),
             helper.make_node("Conv", ["b", "w"], ["y"])],
            [W], r"node skip \(Add\): its kind is not supported; supported are, one after the "
            "other, Conv, Relu, LeakyRelu, MaxPool, AveragePool, BatchNormalization",
        ),
        (
            [conv(), helper.make_node("MaxPool", ["a"], ["y"], kernel_shape=[2, 2], ceil_mode=1)],
            [W], "ceil_mode 1 is not supported",
        ),
        (
            [conv(), helper.make_node("AveragePool", ["a"], ["y"], kernel_shape=[2, 2],
                                      pads=[1] * 4)],
            [W], "its mean leaves the padding out",
        ),
        (
            [conv(), helper.make_node("BatchNormalization", ["a", *"ghmv"], ["y"])],
            [W, *((n, np.ones(2)) for n in "ghmv")], "2 channels behind Conv2d",
        ),
        (
            [conv(), helper.make_node("BatchNormalization", ["a", *"ghmv"], ["y"])],
            [W, *((n, np.full(3, -1)) for n in "ghmv")], "not finite: a variance below 0",
        ),
        ([helper.make_node("Conv", ["x", "x"], ["y"])], [], "x is no constant"),
        ([helper.make_node("Flatten", ["x"], ["y"])], [], "no layer of pictures in it"),
        ([helper.make_node("RandomNormal", [], ["y"], shape=[1, 3, 4, 4])], [], "got y instead"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_clear_line(tmp_path, nodes, constants, message):
    path = write(tmp_path / "a.onnx", nodes, constants)
    with pytest.raises(UserError, match=message) as caught:
        read_onnx(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_network_that_puts_nothing_out_is_one_clear_line(tmp_path):
    path = write(tmp_path / "a.onnx", [conv(), AFTER["Relu"]], [W])
    model = onnx.load(path)
    del model.graph.output[:]
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="puts nothing out"):
        read_onnx(path)
    model = onnx.load(write(path, [conv(), AFTER["Relu"]], [W]))
    model.graph.node.append(helper.make_node("Own", ["x"], [], domain="mine"))
    model.opset_import.append(helper.make_opsetid("mine", 1))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="puts nothing out"):
        read_onnx(path)


def test_damaged_files_are_one_clear_line(tmp_path):
    onnx.save(to_onnx(network(), (None, None, 3)), tmp_path / "a.onnx")
    content = (tmp_path / "a.onnx").read_bytes()
    rng, refused = np.random.default_rng(0), []
    for i in range(60):
        bad = bytearray(content)
        if i % 2:
            bad = bad[: rng.integers(len(bad))]
        else:
            for at in rng.integers(0, len(bad), 20):
                bad[at] = rng.integers(256)
        (tmp_path / "bad.onnx").write_bytes(bad)
        try:
            read_onnx(tmp_path / "bad.onnx")
        except UserError as error:  # anything else is a traceback
            refused.append(str(error))
    assert len(refused) > 30
    assert not any("\n" in line for line in refused)
    for path in (tmp_path / "gone.onnx", tmp_path):
        with pytest.raises(UserError, match="cannot be read as an ONNX network"):
            read_onnx(path)
