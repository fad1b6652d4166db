"""The benchmarks' plumbing, at small sizes.  No times are asserted."""

import json
import time

import numpy as np
import pytest

import tinygan
from benchmarks import plots, ranks, report, targets, worker
from benchmarks.__main__ import check
from benchmarks.bundle import RUNS, pack
from benchmarks.contest import ONNX, TINYGAN, Contestant, Worker, contest
from benchmarks.machine import describe, installed_bytes, kind
from benchmarks.papers import EXPERIMENTS
from benchmarks.roofline import ceilings, measure
from benchmarks.roofline import plot as plot_roofline
from benchmarks.sections import SECTIONS, exponent
from benchmarks.shapes import Shape, cyclegan_shapes, dcgan_shapes
from benchmarks.trace import Run, Span, alone, deal, plot, recorded, seconds_of, traced
from benchmarks.trained import Record, command, tail, trained
from benchmarks.where import profile
from benchmarks.work_tinygan import Tinygan
from tinygan import Conv2d
from tinygan.convolution import im2col
from tinygan.machine import parallel
from tinygan.models import dcgan
from tinygan.options.flags import parse_flags
from tinygan.systems import find

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


def _records(**medians):
    """Results of every section as one kind of processor would leave them."""
    ours, theirs = (medians.get(name, usual) for name, usual in (("ours", 0.25), ("theirs", 0.5)))
    row = {"system": "DCGAN-64, batch 128"}
    row["results"] = [_measured("tinygan", ours), _measured("PyTorch", theirs)]
    row["results"].append(_measured("tinygan, memory given back", 0.3))
    shown = [row["results"][i] | {"images_a_second": 4.0} for i in (0, 1)]
    batches = {"along": "batch", "system": "DCGAN-64"}
    threads = {"along": "threads"}
    return {
        "steps": [row],
        "layers": [row | {"layer": "G1", "shape": "4×4", "face": "forward"}],
        "cold": [row | {"installed_bytes": {"tinygan and its requirements": 1_000_000}}],
        "inference": [row | {"results": shown}],
        "scaling": [row | batches | {"value": n} for n in (1, 2)]
        + [row | threads | {"value": n} for n in (1, 2)],
        "limit": [row | {"multiply_adds": 10**9, "product_flops": 1e10, "roofline_seconds": 0.2}],
    }


def _written(folder, **medians):
    for processor, rows in {"amd-avx2": _records(**medians), "intel-avx512": _records()}.items():
        (folder / processor).mkdir(parents=True)
        for name in rows:
            path = folder / processor / f"{name}-numpy.json"
            path.write_text(json.dumps(_result(name, rows[name])))
    return report.load(folder)


def test_tables_and_plots_of_each_kind_are_redrawn_between_the_markers(tmp_path):
    records = _written(tmp_path / "results", ours=0.2)
    assert list(records) == ["amd-avx2", "intel-avx512"]
    results = records["amd-avx2"]
    assert set(results) == {f"{name}-numpy" for name in SECTIONS}
    files = plots.draw(results, tmp_path / "plots" / "amd-avx2")
    assert sorted(path.stem for path in files) == sorted(results)
    readme = tmp_path / "README.md"
    readme.write_text(
        "before\n<!-- steps-numpy -->\nold\n<!-- /steps-numpy -->\nafter\n"
        "<!-- summary -->\n<!-- /summary -->\n<!-- targets -->\n<!-- /targets -->\nend\n"
    )
    report.refresh(readme, records)
    text = readme.read_text()
    assert "\nold\n" not in text
    for line in (
        "| DCGAN-64, batch 128 | PyTorch | 0.5 s | 0.5 s | 2.50 |",
        "| DCGAN-64, batch 128 | PyTorch | 0.5 s | 0.5 s | 2.00 |",
        "| a training step: DCGAN-64, batch 128 | 2.50 · 1.00 | 2.00 · 1.00 |",
    ):
        assert line in text
    assert text.index("**amd-avx2**") < text.index("**intel-avx512**")
    assert "(plots/amd-avx2/steps-numpy.png)" in text
    assert "(plots/intel-avx512/steps-numpy.png)" not in text  # nobody has drawn it
    assert text.startswith("before\n")
    assert text.endswith("end\n")
    report.refresh(readme, records)
    assert readme.read_text() == text


@pytest.mark.parametrize(
    ("processor", "aim"), [("amd-avx2", 1.7), ("intel-avx512", 1.5), ("arm64", 1.0)]
)
def test_targets_depend_on_the_kind_of_processor(processor, aim):
    results = {f"{name}-numpy": _result(name, rows) for name, rows in _records().items()}
    found = {row.what.split(":")[0]: row for row in targets.rows(processor, results)}
    assert found["step, DCGAN-64, batch 128"].aim == aim
    assert found["step, DCGAN-64, batch 128"].value == pytest.approx(2.0)
    assert not found["cold start, DCGAN-64, batch 128"].met  # 2, and 4 are wanted
    assert not found["peak memory, DCGAN-64, batch 128"].met  # 1, and at most 0.75 is wanted


@pytest.mark.parametrize(
    ("along", "system", "value", "aim"),
    [
        ("batch", "DCGAN-64", 4, 0.85),
        ("batch", "DCGAN-64", 16, 1.0),
        ("image_size", "CycleGAN", 32, 0.85),
        ("image_size", "CycleGAN", 64, 1.0),
        ("threads", "DCGAN-64, batch 128", 1, 1.0),
        ("threads", "CycleGAN-128", 2, 1.0),
    ],
)
def test_small_rows_have_a_lower_target(along, system, value, aim):
    row = {"along": along, "system": system, "value": value}
    row["results"] = [_measured("tinygan", 1.0), _measured("PyTorch", 0.9)]
    (found,) = targets.rows("amd-avx2", {"scaling-numpy": _result("scaling", [row])})
    assert (found.aim, found.met) == (aim, aim < 0.9)


def test_check_prints_the_rows_under_their_targets_and_fails(capsys):
    good = {"system": "CycleGAN-128", "along": "threads", "value": 2}
    good["results"] = [_measured("tinygan", 1.0), _measured("PyTorch", 1.5)]
    bad = good | {"value": 1, "results": [_measured("tinygan", 1.0), _measured("PyTorch", 0.5)]}
    records = {"amd-avx2": {"scaling-numpy": _result("scaling", [good])}}
    assert check(records) == 0
    records["intel-avx2"] = {"scaling-numpy": _result("scaling", [good, bad])}
    assert check(records) == 1
    printed = capsys.readouterr().out
    assert "intel-avx2: 1 of 2 rows under their targets" in printed
    assert "threads: 1: PyTorch's best / tinygan | ≥ 1 | **0.50** | missed |" in printed
    assert "**1.50**" not in printed


@pytest.mark.parametrize(
    ("vendor", "flags", "slug"),
    [
        ("AuthenticAMD", "fma avx avx2 sse4a", "amd-avx2"),
        ("AuthenticAMD", "avx avx2 avx512f avx512dq", "amd-avx512"),
        ("GenuineIntel", "sse4_2 avx", "intel-avx"),
    ],
)
def test_the_kind_of_processor_is_its_vendor_and_widest_simd(vendor, flags, slug):
    text = f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: fpu {flags} sse\n"
    assert kind(cpuinfo=text + text) == slug


def test_without_a_list_of_flags_the_kind_is_the_architecture(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "ARM_64")
    assert kind(cpuinfo="CPU implementer\t: 0x41\n") == "arm-64"


def test_pytorch_flushes_denormals(monkeypatch):
    torch = pytest.importorskip("torch")
    asked = []
    monkeypatch.setattr(torch, "set_flush_denormal", asked.append)
    worker._contestant({"library": "torch", "backend": "numpy", "threads": 0, "options": {}})
    assert asked == [True]


def test_onnx_runtime_does_the_inference():
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from benchmarks.work_onnx import Onnx

    noise = {"task": "dcgan_predict", "image_size": 16, "batch": 2, "width": 4}
    picture = {"task": "cyclegan_predict", "image_size": 32, "residual_blocks": 1, "width": 4}
    for task in (noise, picture):
        ours = Tinygan("numpy", 0).prepare(task)()
        assert Onnx("numpy", 0).prepare(task)().transpose(0, 2, 3, 1).shape == ours.shape
    (result,) = contest(noise, [ONNX], rounds=1, warm_up=1)
    assert len(result["seconds"]) == 1


def test_a_failed_contestant_has_a_line_in_the_table():
    failed = {"name": "PyTorch", "seconds": [], "error": "PyTorch: no compiler"}
    row = {"system": "DCGAN", "results": [_measured("tinygan", 0.25), failed]}
    assert "no compiler" in report.table(_result("steps", [row]))
    assert targets.ratio(row["results"]) is None


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


def test_alone_is_the_time_with_fewer_than_two_threads_in_a_task():
    spans = [
        Span(1, "convolve", 1.0, 4.0),
        Span(2, "convolve", 2.0, 3.0),  # two at once from 2 to 3
        Span(1, "adam", 6.0, 8.0),
        Span(2, "adam", 6.0, 8.0),
    ]
    seconds, by_stage = alone(spans, 0.0, 10.0)
    assert seconds == pytest.approx(10 - 1 - 2)
    # before the first task and until both are there, from when one has ended, and in the gap
    assert by_stage == pytest.approx({"convolve": 1 + 1 + 1, "adam": 2, "the rest": 2})
    assert alone([], 0.0, 2.0) == (2.0, {"the rest": 2.0})


def test_a_traced_step_has_tasks_and_leaves_run_as_it_was(tmp_path):
    task = {"task": "cyclegan_step", "image_size": 32, "residual_blocks": 1, "width": 4}
    step, before = Tinygan("numpy", 0).prepare(task), parallel.run
    threads = parallel.get_num_threads()
    parallel.set_num_threads(2)
    try:
        start = time.perf_counter()
        with traced() as spans:
            assert im2col.run is not before
            step()
        stop = time.perf_counter()
    finally:
        parallel.set_num_threads(threads)
    assert parallel.run is im2col.run is before
    assert {"generator_objective", "update_all"} <= {span.stage for span in spans}
    assert all(start <= span.start <= span.stop <= stop for span in spans)
    assert 0 <= alone(spans, start, stop)[0] <= stop - start
    plot(spans, start, stop, tmp_path / "plots" / "trace.png")
    assert (tmp_path / "plots" / "trace.png").stat().st_size > 1000


def test_tasks_are_dealt_as_run_deals_them():
    three = Run("product", False, [[3.0], [1.0], [1.0]])
    spans, stop = deal([0.5, three, 0.25], range(2))
    assert stop == 0.5 + 3 + 0.25
    assert [(s.thread, s.start, s.stop) for s in spans] == [(0, 0.5, 3.5), (1, 0.5, 1.5),
                                                            (1, 1.5, 2.5)]  # fmt: skip
    assert seconds_of([0.5, three, 0.25]) == 5.75


def test_branches_and_single_tasks_have_several_threads_when_they_are_dealt():
    four = Run("product", False, [[1.0]] * 4)
    branches = Run("directions", True, [[four], [four]])
    for cores, stop in ((1, 8.0), (2, 4.0), (4, 2.0), (8, 1.0)):
        spans, found = deal([branches], range(cores))
        assert found == stop
        assert {s.thread for s in spans} == set(range(cores))
    assert deal([Run("one", False, [[four]])], range(2))[1] == 2.0


def test_a_recorded_step_holds_all_of_its_seconds_and_tasks():
    task = {"task": "cyclegan_step", "image_size": 32, "residual_blocks": 1, "width": 4}
    step, before = Tinygan("numpy", 0).prepare(task), parallel.run
    threads = parallel.get_num_threads()
    start = time.thread_time()
    with recorded() as record:
        step()
    stop = time.thread_time()
    assert parallel.run is im2col.run is before
    assert parallel.get_num_threads() == threads
    assert 0 < seconds_of(record) <= stop - start
    for cores in (1, 2, 4):
        spans, end = deal(record, range(cores))
        assert {"_multiply_patches", "update_all"} <= {s.stage for s in spans}
        assert seconds_of(record) / cores <= end * (1 + 1e-9)
        assert end <= seconds_of(record) * (1 + 1e-9)


def test_a_roofline_counts_what_stages_move_and_multiply(tmp_path):
    task = {"task": "dcgan_step", "image_size": 16, "batch": 2, "width": 4}
    stages = measure(task, steps=2)
    counts = Tinygan("numpy", 0)
    operations = sum(v[2] for (what, _), v in stages.items() if what == "convolution")
    assert operations == 2 * counts.count(counts.prepare(task))
    G, D = dcgan.generator(16, width=4, noise_size=200), dcgan.discriminator(16, width=4)
    parameters = sum(p.data.nbytes for network in (G, D) for p in network.parameters())
    assert stages["Adam", "step"][1] == 7 * parameters
    assert all(seconds > 0 for seconds, *_ in stages.values())
    assert Conv2d.forward.__name__ == "forward"
    peak, bandwidth = ceilings(size=32, numbers=1024)
    assert min(peak, bandwidth) > 0
    plot_roofline(stages, peak, bandwidth, tmp_path / "roofline.png")
    assert (tmp_path / "roofline.png").stat().st_size > 1000
