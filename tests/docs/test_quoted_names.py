"""Every name of tinygan that a reader meets exists: in tutorials, docs, README, coursework."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROSE = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(set((ROOT / "docs").glob("*.rst")) - {ROOT / "docs" / "migration.rst"}),  # old names
    *sorted((ROOT / "docs").glob("[ad]*/*.rst")),
    *sorted((ROOT / "tutorials").glob("*.py")),
    *sorted((ROOT / "tinygan" / "coursework" / "template").rglob("*.md")),
]
CODE = [
    *sorted((ROOT / "tutorials").glob("*.py")),
    *sorted((ROOT / "docs" / "figures").glob("*.py")),
    *sorted((ROOT / "tinygan" / "coursework" / "template").rglob("*.py")),
]


def resolve(dotted: str) -> None:
    """Import the longest module in `dotted` and look up the rest; raise where it is not there."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("tinygan"):
                raise
            continue
        for name in parts[cut:]:
            found = getattr(found, name)
        return
    raise ModuleNotFoundError(dotted)


def imported(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tinygan":
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {a.name for a in node.names if a.name.split(".")[0] == "tinygan"}
    return names


def quoted(text: str) -> set[str]:
    """Find `tinygan.a.b` in prose, ``python -m tinygan.a``, and imports in examples."""
    names = set(re.findall(r"(?<![\w/.])tinygan(?:\.[A-Za-z_]\w*)+(?![\w/])", text))
    for module, what in re.findall(r"from (tinygan[\w.]*) import ([\w, ]+)", text):
        words = (name.split() for name in what.split(","))
        names |= {f"{module}.{word[0]}" for word in words if word}  # "main as train" is main
    return {name for name in names if not name.endswith((".css", ".git", ".py"))}


def test_the_search_finds_names_of_every_kind():
    text = "See `tinygan.layer.Layer`; python -m tinygan.train; >>> from tinygan import Adam, l1"
    expected = {"tinygan.layer.Layer", "tinygan.train", "tinygan.Adam", "tinygan.l1"}
    assert quoted(text) == expected
    assert imported("from tinygan.models import dcgan\nimport tinygan.data") == {
        "tinygan.models.dcgan",
        "tinygan.data",
    }
    with pytest.raises((AttributeError, ModuleNotFoundError)):
        resolve("tinygan.layer.NoSuchLayer")


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_in_prose_exist(path):
    for name in sorted(quoted(path.read_text(encoding="utf-8"))):
        resolve(name)


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_that_code_imports_exist(path):
    for name in sorted(imported(path.read_text(encoding="utf-8"))):
        resolve(name)
