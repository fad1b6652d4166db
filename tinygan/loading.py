"""Importing a file, or the code of a notebook, by its path."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import types
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
    name = f"tinygan_implementation_{path.stem}"
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
    exec(compile(notebook_code(path), str(path), "exec"), vars(module))
    return module


def notebook_code(path) -> str:
    """Return the code of a notebook, without the lines that only IPython understands."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    parts = []
    for cell in cells:
        if cell.get("cell_type") != "code":
            continue
        source = cell["source"]
        lines = ("".join(source) if isinstance(source, list) else source).splitlines()
        if lines and lines[0].startswith("%%"):
            continue
        parts.append(
            "\n".join(
                f"pass  # {line}" if line.lstrip().startswith(("%", "!", "?")) else line
                for line in lines
            )
        )
    return "\n\n".join(parts) + "\n"
