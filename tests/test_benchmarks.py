"""The benchmarks' plumbing, at small sizes.  No times are asserted."""

import json
import time

import numpy as np
import pytest

import tinygan
from benchmarks import plots, ranks, report
from benchmarks.bundle import RUNS, pack
from benchmarks.contest import TINYGAN, Contestant, Worker, contest
from benchmarks.machine import describe, installed_bytes
from benchmarks.papers import EXPERIMENTS
from benchmarks.sections import SECTIONS, exponent
from benchmarks.shapes import Shape, cyclegan_shapes, dcgan_shapes
from benchmarks.trained import Record, command, tail, trained
from benchmarks.where import profile
from benchmarks.work_tinygan import Tinygan
from tinygan import Conv2d
from tinygan.systems import find
from tinygan.systems.flags import parse_flags

SMALL = Shape("small", 3, 4, 3, size=6, batch=2).task() | {"backward": True}


def _result(section, rows):
    return {"section": section, "rounds": 1, "about": describe("numpy"), "rows": rows}


def _measured(name, median):
    return {"name": name, "seconds": [median], "median": median, "least": median} | {
        "peak_bytes": 5_000_000
    }


def test_contestants_take_turns_and_a_failure_is_told_not_hidden():
    broken = Contestant("tinygan, broken", "tinygan", {"algorithm": "fastest"})
    task = {k: v for k, v in SMALL.items() if k != "name"}
    good, bad = contest(task, [TINYGAN, broken], rounds=3, warm_up=1)
    assert len(good["seconds"]) == 3
    assert good["median"] > 0
    assert "expected one of" in bad["error"]
    assert "median" not in bad


def test_a_worker_counts_multiply_adds_by_the_definition_and_tells_its_peak():
    task = {k: v for k, v in SMALL.items() if k != "name"} | {"backward": False}
    with Worker(TINYGAN, threads=1) as worker:
        worker.ask("prepare", task=task, warm_up=0)
        assert worker.ask("count") == 2 * 4 * 4 * 3 * 3 * 3 * 4
        peak = worker.ask("peak")
    assert peak is None or peak > 1e6


def test_shapes_are_those_of_the_networks():
    from tinygan.models import cyclegan, dcgan

    for shapes, networks in (
        (dcgan_shapes(2), [dcgan.generator(), dcgan.discriminator()]),
        (cyclegan_shapes(), [cyclegan.generator(), cyclegan.patch_discriminator()]),
    ):
        weights = {p.shape for network in networks for p in network.parameters() if p.data.ndim > 1}
        assert {_weight_shape(shape) for shape in shapes} == weights


def _weight_shape(shape):
    ends = (shape.in_channels, shape.out_channels)
    return (shape.kernel_size, shape.kernel_size, *(ends[::-1] if shape.transposed else ends))


@pytest.mark.parametrize(
    "task",
    [
        {"task": "dcgan_step", "image_size": 16, "batch": 2, "width": 4},
        {"task": "dcgan_predict", "image_size": 16, "batch": 2, "width": 4},
        {"task": "cyclegan_step", "image_size": 32, "residual_blocks": 1, "width": 4},
        {"task": "cyclegan_predict", "image_size": 32, "residual_blocks": 1, "width": 4},
        {"task": "product", "size": 8},
    ],
    ids=lambda task: task["task"],
)
def test_both_libraries_do_every_task(task):
    before = _threads()
    Tinygan("numpy", 0).prepare(task)()
    torch = pytest.importorskip("torch")
    from benchmarks.work_torch import Torch

    for options in ({}, {"channels_last": True}):
        Torch("numpy", 0, **options).prepare(task)()
    assert torch.is_grad_enabled()
    assert _threads() == before


def _threads():
    from tinygan.machine.parallel import get_num_threads

    return get_num_threads()


def test_pytorch_builds_the_same_networks():
    pytest.importorskip("torch")
    from benchmarks import work_torch
    from tinygan.models import cyclegan, dcgan

    for ours, theirs in (
        (dcgan.generator(), work_torch.dcgan_generator(64, 64)),
        (dcgan.discriminator(), work_torch.dcgan_discriminator(64, 64)),
        (cyclegan.generator(), work_torch.cyclegan_generator(6, 64)),
        (cyclegan.patch_discriminator(), work_torch.patch_discriminator(64)),
    ):
        counts = [sorted(p.size for p in ours.parameters())]
        counts += [sorted(p.numel() for p in theirs.parameters())]
        assert counts[0] == counts[1]


def test_the_traffic_of_a_step_is_its_gradients_and_the_moments(monkeypatch):
    from tinygan.layers import BatchNorm2d
    from tinygan.models import dcgan

    words = {"dataset": "faces", "image_size": 16, "width": 2, "noise_size": 4, "batch_size": 4}
    monkeypatch.setitem(ranks.NETWORKS, "small", ("dcgan", words))
    count, size = ranks.traffic("small")
    G, D = dcgan.generator(16, 3, 4, 2), dcgan.discriminator(16, 3, 2)
    channels = [
        [layer.channels for layer in network if isinstance(layer, BatchNorm2d)]
        for network in (G, D)
    ]
    # G once, D three times: real, generated, and again for G; each forward and backward
    times = 1, 3
    exchanges = sum(2 * n * len(c) for n, c in zip(times, channels, strict=True))
    numbers = sum(2 * n * 2 * sum(c) for n, c in zip(times, channels, strict=True))
    weights = sum(p.size for p in G.parameters() + D.parameters())
    assert count == exchanges + 2 + 1  # two optimizers; six metrics in float64
    assert size == 4 * (numbers + weights) + 6 * 8


def test_the_model_ends_where_a_network_costs_more_than_it_brings():
    step = ranks.step_seconds
    free, slow = (0.0, float("inf")), (50e-6, 1e8)
    assert step(1, 128, 0.1, 0.01, 30, 3e7, slow) == pytest.approx(0.1 + 1.28)
    assert step(4, 128, 0.1, 0.01, 30, 3e7, free) == pytest.approx(0.1 + 0.32)
    cost = 30 * 4 * 50e-6 + 1.5 * 0.3
    assert step(4, 128, 0.1, 0.01, 30, 3e7, slow) == pytest.approx(0.1 + 0.32 + cost)


def test_exponent_of_a_power_law():
    sizes = np.array([1.0, 2.0, 4.0, 8.0])
    assert exponent(list(sizes), list(3 * sizes**2)) == pytest.approx(2)


def test_tables_and_plots_are_redrawn_between_the_markers(tmp_path):
    theirs = _measured("PyTorch", 0.5)
    row = {"system": "DCGAN", "results": [_measured("tinygan", 0.25), theirs]}
    row["results"].append(_measured("tinygan, memory given back", 0.3))
    layer = {"layer": "G1", "shape": "4×4", "face": "forward"}
    sizes = {"tinygan and its requirements": 1_000_000}
    shown = [row["results"][i] | {"images_a_second": 4.0} for i in (0, 1)]
    rows = {
        "steps": [row],
        "layers": [row | layer],
        "cold": [row | {"installed_bytes": sizes}],
        "inference": [row | {"results": shown}],
        "scaling": [row | {"along": "batch", "value": n} for n in (1, 2)],
        "limit": [row | {"multiply_adds": 10**9, "product_flops": 1e10, "roofline_seconds": 0.2}],
    }
    assert set(rows) == set(SECTIONS)
    for name in rows:
        path = tmp_path / f"{name}-numpy.json"
        path.write_text(json.dumps(_result(name, rows[name])))
    results = report.load(tmp_path)
    assert report.ratio(row["results"]) == 2.0
    files = plots.draw(results, tmp_path / "plots")
    assert sorted(path.stem for path in files) == sorted(f"{name}-numpy" for name in rows)
    readme = tmp_path / "README.md"
    reached = report.targets(results)
    assert "| a step, DCGAN: PyTorch's best / tinygan | ≥ 2 | **2.00** | yes |" in reached
    assert "| cold start, DCGAN: PyTorch's best / tinygan | ≥ 4 | **2.00** | missed |" in reached
    assert (
        "| peak memory, DCGAN: tinygan / PyTorch's least | ≤ 0.75 | **1.00** | missed |" in reached
    )
    assert "| step of DCGAN / its direct roofline | ≤ 1 | **1.25** | missed |" in reached
    readme.write_text("before\n<!-- steps-numpy -->\nold\n<!-- /steps-numpy -->\nafter\n")
    report.refresh(readme, results)
    text = readme.read_text()
    assert "old" not in text
    assert "| DCGAN | PyTorch | 0.5 s | 0.5 s | 2.00 |" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    report.refresh(readme, results)
    assert readme.read_text() == text


def test_a_failed_contestant_has_a_line_in_the_table():
    failed = {"name": "PyTorch", "seconds": [], "error": "PyTorch: no compiler"}
    row = {"system": "DCGAN", "results": [_measured("tinygan", 0.25), failed]}
    assert "no compiler" in report.table(_result("steps", [row]))
    assert report.ratio(row["results"]) is None


def test_installed_bytes_counts_requirements_once():
    numpy, both = installed_bytes("numpy"), installed_bytes("numpy", "matplotlib")
    assert numpy > 1e6
    assert installed_bytes("matplotlib") == both  # it requires NumPy
    assert installed_bytes("no-such-package-anywhere") is None


def test_shares_of_a_step_add_up_and_the_wrapping_is_undone():
    before = Conv2d.forward
    start = time.perf_counter()
    seconds = profile({"task": "dcgan_step", "image_size": 16, "batch": 2, "width": 4}, steps=1)
    assert sum(seconds.values())[0] <= time.perf_counter() - start
    assert min(wall for wall, _ in seconds.values()) >= 0
    parts = {what for what, _ in seconds}
    assert {"convolution", "BatchNorm2d", "LeakyReLU", "Tanh", "Adam", "losses"} <= parts
    assert Conv2d.forward is before


TINY = {"dataset": "faces", "dataset_size": 40, "image_size": 16, "width": 4, "batch_size": 8}
TINY |= {"noise_size": 8, "backend": "numpy"}


def test_a_row_is_trained_and_measured_once_and_a_run_goes_on(tmp_path, monkeypatch):
    run = trained("dcgan", {**TINY, "steps": 3}, tmp_path / "run")
    assert run.step == 3
    again = trained("dcgan", {**TINY, "steps": 3}, tmp_path / "run")
    assert again.step == 3
    config = tmp_path / "run" / "config.json"  # as if it had been stopped before its end
    whole = config.read_text()
    config.write_text(whole.replace('"total_steps": 3', '"total_steps": 5'))
    monkeypatch.setattr(tinygan, "fit", lambda **_: again)
    with pytest.raises(SystemExit, match="stopped after 3 of 5 steps"):
        trained("dcgan", {}, tmp_path / "run")
    record = Record(tmp_path / "rows.json")
    assert record.row("a", lambda: {"loss": tail(run, "loss_D", 2)}) == {
        "loss": pytest.approx(np.mean([row["loss_D"] for row in run.history[-2:]]))
    }
    again = Record(tmp_path / "rows.json")
    assert again.row("a", lambda: pytest.fail("measured twice")) == record.rows["a"]


@pytest.mark.parametrize("name", [*EXPERIMENTS, *RUNS])
def test_a_commands_text_is_the_command(name):
    system, options = RUNS.get(name) or (EXPERIMENTS[name].system, EXPERIMENTS[name].options)
    cls = find(system)
    words = command(system, options).split()[4:]
    assert parse_flags(cls.Options, cls.title, words, "train") == options


def test_a_packed_run_is_its_average_in_half_precision(tmp_path):
    run = trained("dcgan", {**TINY, "steps": 3}, tmp_path / "run")
    pack(tmp_path / "run", tmp_path / "a.safetensors")
    packed = tinygan.load(tmp_path / "a.safetensors", backend="numpy")
    for name, network in run.networks.items():
        for key, array in network.state_dict().items():
            rounded = array.astype(np.float16) if array.dtype.kind == "f" else array
            np.testing.assert_array_equal(packed.networks[name].state_dict()[key], rounded)
    averages = run.networks["G"].state_dict()
    last = tinygan.load(tmp_path / "run", raw=True, backend="numpy").networks["G"].state_dict()
    assert any((averages[key] != last[key]).any() for key in last)
    np.testing.assert_allclose(packed.generate(4), run.generate(4), atol=0.02)
