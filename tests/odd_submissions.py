"""Submissions of exercise 1 (ReLU, 4 points) that nobody thinks of: styles, accidents, attacks.

``ODD[name]`` is ``(files, due)``: the files, and the score, or the lowest and the highest score,
where a grader may be kind or strict.
"""

# ruff: noqa (submissions a line each)
import base64
import io
import json
import os
import tarfile
import zipfile

R = """import numpy as np


def relu(x):
    return np.maximum(x, 0), x


def relu_backward(dy, cache):
    return dy * (cache > 0)
"""
N = """import numpy as np


def relu(x):
    return x, x


def relu_backward(dy, cache):
    return dy
"""


def pre(text, base=R):
    return base.replace("import numpy as np\n", "import numpy as np\n" + text + "\n", 1)


def fw(text, base=R):
    return base.replace(
        "    return np.maximum",
        "    " + text.replace("\n", "\n    ") + "\n    return np.maximum",
        1,
    )


def bw(text, base=R):
    return base.replace(
        "    return dy", "    " + text.replace("\n", "\n    ") + "\n    return dy", 1
    )


def ret(f, b=None):
    t = R.replace("return np.maximum(x, 0), x", f)
    return t.replace("return dy * (cache > 0)", b) if b else t


def z(files):
    f = io.BytesIO()
    with zipfile.ZipFile(f, "w", zipfile.ZIP_DEFLATED) as a:
        for n, c in files.items():
            e = zipfile.ZipInfo("e")
            e.filename = n
            e.compress_type = zipfile.ZIP_DEFLATED
            a.writestr(e, c)
    return f.getvalue()


def nb(*cells, **more):
    return json.dumps(
        {
            "cells": [
                {
                    "cell_type": "code",
                    "source": c,
                    "metadata": {},
                    "outputs": [],
                    "execution_count": None,
                }
                for c in cells
            ],
            "metadata": {},
            "nbformat": 4,
            "nbformat_minor": 5,
            **more,
        }
    )


ODD = {}


def add(name, files, want):
    ODD[name] = ({"relu.py": files} if isinstance(files, (str, bytes)) else files, want)


# right ones, styles
add(
    "german",
    "import numpy as np\n\nklein = 0\n\n\ndef relu(x: np.ndarray) -> tuple:\n    '''Größer als null'''\n    maß = x > klein\n    return np.where(maß, x, klein), maß\n\n\ndef relu_backward(dy, cache):\n    maß = cache\n    return dy * maß\n",
    4,
)
add("latin1", ("# -*- coding: latin-1 -*-\n# größer\n" + R).encode("latin-1"), 4)
add("latin1-undeclared", ("# größer\n" + R).encode("latin-1"), (0, 4))
add("gbk", ("# -*- coding: gbk -*-\n# 激活函数\n" + R).encode("gbk"), 4)
add("utf16", R.encode("utf-16"), (0, 4))
add(
    "classes",
    "import numpy as np\nclass ReLU:\n    def forward(self, x):\n        self.x = x\n        return np.maximum(0, x)\n    def backward(self, dout):\n        return dout * (self.x > 0)\ndef relu(x):\n    l = ReLU()\n    return l.forward(x), l\ndef relu_backward(dy, cache):\n    return cache.backward(dy)\n",
    4,
)
add(
    "lambdas",
    "import numpy as np\nrelu = lambda x: (np.maximum(x, 0), x)\nrelu_backward = lambda dy, c: dy * (c > 0)\n",
    4,
)
add(
    "partial",
    "import numpy as np\nfrom functools import partial, lru_cache\ndef _leaky(x, a):\n    return np.where(x > 0, x, a * x), (x, a)\nrelu = partial(_leaky, a=0)\ndef relu_backward(dy, cache):\n    x, a = cache\n    return np.where(x > 0, dy, a * dy)\n",
    4,
)
add(
    "methods",
    "import numpy as np\nclass M:\n    def f(self, x):\n        return x.clip(min=0), x > 0\n    def b(self, dy, c):\n        return dy * c\nm = M()\nrelu, relu_backward = m.f, m.b\n",
    4,
)
add(
    "vectorize",
    ret(
        "return np.vectorize(lambda v: v if v > 0 else v * 0)(x), x",
        "return np.vectorize(lambda d, v: d if v > 0 else d * 0)(dy, cache)",
    ),
    4,
)
add(
    "lists",
    ret(
        "return np.array([[max(0.0, v) for v in r] for r in x]) if x.ndim == 2 else np.maximum(x, 0), x"
    ),
    4,
)
add(
    "nested-lists-out",
    ret(
        "return [[max(0.0, v) for v in r] for r in x.tolist()] if x.ndim == 2 else np.maximum(x, 0), x"
    ),
    4,
)
add(
    "dictcache",
    ret(
        "return np.maximum(x, 0), {'x': x, 'shape': x.shape, 'mask': x > 0}",
        "return dy * cache['mask']",
    ),
    4,
)
add(
    "namedtuple",
    ret("return Out(np.maximum(x, 0), x)").replace(
        "np\n", "np\nfrom collections import namedtuple\nOut = namedtuple('Out', 'y cache')\n", 1
    ),
    4,
)
add(
    "dataclass-cache",
    ret("return np.maximum(x, 0), C(x)", "return dy * (cache.x > 0)").replace(
        "np\n", "np\nfrom dataclasses import dataclass\n@dataclass\nclass C:\n    x: object\n", 1
    ),
    4,
)
add(
    "type-hints",
    "from __future__ import annotations\nimport numpy as np\nimport numpy.typing as npt\nfrom typing import Any, Tuple\nArr = npt.NDArray[np.floating[Any]]\n\n"
    + R.split("np\n", 1)[1].replace("(x)", "(x: Arr) -> Tuple[Arr, Arr]", 1),
    4,
)
add(
    "asserts",
    fw(
        "assert isinstance(x, np.ndarray)\nassert type(x) is np.ndarray\nassert x.dtype in (np.float32, np.float64)"
    ),
    4,
)
add("exact-type-back", bw("assert type(dy) is np.ndarray and type(cache) is np.ndarray"), 4)
add(
    "inplace-own",
    ret(
        "y = x.copy(); y[y < 0] = 0; return y, x",
        "dx = np.array(dy, copy=True); dx[cache < 0] = 0; return dx",
    ),
    4,
)
add(
    "fortran",
    ret(
        "return np.asfortranarray(np.maximum(x, 0)), x",
        "return np.asfortranarray(dy * (cache > 0))",
    ),
    4,
)
add(
    "readonly",
    ret(
        "y = np.maximum(x, 0); y.flags.writeable = False; return y, x",
        "d = dy * (cache > 0); d.setflags(write=False); return d",
    ),
    4,
)
add(
    "strided",
    ret("y = np.empty((2,) + x.shape, x.dtype); y[0] = np.maximum(x, 0); return y[0].T.T[...], x"),
    4,
)
add("negstride", ret("return np.maximum(x[::-1], 0)[::-1], x"), 4)
add(
    "broadcast-view",
    ret("return np.maximum(x, np.broadcast_to(np.zeros(1, x.dtype), x.shape)), x"),
    4,
)
add("masked", ret("m = np.ma.masked_less(x, 0); return m.filled(0), x"), 4)
add(
    "masked-return",
    ret("return np.ma.array(np.maximum(x, 0)), x", "return np.ma.array(dy * (cache > 0))"),
    4,
)
add(
    "matrix-return",
    ret("return (np.matrix(np.maximum(x, 0)) if x.ndim == 2 else np.maximum(x, 0)), x"),
    4,
)
add(
    "subclass",
    pre(
        "class T(np.ndarray):\n    pass",
        ret("return np.maximum(x, 0).view(T), x", "return (dy * (cache > 0)).view(T)"),
    ),
    4,
)
add("memoryview", ret("return memoryview(np.ascontiguousarray(np.maximum(x, 0))), x"), (0, 4))
add(
    "arraylike",
    pre(
        "class A:\n    def __init__(s, a): s.a = a; s.shape = a.shape; s.dtype = a.dtype; s.ndim = a.ndim\n    def __array__(s, dtype=None, copy=None): return s.a if dtype is None else s.a.astype(dtype)",
        ret("return A(np.maximum(x, 0)), x"),
    ),
    (0, 4),
)
add("generator", ret("yield np.maximum(x, 0)\n    yield x"), (0, 4))
add(
    "complex",
    ret("return np.maximum(x, 0) + 0j, x", "return (dy * (cache > 0)).astype(complex)"),
    (0, 4),
)
add(
    "object",
    ret("return np.maximum(x, 0).astype(object), x", "return (dy * (cache > 0)).astype(object)"),
    (0, 4),
)
add(
    "longdouble",
    ret(
        "return np.maximum(x, 0).astype(np.longdouble), x",
        "return (dy * (cache > 0)).astype(np.longdouble)",
    ),
    (3, 4),
)
add(
    "float16",
    ret(
        "return np.maximum(x, 0).astype(np.float16), x",
        "return (dy * (cache > 0)).astype(np.float16)",
    ),
    (0, 1),
)
add(
    "float32",
    ret(
        "return np.maximum(x.astype(np.float32), 0), x.astype('f')",
        "return (dy * (cache > 0)).astype('f')",
    ),
    4,
)
add(
    "dtype-default32",
    pre(
        "DTYPE = np.float32",
        ret(
            "y = np.zeros(x.shape, DTYPE); y[x > 0] = x[x > 0]; return y, x",
            "d = np.zeros(dy.shape, DTYPE); d[cache > 0] = dy[cache > 0]; return d",
        ),
    ),
    4,
)
add("nan", ret("y = np.maximum(x, 0); y[...] = y / y * y; return y, x"), 0)
add(
    "prints",
    pre(
        "import logging, sys\nlogging.basicConfig(level=0)\nprint('x' * 3_000_000)",
        fw(
            "print(x.tolist() * 1000); logging.getLogger().error('%r', x); sys.stderr.write('e' * 100000)"
        ),
    ),
    4,
)
add("tqdm", pre("from tqdm import tqdm", fw("for _ in tqdm(range(1000)): pass")), 4)
add(
    "warn-errors", pre("import warnings\nwarnings.simplefilter('error')\nnp.seterr(all='raise')"), 4
)
add("recursion", pre("import sys\nsys.setrecursionlimit(60)"), 4)
add("recursion-big", pre("import sys\nsys.setrecursionlimit(10**6)"), 4)
add(
    "threads",
    pre(
        "import threading, time\nfor _ in range(20): threading.Thread(target=time.sleep, args=(900,)).start()"
    ),
    4,
)
add(
    "pool",
    pre(
        "from concurrent.futures import ThreadPoolExecutor\nP = ThreadPoolExecutor(8)",
        ret("y = np.stack(list(P.map(lambda r: np.maximum(r, 0), x))); return y, x"),
    ),
    4,
)
add(
    "atexit",
    pre(
        "import atexit, os, time\natexit.register(lambda: time.sleep(60))\natexit.register(lambda: os._exit(1))"
    ),
    4,
)
add(
    "signals",
    pre(
        "import signal\nfor s in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGCHLD, signal.SIGPIPE): signal.signal(s, signal.SIG_IGN)\nsignal.alarm(1)"
    ),
    4,
)
add(
    "alarm",
    pre(
        "import signal\nsignal.setitimer(signal.ITIMER_REAL, .01, .01)\nsignal.signal(signal.SIGALRM, lambda *a: None)"
    ),
    4,
)
add(
    "alarm-raises",
    pre(
        "import signal\ndef _h(*a): raise TimeoutError('slow')\nsignal.signal(signal.SIGALRM, _h)\nsignal.setitimer(signal.ITIMER_REAL, .05, .05)"
    ),
    (0, 4),
)
add(
    "npdot",
    pre("np.dot = None\nnp.matmul = None\nnp.save = None\nnp.array_equal = None\nnp.load = None"),
    4,
)
add("npabs", pre("np.asarray = np.abs = np.array_equal = lambda *a, **k: 1 / 0"), 4)
add("errstate", pre("np.seterr(all='raise')\nnp.random.seed(3)"), 4)
add("printoptions", pre("np.set_printoptions(threshold=1, precision=0, legacy='1.13')"), 4)
add("chdir", pre("import os\nos.chdir('/')"), 4)
add("chdir-gone", pre("import os\nos.mkdir('q'); os.chdir('q'); os.rmdir('../q')"), 4)
add("delete-self", pre("import os, pathlib\npathlib.Path(__file__).unlink()"), 4)
add(
    "delete-all",
    pre("import shutil, os\nshutil.rmtree(os.path.dirname(__file__), ignore_errors=True)"),
    4,
)
add("close-fds", pre("import os\nos.closerange(3, 200)"), 4)
add("close-all-fds", pre("import os\nos.closerange(0, 65000)"), (0, 4))
add(
    "fork-children",
    pre(
        "import os, time\nfor _ in range(20):\n    if os.fork() == 0: time.sleep(300); os._exit(0)"
    ),
    4,
)
add(
    "forks-exit",
    pre(
        "import os\nfor _ in range(200):\n    p = os.fork()\n    if p == 0: os._exit(0)\n    os.waitpid(p, 0)"
    ),
    4,
)
add(
    "fork-double",
    pre(
        "import os\nfor _ in range(30):\n    p = os.fork()\n    if p == 0:\n        if os.fork() == 0: os._exit(0)\n        os._exit(0)\n    os.waitpid(p, 0)"
    ),
    4,
)
add("forkbomb", pre("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"), 0)
add("fork-answer", fw("import os\nos.fork()"), (0, 4))
add("loop-import", "while True: pass\n" + R, 0)
add("loop-one", bw("while True: pass"), 1)
add("alloc", fw("np.ones((1 << 40,))"), 0)
add("alloc-slow", fw("a = []\nwhile True: a.append(bytearray(1 << 26))"), 0)
add("huge-output", ret("return np.broadcast_to(np.zeros(1), (1 << 20, 1 << 20)), x"), 0)
add("huge-output-real", ret("return np.zeros((1 << 26) + (1 << 25)), x"), 0)
add("huge-string", fw("raise ValueError('y' * 10**8)"), 0)
add("huge-list", ret("return [0.0] * 10**8, x"), 0)
add("sleep", pre("import time\ntime.sleep(3)"), 4)
add(
    "main-guard",
    R
    + "\n\nif __name__ == '__main__':\n    import torch\n    from tinygan import ReLU\n    a, b = relu(np.ones(3) + 1e-5), relu(np.ones(3) - 1e-5)\n    print(torch.relu)\n",
    4,
)
add(
    "own-check",
    R
    + "\n\ndef numerical_gradient(f, x, h=1e-5):\n    return (f(x + h) - f(x - h)) / (2 * h)\n\n\ndef check_relu():\n    print(numerical_gradient(lambda x: relu(x)[0], np.ones(3)))\n",
    4,
)
add(
    "own-check-file",
    {
        "relu.py": "from helpers import numgrad\n" + R,
        "helpers.py": "def numgrad(f, x, h):\n    return (f(x + h) - f(x - h)) / 2 / h\n",
    },
    4,
)
add(
    "tinygan-check",
    pre("from tinygan import check_gradients\nfrom tinygan.gradcheck import check_gradients as cg")
    + "\n\ndef test():\n    check_gradients((relu, relu_backward), np.ones((2, 3)))\n",
    4,
)
add(
    "left-imports",
    pre(
        "import pandas as pd\nimport seaborn as sns\nimport cv2\nfrom IPython.display import display, HTML\nfrom sklearn.metrics import accuracy_score\nimport google.colab\nfrom google.colab import drive\ndrive.mount('/content/drive')\nsns.set_theme(style='dark')\npd.options.display.max_rows = 9\nimport numba\n@numba.njit(cache=True)\ndef g(a):\n    return a"
    ),
    4,
)
add("missing-helper", pre("from utils_of_mine import show\nshow('hello')"), 4)
add(
    "uses-missing",
    ret("return pd.DataFrame(x).clip(lower=0).to_numpy(), x").replace(
        "np\n", "np\nimport pandas_not_here as pd\n", 1
    ),
    0,
)
add(
    "uses-missing-back",
    ret("return np.maximum(x, 0), x", "return expit(dy)").replace(
        "np\n", "np\nfrom scipy_not_here.special import expit\n", 1
    ),
    1,
)
add(
    "try-import",
    pre(
        "try:\n    from numba_not_here import njit\nexcept ImportError:\n    def njit(f): return f\nassert njit(len) is len"
    ),
    4,
)
add(
    "plot",
    pre(
        "import matplotlib.pyplot as plt\nplt.rcParams['figure.figsize'] = 9, 9\nplt.plot([1, 2]); plt.show(); plt.savefig('a.png')"
    ),
    4,
)
add("pdb", fw("import pdb; pdb.set_trace()"), 4)
add("ipdb", pre("import ipdb", fw("ipdb.set_trace()")), 4)
add("input-guard", pre("name = input('your name? ')"), 0)
add(
    "argparse",
    R
    + "\nimport argparse\np = argparse.ArgumentParser(); p.add_argument('--n', type=int, default=3); args = p.parse_args()\n",
    4,
)
add("sysargv", pre("import sys\nassert len(sys.argv) == 1"), 4)
add("exit-end", R + "\nimport sys\nsys.exit(0)\n", 0)
add("unittest-main", R + "\nimport unittest\nif __name__ == '__main__':\n    unittest.main()\n", 4)
add(
    "kwargs-names",
    R.replace("relu(x)", "relu(input_array)")
    .replace("maximum(x, 0), x", "maximum(input_array, 0), input_array")
    .replace("(dy, cache)", "(grad_output, saved)")
    .replace("dy * (cache", "grad_output * (saved"),
    4,
)
add("order", R.replace("(dy, cache)", "(cache, dy)"), 4)
add("three-returns", ret("return np.maximum(x, 0), x, 'extra'"), (0, 4))
add("tuple-grad", ret("return np.maximum(x, 0), x", "return (dy * (cache > 0),)"), 4)
# hostile
ENV = "import os, glob\ns = ''\nfor p in glob.glob('/proc/*/environ') + glob.glob('/proc/*/cmdline') + glob.glob('/proc/*/maps'):\n    try: s += open(p, 'rb').read().decode('latin-1')\n    except OSError: pass\nprint('LEAK' if 'gradescope' in s or 'PYTEST' in s else 'none')\n"
add("h-environ", pre(ENV, N), 0)
add(
    "h-frames",
    pre(
        "import sys, gc, inspect\nfor f in inspect.stack():\n    for v in list(f.frame.f_locals.values()) + list(f.frame.f_globals.values()):\n        try: v.answer = lambda *a: 0\n        except Exception: pass\nfor o in gc.get_objects():\n    if type(o).__name__ == 'Worker': o.answer = lambda r: None",
        N,
    ),
    0,
)
add(
    "h-ptrace",
    pre(
        "import os\nfor n in os.listdir('/proc'):\n    if n.isdigit():\n        try: open(f'/proc/{n}/mem', 'r+b')\n        except OSError: pass",
        N,
    ),
    0,
)
add(
    "h-fds",
    pre(
        "import os\nfor fd in range(3, 1000):\n    try: os.write(fd, b'\\0\\0\\0\\0\\0\\0\\0\\x20tgar' + b'\\0' * 40)\n    except OSError: pass",
        N,
    ),
    0,
)
add(
    "h-fds-right",
    pre(
        "import os\nfor fd in range(3, 1000):\n    try: os.write(fd, b'x')\n    except OSError: pass"
    ),
    (0, 4),
)
add(
    "h-eq",
    pre(
        "class E(np.ndarray):\n    def __eq__(s, o): return True\n    def __sub__(s, o): return np.zeros(s.shape)\n    def __array_ufunc__(s, u, m, *a, **k): return np.zeros(s.shape)\n    def __array_function__(s, *a): return True",
        ret("return np.ones(x.shape).view(E), x", "return dy.view(E)"),
    ),
    0,
)
add(
    "h-float",
    pre(
        "class F(float):\n    def __eq__(s, o): return True\n    __lt__ = __le__ = __gt__ = __ge__ = __eq__",
        ret("return F(3), x", "return F(3)"),
    ),
    0,
)
add(
    "h-exec-diff",
    ret(
        "return np.maximum(x, 0), x",
        "exec(base64.b64decode(C).decode(), globals()); return _f(dy, cache)",
    ).replace(
        "np\n",
        "np\nimport base64\nC = %r\n"
        % base64.b64encode(
            b"def _f(dy, x, h=1e-6):\n    return dy * (relu(x + h)[0] - relu(x - h)[0]) / (2 * h)\n"
        ).decode(),
        1,
    ),
    1,  # the output is right, as in the next ones
)
add(
    "h-diff-loop",
    ret(
        "return np.maximum(x, 0), x",
        "f = relu\n    h = 1e-6\n    return dy * (f(cache + h)[0] - f(cache + -h)[0]) / (2 * h)",
    ),
    1,
)
add(
    "h-getattr",
    ret(
        "return np.maximum(x, 0), x",
        "import sys\n    g = getattr(sys.modules[__name__], 're' + 'lu')\n    h = 1e-6\n    a = g(cache + h)[0]; b = g(cache - h)[0]\n    return dy * (a - b) / (2 * h)",
    ),
    1,
)
add(
    "h-check-numeric",
    ret(
        "return np.maximum(x, 0), x",
        "from tinygan import check_gradients as c\n    return c((relu, lambda d, k: d), cache, dy=dy, raises=False).checks[0].numeric_gradient",
    ),
    1,  # the output is right
)
add(
    "h-first-test",
    pre(
        "K = {}",
        ret(
            "K.setdefault('y', np.maximum(x, 0)); return K['y'], x",
            "K.setdefault('d', dy * (cache > 0)); return K['d']",
        ),
    ),
    (0, 1),
)
add(
    "h-tolerance",
    ret("return np.maximum(x, 0) * (1 + 1e-4), x", "return dy * (cache > 0) * (1 + 1e-4)"),
    0,
)
add(
    "h-tol32",
    ret(
        "return (np.maximum(x, 0) * (1 + 1e-4)).astype('f'), x",
        "return (dy * (cache > 0) * (1 + 1e-4)).astype('f')",
    ),
    0,
)
add(
    "h-grad32", ret("return np.maximum(x, 0), x", "return (dy * (cache > -.3)).astype('f')"), (0, 3)
)
for n, t in {
    "conftest.py": "import pytest\ndef pytest_runtest_makereport(item, call): raise SystemExit\npytest.fail = None\n",
    "numpy.py": "raise SystemExit\n",
    "pytest.ini": "[pytest]\naddopts = --collect-only\n",
    "sitecustomize.py": "import os; os._exit(0)\n",
    "__init__.py": "raise SystemExit\n",
    "usercustomize.py": "import os; os._exit(0)\n",
    "tinygan.py": "raise SystemExit\n",
    "json.py": "raise SystemExit\n",
    "ctypes.py": "raise SystemExit\n",
    "resource.py": "raise SystemExit\n",
    "warnings.py": "raise SystemExit\n",
    "typing.py": "raise SystemExit\n",
    "random.py": "raise SystemExit\n",
    "inspect.py": "raise SystemExit\n",
}.items():
    add("p-" + n, {"relu.py": R, n: t}, (0, 4) if n == "numpy.py" else 4)
add("zip-slip", {"hw.zip": z({"../../relu.py": R, "/etc/evil": "x", "..\\..\\x.py": "y"})}, 4)
add("zip-bomb", {"hw.zip": z({"relu.py": R, "big.bin": b"\0" * (300 << 20)})}, (0, 4))
add("zip-many", {"hw.zip": z({**{f"d/{i}.txt": "x" for i in range(6000)}, "relu.py": R})}, (0, 4))
add("zip-broken", {"hw.zip": z({"relu.py": R})[:-30]}, 0)
add(
    "zip-password",
    {
        "hw.zip": z({"relu.py": R}).replace(
            b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"
        )
    },
    0,
)


def tgz(links=()):
    f = io.BytesIO()
    with tarfile.open(fileobj=f, mode="w:gz") as t:
        i = tarfile.TarInfo("hw/relu.py")
        d = R.encode()
        i.size = len(d)
        t.addfile(i, io.BytesIO(d))
        for n, to in links:
            i = tarfile.TarInfo(n)
            i.type = tarfile.SYMTYPE
            i.linkname = to
            t.addfile(i)
    return f.getvalue()


add("tgz-links", {"hw.tar.gz": tgz([("hw/x", "/etc/shadow"), ("hw/loop", "hw/loop")])}, 4)
add("rar", {"hw.rar": b"Rar!\x1a\x07\x00" + b"x" * 50}, 0)
add("7z", {"hw.7z": b"7z\xbc\xaf\x27\x1c" + b"x" * 50}, 0)
add("py-in-txt", {"relu.py.txt": R}, (0, 4))
add(
    "nb",
    {
        "relu.ipynb": nb(
            "%load_ext autoreload\n%autoreload 2\n%matplotlib inline\nimport numpy as np",
            R.split("np\n", 1)[1],
            "!ls -la\n%timeit relu(np.ones(3))\nfiles = !ls",
            "%%html\n<b>x</b>",
            "%%timeit\nrelu(np.ones(3))",
            "relu(np.ones(3))[0]\nrelu?",
            "%cd /content\n%env X=1\nget_ipython().system('ls')",
        )
    },
    4,
)
add("nb-broken", {"relu.ipynb": nb(R)[:-40]}, 0)
add("nb-bad-cell", {"relu.ipynb": nb(R, "this is not python", "1 / 0")}, (0, 4))
add("nb-error-later", {"relu.ipynb": nb(R, "plot_undefined(3)")}, (0, 4))
add(
    "nb-input",
    {
        "relu.ipynb": nb(
            R,
            "from google.colab import drive\ndrive.mount('/content/drive')",
            "from ipywidgets import interact\n@interact(x=3)\ndef f(x): pass",
        )
    },
    4,
)
add(
    "nb-v3",
    {
        "relu.ipynb": json.dumps(
            {
                "worksheets": [
                    {"cells": [{"cell_type": "code", "input": [R], "language": "python"}]}
                ],
                "nbformat": 3,
                "nbformat_minor": 0,
                "metadata": {},
            }
        )
    },
    (0, 4),
)
add(
    "nb-indented-magic",
    {
        "relu.ipynb": nb(
            "import numpy as np\nfor i in range(2):\n    !echo $i\nif True:\n    %time x = 1", R
        )
    },
    4,
)
add(
    "nb-percent-string",
    {
        "relu.ipynb": nb(
            'import numpy as np\ns = """\n%d things\n!bang\n"""\nassert "%d" in s and "!bang" in s',
            R,
            "a = (7\n% 4)\nassert a == 3",
        )
    },
    4,
)
add("two-py", {"a/relu.py": R, "b/relu.py": R.replace("maximum", "minimum")}, 0)
add("dir-named", {"relu.py/relu.py": R}, 4)
add("tabs-spaces", R.replace("    return np", "\treturn np"), 4)
add("py2", "print 'hello'\n" + R, 0)
add("nul", R.encode() + b"\0\0", 0)
add("empty-dir", {"readme.txt": "no"}, 0)
add("bigfile", ("# " + "x" * 200 + "\n") * 100000 + R, 4)


def write(name, folder):
    """Write a submission into a folder."""
    for file, text in ODD[name][0].items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, tuple):
            (os.mkfifo if text[0] == "fifo" else lambda p: os.symlink(text[1], p))(path)
        else:
            path.write_bytes(text.encode() if isinstance(text, str) else text)


ODD["link to a file"] = {"relu.py": ("link", "/etc/passwd")}, 0
ODD["link to a folder"] = {"relu.py": R, "more": ("link", "/root")}, 4
ODD["link to itself"] = {"relu.py": ("link", "relu.py")}, 0
ODD["pipe"] = {"relu.py": R, "pipe.py": ("fifo",)}, 4
