"""A submission: a Python file whose functions are looked up when a test asks for them."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from tinygan.gradcheck.loading import load_file

__all__ = ["Implementation"]


class Implementation:
    """The functions and classes of a file, as attributes.

    A file that is missing or cannot be read, or a name it does not define, fails the test that
    asks, with a message for the student.
    """

    def __init__(self, path):
        self._path = Path(path)
        if not self._path.is_file():
            pytest.fail(f"the file {self._path} does not exist: hand it in", pytrace=False)
        try:
            self._module = load_file(self._path)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            line = getattr(error, "lineno", None) or last.lineno
            pytest.fail(
                f"{self._path.name} cannot be imported: {type(error).__name__}: {error} "
                f"(line {line})",
                pytrace=False,
            )
        except SystemExit:
            pytest.fail(f"{self._path.name} ends the program when imported", pytrace=False)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return getattr(self._module, name)
        except AttributeError:
            pytest.fail(
                f"{self._path.name} does not define {name}: was it renamed or deleted?",
                pytrace=False,
            )
