"""``import tinygan`` brings the mathematics and nothing else."""

import subprocess
import sys

import pytest

HEAVY = {"PIL", "matplotlib", "scipy", "safetensors", "jinja2", "pooch", "requests", "tqdm"}
HEAVY |= {"cupy", "torch", "filelock", "platformdirs", "pytest", "psutil"}
LATER = ("tinygan.gradcheck", "tinygan.train", "tinygan.data", "tinygan.runs", "tinygan.systems")


def modules_after(code: str) -> set[str]:
    words = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    return set(done.stdout.split())


def test_importing_tinygan_imports_no_more_than_the_mathematics():
    found = modules_after("import tinygan")
    assert {name.partition(".")[0] for name in found} & HEAVY == set()
    assert {name for name in found if name.startswith(LATER)} == set()


@pytest.mark.parametrize("name", ["check_gradients", "GradientReport", "load", "fit"])
def test_what_is_imported_when_it_is_asked_for_is_there(name):
    import tinygan

    assert name in tinygan.__all__
    assert name in dir(tinygan)
    assert getattr(tinygan, name).__name__ == name


def test_a_name_that_is_not_there_is_an_attribute_error():
    import tinygan

    with pytest.raises(AttributeError, match="no attribute 'dance'"):
        tinygan.dance  # noqa: B018
