"""The names of the published PyTorch networks, and weights under them in both directions."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from published import NAMES, module

import tinygan
from tinygan.errors import UserError
from tinygan.formats.names import from_published, published_names, recognize, to_published
from tinygan.formats.torch_file import read_weights, write_weights
from tinygan.models import cyclegan_networks, dcgan

NETWORKS = {
    "cyclegan G, 6 blocks": lambda: cyclegan_networks.generator(),
    "cyclegan G, 6 blocks, dropout": lambda: cyclegan_networks.generator(dropout=0.5),
    "cyclegan G, 9 blocks": lambda: cyclegan_networks.generator(residual_blocks=9),
    "cyclegan G, 9 blocks, dropout": lambda: cyclegan_networks.generator(
        residual_blocks=9, dropout=0.5
    ),
    "cyclegan D": lambda: cyclegan_networks.patch_discriminator(),
    "dcgan G": lambda: dcgan.generator(noise_size=100),
    "dcgan D": lambda: dcgan.discriminator(),
}
PREFIXES = {title: "main" if "dcgan" in title else "model" for title in NAMES}
INPUTS = {"cyclegan": (1, 64, 64, 3), "dcgan G": (2, 100), "dcgan D": (2, 64, 64, 3)}


def draw(title):
    shape = INPUTS[title if title in INPUTS else title.split()[0]]
    return np.random.default_rng(7).standard_normal(shape, np.float32)


def shapes(arrays):
    return {name: tuple(array.shape) for name, array in arrays.items()}


def published_shapes(title):
    return {name: tuple(shape) for name, shape in NAMES[title].items()}


def torch_output(network, title, x):
    """Run a PyTorch module on channels-last input; return channels-last output."""
    import torch

    x = x.reshape(2, 100, 1, 1) if title == "dcgan G" else x.transpose(0, 3, 1, 2)
    with torch.no_grad():
        y = network(torch.from_numpy(x.copy())).numpy()
    return y.reshape(2) if title == "dcgan D" else y.transpose(0, 2, 3, 1)


@pytest.mark.parametrize("title", NAMES)
def test_names_shapes_and_order_are_the_published_ones(title):
    found = shapes(to_published(NETWORKS[title](), PREFIXES[title]))
    assert list(found.items()) == list(published_shapes(title).items())


@pytest.mark.parametrize("title", NAMES)
def test_a_published_network_is_recognized_and_built(title):
    kind, options = recognize(published_shapes(title))
    assert kind.prefix == PREFIXES[title]
    assert (kind.system, kind.roles[0][0]) == tuple(title.split(",")[0].split())
    built, expected = (n.state_dict() for n in (kind.build(**options), NETWORKS[title]()))
    assert shapes(built) == shapes(expected)


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
@pytest.mark.parametrize("downsamplings", [1, 3])
def test_every_translator_of_tinygan_is_recognized(norm, upsampling, downsamplings):
    asked = {"channels": 1, "width": 5, "downsamplings": downsamplings, "residual_blocks": 2}
    asked |= {"norm": norm, "upsampling": upsampling, "dropout": 0.0}
    network = cyclegan_networks.generator(**asked)
    arrays = to_published(network, "model")
    kind, options = recognize(shapes(arrays))
    assert options == asked
    back = from_published(kind.build(**options), "model", arrays).state_dict()
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(back[name], array)


@pytest.mark.parametrize("size", dcgan.IMAGE_SIZES)
def test_every_size_of_dcgan_is_recognized(size):
    options = {"image_size": size, "channels": 1, "width": 2}
    G = dcgan.generator(**options, noise_size=3)
    D = dcgan.discriminator(**options)
    assert recognize(shapes(to_published(G, "main")))[1] == {**options, "noise_size": 3}
    assert recognize(shapes(to_published(D, "main")))[1] == options


def test_files_of_2017_hold_statistics_that_nothing_uses():
    found = published_shapes("cyclegan G, 9 blocks")
    for place in ("model.2", "model.5", "model.10.conv_block.2"):
        found |= {f"{place}.running_mean": (64,), f"{place}.running_var": (64,)}
    old = recognize(found)
    assert (old[1]["residual_blocks"], old[1]["norm"]) == (9, "instance")
    found = published_shapes("dcgan G")
    counters = [name for name in found if name.endswith("num_batches_tracked")]
    for name in counters:
        del found[name]
    assert len(counters) == 4
    assert recognize(found)[0].roles == ("G",)


@pytest.mark.parametrize(
    ("title", "change", "message"),
    [
        ("dcgan G", {"main.3.weight": (512, 255, 4, 4)}, "main.3.weight has the shape"),
        ("dcgan D", {"main.6.bias": None}, "main.6.bias is missing"),
        ("cyclegan D", {"model.99.bias": (4,)}, "nearest is the discriminator"),
        ("cyclegan G, 9 blocks", {"model.26.weight": (3, 64, 5, 5)}, "model.26.weight has"),
        ("cyclegan G, 9 blocks", {"other.0.weight": (1,)}, "known are the generator of"),
    ],
)
def test_what_differs_is_named(title, change, message):
    found = published_shapes(title) | change
    with pytest.raises(UserError, match="not a published network: found m") as caught:
        recognize({name: shape for name, shape in found.items() if shape is not None})
    assert message in str(caught.value)


def test_a_file_cannot_talk_us_into_a_large_network():
    for found in (
        {},
        {"model.1.weight": (10**6, 0, 7, 7)},
        {"main.0.weight": (10**9, 1, 4, 4), "main.3.weight": (1, 1, 4, 4), "main.6.weight": (1,)},
        {f"model.{i}.weight": (1, 1, 4, 4) for i in range(10**4)},
        {f"model.{i}.weight": (1, 1, 7, 7) for i in range(60)}
        | {f"model.9.conv_block.{i}.weight": (1, 1, 1, 1) for i in range(10**4)},
    ):
        with pytest.raises(UserError, match="not a published network"):
            recognize(found)


def test_the_formats_stand_beside_the_library():
    """Nothing imports them but their commands, and a system that reads a file; they import none."""
    code = "import sys, tinygan; print(any(n.startswith('tinygan.formats') for n in sys.modules))"
    words = [sys.executable, "-c", code]
    assert subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout.strip() == b"False"
    root = Path(tinygan.__file__).parent
    files = list((root / "formats").rglob("*.py"))
    commands = "train|generate|translate|evaluate|study|convert|export|demo"
    assert [p for p in files if re.search(rf"tinygan\.({commands})\b", _imports(p))] == []
    others = [p for p in root.rglob("*.py") if "tinygan.formats" in _imports(p)]
    assert {p.relative_to(root).parts[0] for p in others} == {
        *("convert", "demo", "export", "formats", "systems", "train")
    }


def _imports(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if re.match(r"\s*(from|import) ", line))


def test_a_dropouts_random_state_has_no_published_name():
    network = cyclegan_networks.generator(dropout=0.5, width=1, residual_blocks=1)
    own = [own for _, own in published_names(network, "model")]
    assert set(network.state_dict()) - set(own) == {
        name for name in network.state_dict() if name.endswith(".state")
    }


def agree(network, reference, title):
    """Compare outputs: in float64 to the last digits, in float32 up to its rounding.

    Of the fast path's difference, 95 % of the square comes from the residual blocks' 3×3
    convolutions by Winograd's algorithm; without it there is a third.
    """
    x = draw(title)
    expected = torch_output(reference, title, x)
    largest = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(network.predict(x), expected, atol=2e-5 * largest, rtol=0)
    with tinygan.plain():
        np.testing.assert_allclose(network.predict(x), expected, atol=1e-5 * largest, rtol=0)
    x = x.astype(np.float64)
    expected = torch_output(reference.double(), title, x)
    np.testing.assert_allclose(network.to(dtype="float64").predict(x), expected, atol=1e-9)


@pytest.mark.parametrize("title", NAMES)
def test_weights_from_pytorch_give_pytorchs_output(title, tmp_path):
    torch = pytest.importorskip("torch")
    reference = module(title)
    assert shapes(reference.state_dict()) == published_shapes(title)
    torch.save(reference.state_dict(), tmp_path / "net.pth")
    arrays = read_weights(tmp_path / "net.pth")
    kind, options = recognize(shapes(arrays))
    agree(from_published(kind.build(**options), kind.prefix, arrays), reference, title)


@pytest.mark.parametrize("title", NAMES)
def test_pytorch_reads_what_tinygan_wrote(title, tmp_path):
    torch = pytest.importorskip("torch")
    network, reference = NETWORKS[title](), module(title)
    write_weights(tmp_path / "net.pth", to_published(network, PREFIXES[title]))
    state = torch.load(tmp_path / "net.pth", weights_only=True)
    reference.load_state_dict(state, strict=True)
    agree(network, reference, title)


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_pytorch_modules_of_every_variant_are_loaded_strictly(norm, dropout, tmp_path):
    """A translator by the published code's rules: biases but for batch norm, dropout in between."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    kind, bias = (nn.BatchNorm2d, False) if norm == "batch" else (nn.InstanceNorm2d, True)

    class Block(nn.Module):
        def __init__(self, c):
            super().__init__()
            between = [nn.Dropout(dropout)] if dropout else []
            first = [nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3, bias=bias), kind(c), nn.ReLU()]
            second = [nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3, bias=bias), kind(c)]
            self.conv_block = nn.Sequential(*first, *between, *second)

        def forward(self, x):
            return x + self.conv_block(x)

    layers = [nn.ReflectionPad2d(3), nn.Conv2d(1, 4, 7, bias=bias), kind(4), nn.ReLU()]
    for c in (4, 8):
        layers += [nn.Conv2d(c, 2 * c, 3, 2, 1, bias=bias), kind(2 * c), nn.ReLU()]
    layers += [Block(16), Block(16)]
    for c in (16, 8):
        layers += [nn.ConvTranspose2d(c, c // 2, 3, 2, 1, 1, bias=bias), kind(c // 2), nn.ReLU()]
    reference = nn.Module()
    reference.model = nn.Sequential(
        *layers, nn.ReflectionPad2d(3), nn.Conv2d(4, 1, 7), nn.Tanh()
    ).eval()
    torch.save({"state_dict": reference.state_dict()}, tmp_path / "net.pth")
    arrays = read_weights(tmp_path / "net.pth")
    found, options = recognize(shapes(arrays))
    assert (options["norm"], options["dropout"], options["width"]) == (norm, dropout, 4)
    network = from_published(found.build(**options), found.prefix, arrays)
    x = np.random.default_rng(0).standard_normal((2, 16, 24, 1), np.float32)
    with torch.no_grad():
        y = reference.model(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(network.predict(x), y.transpose(0, 2, 3, 1), atol=1e-5)
    write_weights(tmp_path / "back.pth", to_published(network, "model"))
    state = torch.load(tmp_path / "back.pth", weights_only=True)
    reference.load_state_dict(state, strict=True)


@pytest.mark.parametrize(("nz", "ngf", "nc"), [(100, 64, 3), (50, 8, 1), (7, 3, 3)])
def test_pytorchs_dcgan_of_other_sizes_is_loaded_strictly(nz, ngf, nc, tmp_path):
    torch = pytest.importorskip("torch")
    nn, up = torch.nn, {"bias": False}
    layers, c = [nn.ConvTranspose2d(nz, 8 * ngf, 4, 1, 0, **up)], 8 * ngf
    while c > ngf:
        layers += [nn.BatchNorm2d(c), nn.ReLU(True), nn.ConvTranspose2d(c, c // 2, 4, 2, 1, **up)]
        c //= 2
    layers += [nn.BatchNorm2d(ngf), nn.ReLU(True), nn.ConvTranspose2d(ngf, nc, 4, 2, 1, **up)]
    reference = nn.Module()
    reference.main = nn.Sequential(*layers, nn.Tanh()).eval()
    wrapped = {f"module.{name}": array.half() if array.is_floating_point() else array
               for name, array in reference.state_dict().items()}  # fmt: skip
    torch.save(wrapped, tmp_path / "net.pth")
    arrays = read_weights(tmp_path / "net.pth")
    found, options = recognize(shapes(arrays))
    assert options == {"image_size": 64, "noise_size": nz, "width": ngf, "channels": nc}
    network = from_published(found.build(**options), found.prefix, arrays)
    assert {array.dtype for array in network.state_dict().values()} == {np.dtype(np.float32)}
    write_weights(tmp_path / "back.pth", to_published(network, "main"))
    state = torch.load(tmp_path / "back.pth", weights_only=True)
    reference.load_state_dict(state, strict=True)
    z = np.random.default_rng(0).standard_normal((2, nz), np.float32)
    with torch.no_grad():
        y = reference.main(torch.from_numpy(z)[:, :, None, None]).numpy()
    np.testing.assert_allclose(network.predict(z), y.transpose(0, 2, 3, 1), atol=1e-5)
