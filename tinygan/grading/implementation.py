"""Where a submission's file is, what was handed in instead, and how it is opened."""

from __future__ import annotations

import ast
import contextlib
import io
import shutil
import tarfile
import traceback
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from tinygan.loading import load, notebook_code

__all__ = ["LocalModule", "find_file", "unpack"]

TAR = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
LARGEST, MOST, DEEPEST = 256 << 20, 5000, 4
"""Bytes and files that archives may hold, and how far they may be packed into each other."""

CLOSED = (
    "cannot be opened here (no zip or tar, damaged, locked or too large): hand in your files alone"
)

INSTALLED = ("venv", "site-packages", "dist-packages", "node_modules", "__pycache__",
             "__MACOSX")  # fmt: skip
"""Folders that hold what others wrote."""


def find_file(given, named) -> Path:
    """Return the submission's file, or fail with what was handed in.

    Parameters
    ----------
    given : Path
        A file, or a folder: the file is looked for in it, in ``exercises`` inside it and deeper, as
        a notebook too.
    named : str
        What the test module calls it, ``exercises/relu.py``.
    """
    given = Path(given)
    if not given.is_dir():
        if not given.is_file():
            pytest.fail(f"the file {given.name} does not exist: hand it in", pytrace=False)
        return given
    wanted = Path(named)
    for name in (wanted, Path(wanted.name)):
        if any((given / part).is_symlink() for part in (name, *name.parents[:-1])):
            pytest.fail(f"{name} is a link: hand in the file itself", pytrace=False)
        if (given / name).is_file():
            return given / name
    there = sorted(p for p in given.rglob("*") if p.is_file() and not _hidden(p, given))
    for ending in (".py", ".ipynb"):
        exact = [p for p in there if p.name == wanted.stem + ending]
        folder = [p for p in exact if p.parent.name == wanted.parent.name]
        exact = folder or exact
        if len({p.read_bytes() for p in exact}) == 1:
            return exact[0]
        if exact:
            found = ", ".join(str(p.relative_to(given)) for p in exact)
            pytest.fail(f"{wanted.name} was handed in more than once: {found}", pytrace=False)
    listed = [str(p.relative_to(given)) for p in there]
    near = [p for p in there if _plain(p.name) == _plain(wanted.name)]
    closed = [p.name for p in there if p.name.lower().endswith((".zip", ".rar", ".7z", *TAR))]
    pytest.fail(
        f"{wanted.name} does not exist: hand it in (handed in: {_some(listed)})"
        + (f"; rename {near[0].name} to {wanted.name}" if near else "")
        + (f"; {closed[0]} {CLOSED}" if closed else ""),
        pytrace=False,
    )


def installed(parts) -> bool:
    """Whether a path leads into a folder of what others wrote, or of a computer's own files."""
    return any(
        part in INSTALLED or (part.startswith(".") and part not in (".", ".."))
        for part in parts[:-1]
    )


def _hidden(path, folder):
    parts = path.relative_to(folder).parts
    return path.is_symlink() or parts[-1].startswith((".", "__")) or installed(parts)


def _some(names):
    more = f", … ({len(names)} files)" if len(names) > 20 else ""
    return (", ".join(names[:20]) or "nothing") + more


def _plain(name):
    """Return a file's name without what browsers, copies and editors make of it."""
    stem = name.lower().partition(".")[0].partition("(")[0]
    stem = stem.removeprefix("copy of ").removesuffix("copy")
    return "".join(c for c in stem if c.isalpha())


def unpack(given, folder) -> Path:
    """Return the submission, or a copy of it in `folder` if it has archives or notebooks.

    There archives are unpacked, and beside each notebook lies the code of its cells.  What would
    land outside, links and a computer's own files are left out; an archive that cannot be read, or
    that is too large, stays as it is.
    """
    endings = (".ipynb", ".zip", *TAR)
    if given.suffix == ".ipynb" and given.is_file():
        shutil.copy(given, folder)
        return _as_python(folder / given.name) or given
    if not given.is_dir() or not any(p.name.lower().endswith(endings) for p in given.rglob("*")):
        return given
    left = [LARGEST, MOST]
    for path in sorted(given.rglob("*")):
        name = PurePosixPath(path.relative_to(given).as_posix())
        if not path.is_file() or path.is_symlink() or installed(name.parts):
            continue
        if path.stat().st_size <= LARGEST:
            _place(name, path.read_bytes(), folder, left, 0)
    for path in sorted(folder.rglob("*.ipynb")):
        if not path.with_suffix(".py").exists():
            _as_python(path)
    return folder


def _as_python(path):
    """Write a notebook's code beside it; one that is none stays, and says why when it is opened.

    What the cells do besides defining and importing may fail: data and screens are not here.
    """
    with contextlib.suppress(Exception):
        code, target = notebook_code(path), path.with_suffix(".py")
        with contextlib.suppress(SyntaxError, ValueError, RecursionError):
            tree = ast.parse(code)
            keep = ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom
            failed = ast.parse("print('a cell failed:', repr(_error))").body
            handler = ast.ExceptHandler(ast.Name("Exception"), "_error", failed)
            tree.body = [
                node
                if isinstance(node, keep) or _is_text(node)  # before `from __future__`
                else ast.Try([node], [handler], [], [])
                for node in tree.body
            ]
            code = ast.unparse(ast.fix_missing_locations(tree))
        target.write_text(code, encoding="utf-8")
        return target


def _is_text(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _place(name, data, folder, left, depth):
    parts = [p for p in str(name).replace("\\", "/").split("/") if p not in ("", ".", "..")]
    if not parts or parts[0].endswith(":") or "__MACOSX" in parts or parts[-1].startswith("._"):
        return
    left[0], left[1] = left[0] - len(data), left[1] - 1
    if min(left) < 0 or len(parts) > 40 or max(map(len, parts)) > 200:
        return
    target = folder.joinpath(*parts)
    if depth < DEEPEST and (members := _members(data, target.name, left)) is not None:
        stem = target.name.partition(".")[0] or "archive"
        for inner, content in members:
            _place("/".join([*parts[:-1], stem, inner]), content, folder, left, depth + 1)
        return
    if target.exists() or any(p.is_file() for p in target.parents):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def _members(data, name, left):
    """Return the files of an archive, by name, or None if it is none."""
    found: list[tuple[str, bytes]] = []
    size = 0
    try:
        if name.lower().endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for entry in archive.infolist():
                    if installed(entry.filename.replace("\\", "/").split("/")):
                        continue
                    size += entry.file_size
                    if size > left[0] or len(found) > left[1]:
                        return None
                    if not entry.is_dir():
                        found.append((entry.filename, archive.read(entry)))
        elif name.lower().endswith(TAR):
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                for member in archive:
                    if installed(member.name.split("/")):
                        continue
                    size += member.size
                    if size > left[0] or len(found) > left[1]:
                        return None
                    if member.isfile() and (file := archive.extractfile(member)):
                        found.append((member.name, file.read()))
        else:
            return None
    except Exception:  # what a damaged or encrypted archive raises is many things
        return None
    return found


class LocalModule:
    """A submission in this process, for a student's own tests: functions as attributes."""

    def __init__(self, path):
        self.path = Path(path)
        try:
            self._module = load(self.path)
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
