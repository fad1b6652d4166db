"""The public API says of every function and method what it takes and what it gives."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

import tinygan

API = Path(__file__).parents[1] / "docs" / "api"
DOCUMENTED = sorted(
    {
        module
        for page in API.glob("*.rst")
        for module in re.findall(r"automodule:: (tinygan[\w.]*)", page.read_text(encoding="utf-8"))
    }
)
GIVES_NOTHING = {"__init__", "__init_subclass__", "__post_init__"}


def is_written_here(function):
    """Tell whether it stands in our files: what dataclasses make does not; a lambda is a value."""
    file = Path(function.__code__.co_filename)
    ours = file == Path(__file__) or Path(tinygan.__file__).parent in file.parents
    return ours and function.__name__ != "<lambda>"


def functions_of(thing):
    """Yield name and function of a function, or of all that a class defines itself."""
    if inspect.isfunction(thing):
        yield thing.__qualname__, thing
    elif inspect.isclass(thing):
        for name, value in vars(thing).items():
            if name.startswith("_") and not name.startswith("__"):
                continue
            value = value.fget if isinstance(value, property) else value
            value = inspect.unwrap(getattr(value, "__func__", value))
            if inspect.isfunction(value) and is_written_here(value):
                yield f"{thing.__qualname__}.{name}", value


def missing(name, function):
    """Return what of a function is not annotated: its parameters' names, or "return"."""
    parameters = list(inspect.signature(function).parameters.values())
    inside_class = "." in name
    lacking = [
        p.name for i, p in enumerate(parameters)
        if p.annotation is p.empty and not (inside_class and i == 0 and p.name in ("self", "cls"))
    ]  # fmt: skip
    if "return" not in function.__annotations__ and function.__name__ not in GIVES_NOTHING:
        lacking.append("return")
    return lacking


def gaps_in(things):
    found = {}
    for thing in things:
        for name, function in functions_of(inspect.unwrap(thing) if callable(thing) else thing):
            if lacking := missing(name, function):
                found[f"{function.__module__}.{name}"] = lacking
    return found


def test_all_that_tinygan_exports_is_annotated():
    assert gaps_in(getattr(tinygan, name) for name in tinygan.__all__) == {}


def test_the_documentation_names_modules():
    assert {"tinygan.layers", "tinygan.losses", "tinygan.train.fit"} <= set(DOCUMENTED)


@pytest.mark.parametrize("module", DOCUMENTED)
def test_all_of_a_documented_module_is_annotated(module):
    module = importlib.import_module(module)
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]
    assert gaps_in(getattr(module, name) for name in names) == {}


def test_a_gap_is_found():
    def half(x: int, y):
        return x

    class Thing:
        def method(self, x) -> None: ...

    assert gaps_in([half]) == {f"{__name__}.{half.__qualname__}": ["y", "return"]}
    assert list(gaps_in([Thing]).values()) == [["x"]]


def test_the_package_says_that_it_is_typed():
    assert (Path(tinygan.__file__).parent / "py.typed").is_file()
