"""Exercise 4: the linear algebra of convolution."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/matrix.py"


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.points(1)
def test_linear(impl, outputcheck, seed):
    """linear: the output"""
    x, w, b = normal(4, 3, seed=seed), normal(3, 2, seed=1), normal(2, seed=2)
    y, _ = impl.linear(x.copy(), w.copy(), b.copy())
    outputcheck(y, [[sum(row * column) + c for column, c in zip(w.T, b)] for row in x])  # noqa: B905


@pytest.mark.points(2)
def test_linear_gradient(impl, gradcheck, seed):
    """linear: the gradients of x, w and b"""
    pair = (impl.linear, impl.linear_backward)
    x, w, b = normal(4, 3, seed=seed), normal(3, 3, seed=1), normal(3, seed=2)
    gradcheck(pair, x, w, b, output=lambda x, w, b: x @ w + b)


@pytest.mark.points(2)
def test_windows(impl, outputcheck):
    """im2col: every window is a row"""
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    rows = [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    outputcheck(impl.im2col(x, (2, 2), 2, 0), rows)


@pytest.mark.points(2)
def test_transpose(impl, outputcheck, seed):
    """col2im: the transpose of im2col"""
    x = normal(2, 5, 4, 3, seed=seed)
    patches = impl.im2col(x.copy(), (3, 2), 1, 1)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows = [
        padded[n, i : i + 3, j : j + 2].ravel()
        for n in range(2)
        for i in range(5)
        for j in range(5)
    ]
    outputcheck(patches, rows)
    other = normal(*patches.shape, seed=seed + 1)
    back = impl.col2im(other.copy(), x.shape, (3, 2), 1, 1)
    assert back.shape == x.shape, f"col2im returned shape {back.shape}, expected {x.shape}"
    left, right = float((patches * other).sum()), float((x * back).sum())
    assert abs(left - right) < 1e-6 * np.abs(x * back).sum(), (
        f"⟨im2col(x), p⟩ = {left:.9g} but ⟨x, col2im(p)⟩ = {right:.9g}: for a transpose they are "
        "equal; are overlapping windows added up, and is the border cut off?"
    )
