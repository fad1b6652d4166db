"""The code under test, compiled anew so that the value of every expression passes through a hook.

`Hooked` finds the functions that a backward pass runs in their source files, and exchanges their
code for one that has ``hook(7, value)`` where it had ``value``.  They compute what they computed,
until the hook returns something else.
"""

from __future__ import annotations

import ast
import copy
import gc
import linecache
import sys
import sysconfig
import threading
import warnings
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType

import numpy as np

HOOK = "_gradcheck_hook"
VALUED = (ast.Name, ast.Attribute, ast.Subscript, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call,
          ast.Constant, ast.Tuple, ast.IfExp)  # fmt: skip


LIBRARIES = (str(Path(__file__).parents[2]), sysconfig.get_path("stdlib"),
             str(Path(np.__file__).parents[1]), "<frozen ")  # fmt: skip


ONE_AT_A_TIME = threading.RLock()
"""Held while code is hooked, which is there for all threads."""


class Hooked:
    """The functions that ``run()`` calls, but of libraries, with hooks within a ``with`` block.

    Attributes
    ----------
    nodes : list of ast.expr
        The expressions, by number; each has a `place`, its number, an `up`, the node around it, a
        `function`, the name of the function that it stands in, and a `line` in words.
    constants : dict
        The arrays and numbers among the functions' global variables.
    """

    def __init__(self, run, hook):
        self.nodes: list = []
        self.constants: dict = {}
        self._hook, self._exchanged = hook, []
        codes = _called(run)
        inner = {id(c) for code in codes for c in _inside(code)}
        for code in codes:
            node = None if id(code) in inner else _node_of(code)
            functions = [f for f in gc.get_referrers(code) if isinstance(f, FunctionType)]
            functions = [f for f in functions if f.__code__ is code]
            if (
                node is None
                or not functions
                or any(isinstance(n, ast.While) for n in ast.walk(node))
            ):
                continue  # a while loop might not end with other values
            new = self._compile(node, code)
            if new is not None:
                self._exchanged.append((functions, code, new))
                space = functions[0].__globals__
                found = {n: space.get(n) for n in code.co_names}
                kinds = (np.ndarray, float)
                self.constants |= {n: v for n, v in found.items() if isinstance(v, kinds)}

    def __enter__(self):
        try:
            for functions, _, new in self._exchanged:
                for function in functions:
                    function.__code__ = new
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            self._put_back()
        finally:  # whatever rang in the middle
            self._put_back()

    def _put_back(self):
        for functions, old, _ in self._exchanged:
            for function in functions:
                function.__code__ = old

    def _compile(self, node, code):
        """Return the code of the function `node` with hooks, to stand in the place of `code`."""
        before = len(self.nodes)
        for statement in node.body if isinstance(node.body, list) else [node.body]:
            self._number(statement, None, code)
        new = _Hooks().visit(copy.deepcopy(node))
        new.args.defaults = [ast.Constant(None) for _ in new.args.defaults]
        new.args.kw_defaults = [d and ast.Constant(None) for d in new.args.kw_defaults]
        for argument in ast.walk(new.args):
            argument.annotation = None
        free = ast.Tuple([_load(name) for name in code.co_freevars], ast.Load())
        if isinstance(new, ast.Lambda):  # the variables around it stay those of the old code
            new.body = ast.IfExp(ast.Constant(True), new.body, free)
            statement = ast.Expr(new)
        else:
            new.decorator_list, new.returns = [], None
            new.body.insert(0, ast.If(ast.Constant(False), [ast.Expr(free)], []))
            statement = new
        bound = [
            ast.Assign([ast.Name(n, ast.Store())], ast.Constant(None)) for n in code.co_freevars
        ]
        outer = ast.FunctionDef("outer", _no_arguments(), [*bound, statement], [])
        try:
            module = ast.fix_missing_locations(ast.Module([outer], []))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the text that the hook replaces is no function
                whole = compile(module, code.co_filename, "exec", dont_inherit=True)
            found = _with_hook(next(_inside(next(_inside(whole)))), self._hook)
        except (SyntaxError, ValueError, RecursionError):
            found = None
        if found is None or found.co_freevars != code.co_freevars:
            del self.nodes[before:]
            return None
        return found

    def _number(self, node, up, code, skip=False):
        """Give every expression that has a value its number."""
        if isinstance(node, (ast.JoinedStr, ast.arguments, ast.Assert, ast.Raise)):
            return
        node.up = up
        loaded = isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        number = not isinstance(node, ast.Constant) or isinstance(node.value, (bool, int, float))
        if isinstance(node, VALUED) and loaded and number and not skip:
            node.place, node.function = len(self.nodes), code.co_name
            cells = code.co_filename.endswith(".ipynb")  # whose lines have no numbers
            node.line = "" if cells else f"line {node.lineno}, "
            self.nodes.append(node)
        for field, value in ast.iter_fields(node):
            if field in ("decorator_list", "returns", "annotation"):
                continue
            skip = (isinstance(node, ast.Call) and field == "func") or (
                not loaded and field == "value"
            )
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    self._number(child, node, code, skip)


class _Hooks(ast.NodeTransformer):
    """Put each numbered expression into a call of the hook, and tell it of what is assigned."""

    def generic_visit(self, node):
        node = super().generic_visit(node)
        place = getattr(node, "place", None)
        return node if place is None else _hook(ast.Constant(place), node)

    def visit_arguments(self, node):
        return node

    def visit_FunctionDef(self, node):
        visited = [self.visit(s) for s in node.body]
        body = [n for v in visited for n in (v if isinstance(v, list) else [v])]
        node.body = [ast.Expr(_tell(_parameters(node))), *body]
        return node

    def visit_Lambda(self, node):
        both = ast.Tuple([_tell(_parameters(node)), self.visit(node.body)], ast.Load())
        node.body = ast.Subscript(both, ast.Constant(1), ast.Load())
        return node

    def visit_Assign(self, node):
        target, value = copy.deepcopy(node.targets[0]), node.value
        node = self.generic_visit(node)
        if hasattr(value, "place") and not isinstance(target, (ast.Tuple, ast.List)):
            old = copy.deepcopy(target)
            old.ctx = ast.Load()
            node.value.args.append(ast.Lambda(_no_arguments(), old))
        return [node, *_told(target)]

    def visit_AugAssign(self, node):
        target, value = copy.deepcopy(node.target), node.value
        node = self.generic_visit(node)
        if hasattr(value, "place") and isinstance(target, ast.Subscript):
            index = ast.Subscript(_load("np_s_"), target.slice, ast.Load())
            takes = ast.arguments([], [ast.arg("np_s_")], None, [], [], None, [])
            node.value.args.append(ast.Lambda(takes, ast.Tuple([target.value, index], ast.Load())))
        return [node, *_told(target)]


def _hook(*arguments):
    return ast.Call(ast.Constant(HOOK), list(arguments), [])


def _with_hook(code, hook):
    """Return the code with the hook among its constants, where its name stood."""
    consts = (_with_hook(c, hook) if isinstance(c, CodeType) else c for c in code.co_consts)
    return code.replace(
        co_consts=tuple(hook if isinstance(c, str) and c == HOOK else c for c in consts)
    )


def _tell(names):
    """Return the call that tells the hook of variables."""
    given = ast.Dict([ast.Constant(n) for n in names], [_load(n) for n in names])
    return _hook(ast.Constant(-1), given)


def _told(target):
    names = [
        n.id for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    ]
    return [ast.Expr(_tell(names))] if names else []


def _parameters(node):
    a = node.args
    every = (*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg)))
    return [argument.arg for argument in every]


def _load(name):
    return ast.Name(name, ast.Load())


def _no_arguments():
    return ast.arguments([], [], None, [], [], None, [])


def _called(run):
    """Return the code of the user's functions that ``run()`` calls."""
    found: dict[CodeType, None] = {}
    if sys.getprofile() is not None:  # somebody measures; that is not disturbed
        return []
    sys.setprofile(lambda frame, event, _: event == "call" and found.setdefault(frame.f_code))
    try:
        run()
    finally:
        sys.setprofile(None)
    return [code for code in found if not code.co_filename.startswith(LIBRARIES)]


def _inside(code):
    """Yield the code of functions that are defined in a function."""
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield const
            yield from _inside(const)


@lru_cache(4)
def _tree(text):
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _node_of(code):
    """Return the function's node in the tree of its file, or None."""
    tree = _tree("".join(linecache.getlines(code.co_filename)))
    body = [p for p in code.co_positions() if None not in p and p[::2] != p[1::2]]
    span = [min(p[::2] for p in body), max(p[1::2] for p in body)] if body else None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            if min(n.lineno for n in [node, *node.decorator_list]) == code.co_firstlineno:
                return node
        elif isinstance(node, ast.Lambda) and code.co_name == "<lambda>":
            b = node.body
            if [(b.lineno, b.col_offset), (b.end_lineno, b.end_col_offset)] == span:
                return node
    return None
