"""Products in blocks: the same matrices, and no block larger than OpenBLAS' own loops take."""

import numpy as np
import pytest

from tinygan.convolution import product

SHAPES = [(64, 256, 128), (50, 64, 192), (3, 976, 64), (16, 48, 64), (256, 32, 128), (1, 1, 64)]
LAYOUTS = ["as they lie", "left transposed", "right transposed", "out with gaps"]


@pytest.fixture(params=["SkylakeX", "Haswell"])
def kernels(request, monkeypatch):
    monkeypatch.setattr(product, "blas_architecture", lambda: request.param)
    return request.param


def draw(m, k, n, layout, stack=(2, 3)):
    """Return matrices of small integers, whose products are exact in any order of sums."""
    rng = np.random.default_rng(0)

    def integers(*shape, transposed=False):
        shape = (*shape[:-2], *shape[:-3:-1]) if transposed else shape
        array = rng.integers(-8, 9, shape).astype(np.float32)
        return array.swapaxes(-1, -2) if transposed else array

    left = integers(*stack, m, k, transposed=layout == "left transposed")
    right = integers(*stack, k, n, transposed=layout == "right transposed")
    gaps = layout == "out with gaps"
    out = np.full((*stack[:1], m, *stack[1:], n), np.nan, np.float32)
    out = np.moveaxis(out, 1, 2) if gaps else np.full((*stack, m, n), np.nan, np.float32)
    return left, right, out


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_are_the_product(kernels, shape, layout):
    left, right, out = draw(*shape, layout)
    assert product.multiply(np, left, right, out) is out
    assert np.array_equal(out, left.astype(int) @ right.astype(int))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [*SHAPES, (64, 1024, 64), (64, 64, 80), (512, 64, 256)])
def test_no_block_is_too_large_and_elsewhere_there_is_one_product(
    kernels, shape, layout, monkeypatch
):
    calls = []

    def matmul(a, b, out):
        calls.append((*out.shape[-2:], a.shape[-1]))
        return np.matmul(a, b, out=out)

    monkeypatch.setattr(product, "np", type("np", (), {"matmul": staticmethod(matmul)}))
    left, right, out = draw(*shape, layout)
    product.multiply(product.np, left, right, out)
    (m, k, n), in_one = shape, shape[0] * shape[1] * shape[2]
    if kernels == "Haswell" or k > 976 or n % 64:
        assert calls == [(m, n, k)]
    elif calls != [(m, n, k)]:
        assert sum(rows * columns * depth for rows, columns, depth in calls) <= in_one
        assert max(rows * columns * depth for rows, columns, depth in calls) <= 10**6
