"""Where a submission's file is, what was handed in instead, and how it is opened."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from tinygan.gradcheck.loading import load_file, notebook_code

__all__ = ["LocalModule", "find_file"]


def find_file(given, named) -> Path:
    """Return the submission's file, or fail with what was handed in.

    Parameters
    ----------
    given : Path
        A file, or a folder: the file is looked for in it, in ``exercises`` inside it and one level
        deeper, as a notebook too.
    named : str
        What the test module calls it, ``exercises/relu.py``.
    """
    given = Path(given)
    if not given.is_dir():
        if not given.is_file():
            pytest.fail(f"the file {given.name} does not exist: hand it in", pytrace=False)
        return _python(given)
    wanted = Path(named)
    for name in (wanted, Path(wanted.name)):
        if (given / name).is_file():
            return given / name
    deeper = sorted(
        p for p in given.rglob("*") if p.is_file() and len(p.relative_to(given).parts) <= 4
    )
    hidden = [
        p for p in deeper if not any(q.startswith((".", "__")) for q in p.relative_to(given).parts)
    ]
    for ending in (".py", ".ipynb"):
        exact = [p for p in hidden if p.name == wanted.stem + ending]
        if len(exact) == 1:
            return _python(exact[0])
        if len(exact) > 1:
            found = ", ".join(str(p.relative_to(given)) for p in exact)
            pytest.fail(f"{wanted.name} was handed in more than once: {found}", pytrace=False)
    there = ", ".join(str(p.relative_to(given)) for p in hidden[:20]) or "nothing"
    near = [p for p in hidden if _plain(p.stem) == _plain(wanted.stem)]
    hint = f"; rename {near[0].name} to {wanted.name}" if near else ""
    pytest.fail(
        f"{wanted.name} does not exist: hand it in (handed in: {there}){hint}", pytrace=False
    )


def _plain(stem):
    return "".join(c for c in stem.lower().partition("(")[0] if c.isalnum())


def _python(path):
    """Return the path itself, or that of the code of a notebook's cells, written beside it."""
    if path.suffix != ".ipynb":
        return path
    try:
        code = notebook_code(path)
        target = path.with_suffix(".py")
        target.write_text(code, encoding="utf-8")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        pytest.fail(f"{path.name} is no notebook that can be read: {error}", pytrace=False)
    return target


class LocalModule:
    """A submission in this process, for a student's own tests: functions as attributes."""

    def __init__(self, path):
        self.path = Path(path)
        try:
            self._module = load_file(self.path)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            own = [f for f in frames if Path(f.filename).name == self.path.name]
            line = getattr(error, "lineno", None) or (own[-1].lineno if own else "?")
            pytest.fail(
                f"{self.path.name} cannot be imported: {type(error).__name__}: {error} "
                f"(line {line})",
                pytrace=False,
            )
        except SystemExit:
            pytest.fail(f"{self.path.name} ends the program when imported", pytrace=False)

    def run(self, driver, *arguments):
        """Return ``driver(submission, *arguments)``; graded runs do this in the other process."""
        return driver(self, *arguments)

    def _printed(self):  # pytest shows it by itself
        return ""

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return getattr(self._module, name)
        except AttributeError:
            pytest.fail(
                f"{self.path.name} does not define {name}: was it renamed or deleted?",
                pytrace=False,
            )
