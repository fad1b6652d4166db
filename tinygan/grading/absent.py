"""What a submission imports and nobody has installed: left in, it costs nothing; used, it says so.

Most such imports are left over from plots and experiments.  A module stands in for what is missing:
anything may be taken of it and called at import, and what it decorates stays as it is; the first
time that it is computed with, it raises.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types

from tinygan.loading import load

__all__ = ["Absent", "load_without"]

MOST = 20

COMPUTES = ["add", "sub", "mul", "truediv", "pow", "matmul", "neg", "abs", "lt", "le", "gt", "ge",
            "radd", "rsub", "rmul", "rtruediv", "rpow", "rmatmul", "len", "iter", "next", "float",
            "int", "index", "complex", "array", "contains"]  # fmt: skip
"""What a number or an array can do, and this cannot."""


class Absent(types.ModuleType):
    """Stands in for a module that is not installed, or for what is taken of it."""

    def __init__(self, name, *rest, **more):
        super().__init__(str(name))
        self.__path__ = []

    def missing(self):
        package = self.__name__.partition(".")[0]
        text = f"{self.__name__}: {package} is neither handed in nor installed here"
        return ModuleNotFoundError(f"{text}; write it with NumPy", name=package)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(f"{self.__name__}.{name}")

    def __call__(self, *arguments, **options):
        if len(arguments) == 1 and isinstance(arguments[0], (types.FunctionType, type)):
            return arguments[0]  # a decorator
        return self

    def __getitem__(self, key):
        return self

    def __setitem__(self, key, value):
        pass

    def __or__(self, other):  # in annotations
        return self

    __ror__ = __or__

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


def _compute(self, *arguments, **options):
    raise self.missing()


for _name in COMPUTES:
    setattr(Absent, f"__{_name}__", _compute)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self):
        self.names: list[str] = []

    def find_spec(self, name, path=None, target=None):
        if any(name == n or name.startswith(f"{n}.") for n in self.names):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return Absent(spec.name)

    def exec_module(self, module):
        pass


def load_without(path):
    """Import a file; return the module, and what it imports that is not there."""
    finder = _Finder()
    sys.meta_path.append(finder)
    for name in ("pdb", "ipdb", "pudb"):  # a forgotten set_trace(): nobody is there to type
        sys.modules.setdefault(name, Absent(name))
    while True:
        try:
            own = "tinygan_implementation_"
            return load(path), [n.partition(".")[2] if own in n else n for n in finder.names]
        except ModuleNotFoundError as error:
            name = str(error.name or "")
            if not name or name in (*sys.modules, *finder.names) or len(finder.names) == MOST:
                raise
            finder.names.append(name)
