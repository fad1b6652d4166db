"""What a submission may not use: frameworks that differentiate, tinygan's layers, differences."""

from __future__ import annotations

import ast
from pathlib import Path

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

DYNAMIC = ("import_module", "__import__", "exec", "eval")


def find_forbidden(path, forbidden=DEFAULT, allowed=ALLOWED, called=()) -> list[str]:
    """Return what a file imports that it may not, and where it seems to take differences.

    What stands under ``if __name__ == "__main__":`` is a student's own trial, and is not read.

    Parameters
    ----------
    path : path
        A file; those that it imports from its own folder are read too.
    forbidden, allowed : iterable of str
        Names of modules, and of what is in them, as ``package.name``.
    called : iterable of str
        The functions that tests call.  Differences count only in what these reach; all do where
        the file does not define them.
    """
    found: list[str] = []
    read: dict[Path, list] = {}
    rebound: set[str] = set()
    waiting = [Path(path)]
    while waiting:
        file = waiting.pop()
        if file in read or not file.is_file():
            continue
        read[file] = []
        try:
            tree = _imported(ast.parse(file.read_bytes()))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        read[file] = list(_functions(tree))
        rebound |= set(_rebound(tree))
        for name, line in _used(tree):
            if not name:
                found.append(f"{file.name}, line {line}: imports or runs what cannot be read here")
            elif _within(name, forbidden) and not (
                _within(name, allowed) or any(own.startswith(f"{name}.") for own in allowed)
            ):
                found.append(f"{file.name}, line {line}: {name} may not be used here")
            parts = name.split(".")
            for n in range(len(parts)):
                for folder in (file.parent, file.parent.parent):
                    beside = folder.joinpath(*parts[: n + 1])
                    waiting += [beside.with_suffix(".py"), beside / "__init__.py"]
    functions: dict[str, list] = {}
    for name, node in (pair for pairs in read.values() for pair in pairs):
        functions.setdefault(name, []).append(node)
    graded = [node for name in called for node in functions.get(name, ())]
    whole = not graded or rebound & set(called)
    reached = None if whole else _reached(graded, functions)
    for file, pairs in read.items():
        for name, node in pairs:
            if reached is None or node in reached:
                found += [
                    f"{file.name}, line {node.lineno}: {what}"
                    for what in _differences(name, node, functions)
                ]
    return list(dict.fromkeys(found))


def _functions(tree):
    """Yield the name and the node of every function, methods and named lambdas too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            yield from ((_last(target), node.value) for target in node.targets)


def _rebound(tree):
    """Yield names that are set otherwise than by a function: relu_backward = _slope."""
    lambdas = {id(target) for node in ast.walk(tree) if isinstance(node, ast.Assign)
               and isinstance(node.value, ast.Lambda) for target in node.targets}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            if id(node) not in lambdas:
                yield node.id
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname


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


def _within(name, names):
    return any(name == other or name.startswith(f"{other}.") for other in names)


def _used(tree):
    """Yield every module that is imported, and every name that is taken of one, with its line.

    The name is empty where code is run, or a module imported, whose name is computed.
    """
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
        match node:
            case ast.Attribute():
                yield from ((n, node.lineno) for n in _dotted(node, aliases))
            case ast.Call(func=ast.Name(id="getattr" | "vars"), args=[ast.Name(id=short), *rest]):
                if short in aliases:
                    attribute = _text(rest[0]) if rest else None
                    yield f"{aliases[short]}.{attribute or '*'}", node.lineno
            case ast.Subscript(value=ast.Attribute(attr="modules"), slice=ast.Constant(value=key)):
                yield f"{key!s}.*", node.lineno
        if isinstance(node, ast.Call):
            yield from _dynamic(node, aliases.get(_last(node.func), _last(node.func)))


def _dynamic(call, called):
    code = called in ("exec", "eval")
    if called.split(".")[-1] not in DYNAMIC or (isinstance(call.func, ast.Attribute) and code):
        return  # model.eval(), and the like
    text = _text(call.args[0]) if call.args else None
    if text is None:
        yield "", call.lineno
    elif not code:
        yield text, call.lineno
    else:
        try:
            inner = ast.parse(text.strip())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        yield from ((name, call.lineno) for name, _ in _used(inner))


def _text(node):
    value = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) else None


def _last(node):
    return getattr(node, "id", getattr(node, "attr", ""))


def _dotted(node, aliases):
    """Yield ``package.name`` of an attribute of something imported."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name) and node.id in aliases:
        yield ".".join([aliases[node.id], *reversed(parts)])


def _differences(name, node, functions):
    """Say whether a function takes differences of the file's: of others, or of its forward pass."""
    if pair := _shifted(node, functions):
        yield f"{name} takes a difference of {pair}: a numerical derivative?"
    if "backward" not in name and "grad" not in name:
        return
    stem = name.replace("_backward", "").replace("backward", "forward")
    own = {stem, f"{stem}_forward"} - {name}
    calls = direct = named = imaginary = checked = 0
    for part in _reached([node], functions, own):
        for inner in ast.walk(part):
            loop = isinstance(inner, (ast.For, ast.While, ast.ListComp, ast.GeneratorExp))
            for call in ast.walk(inner) if loop else [inner]:
                if isinstance(call, ast.Call):
                    calls += _last(call.func) in own
            # its own forward pass under another name, or handed on
            direct += isinstance(inner, ast.Call) and _last(inner.func) in own
            named += isinstance(inner, ast.Name) and inner.id in own
            named -= isinstance(inner, ast.Attribute) and _last(inner.value) in own
            imaginary += _last(inner) in ("imag", "complex128", "complex64", "complex")
            imaginary += isinstance(getattr(inner, "value", None), complex)
            checked += _last(inner) in ("check_gradients", "numeric_gradient")
    if calls >= 2 or named > direct or (calls and imaginary):
        yield f"{name} calls {stem} again and again: a numerical derivative?"
    if checked:
        yield f"{name} takes its gradient from a gradient check"


def _reached(waiting, functions, but=()):
    """Return functions and all of the files' that they call or name, but those of `but`."""
    found, waiting = [], list(waiting)
    while waiting:
        node = waiting.pop()
        if node in found:
            continue
        found.append(node)
        names = {_last(n) for n in ast.walk(node)} - set(but)
        waiting += [node for name in names & functions.keys() for node in functions[name]]
    return found


def _shifted(node, functions):
    """Return the text of a call f(a + h) where f(a − h) is called too, f being of the file's."""
    calls: dict[str, str] = {}
    own = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)} | set(functions)
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in own:
            for place, argument in enumerate(call.args):
                if isinstance(argument, ast.BinOp) and isinstance(argument.op, (ast.Add, ast.Sub)):
                    key = f"{_last(call.func)} {place} {ast.unparse(argument.left)} "
                    key += ast.unparse(argument.right)
                    kind = type(argument.op).__name__
                    if calls.setdefault(key, kind) != kind:
                        return ast.unparse(call)
    return None
