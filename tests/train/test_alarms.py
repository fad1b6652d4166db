"""Warnings when D wins, D loses and G collapses: when they come, and when they do not."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
from training import train

from tinygan.data import faces
from tinygan.runs.watched import read_watch
from tinygan.systems import SYSTEMS, find
from tinygan.systems.cyclegan import CycleGAN
from tinygan.train.alarms import GRACE, MEANING, WINDOW, Alarms, Variety, variety

DATA = Variety(0.9, 0.2)


def scores(alarms, first, count, real, fake):
    warned = [alarms.observe(step, real, fake) for step in range(first, first + count)]
    return [(w.step, w.kind) for w in warned if w]


def looks(alarms, steps, diversity, nearest=1.0):
    seen = Variety(diversity * DATA.diversity, nearest * DATA.nearest)
    warned = [alarms.look(step, seen) for step in steps]
    return [(w.step, w.kind) for w in warned if w]


def test_a_winning_d_is_told_once_and_again_after_it_was_well():
    alarms = Alarms(DATA)
    assert scores(alarms, 1, 300, 0.9, 0.001) == [(WINDOW, "D is winning")]
    assert scores(alarms, 301, 300, 0.7, 0.3) == []
    assert scores(alarms, 601, 300, 0.9, 0.001) == [(pytest.approx(700, abs=10), "D is winning")]


def test_a_score_that_hovers_about_the_limit_is_told_once():
    alarms, told = Alarms(DATA), []
    for step in range(1, 2000):
        gap = 0.03 + 0.02 * np.sin(step / 30)
        told.append(alarms.observe(step, 0.5 + gap, 0.5))
    assert len([w for w in told if w]) == 1


def test_a_system_says_when_its_d_is_sure():
    assert CycleGAN.sure == 0.1  # and System.sure is 0.02
    assert scores(Alarms(DATA, sure=0.1), 1, 300, 0.93, 0.07) == [(WINDOW, "D is winning")]
    assert scores(Alarms(DATA), 1, 300, 0.93, 0.07) == []


def test_a_lost_d():
    assert scores(Alarms(DATA), 1, 1000, 0.5, 0.5) == [(WINDOW, "D has lost")]
    assert scores(Alarms(DATA), 1, 1000, 0.3, 0.9) == [(WINDOW, "D has lost")]


@pytest.mark.parametrize(("real", "fake"), [(0.7, 0.3), (0.85, 0.1), (0.6, 0.4), (0.9, 0.05)])
def test_scores_of_a_healthy_game(real, fake):
    assert scores(Alarms(DATA), 1, 1000, real, fake) == []


def test_a_short_spell_is_no_alarm():
    alarms = Alarms(DATA)
    assert scores(alarms, 1, 200, 0.7, 0.3) == []
    assert scores(alarms, 201, WINDOW // 2, 0.95, 0.0) == []
    assert scores(alarms, 201 + WINDOW // 2, 200, 0.7, 0.3) == []


def test_samples_that_all_look_alike():
    alarms = Alarms(DATA)
    late = range(GRACE, GRACE + 1000, 100)
    assert looks(alarms, late, 0.2) == [(GRACE + 200, "mode collapse")]
    assert looks(alarms, late, 0.9) == []
    assert looks(Alarms(DATA), late, 0.9, nearest=0.01) == [(GRACE + 200, "mode collapse")]


def test_beginners_may_all_look_alike():
    """The first samples are grey; only who could do better already has collapsed."""
    early = range(10, GRACE, 10)
    assert looks(Alarms(DATA), early, 0.1) == []
    alarms = Alarms(DATA)
    assert looks(alarms, [10, 20, 30], 0.9) == []
    assert looks(alarms, [40, 50, 60], 0.1) == [(60, "mode collapse")]


def test_every_other_odd_batch_is_no_collapse_but_three_in_four_are():
    alarms = Alarms(DATA)
    for start in range(GRACE, GRACE + 3000, 200):
        assert looks(alarms, [start], 0.1) == []
        assert looks(alarms, [start + 100], 0.9) == []
    assert looks(alarms, [5000, 5100], 0.1) == [(5100, "mode collapse")]


def test_variety_of_data_of_few_kinds_and_of_copies():
    images = faces(64, 16, seed=1).images
    data = variety(images)
    assert data == variety(images)
    copies = variety(np.repeat(images[:1], 64, axis=0))
    assert copies.diversity == pytest.approx(0, abs=1e-4)
    assert copies.nearest == 0
    few = variety(images[np.arange(64) % 4])
    assert few.nearest == 0
    assert few.diversity > 0.5 * data.diversity
    large = variety(faces(64, 80, seed=1).images)
    assert large.diversity == pytest.approx(data.diversity, rel=0.2)


@pytest.mark.parametrize("system", list(SYSTEMS))
def test_every_warning_says_what_to_try_with_flags_that_exist(capsys, system):
    with pytest.raises(SystemExit):
        train(system, "--help", tiny=False)
    known = set(re.findall(r"--[a-z0-9-]+", capsys.readouterr().out))
    for kind, text in find(system).advice.items():
        flags = set(re.findall(r"--[a-z0-9-]+", text))
        assert flags, kind
        assert flags <= known, kind
        assert kind in MEANING


def test_a_cyclegans_alarms_hear_what_its_discriminators_answer():
    answers = {"D_X_real": 0.9, "D_Y_real": 0.7, "D_X_fake": 0.1, "D_Y_fake": 0.5}
    assert CycleGAN.scores(None, {"step": 1000, **answers}) == pytest.approx((0.8, 0.3))
    assert CycleGAN.scores(None, {"step": 10, **answers}) is None
    assert CycleGAN.scores(None, {"step": 1000, "L_GAN": 2.0}) is None  # a step of an older run


@pytest.fixture
def soon(monkeypatch):
    """Scores are averaged over 10 steps only, so that short runs do."""
    monkeypatch.setattr("tinygan.train.alarms.WINDOW", 10)


def told(run):
    return [line for line in read_watch(run / "watch.jsonl") if "warning" in line]


def seen(run):
    return [line for line in read_watch(run / "watch.jsonl") if "diversity" in line]


def test_a_run_writes_down_what_it_saw(soon, tmp_path, capsys):
    """A discriminator that does not learn has lost: told on the terminal and in the folder."""
    run = tmp_path / "run"
    assert train("--steps", 14, "--sample-every", 6, "--lr", 0, "--out", run) == 0
    assert [(line["step"], line["warning"]) for line in told(run)] == [(10, "D has lost")]
    assert told(run)[0]["text"] in capsys.readouterr().err
    assert [line["step"] for line in seen(run)] == [6, 12, 14]
    assert all(0.5 < line["data_diversity"] < 1 for line in seen(run))


def test_a_resumed_run_has_watched_the_same(soon, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    common = ("--sample-every", 6, "--checkpoint-every", 4, "--lr", 0)
    assert train("--steps", 18, *common, "--out", whole) == 0
    assert train("--steps", 12, *common, "--out", parts) == 0
    with open(parts / "watch.jsonl", "a", encoding="utf-8") as file:  # killed after a checkpoint
        file.write(json.dumps({"step": 16, "warning": "x", "text": "x"}) + '\n{"step": 1')
    assert train("--resume", parts, "--steps", 18, tiny=False) == 0
    assert len(told(whole)) == 1
    assert told(whole) == told(parts)
    assert seen(whole) == seen(parts)


def test_the_cyclegans_alarms_are_counted_on_failing_and_healthy_runs():
    """``benchmarks/alarms.py`` finds what it counts; two steps, with its own options."""
    path = Path(__file__).parents[2] / "benchmarks" / "alarms.py"
    spec = importlib.util.spec_from_file_location("alarms_benchmark", path)
    counted = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(counted)
    leads_to = [truth for truth, _ in counted.CYCLEGAN_RECIPES.values()]
    assert {(), ("D is winning",), ("D has lost",)} == set(leads_to)
    for _, options in counted.CYCLEGAN_RECIPES.values():
        few = {"steps": 2, "dataset_size": 8, "discriminator_width": 2, "width": 2}
        assert counted.alarms_of_cyclegan({**options, **few}, seed=1) == []
