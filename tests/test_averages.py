"""Averaged weights: the mean itself, runs with and without it, and who uses it."""

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from training import TINY, timeless, train

import tinygan
from tinygan import Average, BatchNorm2d, Dropout, Linear, Sequential
from tinygan.averages import average_all
from tinygan.errors import CheckpointError, UserError
from tinygan.generate.__main__ import main as generate
from tinygan.options.resolving import load_options, stored
from tinygan.runs.checkpoint import load_system
from tinygan.systems.dcgan import DCGAN, DCGANOptions

CYCLEGAN = ["--dataset-size", 8, "--image-size", 16, "--width", 2, "--discriminator-width", 2]
CYCLEGAN += ["--residual-blocks", 1, "--pool-size", 3, "--batch-size", 4, "--dropout", 0.5]
CYCLEGAN += ["--backend", "numpy"]
AVERAGED = {"dcgan": ["G"], "cyclegan": ["G", "F"]}


def run_of(system, out, *words) -> int:
    small = CYCLEGAN if system == "cyclegan" else TINY
    return train(system, *small, *words, "--out", out, tiny=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each system with averages, in one piece and resumed, and one without."""
    folder = tmp_path_factory.mktemp("averages")
    for system in AVERAGED:
        assert run_of(system, folder / system, "--steps", 5) == 0
        assert run_of(system, folder / f"{system}-plain", "--steps", 5, "--ema", 0) == 0
        assert run_of(system, folder / f"{system}-resumed", "--steps", 2) == 0
        assert train("--resume", folder / f"{system}-resumed", "--steps", 5, tiny=False) == 0
    return folder


def arrays_of(run, step: int = 5) -> dict[str, np.ndarray]:
    return load_file(run / "checkpoints" / f"step-{step:06d}.safetensors")


def part(arrays, section: str) -> dict[str, np.ndarray]:
    return {n.partition("/")[2]: a for n, a in arrays.items() if n.startswith(f"{section}/")}


def assert_equal(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    for name, array in a.items():
        assert array.dtype == b[name].dtype, name
        np.testing.assert_array_equal(array, b[name], name)


# --- the mean -------------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.999])
def test_it_is_the_weighted_mean_of_all_steps(decay):
    rng = np.random.default_rng(1)
    network = Sequential(Linear(3, 4, rng=0), BatchNorm2d(4)).to(dtype="float64")
    average = Average(network, decay)
    values = [network.state_dict()]
    for step in range(6):
        for array in (*(p.data for p in network.parameters()), *network.buffers().values()):
            array[...] = rng.standard_normal(array.shape)
        average.update(step)
        values.append(network.state_dict())
    betas = [min(decay, (t + 1) / (t + 5)) for t in range(6)]
    shares = [np.prod(betas)] + [(1 - b) * np.prod(betas[t + 1 :]) for t, b in enumerate(betas)]
    assert sum(shares) == pytest.approx(1)
    for name, array in average.state_dict().items():
        mean = sum(share * value[name] for share, value in zip(shares, values, strict=True))
        np.testing.assert_allclose(array, mean, rtol=1e-12, err_msg=name)


def test_it_leaves_the_network_and_its_random_numbers_alone():
    network = Sequential(Linear(3, 4, rng=0), Dropout(0.5, rng=1))
    before = network.state_dict()
    average = Average(network, 0.9)
    network.forward(np.ones((2, 3), np.float32))  # moves the dropout's state
    after = network.state_dict()
    average.update(0)
    assert_equal(network.state_dict(), after)
    np.testing.assert_array_equal(average.state_dict()["1.state"], after["1.state"])
    assert (before["1.state"] != after["1.state"]).any()
    np.testing.assert_allclose(average.state_dict()["0.weight"], before["0.weight"], rtol=1e-6)


def test_float32_stays_float32_and_large_arrays_are_averaged_whole():
    rng = np.random.default_rng(0)
    theta, start = rng.standard_normal((2, 700_001)).astype(np.float32)
    fast, plain = start.copy(), start.copy()
    average_all([fast], [theta], 0.75)
    average_all.plain([plain], [theta], 0.75)
    assert fast.dtype == np.float32
    np.testing.assert_array_equal(fast, plain)  # the same three roundings


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_is_at_least_0_and_below_1(decay):
    with pytest.raises(ValueError, match=r"decay: expected a number in \[0, 1\)"):
        Average(Linear(1, 1), decay)


def test_on_cupy(strict_cupy):
    network = Sequential(Linear(3, 4, rng=0), BatchNorm2d(4))
    average, on_gpu = Average(network, 0.5), Sequential(Linear(3, 4, rng=0), BatchNorm2d(4))
    other = Average(on_gpu.to("cupy"), 0.5)
    for step in range(3):
        for one in (network, on_gpu):
            one[0].weight.data += step + 1
        average.update(step)
        other.update(step)
    for name, array in other.state_dict().items():
        np.testing.assert_allclose(array, average.state_dict()[name], rtol=1e-6)


# --- runs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("system", AVERAGED)
def test_training_is_the_same_to_the_bit_with_and_without(runs, system):
    with_, without = arrays_of(runs / system), arrays_of(runs / f"{system}-plain")
    assert not part(without, "averages")
    for section in ("networks", "optimizers", "extra"):
        assert_equal(part(with_, section), part(without, section))
    assert timeless(runs / system) == timeless(runs / f"{system}-plain")


@pytest.mark.parametrize("system", AVERAGED)
def test_generators_are_averaged_and_other_networks_are_not(runs, system):
    arrays = arrays_of(runs / system)
    averages, networks = part(arrays, "averages"), part(arrays, "networks")
    assert {name.partition(".")[0] for name in averages} == set(AVERAGED[system])
    due = {n for n in networks if n.partition(".")[0] in AVERAGED[system]}
    assert averages.keys() == due
    assert any((averages[n] != networks[n]).any() for n in due)


@pytest.mark.parametrize("system", AVERAGED)
def test_a_resumed_run_has_the_same_averages_and_pictures(runs, system):
    whole, resumed = runs / system, runs / f"{system}-resumed"
    assert_equal(arrays_of(whole), arrays_of(resumed))
    sheets = [(run / "samples" / "step-000005.png").read_bytes() for run in (whole, resumed)]
    assert sheets[0] == sheets[1]


def test_a_checkpoint_without_the_averages_that_are_due_is_damaged(runs, tmp_path):
    path = runs / "dcgan" / "checkpoints" / "step-000005.safetensors"
    arrays = load_file(path)
    arrays.pop("averages/G.1.weight")
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    damaged = tmp_path / "damaged.safetensors"
    save_file(arrays, damaged, metadata)
    system = DCGAN(tinygan.load(runs / "dcgan").options)
    system.start()
    with pytest.raises(CheckpointError, match=r"averages/G\.1\.weight is missing"):
        load_system(damaged, system)
    with pytest.raises(CheckpointError, match=r"averages/G\.1\.weight is missing"):
        tinygan.load(damaged)
    tinygan.load(damaged, raw=True)


def test_a_run_older_than_averages_has_none():
    values = stored(DCGANOptions())
    assert load_options(DCGANOptions, values, "x").ema == DCGANOptions().ema > 0
    values.pop("ema")
    assert load_options(DCGANOptions, values, "x").ema == 0


def test_a_run_keeps_its_decay(runs, capsys):
    assert train("--resume", runs / "dcgan", "--steps", 6, "--ema", 0.5, tiny=False) == 2
    assert "--ema is 0.999 in this run and cannot become 0.5" in capsys.readouterr().err


# --- who uses it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("system", AVERAGED)
def test_a_loaded_run_has_the_average_and_with_raw_the_last_weights(runs, system):
    arrays = arrays_of(runs / system)
    for raw, section in ((False, "averages"), (True, "networks")):
        run = tinygan.load(runs / system, raw=raw)
        for name in AVERAGED[system]:
            state = run.networks[name].state_dict()
            due = {n: a for n, a in part(arrays, section).items() if n.startswith(f"{name}.")}
            assert_equal({f"{name}.{key}": a for key, a in state.items()}, due)


def test_without_averages_raw_changes_nothing(runs):
    images = [tinygan.load(runs / "dcgan-plain", raw=raw).generate(2) for raw in (False, True)]
    np.testing.assert_array_equal(*images)


def test_samples_and_score_are_of_the_average(runs, tmp_path):
    run = tinygan.load(runs / "dcgan")
    trained = DCGAN(run.options)
    trained.start()
    load_system(runs / "dcgan" / "checkpoints" / "step-000005.safetensors", trained)
    score = trained.score()
    sheet = trained.save_samples(tmp_path / "a.png")
    z = trained.noise(len(sheet), trained.random(102))
    np.testing.assert_array_equal(sheet, run.drawing().draw(z))
    trained.networks["G"].load_state_dict(trained.averages.pop("G").state_dict())
    assert trained.score() == score


def test_generate_takes_raw(runs, tmp_path):
    words = [runs / "dcgan", "--count", 4, "--backend", "numpy"]
    for name, more in (("average", []), ("raw", ["--raw"])):
        assert generate([*map(str, words), *more, "--out", str(tmp_path / f"{name}.png")]) == 0
    a, b = (np.asarray(Image.open(tmp_path / f"{n}.png")) for n in ("average", "raw"))
    assert a.shape == b.shape
    assert (a != b).any()


def test_a_senseless_decay_is_one_line(capsys):
    assert train("--ema", 1, "--steps", 1) == 2
    assert "--ema: expected a number of at least 0 and below 1, got '1'" in capsys.readouterr().err
    with pytest.raises(UserError, match="ema"):
        tinygan.fit("dcgan", ema=2.0, steps=1, quiet=True)
