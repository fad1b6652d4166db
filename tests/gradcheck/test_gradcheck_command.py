"""``python -m tinygan.gradcheck FILE.py:NAME``."""

import json

import pytest
from PIL import Image

from tinygan.gradcheck.__main__ import main

SOURCE = """
import numpy as np
from tinygan import Conv2d, Layer
from tinygan.convolution import convolve, convolve_grad_input, convolve_grad_weight

def relu(x):
    return np.maximum(x, 0), x

def relu_backward(dy, x):
    return dy * (x > 0)

def leaky(x, alpha):
    return np.where(x > 0, x, alpha * x), (x, alpha)

def leaky_backward(dy, cache):
    return dy * np.where(dy > 0, 1, cache[1])

def conv(images, kernel, bias=0, stride=1, padding=0):
    s, p = (stride, stride), (padding, padding)
    return convolve(images, kernel, s, p) + bias, (images, kernel, s, p)

def conv_backward(dy, cache):
    x, w, s, p = cache
    dx = convolve_grad_input(dy, w, s, p, x.shape[1:3])
    return dx, convolve_grad_weight(x, dy, s, p, w.shape[:2]), dy.sum(axis=(0, 1, 2))

def flipped(x, w, b, stride, padding):
    return conv(x, w[::-1, ::-1], b, stride, padding)

def flipped_backward(dy, cache):
    dx, dw, db = conv_backward(dy, cache)
    return dx, dw[::-1, ::-1], db

def relu_forward(x):
    return np.maximum(x, 0), x

class Keeps:
    def forward(self, x):
        self.x = x
        return np.tanh(x)

    def backward(self, dout):
        return dout * (1 - np.tanh(self.x) ** 2)

def mse(p, t):
    return ((p - t) ** 2).mean(), (p - t) / p.size

def two(x, w):
    return x, w

class MyConv(Conv2d):
    pass

class MyTanh(Layer):
    def forward(self, x):
        return 2 * np.tanh(x), x

    def backward(self, dy, x):
        return 2 * dy * (1 - np.tanh(x) ** 2)
"""


@pytest.fixture
def student(tmp_path):
    path = tmp_path / "student.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        "relu",
        "relu --like ReLU",
        "conv --like Conv2d",
        "MyConv --like conv",
        "MyTanh",
        "relu_forward",
        "relu_forward --like ReLU",
        "Keeps",
    ],
)
def test_right(student, arguments, capsys):
    name, *options = arguments.split()
    assert main([f"{student}:{name}", *options]) == 0
    assert "gradients agree" in capsys.readouterr().out


def test_json_and_nothing_else_on_standard_output(student, capsys):
    assert main([f"{student}:MyTanh", "--json"]) == 0
    [report] = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert {check["name"]: check["ok"] for check in report["checks"]} == {"x": True}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("leaky --like LeakyReLU", "`dy`: the mask is taken from dy: x is due here"),
        ("mse --like mse", "constant factor [p]"),
        ("flipped --like Conv2d", "wrong output [y]: worst at"),
        ("MyTanh --like Tanh", "wrong output [y]: worst at"),
        ("MyTanh --like Tanh", "everywhere 2 times the expected output"),
        ("relu --like tanh", "wrong output [y]"),
    ],
)
def test_wrong(student, arguments, says, capsys):
    name, *options = arguments.split()
    assert main([f"{student}:{name}", *options]) == 1
    assert f"likely cause: {says}" in (out := capsys.readouterr().out) or says in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("nothing", "defines no nothing; it has relu, relu_backward"),
        ("two", "two(x, w): say what it is like"),
        ("MyConv", "say what it is like: --like Conv2d"),
        ("relu --like Softmax", "--like: expected one of ReLU"),
    ],
)
def test_not_checkable(student, arguments, says, capsys):
    name, *options = arguments.split()
    assert main([f"{student}:{name}", *options]) == 2
    assert says in capsys.readouterr().err


def test_a_missing_or_broken_file_is_not_checkable(tmp_path, capsys):
    assert main([f"{tmp_path / 'nowhere.py'}:relu"]) == 2
    assert "there is no file" in capsys.readouterr().err
    (tmp_path / "broken.py").write_text("def relu(x:\n")
    assert main([f"{tmp_path / 'broken.py'}:relu"]) == 2
    assert "cannot be imported: SyntaxError" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["x.py"], ["--like", "ReLU"], ["x.py:f", "--plot", "a/b"]])
def test_wrong_usage(arguments, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_picture_shows_where_it_is_wrong(student, tmp_path, capsys):
    picture = tmp_path / "gradient.png"
    assert main([f"{student}:leaky", "--like", "LeakyReLU", "--plot", str(picture)]) == 1
    with Image.open(picture) as image:
        colours = image.convert("RGB").getcolors(1 << 20)
    assert len(colours) > 20
    assert not list(tmp_path.glob("*.part"))


def test_functions_in_a_notebook(tmp_path, capsys):
    source = (
        "%matplotlib inline\nimport numpy as np\ndef relu(x):\n    return np.maximum(x, 0), x\n"
    )
    source += "def relu_backward(dy, x):\n    return dy * (x > 0)\n"
    cells = [{"cell_type": "markdown", "source": "#"}, {"cell_type": "code", "source": source}]
    (tmp_path / "mine.ipynb").write_text(json.dumps({"cells": cells}))
    assert main([f"{tmp_path / 'mine.ipynb'}:relu"]) == 0
    assert "gradients agree" in capsys.readouterr().out


LIKE = {
    "Linear": (
        "def affine_forward(x, w, b):\n    return x @ w + b, (x, w)\n"
        "def affine_backward(dout, cache):\n    x, w = cache\n"
        "    return dout @ w.T, x.T @ dout, dout.sum(0)\n",
        "dout.sum(0)",
        "dout.mean(0)",
    ),
    "MaxPool2d": (
        "def pool_forward(x, pool_size=2, stride=2):\n    n, h, w, c = x.shape\n"
        "    v = x.reshape(n, h // 2, 2, w // 2, 2, c)\n    y = v.max((2, 4))\n"
        "    return y, (v == y[:, :, None, :, None], x.shape)\n"
        "def pool_backward(dy, cache):\n    mask, shape = cache\n"
        "    return (mask * dy[:, :, None, :, None]).reshape(shape)\n",
        "(mask * dy",
        "(~mask * dy",
    ),
    "AvgPool2d": (
        "def mean(x, size):\n    n, h, w, c = x.shape\n"
        "    return x.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4)), size\n"
        "def mean_backward(dy, size):\n    return dy.repeat(2, 1).repeat(2, 2) / size**2\n",
        "/ size**2",
        "/ size",
    ),
    "softmax_cross_entropy": (
        "def loss(scores, y):\n    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)\n"
        "    n = np.arange(len(p))\n    d = p.copy()\n    d[n, y] -= 1\n"
        "    return -np.log(p[n, y]).mean(), d / len(p)\n",
        "d / len(p)",
        "d",
    ),
    "LayerNorm": (
        "def norm(x, gamma, beta, eps):\n    m = x.mean(-1, keepdims=True)\n"
        "    r = 1 / np.sqrt(x.var(-1, keepdims=True) + eps)\n    h = (x - m) * r\n"
        "    return gamma * h + beta, (h, r, gamma)\n"
        "def norm_backward(dy, cache):\n    h, r, gamma = cache\n    d = dy * gamma\n"
        "    dx = r * (d - d.mean(-1, keepdims=True) - h * (d * h).mean(-1, keepdims=True))\n"
        "    return dx, (dy * h).sum((0, 1, 2)), dy.sum((0, 1, 2))\n",
        " - d.mean(-1, keepdims=True)",
        "",
    ),
    "Dropout": (
        "def drop(x, p, rng):\n    mask = (rng.random(x.shape) > p) / (1 - p)\n"
        "    return x * mask, mask\ndef drop_backward(dy, mask):\n    return dy * mask\n",
        "dy * mask",
        "dy",
    ),
}


@pytest.mark.parametrize("like", LIKE)
def test_like(like, tmp_path, capsys):
    source, right, wrong = LIKE[like]
    name = source.partition("(")[0].removeprefix("def ")
    for text, status in ((source, 0), (wrong.join(source.rsplit(right, 1)), 1)):
        (tmp_path / "mine.py").write_text("import numpy as np\n" + text)
        assert main([f"{tmp_path / 'mine.py'}:{name}", "--like", like]) == status, (
            capsys.readouterr()
        )


def test_what_never_ends_exits_or_prints(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(
        "def endless(x):\n    while True:\n        pass\n"
        "def quits(x):\n    raise SystemExit\n"
        "def prints(x):\n    print('NOISE')\n    return 2 * x, None\n"
        "def prints_backward(dy, cache):\n    return 2 * dy\n"
        "def endless_backward(dy, cache):\n    return dy\nquits_backward = endless_backward\n"
    )
    assert main([f"{path}:endless", "--time-limit", "0.3"]) == 2
    assert "not finished after 0.3 s" in capsys.readouterr().err
    assert main([f"{path}:quits"]) == 2
    assert "the forward pass raised SystemExit" in capsys.readouterr().err
    assert main([f"{path}:prints"]) == 0
    assert "NOISE" not in (out := capsys.readouterr().out)
    assert "mine.py prints" in out
    path.write_text("import sys\nsys.exit(0)\n")
    assert main([f"{path}:relu"]) == 2
    assert "cannot be imported: SystemExit" in capsys.readouterr().err
