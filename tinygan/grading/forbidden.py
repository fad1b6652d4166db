"""What a submission may not use: frameworks that differentiate, tinygan's layers, differences."""

from __future__ import annotations

import ast
from pathlib import Path

__all__ = ["DEFAULT", "find_forbidden"]

DEFAULT = [
    "torch",
    "tensorflow",
    "jax",
    "autograd",
    "keras",
    "mxnet",
    "theano",
    "paddle",
    "chainer",
    "cupyx",
    "sympy",
    "casadi",
    "tinygan.layers",
    "tinygan.convolution",
    "tinygan.fast",
    "tinygan.optim",
    "tinygan.losses",
    "tinygan.models",
    "tinygan.gradcheck",
    "tinygan.grading",
    "tinygan.Conv2d",
    "tinygan.ConvTranspose2d",
    "tinygan.BatchNorm2d",
    "tinygan.InstanceNorm2d",
    "tinygan.ReLU",
    "tinygan.LeakyReLU",
    "tinygan.Sigmoid",
    "tinygan.Tanh",
    "tinygan.Adam",
    "tinygan.bce",
    "tinygan.check_gradients",
    "ctypes",
    "subprocess",
    "multiprocessing",
]
"""Modules, and names of modules, as ``package.name``."""


def find_forbidden(path, forbidden=DEFAULT) -> list[str]:
    """Return what a file imports that it may not, and where it seems to take differences.

    Parameters
    ----------
    path : path
        A file; those that it imports from its own folder are read too.
    forbidden : iterable of str
    """
    found, seen, waiting = [], set(), [Path(path)]
    while waiting:
        file = waiting.pop()
        if file in seen or not file.is_file():
            continue
        seen.add(file)
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for name, line in _imports(tree):
            for no in forbidden:
                if name == no or name.startswith(no + "."):
                    found.append(f"{file.name}, line {line}: {name} may not be used here")
                    break
            local = file.parent / f"{name.split('.')[0]}.py"
            if local not in seen and local.name != "my_layers.py":  # which the course gives
                waiting.append(local)
        found += [f"{file.name}, line {line}: {what}" for what, line in _differences(tree)]
    return list(dict.fromkeys(found))


def _imports(tree):
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                aliases[name.asname or name.name.split(".")[0]] = name.name
                yield name.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                yield f"{node.module}.{name.name}", node.lineno
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called.split(".")[-1] in ("import_module", "__import__", "exec", "eval"):
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield first.value.split()[0] if first.value.split() else "", node.lineno
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=short)) if short in aliases:
                yield f"{aliases[short]}.{node.attr}", node.lineno


def _differences(tree):
    """Find backward passes that call their forward pass again and again, or with complex steps."""
    functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    for name, node in functions.items():
        if "backward" not in name and "grad" not in name:
            continue
        stem = name.replace("_backward", "").replace("backward", "forward")
        calls, complex_step = 0, False
        for inner in ast.walk(node):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, complex):
                complex_step = True
            loop = isinstance(inner, (ast.For, ast.While, ast.ListComp, ast.GeneratorExp))
            if isinstance(inner, ast.Call) or loop:
                for call in ast.walk(inner) if loop else [inner]:
                    if isinstance(call, ast.Call):
                        called = ast.unparse(call.func).split(".")[-1]
                        calls += called in (stem, f"{stem}_forward")
        if calls >= 2 or (complex_step and calls):
            yield f"{name} calls {stem} again and again: a numerical derivative?", node.lineno
