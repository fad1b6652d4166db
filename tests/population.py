"""Submissions as a class would hand them in: right in many styles, wrong, empty, hostile, noisy.

``submissions(count, seed)`` draws them; each is one exercise's files with what its score must be.
"""

from __future__ import annotations

# ruff: noqa: E501 (submissions a line each)
import io
import json
import random
import zipfile
from dataclasses import dataclass
from pathlib import Path

EXERCISES = {"relu": 4, "sigmoid_tanh": 6, "batch_norm": 12, "losses": 7}
"""The exercises that are tried, and their points."""

SOLUTIONS = Path(__file__).parent / "coursework_solutions"
HEAD = "import numpy as np\n\n\n"

RELU = [
    "    return np.maximum(x, 0), x",
    "    y = np.where(x > 0, x, 0)\n    return y.astype(x.dtype), x",
    "    return x * (x > 0), x",
    "    y = x.copy()\n    y[y < 0] = 0\n    return y, x",
    "    y = np.empty_like(x)\n    for i in np.ndindex(x.shape):\n"
    "        y[i] = x[i] if x[i] > 0 else 0\n    return y, x",
    "    y = np.clip(x, 0, None)\n    return [y, x]",
    "    return (np.abs(x) + x) / 2, x",
    "    return np.fmax(x, np.zeros_like(x)), x.copy()",
]
RELU_BACKWARD = [
    "    return dy * (cache > 0)",
    "    return np.where(cache > 0, dy, np.zeros_like(dy))",
    "    dx = dy.copy()\n    dx[cache <= 0] = 0\n    return dx",
    "    mask = (np.sign(cache) + 1) / 2\n    return (dy * mask).astype(dy.dtype)",
    "    return np.multiply(dy, cache > 0)",
    "    y, x = relu(cache)\n    return dy * (y == x)",
    "    return dy * np.heaviside(cache, 0).astype(dy.dtype)",
]
SIGMOID = [
    "    y = 0.5 * (1 + np.tanh(0.5 * x))\n    return y, y.copy()",
    "    e = np.exp(-np.abs(x))\n    y = np.where(x >= 0, 1 / (1 + e), e / (1 + e))\n    return y, y",
    "    y = np.exp(-np.logaddexp(0, -x))\n    return y, y",
    "    from scipy.special import expit\n    y = expit(x)\n    return y, y",
]
SIGMOID_BACKWARD = [
    "    return dy * cache * (1 - cache)",
    "    y = cache\n    return (y - y * y) * dy",
]
TANH = ["    y = np.tanh(x)\n    return y, y", "    return np.tanh(x), np.tanh(x)"]
TANH_BACKWARD = ["    return dy * (1 - cache**2)", "    return (1 - cache) * (1 + cache) * dy"]
NORM = [
    "    c = x - x.mean(axis=(0, 1, 2))\n    r = 1 / np.sqrt((c * c).mean(axis=(0, 1, 2)) + eps)\n"
    "    return gamma * c * r + beta, (c * r, r, gamma)",
    "    axes = tuple(range(x.ndim - 1))\n    m, v = x.mean(axes), x.var(axes)\n"
    "    r = (v + eps) ** -0.5\n    xhat = (x - m) * r\n    return xhat * gamma + beta, (xhat, r, gamma)",
]
NORM_BACKWARD = [
    "    xhat, r, gamma = cache\n    a = (0, 1, 2)\n    d = dy * gamma\n"
    "    dx = r * (d - d.mean(a) - xhat * (d * xhat).mean(a))\n"
    "    return dx, (dy * xhat).sum(a), dy.sum(a)",
    "    xhat, r, gamma = cache\n    c = dy.shape[-1]\n    f, h = dy.reshape(-1, c), xhat.reshape(-1, c)\n"
    "    n, db, dg = len(f), f.sum(0), (f * h).sum(0)\n"
    "    dx = gamma * r / n * (n * f - db - h * dg)\n    return dx.reshape(dy.shape), dg, db",
]
LOSSES = [
    [
        "    p, t = probability, target\n    loss = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()\n"
        "    return loss, (p - t) / (p * (1 - p)) / p.size",
        "    n = np.size(probability)\n    loss = -np.sum(target * np.log(probability) + (1 - target) * np.log1p(-probability)) / n\n"
        "    return loss, -(target / probability - (1 - target) / (1 - probability)) / n",
    ],
    [
        "    loss = (np.maximum(score, 0) - score * target + np.log1p(np.exp(-np.abs(score)))).mean()\n"
        "    return loss, (0.5 * (1 + np.tanh(0.5 * score)) - target) / score.size",
        "    loss = np.mean(np.logaddexp(0, score) - score * target)\n"
        "    return float(loss), (np.exp(-np.logaddexp(0, -score)) - target) / score.size",
    ],
    [
        "    d = score - target\n    return (d * d).mean(), 2 * d / d.size",
        "    return np.square(score - target).mean(), (score - target) * (2 / score.size)",
    ],
]


def right(rng, exercise):
    """Return an exercise's text, every function in a style that is drawn."""

    def pair(name, arguments, forward, backward):
        return (
            f"def {name}({arguments}):\n{rng.choice(forward)}\n\n\n"
            f"def {name}_backward(dy, cache):\n{rng.choice(backward)}\n"
        )

    if exercise == "relu":
        return HEAD + pair("relu", "x", RELU, RELU_BACKWARD)
    if exercise == "sigmoid_tanh":
        one = pair("sigmoid", "x", SIGMOID, SIGMOID_BACKWARD)
        return HEAD + one + "\n\n" + pair("tanh", "x", TANH, TANH_BACKWARD)
    if exercise == "batch_norm":
        return HEAD + pair("batch_norm", "x, gamma, beta, eps=1e-5", NORM, NORM_BACKWARD)
    names = ("bce(probability", "bce_with_logits(score", "least_squares(score")
    bodies = (f"def {n}, target):\n{rng.choice(b)}\n" for n, b in zip(names, LOSSES, strict=True))
    return HEAD + "\n\n".join(bodies)


WRONG = [
    ("relu", "dy * (cache > 0)", "dy * (dy > 0)", 3),
    ("relu", "dy * (cache > 0)", "dy * 1.0", 3),
    ("relu", "np.maximum(x, 0), x", "np.maximum(x, 1), x", 4),
    ("sigmoid_tanh", "dy * cache * (1 - cache)", "dy * cache", 3),
    ("sigmoid_tanh", "dy * (1 - cache**2)", "dy * (1 + cache**2)", 3),
    ("batch_norm", "d.mean(a) - xhat", "0 - xhat", 8),
    ("batch_norm", "dy.sum(a)", "dy.mean(a)", 8),
    ("batch_norm", "r * (d -", "(d -", 8),
    ("losses", "2 * d / d.size", "d / d.size", 4),
    ("losses", "- target) / score.size", "- target)", 4),
    ("losses", "(p - t) / (p * (1 - p)) / p.size", "p - t", 1),
]
"""Exercise, right text, wrong text, the points that it must cost."""

NOISE = [
    "print('hello')",
    "for _i in range(20000): print('x' * 80)",
    "import sys; sys.stdout.write('no newline' * 3000)",
    "import sys; print('\\x00\\x1b[31mred\\udcff', file=sys.stderr)",
    "import os; os.write(2, bytes(range(256)) * 2000)",
    "import warnings; warnings.warn('careful'); warnings.simplefilter('error')",
    "import threading; threading.Thread(target=lambda: __import__('time').sleep(60)).start()",
    "import os; os.write(1, b'\\xff\\xfe' * 50000)",
    "np.random.seed(0); np.seterr(all='ignore')",
    "import sys; sys.setrecursionlimit(5000)",
    "import logging; logging.basicConfig(level=10); logging.debug('debug')",
    "import sys; sys.stdout.close()",
    "import sys; sys.stdout = None; sys.stderr = None",
    "import io, sys; sys.stdout = io.StringIO()",
    "import os; os.close(1); os.close(2)",
    "import sys; sys.stdout = open('log.txt', 'w')",
    "class _N:\n    def __del__(self): raise ValueError\n_N()",
    "import threading\ndef _t(): raise ValueError('in a thread')\nthreading.Thread(target=_t).start()",
    "import atexit; atexit.register(lambda: 1 / 0)",
    "import gc; gc.disable()",
    "import matplotlib; matplotlib.use('Agg')",
    "import fractions, decimal, statistics, dataclasses, typing, itertools, functools",
    "np.set_printoptions(precision=1); print(np.arange(100000))",
    "import random, time; random.seed(1); time.sleep(0.2)",
    "import tempfile; tempfile.TemporaryFile().write(b'x' * 1000); open('notes.txt', 'w').write('x')",
]
"""What right code may do beside; MUCH is a gigabyte of prints."""

MUCH = "_s = 'y' * (1 << 20)\nfor _i in range(1024): print(_s)"

HOSTILE = [
    "import os\nfor fd in range(3, 300):\n    try: os.write(fd, b'{\"score\": 100}' * 50)\n    except OSError: pass",
    "import os, glob\nfor p in glob.glob('/autograder/**/*', recursive=True) + ['RESULTS', 'TESTS']:\n"
    "    try: open(p, 'w').write('{}')\n    except OSError: pass",
    "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(300)\n    os._exit(0)",
    "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        os.execve('/bin/sleep', ['sleep', '300'], {})\n    os._exit(0)",
    "import os\nfor _ in range(60):\n    try:\n        if os.fork() == 0:\n            import time; time.sleep(300); os._exit(0)\n    except OSError: break",
    "import os, time\nif os.fork() == 0:\n    for _ in range(600):\n        try: open('RESULTS', 'w').write('{\"score\": 100, \"tests\": []}')\n        except OSError: pass\n        time.sleep(0.05)",
    "import os, signal\ntry: os.kill(os.getppid(), signal.SIGKILL)\nexcept OSError: pass",
    "import tinygan.gradcheck.check as c\nc.check_gradients = lambda *a, **k: None",
    "import tinygan.gradcheck.output as o\no.check_output = lambda *a, **k: None",
    "import pytest\npytest.fail = lambda *a, **k: None\npytest.skip('x', allow_module_level=True)",
    "np.abs = lambda *a: np.zeros(1)\nnp.asarray = lambda *a, **k: np.zeros(1)",
    "np.ndarray.__eq__ if True else 0\nnp.array_equal = np.allclose = lambda *a, **k: True",
    "class A(np.ndarray):\n    def __eq__(self, o): return True\n    def __sub__(self, o): return 0\n    __rsub__ = __sub__",
    "import os, tinygan\ntry: open(os.path.join(os.path.dirname(tinygan.__file__), 'hacked.py'), 'w').write('x')\nexcept OSError: pass",
    "import site\nfor p in site.getsitepackages():\n    try: open(p + '/hacked.pth', 'w').write('import os')\n    except OSError: pass",
    "import sys\nsys.exit(0)",
    "import os\nos._exit(0)",
    "quit()",
    "while True: pass",
    "import time; time.sleep(1000)",
    "input('name? ')",
    "import threading; l = threading.Lock(); l.acquire(); l.acquire()",
    "x = [bytearray(1 << 30) for _ in range(64)]",
    "open('big', 'wb').write(b'0' * (200 << 20))",
    "import os, signal\ntry: os.kill(-1, signal.SIGKILL)\nexcept OSError: pass",
    "import os\ntry: os.setuid(0)\nexcept OSError: pass",
    "import atexit, os\natexit.register(lambda: os._exit(0))",
    "class E(Exception):\n    def __str__(self): raise ValueError\n    __repr__ = __str__\n    args = property(__str__)\nraise E",
    "raise KeyboardInterrupt",
    "raise GeneratorExit",
    "class Q(BaseException): pass\nraise Q('\\udcff\\x00')",
    "class Q(SystemExit): pass\nraise Q",
    "raise ExceptionGroup('all', [ValueError(1), ExceptionGroup('in', [KeyError(2)])])",
    "def f(n): return f(n + 1)\nf(0)",
    "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1)\nf(0)",
    "import sys\nsys.modules['numpy'] = None",
    "eval(compile('raise RuntimeError(1)', '<frozen x>', 'exec'))",
    "import os; os.environ['NOWHERE']",
    "import builtins\nbuiltins.len = lambda *a: 0",
    "import builtins\nbuiltins.print = builtins.isinstance = None",
    "import os\nfor fd in range(0, 300):\n    try: os.close(fd)\n    except OSError: pass",
    "import sys, gc\nfor o in gc.get_objects():\n    if isinstance(o, dict) and 'score' in o: o['score'] = 100",
    "import sys\nf = sys._getframe()\nwhile f:\n    f.f_locals.clear() if 0 else None\n    f.f_globals.update(pack=lambda *a: b'', unpack=None)\n    f = f.f_back",
    "import signal, os\nos.kill(os.getpid(), signal.SIGSEGV)",
    "import signal\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: pass",
    "import socket\ntry: socket.create_connection(('127.0.0.1', 22), 1)\nexcept OSError: pass",
    "import os\nfor i in range(2000):\n    try: open(f'/tmp/left-{i}', 'w').write('x')\n    except OSError: break\ntry: open('/dev/shm/left', 'w').write('x')\nexcept OSError: pass",
    "import importlib\nt = importlib.import_module('ti' + 'nygan')\n",
    "from tinygan import ReLU, BatchNorm2d, bce",
    "raise RuntimeError('x' * 10_000_000)",
]
"""What an attack may do when it is imported."""

LATER = [
    "    x[...] = 0\n",
    "    __import__('os')._exit(0)\n",
    "    raise SystemExit\n",
    "    return np.zeros(10**9, np.int8)\n",
    "    return np.array(['a'], object)\n",
    "    return x.astype('U9'), x\n",
    "    return 'text', None\n",
    "    return (lambda: 0), x\n",
    "    return np.ma.masked_all(x.shape), x\n",
    "    return np.full_like(x, np.nan), x\n",
    "    return x[..., :0], x\n",
    "    return {'y': x}, {1: {2: {3: [x]}}}\n",
    "    y = []\n    y.append(y)\n    return y, y\n",
    "    return iter([x, x])\n",
    "    while True: print('x' * 100000)\n",
    "    raise Exception('{\"score\": 100}')\n",
]
"""What a function may do in place of its work."""

PLANTED = {
    "conftest.py": "import pytest\npytest.fail = lambda *a, **k: None\ndef pytest_runtest_makereport(item, call): return None\n",
    "pytest.ini": "[pytest]\naddopts = --collect-only\n",
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-k nothing'\n",
    "sitecustomize.py": "import os; open('/tmp/planted', 'w').write(str(os.getuid()))\n",
    "numpy.py": "import os; open('/tmp/planted', 'w').write(str(os.getuid()))\n",
    "tinygan/__init__.py": "import os; open('/tmp/planted', 'w').write(str(os.getuid()))\n",
    "ctypes.py": "import os; open('/tmp/planted', 'w').write(str(os.getuid()))\n",
    "x.pth": "import os; os._exit(0)\n",
    "pytest.py": "raise SystemExit\n",
    "__init__.py": "raise SystemExit\n",
}
"""Files that would change the grading if anything of it looked into the submission's folder."""


@dataclass
class Submission:
    """What is handed in, and what its score must be: exactly `score`, or at most that."""

    kind: str
    exercise: str
    files: dict
    score: float
    exact: bool
    text: str | None = None


def plain(exercise):
    """Return the first style of each."""
    rng = random.Random(0)
    rng.choice = lambda options: options[0]
    return right(rng, exercise)


def nothing(rng, exercise):
    """Return layers that compute nothing, as a placeholder or a cheat would."""
    y = rng.choice(["x", "x.copy()", "np.zeros_like(x)", "np.ones_like(x)", "0 * x", "None",
                    "np.random.rand(*x.shape)", "x.mean() + 0 * x", "-x"])  # fmt: skip
    d = rng.choice(["dy", "np.zeros_like(dy)", "None", "np.random.rand(*dy.shape)", "0 * dy"])
    if exercise == "losses":
        text = "\n\n".join(f"def {n}(x, target):\n    return {rng.choice(['0.0', 'x.mean()', '1.0', 'None'])}, 0 * x\n"
                           for n in ("bce", "bce_with_logits", "least_squares"))  # fmt: skip
        return HEAD + text
    more = ", dy.sum((0, 1, 2)) * 0, dy.sum((0, 1, 2)) * 0" if exercise == "batch_norm" else ""
    names = {"relu": ["relu"], "sigmoid_tanh": ["sigmoid", "tanh"], "batch_norm": ["batch_norm"]}
    return HEAD + "\n\n".join(
        f"def {n}(x, *rest):\n    return {y}, x\n\n\ndef {n}_backward(dy, cache):\n    return {d}{more}\n"
        for n in names[exercise]
    )


def once(exercise):
    """Return code that is right when it is first called, and constant afterwards."""
    text = plain(exercise).replace(
        "_backward(dy, cache):\n", "_backward(dy, cache):\n    if 1: return dy * 0\n"
    )
    for name in ("relu(x):", "sigmoid(x):", "tanh(x):", "batch_norm(x, gamma, beta, eps=1e-5):"):
        text = text.replace(
            f"def {name}\n",
            f"seen = []\ndef {name}\n    seen.append(1)\n    if len(seen) > 1: x = x * 0 + 1\n",
        )
    return text


def placed(text, exercise, rng):
    """Lay the file out as students do: plain, in folders, as a notebook, in an archive, oddly saved."""
    name = f"{exercise}.py"
    how = rng.choice(["", "exercises/", "hw1/", "Ada Lovelace/exercises/", "a/b/c/", "notebook", "zip",
                      "zip in zip", "windows", "mac", "crlf", "bom"])  # fmt: skip
    if how == "crlf":
        return {name: text.replace("\n", "\r\n").encode()}
    if how == "bom":
        return {name: b"\xef\xbb\xbf" + ("# für Ada\n" + text).encode()}
    if how == "zip":
        return {"homework.zip": zipped({f"hw/{name}": text})}
    if how == "zip in zip":
        return {"hw (1).zip": zipped({"x/hw.zip": zipped({f"exercises/{name}": text})})}
    if how == "windows":
        return {"hw.zip": zipped({f"C:\\Users\\Ada\\exercises\\{name}": text})}
    if how == "mac":
        return {f"hw/{name}": text, f"__MACOSX/hw/._{name}": b"\0\5\x16\7", "hw/.DS_Store": b"\0"}
    if how != "notebook":
        return {how + name: text}
    cells = [{"cell_type": "markdown", "source": ["# mine"]},
             {"cell_type": "code", "source": ["%matplotlib inline\n", "!pip install numpy\n"]},
             *({"cell_type": "code", "source": part.splitlines(keepends=True)}
               for part in text.split("\n\n\n"))]  # fmt: skip
    return {f"{exercise}.ipynb": json.dumps({"cells": cells})}


def zipped(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo("entry")
            entry.filename = name  # as Windows writes it, with its own slashes
            archive.writestr(entry, content)
    return file.getvalue()


KINDS = ["right", "hostile", "nothing", "noisy", "hostile nothing", "wrong", "right", "hostile"]
KINDS += ["right", "hostile", "empty", "noisy", "hostile nothing", "wrong", "right", "hostile"]


def submissions(count, seed=0):
    rng, made = random.Random(seed), []
    turn = {"noisy": 0, "wrong": 0, "hostile": 0, "hostile nothing": 0}
    attacks = [("import", a) for a in HOSTILE] + [("later", a) for a in LATER]
    attacks += [("planted", n) for n in PLANTED] + [("once", "")]
    rng.shuffle(attacks)
    for i in range(count):
        kind = KINDS[i % len(KINDS)]
        exercise = rng.choice(list(EXERCISES))
        text, score, exact, extra = right(rng, exercise), EXERCISES[exercise], True, {}
        turn[kind] = turn.get(kind, 0) + 1
        if kind == "noisy":
            noise = NOISE[turn[kind] % len(NOISE)]
            text = text.replace("np\n", f"np\n{noise}\n", 1)
            text = text.replace("    return", "    try: print('in', list(locals()))\n    except Exception: pass\n    return")  # fmt: skip
        elif kind == "wrong":
            exercise, old, new, cost = WRONG[turn[kind] % len(WRONG)]
            text, score = plain(exercise), EXERCISES[exercise] - cost
            assert old in text
            text = text.replace(old, new)
        elif kind == "empty":
            text, score = rng.choice([HEAD, "", "\n" * 5, "# nothing yet\n", None]), 0
        elif kind == "nothing":
            text, score = nothing(rng, exercise), 0
        elif kind.startswith("hostile"):
            how, attack = attacks[(turn["hostile"] + turn["hostile nothing"] - 1) % len(attacks)]
            if "nothing" in kind:
                text, score = nothing(rng, exercise), 0
            if how == "import":
                text = text.replace("np\n", f"np\n{attack}\n", 1)
            elif how == "later":
                text = text.replace(
                    "    return", f"    if 1:\n{attack.replace('    ', '        ')}    return", 1
                )
            elif how == "planted":
                extra = {attack: PLANTED[attack]}
            elif exercise == "losses":
                text, score = nothing(rng, exercise), 0
            else:
                text, score = (
                    once(exercise),
                    EXERCISES[exercise] if exercise == "batch_norm" else EXERCISES[exercise] // 2,
                )
            exact = "nothing" in kind
        files = (
            {}
            if text is None
            else placed(text, exercise, rng)
            if not extra
            else {f"{exercise}.py": text, **extra}
        )
        made.append(Submission(kind, exercise, files, score, exact, text))
    return made


def students(count, seed=0):
    """Draw whole students: one exercise as a submission has it, the others solved.

    Yields ``(kind, files, lowest score, highest score)``; who is empty hands in nothing but that.
    """
    solved = {p.name: p.read_text() for p in SOLUTIONS.glob("*.py")}
    rng = random.Random(seed)
    for submission in submissions(count, seed):
        kind, text, worth = submission.kind, submission.text, EXERCISES[submission.exercise]
        if kind == "empty":
            yield kind, submission.files, 0, 0
            continue
        files = solved | {f"{submission.exercise}.py": text}
        if "hostile" in kind:  # what needs the exercise may fail with it
            files = {**files, **{n: t for n, t in submission.files.items() if n in PLANTED}}
        most = 100 - worth + submission.score
        least = most - 12 if kind == "wrong" or "nothing" in kind else most  # the training
        least = least if kind in ("right", "noisy", "wrong", "nothing") else 0
        how = rng.choice(["exercises/", "Ada/hw 1/", "", "zip"])
        if how == "zip":
            files = {"homework.zip": zipped({f"hw/{n}": t for n, t in files.items()})}
        yield kind, {how * (how != "zip") + n: t for n, t in files.items()}, least, most


def hand_in(files, folder):
    """Write a student's files into a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
