"""Checkpoint format 2: its names, its header, and what is done about damaged ones."""

import json
import os
import random
import resource
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from training import train

import tinygan
from tinygan import BatchNorm2d, Conv2d, LeakyReLU, ReflectionPad2d, ReLU, Residual, Sequential
from tinygan.errors import CheckpointError, UserError
from tinygan.generate.__main__ import main as generate
from tinygan.runs.checkpoint import load_network, read_arrays, state_arrays
from tinygan.runs.format_1 import old_layer, old_names
from tinygan.runs.header import read_checkpoint
from tinygan.runs.load import open_run
from tinygan.translate.__main__ import main as translate

OLD = Path(__file__).parents[1] / "fixtures" / "run_format_1"
CYCLEGAN = ["--dataset-size", 8, "--image-size", 16, "--width", 2, "--discriminator-width", 2]
CYCLEGAN += ["--residual-blocks", 1, "--pool-size", 3, "--batch-size", 4, "--backend", "numpy"]
CYCLEGAN += ["--norm", "instance"]  # as the old runs have
MUTATIONS = int(os.environ.get("TINYGAN_MUTATIONS", "0")) or (
    10_000 if os.environ.get("TINYGAN_LONG") else 120
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    assert train("--steps", 2, "--out", folder / "dcgan") == 0
    words = ["cyclegan", *CYCLEGAN, "--steps", 2, "--out", folder / "cyclegan"]
    assert train(*words, tiny=False) == 0
    return folder


def checkpoint_of(run) -> Path:
    [path] = (run / "checkpoints").iterdir()
    return path


def header_of(path) -> dict:
    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["tinygan"])


def rewritten(path, out, info=None, arrays=None, format_="tinygan checkpoint 2") -> Path:
    """A copy with another header or other arrays."""
    info = header_of(path) if info is None else info
    if arrays is not None:
        info = {name: value for name, value in info.items() if name != "checksums"}
    text = json.dumps(info)
    save_file(arrays or load_file(path), out, {"format": format_, "tinygan": text})
    return out


# --- what is in it ----------------------------------------------------------------------------


def test_names_say_section_network_and_parameter(runs):
    names = set(load_file(checkpoint_of(runs / "dcgan")))
    assert {n.partition("/")[0] for n in names} == {"networks", "averages", "optimizers"}
    assert {"networks/G.1.weight", "optimizers/adam_G/G.1.weight/m"} < names
    assert {"optimizers/adam_G/steps", "optimizers/adam_D/steps"} < names
    names = set(load_file(checkpoint_of(runs / "cyclegan")))
    sections = {"networks", "averages", "optimizers", "extra"}
    assert {n.partition("/")[0] for n in names} == sections
    assert "optimizers/adam_G/F.1.weight/v" in names, "one optimizer of two networks"
    assert "extra/pool_X.images" in names


def test_the_header_names_the_optimizers_numbers(runs):
    info = header_of(checkpoint_of(runs / "dcgan"))
    described = info["optimizers"]["adam_D"]
    assert described["kind"] == "Adam"
    assert described["lr"] == info["options"]["lr"]
    assert described["betas"] == [info["options"]["beta1"], 0.999]


def test_permissions_are_those_that_the_umask_gives(tmp_path):
    before = os.umask(0o027)
    try:
        assert train("--steps", 1, "--out", tmp_path / "run") == 0
    finally:
        os.umask(before)
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file() and path.name != ".lock":
            assert path.stat().st_mode & 0o777 == 0o640, path


def test_an_absent_optional_section_is_legal_and_an_unknown_one_names_the_version(runs, tmp_path):
    path = checkpoint_of(runs / "dcgan")
    arrays = load_file(path) | {"networks_2/G.1": np.zeros(3)}
    info = header_of(path) | {"version": "9.1"}
    strange = rewritten(path, tmp_path / "strange.safetensors", info, arrays)
    with pytest.raises(CheckpointError, match=r"'networks_2' is unknown.*needs tinygan 9\.1"):
        read_checkpoint(strange)
    arrays = {n: a for n, a in load_file(path).items() if not n.startswith("averages/")}
    known = rewritten(path, tmp_path / "known.safetensors", arrays=arrays)
    words = ["--count", 2, "--backend", "numpy", "--out", tmp_path / "a.png"]
    assert generate([str(known), *map(str, words)]) == 0


def test_a_later_format_names_the_version_that_wrote_it(runs, tmp_path):
    path = checkpoint_of(runs / "dcgan")
    later = rewritten(
        path, tmp_path / "a.safetensors", {"version": "7.0"}, format_="tinygan checkpoint 3"
    )
    with pytest.raises(CheckpointError, match=r"'tinygan checkpoint 3'; tinygan 7\.0 wrote it"):
        read_checkpoint(later)


# --- format 1 ---------------------------------------------------------------------------------


def test_an_activation_of_its_own_shifts_the_layers_behind_it():
    block = Residual(ReflectionPad2d(1), Conv2d(4, 4, 3), BatchNorm2d(4), ReLU(), Conv2d(4, 4, 1))
    network = Sequential(
        Conv2d(3, 4, 3), LeakyReLU(), Conv2d(4, 4, 3), BatchNorm2d(4), LeakyReLU(), block, ReLU()
    )
    old = {name: old_layer(network, name) for name, _ in network.walk() if name}
    assert old["2"] == "2"
    assert old["3"] == "3"
    assert old["5"] == "4"
    assert old["5.2"] == "4.2"
    assert old["5.4"] == "4.3"
    assert old["6"] == "5"


def test_format_1_counts_an_optimizers_parameters():
    network = Sequential(Conv2d(3, 4, 3), BatchNorm2d(4), ReLU(), Conv2d(4, 1, 1, bias=False))
    names = old_names(
        {"D": network}, {"adam": {"steps": "optimizers/adam/steps", "4.m": "optimizers/adam/x/m"}}
    )
    assert names["networks/D.3.weight"] == "D.2.weight"
    assert names["networks/D.1.running_mean"] == "D.1.running_mean"
    assert names["optimizers/adam/x/m"] == "adam/4.m"
    assert names["optimizers/adam/steps"] == "adam/steps"


def test_both_formats_give_every_array_its_name(runs):
    for system in ("dcgan", "cyclegan"):
        shapes = read_checkpoint(checkpoint_of(OLD / system)).shapes
        new = read_checkpoint(checkpoint_of(runs / system)).shapes
        optional = ("extra/", "averages/")
        new = [n for n in new if not n.startswith(optional)]
        assert len([n for n in shapes if "extra" not in n]) == len(new)


# --- damage -----------------------------------------------------------------------------------


def deep(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": -1}, "step: expected"),
        ({"step": True}, "step: expected"),
        ({"step": 10**30}, "step: expected"),
        ({"step": 2.0}, "step: expected"),
        ({"system": 3}, "system: expected"),
        ({"options": [1]}, "options, data: expected objects"),
        ({"data": "faces"}, "options, data: expected objects"),
        ({"best": 3}, "best: expected"),
        ({"best": {"step": 2}}, "damaged"),
        ({"best": {"step": 2, "score": "low"}}, "score: expected"),
        ({"score": [1]}, "score: expected"),
        ({"version": 1}, "version: expected"),
        ({"options": {"a": deep(40)}}, "nested too deeply"),
    ],
)
def test_a_wrong_header_is_one_clear_error(change, message, runs, tmp_path):
    path = checkpoint_of(runs / "dcgan")
    wrong = rewritten(path, tmp_path / "a.safetensors", header_of(path) | change)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(wrong)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "null", '{"step": NaN}', "3", "", "\ud800"])
def test_a_header_that_is_no_json_object_is_one_clear_error(text, runs, tmp_path):
    if text == "\ud800":
        text = '{"system": "\\ud800", "step": 1, "options": 3}'
    wrong = tmp_path / "a.safetensors"
    metadata = {"format": "tinygan checkpoint 2", "tinygan": text}
    save_file(load_file(checkpoint_of(runs / "dcgan")), wrong, metadata)
    with pytest.raises(CheckpointError, match="header is damaged"):
        read_checkpoint(wrong)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("optimizers/adam_G/steps", np.array(-3), "no count of steps"),
        ("optimizers/adam_G/steps", np.array([3, 4]), "expected shape"),
        ("optimizers/adam_G/steps", np.array(3.0), "expected numbers I64, got F64"),
        ("networks/G.1.weight", np.zeros((2, 2, 2, 2), np.int32), "expected shape"),
        ("extra/pool_X.images", np.zeros((3, 8, 8, 3), np.float32), "expected at most the shape"),
        ("extra/pool_X.images", np.zeros((4, 16, 16, 3), np.float32), "expected at most the shape"),
        ("extra/pool_X.state", np.array([1, -1]), "seed and the count of calls"),
        ("extra/pool_X.state", np.array([1.0, 2.0]), "seed and the count of calls"),
        ("extra/pool_Z.state", np.array([1, 2]), "unknown array"),
        ("networks/G.1.weight", None, "is missing"),
        ("extra/pool_X.state", None, "is missing"),
        ("networks/G.1.bias", np.full(2, np.nan, np.float32), "NaN or infinite"),
    ],
)
def test_a_wrong_array_is_one_clear_error_and_nothing_is_loaded(
    name, array, message, runs, tmp_path
):
    from tinygan.runs.checkpoint import load_system

    path = checkpoint_of(runs / "cyclegan")
    arrays = load_file(path)
    if array is None:
        del arrays[name]
    else:
        arrays[name] = array
    wrong = rewritten(path, tmp_path / "a.safetensors", arrays=arrays)
    system = tinygan.load(path).system
    system.start()
    before = {name: array.tobytes() for name, array in state_arrays(system).items()}
    with pytest.raises(CheckpointError, match=message):
        load_system(wrong, system)
    assert {name: array.tobytes() for name, array in state_arrays(system).items()} == before


@pytest.mark.parametrize("system", ["dcgan", "cyclegan"])
def test_one_bit_anywhere_among_the_numbers_is_noticed(system, runs, tmp_path):
    path = checkpoint_of(runs / system)
    whole, draw = path.read_bytes(), random.Random(0)
    begin = 8 + int.from_bytes(whole[:8], "little")
    bad = tmp_path / path.name
    for place in (begin, len(whole) - 1, *(draw.randrange(begin, len(whole)) for _ in range(8))):
        content = bytearray(whole)
        content[place] ^= 1 << draw.randrange(8)
        bad.write_bytes(content)
        checkpoint = read_checkpoint(bad)
        names = {name: name for name in checkpoint.shapes}
        with pytest.raises(CheckpointError, match=r"is damaged: its bytes are not those"):
            read_arrays(checkpoint, names)
    bad.write_bytes(whole)
    assert read_arrays(checkpoint, names).keys() == checkpoint.checksums.keys()


def test_a_sparse_terabyte_is_refused_without_reading_it(runs, tmp_path):
    header = header_of(checkpoint_of(runs / "dcgan"))
    size = 2**40
    tensors = {
        "__metadata__": {"format": "tinygan checkpoint 2", "tinygan": json.dumps(header)},
        "networks/G.1.weight": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]},
    }
    text = json.dumps(tensors).encode()
    huge = tmp_path / "huge.safetensors"
    with open(huge, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match="another network"):
        load_network(huge, Sequential(Conv2d(3, 4, 3)), "G")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_a_header_that_claims_gigabytes_is_refused(tmp_path):
    huge = tmp_path / "huge.safetensors"
    with open(huge, "wb") as file:
        file.write(struct.pack("<Q", 2**33))
        file.truncate(2**34)
    with pytest.raises(CheckpointError, match="no safetensors file"):
        read_checkpoint(huge)


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Bytes with something wrong: anywhere, or in the JSON of the header."""
    (length,) = struct.unpack("<Q", content[:8])
    head, body = content[8 : 8 + length], content[8 + length :]
    how = draw.randrange(8)
    if how == 0:
        return content[: draw.randrange(len(content))]
    if how in (1, 2):
        changed = bytearray(content if how == 1 else head)
        for _ in range(draw.randint(1, 4)):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        if how == 1:
            return bytes(changed)
        return content[:8] + bytes(changed) + body
    tensors = json.loads(head)
    info = json.loads(tensors["__metadata__"]["tinygan"])
    values = [None, -1, 0, 10**12, 1e300, "", "x", [], {}, True, [[[]]], {"a": {"a": 1}}, "\0", 0.5]
    if how in (3, 4, 5):
        target = info if how == 3 else info["options"] if how == 4 else (info["best"] or info)
        key = draw.choice(list(target))
        if draw.random() < 0.3:
            del target[key]
        else:
            target[key] = draw.choice(values)
    else:
        name = draw.choice([n for n in tensors if n != "__metadata__"])
        if how == 6:
            tensors[name][draw.choice(["dtype", "shape", "data_offsets"])] = draw.choice(
                ["F64", "I32", "BF16", [], [1], [2**40], [0, 8], [-1], 3, [0, 2**50]]
            )
        else:
            tensors[draw.choice(["extra/a", "G", "networks/", "x" * 3000])] = tensors.pop(name)
    tensors["__metadata__"]["tinygan"] = json.dumps(info)
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text + body


@pytest.mark.parametrize("system", ["dcgan", "cyclegan"])
@pytest.mark.timeout(3600)
def test_no_mutation_is_a_traceback(system, runs, tmp_path, capsys):
    """What cannot be used is an error of ours; what can be used is used."""
    content = checkpoint_of(runs / system).read_bytes()
    old = checkpoint_of(OLD / system).read_bytes()
    out, source = tmp_path / "out", tmp_path / "in.png"
    from PIL import Image

    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(source)
    survived = refused = 0
    for seed in range(MUTATIONS):
        draw = random.Random(seed)
        damaged = tmp_path / "damaged.safetensors"
        damaged.write_bytes(mutated(old if draw.random() < 0.3 else content, draw))
        words = ["--backend", "numpy", "--force", "--out", str(out) + ".png"]
        if system == "dcgan":
            status = generate([str(damaged), "--count", "2", *words])
        else:
            words[-1] = str(out)
            status = translate([str(damaged), "--input", str(source), *words])
        told = capsys.readouterr().err
        assert status in (0, 2), (seed, told)
        if status == 2:
            assert len(told.splitlines()) == 1, (seed, told)
        survived, refused = survived + (status == 0), refused + (status == 2)
    assert refused > MUTATIONS // 5


def test_open_run_takes_a_folder_or_a_file(runs, tmp_path):
    run = open_run(runs / "dcgan")
    assert run.folder == runs / "dcgan"
    assert (run.system, run.checkpoint.step) == ("dcgan", 2)
    path = checkpoint_of(runs / "dcgan")
    assert open_run(path).folder == runs / "dcgan"
    alone = rewritten(path, tmp_path / "alone.safetensors")
    assert open_run(alone).folder is None
    with pytest.raises(UserError, match="expected the run of a cyclegan, got one of a dcgan"):
        open_run(runs / "dcgan", "cyclegan")
    with pytest.raises(UserError, match="expected the run of a cyclegan, got one of a dcgan"):
        open_run(path, "cyclegan")
