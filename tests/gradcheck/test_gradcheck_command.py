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
        ("leaky --like LeakyReLU", "wrong mask [x]: the mask is taken from dy"),
        ("mse --like mse", "constant factor [x]"),
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
