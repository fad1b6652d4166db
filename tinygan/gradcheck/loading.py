"""Importing a file by its path."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

__all__ = ["load_file"]


def load_file(path):
    """Import a file by its path; its folder is searched for what it imports itself."""
    path = Path(path).resolve()
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = f"tinygan_implementation_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
