"""Options: the flags there are, where their values come from, and what a run's options may be."""

import dataclasses
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from training import TINY, train

from tinygan.errors import UserError
from tinygan.options.base import Options, inherit, option
from tinygan.options.flags import _parser
from tinygan.options.kinds import number, whole
from tinygan.options.resolving import load_options, read_toml, resolve, resumed, stored
from tinygan.systems import SYSTEMS, find
from tinygan.systems.cyclegan.options import CycleGANOptions
from tinygan.systems.dcgan import DCGANOptions

FLAGS = json.loads((Path(__file__).parents[1] / "fixtures" / "flags.json").read_text("utf-8"))
"""Every flag as it was before options were dataclasses: meaning, default, choices."""


@pytest.mark.parametrize("system", FLAGS)
def test_every_flag_has_the_meaning_and_default_it_had(system):
    cls = find(system).Options
    parser = _parser(cls, "it", "prog")
    actions = {flag: action for action in parser._actions for flag in action.option_strings}
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    for flag, then in FLAGS[system].items():
        renamed = flag == "--generator-loss"
        action = actions["--objective" if renamed else flag]
        default = defaults[action.dest]
        assert default == then["default"], flag
        if renamed:  # there are more of them now
            assert set(then["choices"]) < set(action.choices)
            continue
        meaning = then["meaning"].replace("%(default)s", str(default))
        meaning = meaning.replace("in D's loss", "in D's cross-entropy")
        longer = flag == "--data" and action.help.startswith(meaning)
        assert action.help == meaning or longer, flag
        if "choices" in then:
            assert list(action.choices)[: len(then["choices"])] == then["choices"], flag
        if "value" in then and flag != "--preset":
            assert action.const == then["value"], flag
    new = {"--config", "--system", "--objective", "-h", "--help", "--version", "--range"}
    new |= {"--ema", "--augment", "--lr-d", "--flip", "--fit", "--init-from", "--log"}
    new |= {"--optimizer"}
    new |= {"--distributed", "--no-sync-batch-norm", "--rank-timeout"}
    assert actions.keys() - FLAGS[system].keys() <= new


def values(**changed) -> dict:
    return {**stored(DCGANOptions(dataset="faces")), **changed}


def test_what_is_stored_is_read_again():
    options = DCGANOptions(dataset="faces", lr=1e-3, out="somewhere", force=True)
    text = json.dumps(stored(options))
    again = load_options(DCGANOptions, json.loads(text), "here")
    assert stored(again) == stored(options)
    assert (again.out, again.force) == (None, False)  # about one call of the command


def test_the_name_that_an_option_had_is_read():
    old = values(generator_loss="minimax")
    del old["objective"]
    assert load_options(DCGANOptions, old, "here").objective == "minimax"


@dataclass
class Newer(DCGANOptions):
    """What a later version adds."""

    decay: float = option(0.999, number(0, 1), "what new runs do", before=0.0)
    lr: float = inherit(DCGANOptions, "lr", 0.5)


def test_an_older_run_keeps_what_was_computed_before_an_option_existed():
    assert load_options(Newer, values(), "here").decay == 0.0
    assert resolve(Newer, {"data": "x"}).decay == 0.999
    assert Newer().lr == 0.5
    assert load_options(Newer, values(lr=1e-4), "here").lr == 1e-4


def nested(depth: int) -> list:
    junk: list = []
    for _ in range(depth):
        junk = [junk]
    return junk


DAMAGED = {
    "no table": ([1, 2], "expected options by name, got a list"),
    "nothing": (None, "expected options by name, got None"),
    "empty": ({}, "preset is missing"),
    "missing": ({k: v for k, v in values().items() if k != "width"}, "width is missing"),
    "unknown": (values(wdith=3), "unknown option 'wdith'"),
    "a text for a number": (values(width="64"), "width: expected a whole number"),
    "a float for a whole number": (values(width=64.0), "width: expected a whole number"),
    "true for a number": (values(width=True), "width: expected a whole number"),
    "true for a rate": (values(lr=True), "lr: expected a number"),
    "nan": (values(lr=float("nan")), "lr: expected a number of at least 0, got nan"),
    "infinite": (values(lr=float("inf")), "lr: expected a number"),
    "negative": (values(seed=-1), "seed: expected a whole number of 0 or more"),
    "too large": (values(steps=10**30), "steps: expected a whole number of 1 or more"),
    "absurd": (values(noise_size=10**12), "noise_size: expected a whole number of 1 or more"),
    "none": (values(width=None), "width: expected a whole number"),
    "nested": (values(noise=nested(5000)), "noise: expected one of uniform, normal, got a list"),
    "a table": (values(image_size={"a": 1}), "image_size: expected one of 16, 32"),
    "another kind of name": ({**values(), 3: 4}, "unknown option 3"),
    "a long text": (values(noise="x" * 10**6), "noise: expected one of uniform, normal, got 'xxx"),
    "an odd path": (values(data="a\0b"), "data: expected a name"),
    "no length": (values(steps=None, epochs=None), "expected --steps or --epochs"),
    "a size that is none": (values(image_size=17), "image_size: expected one of 16"),
}


@pytest.mark.parametrize(("junk", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_options_are_one_clear_line(junk, message):
    with pytest.raises(UserError) as caught:
        load_options(DCGANOptions, junk, "RUN/config.json")
    text = str(caught.value)
    assert text.startswith("RUN/config.json: its options are damaged: ")
    assert message in text
    assert len(text) < 250
    assert "\n" not in text


@pytest.mark.parametrize("system", SYSTEMS)
def test_no_mutation_of_a_runs_options_is_more_than_one_line(system):
    """Each option by each kind of junk: it loads, or it is a UserError."""
    cls = find(system).Options
    good = stored(cls(dataset=cls.drawn))
    junk = [None, True, -1, 0, 3, 10**40, 0.5, float("nan"), "", "x", "16", [], {}, nested(2000)]
    refused = 0
    for name in good:
        for value in junk:
            try:
                load_options(cls, {**good, name: value}, "here")
            except UserError as error:
                refused += "\n" not in str(error)
    assert refused > len(good) * len(junk) / 2


def test_flags_win_over_the_file_that_over_the_preset_and_that_over_the_default(tmp_path):
    (tmp_path / "it.toml").write_text(
        'preset = "quick"\ndataset = "faces"\nlr = 1\nbatch-size = 3\n'
    )
    config = read_toml(DCGANOptions, tmp_path / "it.toml")
    options = resolve(DCGANOptions, {"batch_size": 5}, config)
    assert (options.batch_size, options.lr, options.width, options.noise_size) == (5, 1, 32, 200)
    assert (options.steps, options.epochs) == (1800, None)
    assert resolve(DCGANOptions, {"epochs": 2}, config).steps is None


def test_the_size_to_cut_from_follows_the_size_that_is_cut():
    options = partial(resolve, CycleGANOptions)
    assert options({}).load_size == 32 == options({}).image_size  # of the preset
    assert options({"image_size": 64}).load_size is None  # so 286/256 of it
    assert options({"image_size": 64, "load_size": 80}).load_size == 80
    assert options({"load_size": 80}, {"image_size": 64, "load_size": 72}).load_size == 80
    assert options({}, {"image_size": 64, "load_size": 72}).load_size == 72
    with pytest.raises(UserError, match="--load-size 60: expected at least --image-size 64"):
        options({"image_size": 64, "load_size": 60})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr = ", "cannot be read"),
        ("lr = 'high'", "lr: expected a number of at least 0, got 'high'"),
        ("learning_rate = 3", "unknown option 'learning_rate'"),
        ("[lr]\nx = 1", "lr: expected a number of at least 0, got a dict"),
    ],
)
def test_a_bad_file_of_options_is_one_clear_line(text, message, tmp_path, capsys):
    (tmp_path / "it.toml").write_text(text)
    assert train("--config", tmp_path / "it.toml", "--out", tmp_path / "run") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "run").exists()


def test_the_options_of_another_run_may_be_taken(shared_run, tmp_path):
    out = tmp_path / "run"
    assert train("--config", shared_run, "--steps", 1, "--lr", 0.5, "--out", out, tiny=False) == 0
    then, now = (json.loads((r / "config.json").read_text())["options"] for r in (shared_run, out))
    assert {name for name in then if then[name] != now[name]} == {"steps", "lr"}


def test_only_what_the_result_does_not_depend_on_may_change_on_resume(tmp_path):
    options = DCGANOptions(dataset="faces", steps=5, epochs=None)
    again = resumed(options, {"epochs": 2, "threads": 3, "sample_every": 7}, tmp_path)
    assert (again.steps, again.epochs, again.threads, again.sample_every) == (None, 2, 3, 7)
    assert resumed(options, {"lr": 2e-4}, tmp_path).lr == 2e-4  # as it is
    with pytest.raises(UserError, match=r"--lr is 0\.0002 in this run and cannot become"):
        resumed(options, {"lr": 1.0}, tmp_path)


def test_what_an_author_forgets_is_named():
    class Undecorated(Options):
        clip: float = option(0.1, number(0), "it")

    with pytest.raises(TypeError, match="clip is no field: put @dataclass above it"):
        resolve(Undecorated, {"data": "x"})

    @dataclass
    class Plain(Options):
        clip: float = 0.1

    with pytest.raises(TypeError, match=r"clip: expected clip = option"):
        stored(Plain())


def test_numpy_numbers_become_plain_ones(tmp_path):
    from tinygan.options.resolving import checked

    found = checked(DCGANOptions, {"lr": np.float32(0.5), "steps": np.int64(3)}, "fit")
    assert json.loads(json.dumps(found)) == {"lr": 0.5, "steps": 3}
    assert whole(1).accepts(3)


def test_a_run_whose_options_are_damaged_is_one_line_everywhere(run_copy, tmp_path, capsys):
    from tinygan.evaluate.__main__ import main as evaluate
    from tinygan.generate.__main__ import main as generate
    from tinygan.study.__main__ import main as study
    from tinygan.translate.__main__ import main as translate

    config = run_copy / "config.json"
    before = config.read_text()
    try:
        broken = json.loads(before)
        broken["options"]["width"] = "wide"
        config.write_text(json.dumps(broken))
        assert train("--resume", run_copy, tiny=False) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert "width: expected a whole number of 1 or more, got 'wide'" in line
    finally:
        config.write_text(before)
    from safetensors.numpy import load_file, save_file
    from test_train_resume import read_text

    path = tmp_path / "step-000007.safetensors"
    source = run_copy / "checkpoints" / path.name
    info = json.loads(read_text(source))
    info["options"]["width"] = 10**7
    save_file(
        load_file(source), path, {"format": "tinygan checkpoint 2", "tinygan": json.dumps(info)}
    )
    for main, words in (
        (generate, [path, "--out", tmp_path / "a.png"]),
        (evaluate, [path]),
        (study, [path]),
        (translate, [path, "--input", source, "--out", tmp_path / "o"]),
    ):
        assert main([*map(str, words)]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert "the networks and Adam's moments alone would take" in line


def test_the_tiny_run_is_what_its_words_say(shared_run):
    options = json.loads((shared_run / "config.json").read_text())["options"]
    for flag, word in zip(TINY[::2], TINY[1::2], strict=True):
        assert str(options[flag[2:].replace("-", "_")]) == word
