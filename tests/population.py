"""Submissions as a class would hand them in: right in many styles, wrong, empty, hostile, noisy.

``submissions(count, seed)`` draws them; each is a folder's files with what its score must be.
"""

from __future__ import annotations

# ruff: noqa: E501 (submissions a line each)
import json
import random
from dataclasses import dataclass

TESTS = ("test_01_relu", "test_03_sigmoid_tanh", "test_07_batch_norm")
FULL = 4 + 6 + 12

RELU = [
    "    return np.maximum(x, 0), x",
    "    y = np.where(x > 0, x, 0)\n    return y.astype(x.dtype), x",
    "    return x * (x > 0), x",
    "    y = x.copy()\n    y[y < 0] = 0\n    return y, x",
    "    y = np.empty_like(x)\n    for i in np.ndindex(x.shape):\n"
    "        y[i] = x[i] if x[i] > 0 else 0\n    return y, x",
    "    y = np.clip(x, 0, None)\n    return [y, x]",
]
RELU_BACKWARD = [
    "    return dy * (cache > 0)",
    "    return np.where(cache > 0, dy, np.zeros_like(dy))",
    "    dx = dy.copy()\n    dx[cache <= 0] = 0\n    return dx",
    "    mask = (np.sign(cache) + 1) / 2\n    return (dy * mask).astype(dy.dtype)",
    "    return np.multiply(dy, cache > 0)",
]
SIGMOID = [
    "    y = 0.5 * (1 + np.tanh(0.5 * x))\n    return y, y.copy()",
    "    e = np.exp(-np.abs(x))\n    y = np.where(x >= 0, 1 / (1 + e), e / (1 + e))\n    return y, y",
    "    y = np.exp(-np.logaddexp(0, -x))\n    return y, y",
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

WRONG = [
    ("relu.py", "dy * (cache > 0)", "dy * (dy > 0)", 3),
    ("relu.py", "dy * (cache > 0)", "dy * 1.0", 3),
    ("relu.py", "np.maximum(x, 0), x", "np.maximum(x, 1), x", 4),
    ("sigmoid_tanh.py", "dy * cache * (1 - cache)", "dy * cache", 3),
    ("sigmoid_tanh.py", "dy * (1 - cache**2)", "dy * (1 + cache**2)", 3),
    ("batch_norm.py", "d.mean(a) - xhat", "0 - xhat", 8),
    ("batch_norm.py", "dy.sum(a)", "dy.mean(a)", 8),
    ("batch_norm.py", "r * (d -", "(d -", 8),
]
"""File, right text, wrong text, the points that it must cost."""

NOISE = [
    "print('hello')",
    "for _i in range(20000): print('x' * 80)",
    "import sys; sys.stdout.write('no newline')",
    "import sys; print('\\x00\\x1b[31mred\\udcff'.encode('utf-8', 'replace'), file=sys.stderr)",
    "import warnings; warnings.warn('careful')",
    "import threading; threading.Thread(target=lambda: __import__('time').sleep(60), daemon=True).start()",
    "import os; os.write(1, b'\\xff\\xfe' * 5000)",
    "np.random.seed(0); np.seterr(all='ignore')",
    "import sys; sys.setrecursionlimit(5000)",
    "import logging; logging.basicConfig(level=10); logging.debug('debug')",
]

HOSTILE = [
    "import os\nfor fd in range(3, 40):\n    try: os.write(fd, b'{\"score\": 100}' * 50)\n    except OSError: pass",
    "import os, glob\nfor p in glob.glob('/autograder/**/*', recursive=True) + ['RESULTS', 'TESTS']:\n"
    "    try: open(p, 'w').write('{}')\n    except OSError: pass",
    "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(300)\n    os._exit(0)",
    "import os\nfor _ in range(40):\n    try:\n        if os.fork() == 0:\n            import time; time.sleep(300); os._exit(0)\n    except OSError: break",
    "import os, signal\ntry: os.kill(os.getppid(), signal.SIGKILL)\nexcept OSError: pass",
    "import tinygan.gradcheck.check as c\nc.check_gradients = lambda *a, **k: None",
    "import tinygan.gradcheck.output as o\no.check_output = lambda *a, **k: None",
    "import os, tinygan\ntry: open(os.path.join(os.path.dirname(tinygan.__file__), 'hacked.py'), 'w').write('x')\nexcept OSError: pass",
    "import sys\ntry: raise SystemExit(0)\nexcept SystemExit: pass\nsys.exit(0)",
    "import os\nos._exit(0)",
    "while True: pass",
    "x = [bytearray(1 << 30) for _ in range(64)]",
    "open('big', 'wb').write(b'0' * (200 << 20))",
    "import os, signal\ntry: os.kill(-1, signal.SIGKILL)\nexcept OSError: pass",
    "import os\ntry: os.setuid(0)\nexcept OSError: pass",
    "import atexit, os\natexit.register(lambda: os._exit(0))",
    "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
    "raise KeyboardInterrupt",
    "import sys\nsys.modules['numpy'] = None",
    "eval(compile('raise RuntimeError(1)', '<frozen x>', 'exec'))",
    "import builtins\nbuiltins.len = lambda *a: 0",
    "import os\nfor fd in range(3, 40):\n    try: os.close(fd)\n    except OSError: pass",
]


@dataclass
class Submission:
    """What is handed in, and what its score must be: exactly `score`, or at most that."""

    kind: str
    files: dict
    score: float
    exact: bool


def right(rng):
    def pair(name, arguments, forward, backward):
        return (
            f"def {name}({arguments}):\n{rng.choice(forward)}\n\n\n"
            f"def {name}_backward(dy, cache):\n{rng.choice(backward)}\n"
        )

    head = "import numpy as np\n\n\n"
    return {
        "relu.py": head + pair("relu", "x", RELU, RELU_BACKWARD),
        "sigmoid_tanh.py": head
        + pair("sigmoid", "x", SIGMOID, SIGMOID_BACKWARD)
        + "\n\n"
        + pair("tanh", "x", TANH, TANH_BACKWARD),
        "batch_norm.py": head + pair("batch_norm", "x, gamma, beta, eps=1e-5", NORM, NORM_BACKWARD),
    }


def plain():
    """Return the first style of each."""
    rng = random.Random(0)
    rng.choice = lambda options: options[0]
    return right(rng)


def nothing(rng):
    y = rng.choice(["x", "x.copy()", "np.zeros_like(x)", "0 * x", "None"])
    d = rng.choice(["dy", "np.zeros_like(dy)", "None"])
    pair = (
        f"def NAME(x, *rest):\n    return {y}, x\n\n\ndef NAME_backward(dy, cache):\n    return {d}"
    )
    triple = f"{pair}, dy.sum((0, 1, 2)) * 0, dy.sum((0, 1, 2)) * 0"
    head = "import numpy as np\n\n\n"
    return {
        "relu.py": head + pair.replace("NAME", "relu"),
        "sigmoid_tanh.py": head
        + pair.replace("NAME", "sigmoid")
        + "\n\n"
        + pair.replace("NAME", "tanh"),
        "batch_norm.py": head + triple.replace("NAME", "batch_norm"),
    }


def placed(files, rng):
    """Lay the files out as students do: plain, in exercises/, one level deeper, as notebooks."""
    how = rng.choice(["", "exercises/", "hw1/", "Ada Lovelace/exercises/", "notebook"])
    if how != "notebook":
        return {how + name: text for name, text in files.items()}
    return {
        name.replace(".py", ".ipynb"): json.dumps(
            {"cells": [{"cell_type": "markdown", "source": ["# mine"]},
                       {"cell_type": "code", "source": ["%matplotlib inline\n"]},
                       *({"cell_type": "code", "source": part.splitlines(keepends=True)}
                         for part in text.split("\n\n\n"))]}
        )
        for name, text in files.items()
    }  # fmt: skip


def submissions(count, seed=0):
    rng, made = random.Random(seed), []
    kinds = ["right", "right", "noisy", "wrong", "empty", "nothing", "hostile", "hostile nothing"]
    for i in range(count):
        kind = kinds[i % len(kinds)]
        files, score, exact = right(rng), FULL, True
        if kind == "noisy":
            for name in files:
                files[name] = files[name].replace("np\n", "np\n" + rng.choice(NOISE) + "\n", 1)
                files[name] = files[name].replace("    return", "    print('in', dy if 'dy' in dir() else 0)\n    return")  # fmt: skip
        elif kind == "wrong":
            files = plain()
            name, old, new, cost = rng.choice(WRONG)
            assert old in files[name]
            files[name], score = files[name].replace(old, new), FULL - cost
        elif kind == "empty":
            files = {n: "import numpy as np\n" for n in files} if rng.random() < 0.5 else {}
            score = 0
        elif kind == "nothing":
            files, score = nothing(rng), 0
        elif kind.startswith("hostile"):
            attack = rng.choice(HOSTILE)
            if "nothing" in kind:
                files, score = nothing(rng), 0
            files = {n: t.replace("np\n", f"np\n{attack}\n", 1) for n, t in files.items()}
            exact = "nothing" in kind
        made.append(Submission(kind, placed(files, rng) if files else {}, score, exact))
    return made
