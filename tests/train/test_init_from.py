"""``--init-from``: a new run from trained weights, on other data, with other options."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from test_train_cyclegan import BAGS, WORDS
from training import rows, timeless, train

import tinygan
from tinygan.formats.names import to_published
from tinygan.formats.torch_file import write_weights
from tinygan.models import cyclegan_networks, dcgan
from tinygan.options.resolving import load_options
from tinygan.systems.dcgan import DCGAN, DCGANOptions
from tinygan.train.__main__ import main

FORMAT_1 = Path(__file__).parents[1] / "fixtures" / "run_format_1"
DATA = ["--dataset", "faces", "--dataset-size", 24, "--batch-size", 8, "--backend", "numpy"]
KEPT = ["--checkpoint-every", 1, "--keep", 99]


def begin(source, out, *words) -> int:
    words = ["--init-from", source, "--out", out, *DATA, "--steps", 2, *KEPT, *words]
    return train(*words, tiny=False)


def arrays(run, step=0) -> dict[str, np.ndarray]:
    return load_file(run / "checkpoints" / f"step-{step:06d}.safetensors")


def same(a, b) -> bool:
    return a.tobytes() == b.tobytes()


def fresh(run) -> dict[str, np.ndarray]:
    """The weights that a run would have had without its source."""
    values = json.loads((run / "config.json").read_text())["options"]
    G = DCGAN(load_options(DCGANOptions, values, run)).networks["G"]
    return {f"networks/G.{name}": array for name, array in G.state_dict().items()}


def test_all_weights_are_taken_the_average_before_the_last(shared_run, tmp_path, capsys):
    out = tmp_path / "run"
    assert begin(shared_run, out, "--lr", 0.01) == 0
    told = capsys.readouterr().out
    then, now = arrays(shared_run, 7), arrays(out)
    networks = [name for name in now if name.startswith("networks/")]
    for name in networks:
        source = (
            name.replace("networks/", "averages/", 1) if name.startswith("networks/G") else name
        )
        assert same(now[name], then[source]), name
    assert f"{len(networks)} of {len(networks)} tensors are those of {shared_run}" in told
    assert "step 7, the average of G" in told
    assert "networks/" not in told
    assert not same(then["networks/G.1.weight"], then["averages/G.1.weight"])
    assert same(now["averages/G.1.weight"], now["networks/G.1.weight"])  # begun afresh
    moments = [a for name, a in now.items() if name.startswith("optimizers/")]
    assert moments
    assert not any(a.any() for a in moments)
    config = json.loads((out / "config.json").read_text())
    assert config["init_from"]["step"] == 7
    assert config["init_from"]["drawn"] == []
    assert config["options"]["width"] == 4  # as the source's
    assert config["options"]["lr"] == 0.01
    assert config["data"]["images"] == 24
    assert len(rows(out)) == 2


def test_layers_of_another_shape_are_drawn_anew_and_named(shared_run, tmp_path, capsys):
    out = tmp_path / "run"
    assert begin(shared_run, out, "--noise-size", 5) == 0
    told = capsys.readouterr().out
    [line] = [line for line in told.splitlines() if "tensors are those of" in line]
    config = json.loads((out / "config.json").read_text())
    drawn = config["init_from"]["drawn"]
    assert drawn == ["G.1.weight"]
    assert "; 1 drawn anew: G.1.weight" in line
    now, anew = arrays(out), fresh(out)
    assert same(now["networks/G.1.weight"], anew["networks/G.1.weight"])
    assert not same(now["networks/G.4.weight"], anew["networks/G.4.weight"])


def test_a_layer_is_taken_whole_or_not_at_all(shared_run, tmp_path):
    source, out = tmp_path / "source", tmp_path / "run"
    shutil.copytree(shared_run, source)
    path = source / "checkpoints" / "step-000007.safetensors"
    from test_train_resume import read_text

    held = load_file(path)
    name = "averages/G.2.beta" if "averages/G.2.beta" in held else "averages/G.2.bias"
    held[name] = np.zeros(3, np.float32)
    save_file(held, path, {"format": "tinygan checkpoint 2", "tinygan": read_text(path)})
    assert begin(source, out) == 0
    drawn = json.loads((out / "config.json").read_text())["init_from"]["drawn"]
    assert {name.rpartition(".")[0] for name in drawn} == {"G.2"}
    assert len(drawn) == 4  # scale, shift and both running statistics


def test_a_checkpoint_file_will_do(shared_run, tmp_path):
    file = shared_run / "checkpoints" / "step-000004.safetensors"
    assert begin(file, tmp_path / "run") == 0
    assert same(
        arrays(tmp_path / "run")["networks/D.0.weight"], load_file(file)["networks/D.0.weight"]
    )


@pytest.mark.parametrize("system", ["dcgan", "cyclegan"])
def test_checkpoints_of_format_1_will_do(system, tmp_path, capsys):
    out = tmp_path / "run"
    data = BAGS if system == "cyclegan" else DATA
    words = ["--init-from", FORMAT_1 / system, *data, "--steps", 1, "--backend", "numpy"]
    assert main([system, *map(str, [*words, "--out", out, "--keep", 9])]) == 0
    assert "drawn anew" not in capsys.readouterr().out
    [newest] = sorted((FORMAT_1 / system / "checkpoints").glob("*.safetensors"))[-1:]
    assert same(arrays(out)["networks/G.1.weight"], load_file(newest)["G.1.weight"])


def test_a_cyclegan_takes_a_cyclegan(tmp_path, capsys):
    words = ["cyclegan", *BAGS, *WORDS, "--backend", "numpy", "--steps", "2", "--out"]
    assert main([*words, str(tmp_path / "a")]) == 0
    deeper = ["--residual-blocks", "2", "--init-from", str(tmp_path / "a")]
    assert main([*words, str(tmp_path / "b"), *deeper, "--checkpoint-every", "1"]) == 0
    assert "the average of G and F" in capsys.readouterr().out
    then, now = arrays(tmp_path / "a", 2), arrays(tmp_path / "b")
    for network in "GF":
        assert same(now[f"networks/{network}.1.weight"], then[f"averages/{network}.1.weight"])


def test_it_is_resumed_without_its_source_bit_for_bit(shared_run, tmp_path):
    source, out, copy = tmp_path / "source", tmp_path / "run", tmp_path / "copy"
    shutil.copytree(shared_run, source)
    assert begin(source, out) == 0
    shutil.rmtree(source)
    shutil.copytree(out, copy)
    for step in (1, 2):
        (copy / "checkpoints" / f"step-{step:06d}.safetensors").unlink()
    assert train("--resume", copy, tiny=False) == 0
    assert timeless(copy) == timeless(out)
    a, b = arrays(copy, 2), arrays(out, 2)
    assert all(same(a[name], b[name]) for name in b)
    configs = [json.loads((run / "config.json").read_text()) for run in (copy, out)]
    assert configs[0]["init_from"] == configs[1]["init_from"]


def test_nothing_is_left_if_no_step_was_taken(shared_run, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tinygan.models.dcgan.train_step", interrupted)
    assert begin(shared_run, tmp_path / "runs" / "run") == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--width", 8, "--noise-size", 3], "none of its tensors fits; G.1.weight: expected"),
        (["--init-from", "nowhere"], "--init-from nowhere: no such run folder"),
        (["--init-from", FORMAT_1 / "cyclegan"], "expected a run of dcgan, got cyclegan"),
        (["--init-from", "{tmp}/net.pth"], "net.pth: cannot be read as a PyTorch file"),
        (["--init-from", "G={tmp}/F.pth"], "F.pth: expected a run of dcgan, got cyclegan"),
        (["--init-from", "D={tmp}/F.pth"], "cannot be D"),
        (["--init-from", "{tmp}/gone.pth"], "gone.pth: cannot be read: No such file"),
        (["--init-from", "{tmp}/other.safetensors"], "not a published network"),
    ],
)
def test_what_cannot_be_is_one_clear_line(words, message, shared_run, tmp_path, capsys):
    (tmp_path / "net.pth").write_bytes(b"PK" + bytes(64))
    F = cyclegan_networks.generator(width=2, residual_blocks=1)
    write_weights(tmp_path / "F.pth", to_published(F, "model"))
    save_file({"a": np.zeros(3)}, tmp_path / "other.safetensors")
    words = [str(word).replace("{tmp}", str(tmp_path)) for word in words]
    assert begin(shared_run, tmp_path / "run", *words) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("ending", ["pth", "pt", "safetensors"])
def test_published_weights_are_taken_and_the_rest_is_named(ending, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    G = dcgan.generator(16, 3, 100, 4, rng=np.random.default_rng(5))
    write_weights(Path(f"netG.{ending}"), to_published(G, "main"))
    assert begin(f"netG.{ending}", Path("run")) == 0
    told = capsys.readouterr().out
    assert f"tensors are those of netG.{ending} (step 0" in told
    assert "drawn anew: D.0.weight" in told
    now = arrays(Path("run"))
    for name, array in G.state_dict().items():
        assert same(now[f"networks/G.{name}"], array)
    config = json.loads(Path("run/config.json").read_text())
    assert config["init_from"]["checkpoint"] == f"netG.{ending}"
    assert {name[0] for name in config["init_from"]["drawn"]} == {"D"}
    wanted = {"noise_size": 100, "noise": "normal", "width": 4, "image_size": 16}
    assert config["options"] | wanted == config["options"]
    assert begin(f"netG.{ending}", Path("other"), "--noise-size", 9) == 0
    assert "1 drawn anew" not in capsys.readouterr().out
    drawn = json.loads(Path("other/config.json").read_text())["init_from"]["drawn"]
    assert [name for name in drawn if name[0] == "G"] == ["G.1.weight"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"netG.{ending}", "other", "run"]


def test_several_published_files_begin_a_cyclegan(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    files, networks = [], {}
    for seed, name in enumerate("GF"):
        networks[name] = cyclegan_networks.generator(width=2, residual_blocks=1, rng=seed)
        write_weights(Path(f"net{name}.pth"), to_published(networks[name], "model"))
        files.append(f"{name}=net{name}.pth")
    words = ["--image-size", "16", "--steps", "1", "--checkpoint-every", "1", "--backend", "numpy"]
    given = ["--init-from", ",".join(files), "--discriminator-width", "2", "--out", "run"]
    assert main(["cyclegan", *BAGS, *words, *given]) == 0
    assert "drawn anew: D_X.0.weight" in capsys.readouterr().out
    now = arrays(Path("run"))
    for name, network in networks.items():
        assert same(now[f"networks/{name}.1.weight"], network.state_dict()["1.weight"])


def test_a_resumed_run_keeps_its_own_weights(shared_run, capsys):
    assert train("--resume", shared_run, "--init-from", shared_run, tiny=False) == 2
    assert "--init-from is for a new run" in capsys.readouterr().err


def test_what_was_not_trained_is_not_taken(tmp_path):
    from tinygan.formats.run import write_run

    G = dcgan.generator(16, 3, 8, 4, "relu", 0.2, np.random.default_rng(5))
    options = {"image_size": 16, "width": 4, "noise_size": 8, "dataset": "faces"}
    write_run(tmp_path / "converted", "dcgan", options, {"G": G}, "G.pth")
    assert begin(tmp_path / "converted", tmp_path / "run") == 0
    drawn = json.loads((tmp_path / "run" / "config.json").read_text())["init_from"]["drawn"]
    assert {name.partition(".")[0] for name in drawn} == {"D"}


def test_from_python(shared_run, tmp_path):
    words = {"dataset": "faces", "dataset_size": 24, "batch_size": 8, "steps": 1}
    run = tinygan.fit("dcgan", init_from=shared_run, out=tmp_path / "run", quiet=True, **words)
    assert run.options.width == 4
