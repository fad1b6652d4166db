"""Importing a file, or the code of a notebook, by its path."""

from __future__ import annotations

import importlib.util
import json
import keyword
import linecache
import os
import re
import sys
import types
import warnings
from pathlib import Path

__all__ = ["load", "notebook_code"]


def load(path):
    """Import a file, or run the code cells of a notebook as a module."""
    return (load_notebook if Path(path).suffix == ".ipynb" else load_file)(path)


def load_file(path):
    """Import a file by its path; its folder is searched for what it imports itself."""
    path = Path(os.path.realpath(path))
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    own = path.parent.name
    package = types.ModuleType(f"tinygan_implementation_{own.replace('.', '_')}")
    package.__path__ = [folder]  # for ``from .helpers import …``
    sys.modules[package.__name__] = package
    if own.isidentifier() and own not in sys.modules and not importlib.util.find_spec(own):
        sys.modules[own] = package  # for ``from exercises.helpers import …``
    name = f"{package.__name__}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def load_notebook(path):
    """Run the code cells of a notebook as a module; what fails in one stops it with its message."""
    module = types.ModuleType(f"tinygan_implementation_{Path(path).stem}")
    sys.modules[module.__name__] = module
    code = notebook_code(path)
    linecache.cache[str(path)] = len(code), None, code.splitlines(True), str(path)
    exec(compile(code, str(path), "exec"), vars(module))
    return module


PYTHON_CELLS = ("%%time", "%%capture", "%%prun", "%%writefile", "%%debug", "%%script python")
"""Cells that begin so hold Python below their first line."""

SHELL = """\
class _Notebook:
    def __getattr__(self, name):
        return lambda *arguments, **options: None


def get_ipython():
    return _Notebook()


def display(*things, **options):
    print(*things)


"""
"""What a notebook finds without importing it."""


def notebook_code(path) -> str:
    """Return the code of a notebook, without what only IPython understands.

    A cell that is no Python does not keep the others from being run.
    """
    cells = json.loads(Path(path).read_text(encoding="utf-8-sig"))["cells"]
    parts = []
    for number, cell in enumerate((c for c in cells if c.get("cell_type") == "code"), start=1):
        source = cell["source"]
        lines = ("".join(source) if isinstance(source, list) else source).splitlines()
        if lines and lines[0].startswith("%%"):
            if not lines[0].startswith(PYTHON_CELLS):
                continue
            lines = lines[1:]
        code = "\n".join(lines)
        if fault := _fault(code):  # else a line that begins with % or ! stands in a string
            code = "\n".join(map(_python, lines))
            fault = _fault(code)
        parts.append(_apology(code, f"code cell {number}, {fault}") if fault else code)
    code = "\n\n".join(parts) + "\n"
    if future := dict.fromkeys(re.findall(r"^from __future__ import .*$", code, re.MULTILINE)):
        later = re.sub(r"^from __future__ import .*$", "pass", code, flags=re.MULTILINE)
        code = code if not _fault(code) else "\n".join([*future, later])
    return SHELL + code if "get_ipython" in code or "display(" in code else code


def _fault(code):
    """Return what keeps a cell from being Python, or an empty text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code, "", "exec", dont_inherit=True)
    except SyntaxError as error:
        line = (error.text or "").strip()
        return f"line {error.lineno}: {error.msg}" + (f": {line[:80]}" if line else "")
    except (ValueError, RecursionError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _apology(code, fault):
    """Return what stands in for a cell that is no Python: all that it would define says why."""
    names = re.findall(r"^(?:async\s+def|def|class)\s+(\w+)|^(\w+)\s*=(?!=)", code, re.MULTILINE)
    lines = [line for line in code.splitlines() if re.match("(import|from) ", line)]
    lines = [line for line in lines if not _fault(line)]
    lines.append(f"def _cell(*arguments, **options): raise SyntaxError({fault!r})")
    for name in dict.fromkeys(a or b for a, b in names):
        if name.isidentifier() and not keyword.iskeyword(name):  # one from an earlier cell stays
            lines.append(f"{name} = globals().get({name!r}, _cell)")
    return "\n".join([*lines, f"print({fault!r})"])


def _python(line):
    """Return a line of a cell as Python: magics and commands of the shell do nothing."""
    plain = line.lstrip()
    indent = line[: len(line) - len(plain)]
    if plain.startswith("%time "):
        return indent + plain.removeprefix("%time ").lstrip()
    if plain.startswith(("%", "!", "?")) or re.fullmatch(r"[\w.]+\?{1,2}\s*", plain):
        return f"{indent}pass  # {plain}"
    assigned = re.match(r"([\w, ]+=)\s*([!%].*)", plain)
    return f"{indent}{assigned[1].replace(',', ' =')} None  # {assigned[2]}" if assigned else line
