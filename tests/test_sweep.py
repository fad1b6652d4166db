"""The sweep: every cell with every seed once, within its time, and one table."""

import json

import numpy as np
import pytest
from test_benchmarks import TINY

from benchmarks import sweep as module
from benchmarks.sweep import BudgetSpentError, main, sweep, table
from benchmarks.trained import Record
from tinygan.errors import DivergedError

COMMON = [f"{name}={value}" for name, value in TINY.items()]


def swept(folder, *words) -> int:
    places = ["--runs", str(folder / "runs"), "--out", str(folder / "rows.json")]
    return main(["dcgan", *words, "--set", *COMMON, *places])


def rows(folder) -> dict:
    return json.loads((folder / "rows.json").read_text())["rows"]


def test_every_cell_is_trained_with_every_seed_and_sees_as_many_pictures(tmp_path, capsys):
    words = ["--vary", "optimizer=adam,sgd", "batch-size=4,8", "--pictures", "16", "--seeds", "2"]
    assert swept(tmp_path, *words) == 0
    found = rows(tmp_path)
    assert len(found) == 8
    assert [row["seed"] for row in found.values()] == [0] * 4 + [1] * 4  # all cells, then again
    assert {(row["cell"]["batch_size"], row["steps"]) for row in found.values()} == {(4, 4), (8, 2)}
    assert all(row["best"] <= row["score"] for row in found.values())
    assert len({row["score"] for row in found.values()}) == 8
    assert not list((tmp_path / "runs").iterdir())
    printed = capsys.readouterr().out
    assert printed.count("| 0 of 2 |") == 4
    assert "| optimizer | batch_size | seeds | score | worst | pictures/s | diverged |" in printed


def test_what_was_measured_is_not_measured_again(tmp_path, monkeypatch):
    words = ["--vary", "lr=0.001", "--pictures", "16", "--seeds", "1"]
    assert swept(tmp_path, *words) == 0
    before = rows(tmp_path)
    monkeypatch.setattr(module, "trained", lambda *_: pytest.fail("trained again"))
    assert swept(tmp_path, *words) == 0
    assert rows(tmp_path) == before


def test_a_run_that_the_time_cut_short_goes_on_to_the_same_numbers(tmp_path):
    options = {**TINY, "backend": "numpy"}
    arguments = "dcgan", [{"lr": 1e-3}], options, [0]
    whole, parts = (Record(tmp_path / f"{name}.json") for name in ("whole", "parts"))
    sweep(*arguments, whole, tmp_path / "a", 64)
    asked = iter([False] * 4 + [True] + [False] * 100)  # in the middle of the run
    with pytest.raises(BudgetSpentError):
        sweep(*arguments, parts, tmp_path / "b", 64, lambda: next(asked))
    assert parts.rows == {}
    [run] = (tmp_path / "b").iterdir()
    assert list((run / "checkpoints").iterdir())
    sweep(*arguments, parts, tmp_path / "b", 64)
    [one], [other] = whole.rows.values(), parts.rows.values()
    assert {**one, "pictures_a_second": 0} == {**other, "pictures_a_second": 0}


def test_no_minutes_train_nothing(tmp_path, capsys):
    assert swept(tmp_path, "--vary", "lr=0.1", "--pictures", "8", "--minutes", "0") == 0
    assert "the same command goes on" in capsys.readouterr().out
    assert not (tmp_path / "rows.json").exists()


def test_a_run_that_diverges_is_counted_and_the_sweep_goes_on(tmp_path, monkeypatch, capsys):
    real = module.trained

    def fragile(system, options, *rest):
        if options["lr"] == 9.0:
            raise DivergedError("loss_D is nan at step 3", 3)
        return real(system, options, *rest)

    monkeypatch.setattr(module, "trained", fragile)
    assert swept(tmp_path, "--vary", "lr=9,0.001", "--pictures", "8", "--seeds", "1") == 0
    bad, good = rows(tmp_path).values()
    assert bad["diverged"] == 3
    assert "score" not in bad
    assert good["score"] > 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "| 9.0 | 1 | – | – | – | 1 of 1 |"


def test_the_table_has_means_and_spreads_the_best_first():
    made = [
        {
            "cell": {"lr": lr},
            "seed": s,
            "score": score,
            "best": score,
            "pictures_a_second": 10.0 * s,
        }
        for lr, s, score in ((0.1, 1, 0.4), (0.1, 2, 0.6), (0.2, 1, 0.3), (0.2, 2, 0.3))
    ]
    _, _, first, second = table(made).splitlines()
    assert first == "| 0.2 | 2 | 0.300 ± 0.000 | 0.300 | 15 | 0 of 2 |"
    assert second == f"| 0.1 | 2 | 0.500 ± {np.std([0.4, 0.6], ddof=1):.3f} | 0.600 | 15 | 0 of 2 |"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--vary", "lr=fast", "--pictures", "8"], "lr=fast: expected a number"),
        (["--vary", "speed=1", "--pictures", "8"], "speed=1: expected NAME=VALUE with an option"),
        (["--vary", "lr", "--pictures", "8"], "lr: expected NAME=VALUE"),
        (["--vary", "lr=0.1"], "say how long each run is"),
    ],
)
def test_senseless_grids_are_one_clear_line(words, message, tmp_path, capsys):
    assert swept(tmp_path, *words) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line
    assert list(tmp_path.iterdir()) == []


def test_the_number_of_steps_may_be_what_varies(tmp_path):
    assert swept(tmp_path, "--vary", "steps=1,2", "--seeds", "1") == 0
    assert sorted(row["steps"] for row in rows(tmp_path).values()) == [1, 2]
