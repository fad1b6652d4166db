"""``tinygan convert``: published weights into a run, and a run's weights out."""

import json

import numpy as np
import pytest
from PIL import Image

from tinygan.convert.__main__ import main
from tinygan.formats.names import to_published
from tinygan.formats.torch_file import read_weights, write_weights
from tinygan.generate.__main__ import main as generate
from tinygan.models import cyclegan_networks, dcgan
from tinygan.runs.run import load
from tinygan.translate.__main__ import main as translate


def convert(*words) -> int:
    return main([*map(str, words)])


@pytest.fixture
def run(shared_run):
    return shared_run


def test_there_and_back_keeps_every_number(run, tmp_path):
    assert convert(run, tmp_path / "G.pth") == 0
    assert convert(run, tmp_path / "D.safetensors", "--network", "D") == 0
    assert convert(tmp_path / "G.pth", tmp_path / "D.safetensors", tmp_path / "back") == 0
    back = load(tmp_path / "back").networks
    for name, network in load(run).networks.items():
        for key, array in network.state_dict().items():
            np.testing.assert_array_equal(back[name].state_dict()[key], array)


def test_published_weights_generate(tmp_path, capsys):
    G = dcgan.generator(image_size=16, channels=1, noise_size=5, width=2, rng=3)
    write_weights(tmp_path / "netG.pth", to_published(G, "main"))
    assert convert(tmp_path / "netG.pth", tmp_path / "run") == 0
    assert "G: the generator of PyTorch's DCGAN example (noise size 5" in capsys.readouterr().out
    assert generate([str(tmp_path / "run"), "--out", str(tmp_path / "g.png")]) == 0
    assert Image.open(tmp_path / "g.png").size == (8 * 18 + 2, 8 * 18 + 2)


def test_published_weights_translate_both_ways(tmp_path):
    rng, files = np.random.default_rng(0), []
    for name in "GF":
        network = cyclegan_networks.generator(width=8, residual_blocks=1, rng=rng)
        write_weights(tmp_path / f"{name}.pth", to_published(network, "model"))
        files.append(f"{name}={tmp_path / name}.pth")
    D = cyclegan_networks.patch_discriminator(width=3, layers=2)
    write_weights(tmp_path / "D.pth", to_published(D, "model"))
    assert convert(*files, tmp_path / "D.pth", tmp_path / "run") == 0
    run = load(tmp_path / "run")
    assert run.options.discriminator_layers == 2
    np.testing.assert_array_equal(
        run.networks["D_Y"].state_dict()["0.weight"], D.state_dict()["0.weight"]
    )
    Image.effect_noise((20, 13), 90).convert("RGB").save(tmp_path / "x.png")
    for direction in ("AtoB", "BtoA"):
        words = ["--direction", direction, "--input", tmp_path / "x.png"]
        words += ["--out", tmp_path / direction]
        assert translate([str(tmp_path / "run"), *map(str, words)]) == 0
    a, b = (np.asarray(Image.open(tmp_path / d / "x.png")) for d in ("AtoB", "BtoA"))
    assert (a != b).any()


def test_statistics_of_instance_norms_are_dropped(tmp_path):
    network = cyclegan_networks.generator(width=2, residual_blocks=1)
    arrays = to_published(network, "model")
    write_weights(tmp_path / "old.pth", arrays | {"model.2.running_mean": np.zeros(2, np.float32)})
    assert convert(tmp_path / "old.pth", tmp_path / "new.pth") == 0
    assert list(read_weights(tmp_path / "new.pth")) == list(arrays)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.pth", "run"], "none.pth: cannot be read: No such file"),
        (["G.pth", "there.pth"], "there.pth: is there already; --force replaces it"),
        (["G.pth", "G.pth", "run"], "G is there already; say which network each file is"),
        (["G.pth", "F.pth", "run"], "the generator of pytorch-CycleGAN-and-pix2pix, but"),
        (["G.pth", "D.pth", "run"], "width is 3, but 2 before"),
        (["D=G.pth", "run"], "cannot be D"),
        (["F=G.pth", "run"], "cannot be F"),
        (["G.pth", "D.pth", "out.pth"], "one weight file holds one network"),
        (["none", "out.pth"], "none: cannot be read: No such file"),
        (["other.pth", "run"], "not a published network: found a.weight (2,)"),
        (["full.pth", "run"], "holds NaN or infinite"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    G = to_published(dcgan.generator(image_size=16, width=2), "main")
    D = dcgan.discriminator(image_size=16, width=3)
    F = cyclegan_networks.generator(width=2, residual_blocks=1)
    write_weights("G.pth", G)
    write_weights("there.pth", G)
    write_weights("D.pth", to_published(D, "main"))
    write_weights("F.pth", to_published(F, "model"))
    write_weights("other.pth", {"a.weight": np.zeros(2)})
    write_weights("full.pth", G | {"main.0.weight": G["main.0.weight"] * np.nan})
    before = sorted(path.name for path in tmp_path.iterdir())
    assert convert(*words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_run_of_no_such_network_is_one_line(run, tmp_path, capsys):
    assert convert(run, tmp_path / "x.pth", "--network", "D_X") == 2
    assert "--network D_X: a dcgan has G, D" in capsys.readouterr().err
    assert convert(tmp_path, tmp_path / "x.pth") == 2
    assert "not a run folder" in capsys.readouterr().err


def test_a_runs_note_says_what_was_not_converted(tmp_path):
    G = dcgan.generator(image_size=16, width=2)
    write_weights(tmp_path / "netG.pth", to_published(G, "main"))
    assert convert(tmp_path / "netG.pth", tmp_path / "run") == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    assert config["data"] == {"converted": str(tmp_path / "netG.pth"), "untrained": ["D"]}
