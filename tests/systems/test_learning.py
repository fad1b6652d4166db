"""``--optimizer``: the rule that it names, for every network, and resumed to the bit."""

import json

import pytest
from training import timeless, train

from tinygan.errors import UserError
from tinygan.optim import SGD, Adam, RMSprop
from tinygan.options.resolving import load_options, stored
from tinygan.systems import find

BAGS = "cyclegan --dataset bags --dataset-size 8 --image-size 16 --width 4 --residual-blocks 1"
BAGS = [*BAGS.split(), "--discriminator-width", 4, "--backend", "numpy"]


def made(system: str, optimizer: str) -> dict:
    cls = find(system)
    options = cls.Options(image_size=16, width=2, optimizer=optimizer, lr=0.25, beta1=0.375)
    return cls(options).build_optimizers()


@pytest.mark.parametrize("system", ["dcgan", "cyclegan"])
def test_each_name_is_its_rule_with_the_rate_and_the_momentum(system):
    for name, cls in (("adam", Adam), ("rmsprop", RMSprop), ("sgd", SGD)):
        found = made(system, name)
        assert {type(one) for one in found.values()} == {cls}
        assert {one.lr for one in found.values()} == {0.25}
        assert all(key.startswith(f"{name}_") for key in found)
    assert {one.momentum for one in made(system, "sgd").values()} == {0.375}
    assert {tuple(one.betas) for one in made(system, "adam").values()} == {(0.375, 0.999)}


@pytest.mark.parametrize("optimizer", ["rmsprop", "sgd"])
@pytest.mark.parametrize("system", ["dcgan", "cyclegan"])
def test_a_run_with_another_rule_goes_on_to_the_bit(system, optimizer, tmp_path):
    words = BAGS if system == "cyclegan" else []
    more = dict(tiny=system == "dcgan")
    every = ["--optimizer", optimizer, "--sample-every", 9, "--checkpoint-every", 2]
    for steps, out in ((4, "whole"), (2, "run")):
        assert train(*words, *every, "--steps", steps, "--out", tmp_path / out, **more) == 0
    assert train("--resume", tmp_path / "run", "--steps", 4, tiny=False) == 0
    assert timeless(tmp_path / "run") == timeless(tmp_path / "whole")


def test_the_rule_of_a_run_stays(shared_run, capsys):
    assert train("--resume", shared_run, "--optimizer", "sgd", tiny=False) == 2
    assert "--optimizer is adam in this run and cannot become sgd" in capsys.readouterr().err
    assert train("--optimizer", "lion", "--steps", 1) == 2
    assert "--optimizer" in capsys.readouterr().err


@pytest.mark.parametrize("system", ["dcgan", "cyclegan"])
def test_runs_that_are_older_than_the_option_were_trained_by_adam(system):
    cls = find(system).Options
    old = json.loads(json.dumps(stored(cls(dataset=cls.drawn))))
    del old["optimizer"]
    assert load_options(cls, old, "here").optimizer == "adam"
    with pytest.raises(UserError, match="optimizer: expected one of adam, rmsprop, sgd"):
        load_options(cls, {**old, "optimizer": "lion"}, "here")
