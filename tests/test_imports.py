"""``import tinygan`` brings the mathematics and nothing else."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tinygan

HEAVY = {"PIL", "matplotlib", "scipy", "safetensors", "jinja2", "pooch", "requests", "tqdm"}
HEAVY |= {"cupy", "torch", "filelock", "platformdirs", "pytest", "psutil"}
LATER = ("tinygan.gradcheck", "tinygan.train", "tinygan.data", "tinygan.runs", "tinygan.systems")


def modules_after(code: str) -> set[str]:
    words = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    return set(done.stdout.split())


def test_importing_tinygan_imports_nothing_but_itself():
    found = modules_after("import tinygan")
    assert "numpy" not in found
    assert {n for n in found if n.startswith("tinygan.")} == {"tinygan.starting"}


def test_asking_for_a_layer_imports_no_more_than_the_mathematics():
    found = modules_after("from tinygan import Conv2d, Adam, bce, summary")
    assert {name.partition(".")[0] for name in found} & HEAVY == set()
    assert {name for name in found if name.startswith(LATER)} == set()


@pytest.mark.parametrize("name", ["check_gradients", "GradientReport", "load", "fit"])
def test_what_is_imported_when_it_is_asked_for_is_there(name):
    assert name in tinygan.__all__
    assert name in dir(tinygan)
    assert getattr(tinygan, name).__name__ == name


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'dance'"):
        tinygan.dance  # noqa: B018


def test_what_the_types_say_is_what_is_there():
    """Names, their modules and ``__all__`` stand in three places for mypy, readers and Python."""
    (block,) = (n for n in ast.parse(Path(tinygan.__file__).read_text()).body if type(n) is ast.If)
    said = {a.name: n.module for n in block.body for a in n.names}
    assert said == tinygan._HOME
    assert sorted(said) == sorted(tinygan.__all__)
    assert set(said) <= set(dir(tinygan))


def test_every_way_to_a_name_gives_the_same():
    code = """
from tinygan import *
import tinygan.summary, tinygan.initialize
import tinygan as gan
from tinygan import layers, summary as other
assert ReLU is gan.ReLU is layers.ReLU is gan.layers.activation.ReLU
assert summary is other is gan.summary and callable(summary)
assert initialize is gan.initialize and callable(initialize)
assert gan.train.fit.fit is gan.fit is fit and gan.models.dcgan
"""
    assert "tinygan.train.fit" in modules_after(code)


def test_a_submodule_that_lacks_something_says_what(tmp_path):
    (tmp_path / "m.py").write_text("import nowhere_to_be_found")
    code = f"""
import tinygan
tinygan.__path__.append({str(tmp_path)!r})
try:
    tinygan.m
except ModuleNotFoundError as error:
    assert error.name == "nowhere_to_be_found"
else:
    assert False
"""
    modules_after(code)
