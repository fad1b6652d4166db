"""What is done while a submission runs is seen, by whatever name; innocent code is left alone."""

import itertools
from importlib.util import find_spec

import numpy as np
import pytest
from test_hostile import LINUX, graded

from tinygan.grading.differences import Differences
from tinygan.grading.remote import RemoteModule
from tinygan.grading.session import ALLOWED, DEFAULT

LINUX_ONLY = pytest.mark.skipif(not LINUX, reason="submissions run in a process of their own")

HEAD = "import importlib, sys\nimport numpy as np\n"
FORWARD = "def relu(x):\n    return np.maximum(x, 0), x\n"
BACKWARD = "def relu_backward(dy, x):\n    return dy * (x > 0)\n"
SEQUENTIAL = "from tinygan import Sequential\n"  # allowed, and loads the layers
PATH = "P = sys.modules['tinygan'].__path__[0]\n"

TAKEN = {  # relu from tinygan: before the functions, and what stands for its value
    "getattr": ("T = __import__('tiny' + 'gan')\n", "getattr(T, 'Re' + 'LU')()(x)[0]"),
    "importlib": ("L = importlib.import_module('tinygan.lay' + 'ers')\n", "L.ReLU()(x)[0]"),
    "exec": ("exec('from tiny' + 'gan import ReLU as R')\n", "R()(x)[0]"),
    "eval": ("", "eval('__import__(\"tinygan.layers\").layers.ReLU()(x)[0]')"),
    "later": ("", "importlib.import_module('tinygan.layers.activation').relu(x)[0]"),
    "disguised": ("exec(compile('from tinygan import ReLU as R', np.__file__, 'exec'))\n",
                  "R()(x)[0]"),
    "modules": (SEQUENTIAL, "sys.modules['tinygan.layers.activation'].relu(x)[0]"),
    "vars": (SEQUENTIAL, "vars(sys.modules['tinygan.layers'])['ReLU']()(x)[0]"),
    "subclasses": (SEQUENTIAL + "from tinygan import Layer\n",
                   "[c for c in Layer.__subclasses__() if c.__name__ == 'ReLU'][0]().predict(x)"),
    "gc": (SEQUENTIAL + "import gc\n", "[o for o in gc.get_objects() if getattr(o, '__name__', 0)"
           " == 'relu' and o.__module__ == 'tinygan.layers.activation'][0](x)[0]"),
    "loader": (PATH + "from importlib.machinery import SourceFileLoader as S\n"
               "M = S('mine', P + '/layers/activation.py').load_module()\n", "M.relu(x)[0]"),
    "source": (PATH + "exec(open(P + '/layers/activation.py').read())\n", "relu(x)[0]"),
    "torch": ("i = importlib.import_module\n", "i('to' + 'rch').relu(x)"),
    "jax": ("", "__builtins__['__import__']('jax').nn.relu(x)"),
}  # fmt: skip

DIFFERENCES = {  # a numerical derivative: beside the functions, and what stands for the gradient
    "plain": ("", "dy * (relu(x + 1e-6)[0] - relu(x - 1e-6)[0]) / 2e-6"),
    "forward": ("", "dy * (relu(x + 1e-6)[0] - relu(x)[0]) / 1e-6"),
    "modules": ("", "dy * (F(x + 1e-6)[0] - F(x - 1e-6)[0]) / 2e-6 if [F := getattr(sys.modules["
                "__name__], 're' + 'lu')] else 0"),
    "globals": ("def g(n): return globals()[n]\n",
                "dy * (g('relu')(x + 1e-5)[0] - g('relu')(x - 1e-5)[0]) / 2e-5"),
    "exec": ("S = {'np': np}\nexec('f = lambda x: np.maximum(x, 0)', S)\n",
             "dy * (S['f'](x + 1e-6) - S['f'](x - 1e-6)) / 2e-6"),
    "disguised": ("S = {'np': np}\nexec(compile('f = lambda x: np.maximum(x, 0)', np.__file__, "
                  "'exec'), S)\n", "dy * (S['f'](x + 1e-6) - S['f'](x - 1e-6)) / 2e-6"),
    "handed on": ("def num(f, x, h=1e-7): return (f(x + h) - f(x - h)) / (2 * h)\n",
                  "dy * num(lambda x: np.maximum(x, 0), x)"),
    "one by one": ("def num(f, x):\n    d = np.zeros_like(x)\n    for i in np.ndindex(x.shape):\n"
                   "        old = x[i]\n        x[i] = old + 1e-6\n        a = f(x)\n"
                   "        x[i] = old - 1e-6\n        b = f(x)\n        x[i] = old\n"
                   "        d[i] = (a - b) / 2e-6\n    return d\n",
                   "num(lambda x: (dy * relu(x)[0]).sum(), x)"),
    "large steps": ("def num(f, x):\n    d = np.zeros_like(x)\n    for i in range(x.size):\n"
                    "        e = np.zeros(x.size)\n        e[i] = .05\n"
                    "        e = e.reshape(x.shape)\n        d.flat[i] = (f(x + e) - f(x)) / .05\n"
                    "    return d\n", "num(lambda x: (dy * relu(x)[0]).sum(), x)"),
    "numbers": ("f = np.vectorize(lambda v: v if v > 0 else 0.0)\n",
                "dy * (f(x + 1e-6) - f(x - 1e-6)) / 2e-6"),
    "complex": ("def f(z): return np.where(z.real > 0, z, 0)\n",
                "dy * f(x + 1e-20j).imag / 1e-20"),
    "scipy": ("S = getattr(__import__('scipy'), 'opti' + 'mize')\n",
              "S.approx_fprime(x.ravel(), lambda v: (dy * relu(v.reshape(x.shape))[0]).sum())"
              ".reshape(x.shape)"),
    "check": ("from tinygan import check_gradients\n",
              "dy * check_gradients(lambda x: (relu(x)[0].sum(), dy), x, raises=False)"
              ".checks[0].numeric_gradient"),
    "thread": ("from concurrent.futures import ThreadPoolExecutor as T\n",
               "dy * (T(1).submit(lambda: relu(x + 1e-6)[0] - relu(x - 1e-6)[0]).result()) / 2e-6"),
    "recursive": ("def f(x, n): return np.maximum(x, 0) if n == 0 else f(x, n - 1)\n",
                  "dy * (f(x + 1e-6, 3) - f(x - 1e-6, 3)) / 2e-6"),
    "switched off": ("", "[sys.setprofile(None), dy * (relu(x + 1e-6)[0] - relu(x - 1e-6)[0]) / "
                     "2e-6][1]"),
}  # fmt: skip

INNOCENT = {
    "recomputed": ("", None, "dy * (relu(x)[0] == x) * (relu(x.copy())[0] > 0)"),
    "float32": ("def f(a): return np.asarray(a, np.float32)\n", None, "dy * (f(x) > f(f(x) * 0))"),
    "both": ("def f(a): return a > 0\n", None, "dy * f(x) * f(x.astype(np.float32))"),
    "numbers": ("def f(v):\n    return v if v > 0 else 0.0\n",
                "np.array([[f(v) for v in r] for r in x])",
                "np.array([[d * (f(v) > 0) for d, v in zip(e, r)] for e, r in zip(dy, x)])"),
    "vectorized": ("f = np.vectorize(lambda v: float(v > 0))\n", "f(x) * x", "dy * f(x)"),
    "epsilon": ("def log(p): return np.log(np.abs(p) + 1)\n", None,
                "dy * (log(x + 1e-12) * 0 + (x > 0))"),
    "rounding": ("def f(a): return a > 0\n", None, "dy * f(x) * f(x * 3 / 3)"),
    "dynamic": ("m = importlib.import_module('ma' + 'th')\nexec('k = 1')\n", "x * (x > eval('0'))",
                "getattr(np, 'multiply')(dy, sys.modules['numpy'].heaviside(x, 0))"),
    "checked": ("def num(f, x): return (f(x + 1e-6) - f(x - 1e-6)) / 2e-6\n"
                "print(num(lambda x: np.maximum(x, 0), np.ones(3)))\n", None, None),
    "own layer": ("from tinygan import Layer, Sequential, check_gradients\n"
                  "class R(Layer):\n    def __init__(self, k=1): self.k = k\n"
                  "    def forward(self, x): return np.maximum(x, 0), x\n"
                  "    def backward(self, dy, x): return dy * (x > 0)\n"
                  "check_gradients(R(), np.array([[.5, -1.]]))\n",
                  "Sequential(R(), R())(x)[0]", "R(2).backward(dy, x)"),
    "optional": ("try:\n    import cupy as xp\nexcept ImportError:\n    xp = np\n"
                 "for n in ('jax', 'torch'):\n    try: __import__(n)\n"
                 "    except ImportError: pass\n", "xp.maximum(x, 0)", None),
    "signal": ("from scipy import signal, stats, special\n", None, None),
    "traceback": ("import traceback\ntry: 1 / 0\nexcept ZeroDivisionError: traceback.print_exc()\n"
                  "try:\n    from tinygan import Parameter\n    Parameter(np.ones(2, int))\n"
                  "except TypeError: traceback.print_exc()\n", None, None),
    "shell": ("import os, platform\nos.system('clear')\nplatform.processor()\n", None, None),
}  # fmt: skip


def text(before, value=None, gradient=None):
    forward = f"def relu(x):\n    return {value}, x\n" if value else FORWARD
    backward = f"def relu_backward(dy, x):\n    return {gradient}\n" if gradient else BACKWARD
    return HEAD + before + forward + backward


def files(texts):
    return {"by_" + name.replace(" ", "_"): given for name, given in texts.items()}


@LINUX_ONLY
@pytest.mark.timeout(600)
def test_what_is_taken_by_another_name_is_refused(tmp_path):
    texts = {
        name: text(before, value, "dy * 0") if name != "source" else HEAD + before + BACKWARD
        for name, (before, value) in TAKEN.items()
    }
    _, found, _ = graded(tmp_path, files(texts))
    for name, tests in found.items():
        assert tests[0]["score"] == 0, (name, tests)
        absent = name == "by_torch" and not find_spec("torch")  # then Python itself refuses it
        says = "No module named 'torch'" if absent else "may not be"
        assert says in tests[0]["output"], (name, tests)


@LINUX_ONLY
@pytest.mark.timeout(600)
def test_numerical_derivatives_are_seen_however_they_are_written(tmp_path):
    texts = {name: text(before, None, g) for name, (before, g) in DIFFERENCES.items()}
    _, found, _ = graded(tmp_path, files(texts))
    for name, tests in found.items():
        assert [test["score"] for test in tests] == [2, 0], (name, tests)
        says = "sys.setprofile" if name == "by_switched_off" else "a numerical derivative?"
        assert tests[1]["output"].startswith("points withheld: "), (name, tests)
        assert says in tests[1]["output"], (name, tests)


@LINUX_ONLY
@pytest.mark.timeout(600)
def test_innocent_code_keeps_its_points(tmp_path):
    _, found, _ = graded(tmp_path, files({n: text(*t) for n, t in INNOCENT.items()}))
    for name, tests in found.items():
        assert [test["score"] for test in tests] == [2, 3], (name, tests)


@LINUX_ONLY
def test_the_teacher_chooses_what_it_costs(tmp_path):
    given = {"plain": text("", None, DIFFERENCES["plain"][1]),
             "exec": text(*TAKEN["exec"], None)}  # fmt: skip
    (tmp_path / "flag").mkdir()
    _, found, _ = graded(tmp_path / "flag", given, "--tinygan-cheats", "flag")
    assert [test["score"] for test in found["plain"] + found["exec"]] == [2, 3, 2, 3]
    assert found["plain"][1]["output"].startswith("flagged: plain.py, line 6: relu is called")
    (tmp_path / "allow").mkdir()
    _, found, _ = graded(tmp_path / "allow", given, "--tinygan-cheats", "allow")
    assert {test["output"] for test in found["plain"] + found["exec"]} == {""}


def driver(impl):
    return impl.relu(np.ones(2))


@LINUX_ONLY
@pytest.mark.parametrize("name", ["objectives", "layers", "losses", "optim"])
def test_modules_are_refused_where_the_graders_driver_runs(tmp_path, name):
    """Python tells of no import that `importlib` does itself: but it opens the file."""
    (tmp_path / "way.py").write_text(
        HEAD + f"def relu(x):\n    importlib.import_module('tiny' + 'gan.{name}')\n    return 1\n"
    )
    module = RemoteModule(tmp_path / "way.py", rules=(DEFAULT, ALLOWED, True))
    with pytest.raises(Exception, match=rf"tinygan\.{name} may not be used here"):
        module.run(driver)
    module.close()


@pytest.mark.parametrize("seed", range(40))
def test_right_calls_are_no_differences(seed):
    """A function of numbers, called with all elements of all inputs and of their products."""
    rng = np.random.default_rng(seed)
    seen, inputs = Differences(), [rng.standard_normal(rng.integers(1, 9, 2)) for _ in range(6)]
    for array in inputs:
        seen.given(array)
    seen.begin()
    for a, b in itertools.product(inputs, inputs):
        assert not seen.called("numbers", [float(v) for v in a.flat][:16])
        for v, w in zip(a.flat, b.flat, strict=False):
            for value in (v, w, v * w, v + w, 2 * v, -v, max(v, 0.0), v + 1e-12):
                assert not seen.called("number", [float(value)]), (v, w)
    for a in inputs:
        for value in (a, a.copy(), a * (1 + 1e-15), a.astype("f4"), -a, 2 * a, np.maximum(a, 0)):
            assert not seen.called("array", [value]), value


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("h", [1e-4, 1e-6, 1e-9])
def test_differences_are_seen_by_themselves(seed, h):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((3, 4))

    def found(points):
        seen = Differences()
        seen.given(x)
        seen.begin()
        return any([seen.called("f", [point]) for point in points])

    direction = rng.standard_normal(x.shape)
    assert found([x + h, x - h])
    assert found([x + h * direction, x])
    assert found([x * (1 + h), x])
    assert found([x + 1j * h])
    assert found([float(v + s) for s in (h, -h) for v in x.flat])
    assert not found([x, x, x + 1])
    assert not found([x + h])  # an epsilon
    for size in (h, 0.5):
        steps = [size * (np.arange(12) == i).reshape(3, 4) for i in range(12)]
        assert found([x + s for s in steps])
