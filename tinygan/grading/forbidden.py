"""What a submission may not import: frameworks that differentiate, and tinygan's layers.

This reads what is written openly, and gives its line; `watch` sees what is done, by whatever name.
"""

from __future__ import annotations

import ast
from pathlib import Path

from tinygan.grading.watch import permitted

__all__ = ["ALLOWED", "DEFAULT", "find_forbidden"]

DEFAULT = [
    "torch", "tensorflow", "jax", "jaxlib", "flax", "haiku", "equinox", "autograd", "keras",
    "mxnet", "theano", "aesara", "pytensor", "paddle", "chainer", "cupyx", "mindspore",
    "oneflow", "megengine", "nnabla", "tinygrad", "mlx", "micrograd", "dynet", "cntk", "caffe2",
    "lightning", "pytorch_lightning", "fastai", "onnxruntime", "sympy", "casadi", "algopy",
    "numdifftools", "findiff", "pyadolc", "scipy.optimize", "scipy.misc", "scipy.differentiate",
    "sklearn.neural_network", "tinygan", "ctypes", "cffi", "subprocess", "multiprocessing",
]  # fmt: skip
"""Modules, and names of modules, as ``package.name``."""

ALLOWED = [
    "tinygan.Layer", "tinygan.Parameter", "tinygan.Sequential", "tinygan.Residual",
    "tinygan.Reshape", "tinygan.Flatten", "tinygan.Backward", "tinygan.data", "tinygan.get_xp",
    "tinygan.frozen", "tinygan.asarray", "tinygan.asnumpy", "tinygan.summary",
    "tinygan.check_gradients", "tinygan.check_objective", "tinygan.GradientError",
    "tinygan.gradcheck.check_gradients", "tinygan.gradcheck.check_objective",
]  # fmt: skip
"""What of these may be used.  A test module adds to it: ``ALLOWED = ["tinygan.l1"]``."""


def find_forbidden(path, forbidden=DEFAULT, allowed=ALLOWED) -> list[str]:
    """Return what a file imports that it may not, and where.

    What stands under ``if __name__ == "__main__":`` is a student's own trial, and is not read.

    Parameters
    ----------
    path : path
        A file; those that it imports from its own folder are read too.
    forbidden, allowed : iterable of str
        Names of modules, and of what is in them, as ``package.name``.
    """
    found: list[str] = []
    read: set[Path] = set()
    waiting = [Path(path)]
    while waiting:
        file = waiting.pop()
        if file in read or not file.is_file():
            continue
        read.add(file)
        try:
            tree = _imported(ast.parse(file.read_bytes()))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for name, line in _used(tree):
            if not permitted(forbidden, allowed, name):
                found.append(f"{file.name}, line {line}: {name} may not be used here")
            parts = name.split(".")
            for n in range(len(parts)):
                for folder in (file.parent, file.parent.parent):
                    beside = folder.joinpath(*parts[: n + 1])
                    waiting += [beside.with_suffix(".py"), beside / "__init__.py"]
    return list(dict.fromkeys(found))


def _imported(tree):
    """Take out what does not run when a file is imported."""

    def trial(node):
        return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"

    set_ = any(
        (isinstance(n, ast.Name) and n.id == "__name__" and not isinstance(n.ctx, ast.Load))
        or (isinstance(n, ast.Constant) and n.value == "__name__")
        or (isinstance(n, ast.keyword) and n.arg == "__name__")
        for n in ast.walk(tree)
    )
    if not set_:
        for block in (tree, *(n for n in tree.body if isinstance(n, ast.Try))):  # as of notebooks
            block.body = [other for n in block.body for other in (n.orelse if trial(n) else [n])]
    return tree


def _used(tree):
    """Yield every module that is imported, and every name that is taken of one, with its line."""
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                aliases[name.asname or name.name.split(".")[0]] = (
                    name.name if name.asname else name.name.split(".")[0]
                )
                yield name.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for name in node.names:
                aliases[name.asname or name.name] = f"{node.module}.{name.name}"
                yield f"{node.module}.{name.name}", node.lineno
        elif isinstance(node, ast.ImportFrom):
            yield from ((name.name, node.lineno) for name in node.names)
            yield node.module or "", node.lineno
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield from ((name, node.lineno) for name in _dotted(node, aliases))


def _dotted(node, aliases):
    """Yield ``package.name`` of an attribute of something imported."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name) and node.id in aliases:
        yield ".".join([aliases[node.id], *reversed(parts)])
