"""The shim that runs CUDA kernels on the CPU notices what a GPU would punish or leave undefined."""

import cuda_shim
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(cuda_shim.COMPILER is None, reason="there is no g++")

CODE = r"""
#define KERNEL extern "C" __global__ void

KERNEL reverse(const float *x, float *y, int n) {  // of each block
    __shared__ float part[64];
    int i = blockIdx.x * 64 + threadIdx.x;
    part[threadIdx.x] = i < n ? x[i] : 0;
    __syncthreads();
    if (i < n) y[i] = part[63 - threadIdx.x];
}

KERNEL forgets_the_barrier(const float *x, float *y, int n) {
    __shared__ float part[64];
    int i = blockIdx.x * 64 + threadIdx.x;
    part[threadIdx.x] = i < n ? x[i] : 0;
    if (i < n) y[i] = part[63 - threadIdx.x];
}

KERNEL skips_the_barrier(const float *x, float *y, int n) {
    if (threadIdx.x < 32) __syncthreads();
    y[threadIdx.x] = x[threadIdx.x];
}

KERNEL writes_past_the_end(const float *x, float *y, int n) { y[threadIdx.x + 1] = x[threadIdx.x]; }

KERNEL reads_past_the_end(const float *x, float *y, int n) { y[threadIdx.x] = x[threadIdx.x + 1]; }

KERNEL writes_its_input(const float *x, float *y, int n) { ((float *)x)[threadIdx.x] = 1; }

KERNEL adds_without_order(const float *x, float *y, int n) { y[0] = y[0] + x[threadIdx.x]; }

KERNEL indices(int *y, int n) {
    int threads = blockDim.x * blockDim.y * blockDim.z;
    int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    y[block * threads + thread] += 100 * block + thread;
}
"""


@pytest.fixture
def run(strict_cupy):
    module = cuda_shim.RawModule(code=CODE)

    def launch(name, *arguments, grid=(2,), block=(64,)):
        module.get_function(name)(grid, block, arguments)

    return launch


@pytest.fixture
def x(strict_cupy):
    return strict_cupy.asarray(np.sin(np.arange(128, dtype=np.float32)))


@pytest.fixture
def y(strict_cupy):
    return strict_cupy.zeros(128, np.float32)


def test_a_barrier_holds_all_threads(run, x, y):
    run("reverse", x, y, np.int32(128))
    expected = x.get().reshape(2, 64)[:, ::-1].ravel()
    assert (y.get() == expected).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("forgets_the_barrier", "order of the threads changes the result"),
        ("skips_the_barrier", "not all threads of a block reach the same barrier"),
        ("writes_past_the_end", "wrote outside an array"),
        ("writes_its_input", "wrote to a const array"),
        ("adds_without_order", "order of the threads changes the result"),
    ],
)
def test_mistakes_are_noticed(run, x, y, name, message):
    with pytest.raises(AssertionError, match=f"{name}: .*{message}"):
        run(name, x[:64], y[:64], np.int32(64), grid=(1,))


def test_reading_outside_gives_nan(run, x, y):
    run("reads_past_the_end", x[:64], y[:64], np.int32(64), grid=(1,))
    assert np.isnan(y.get()[63])
    assert (y.get()[:63] == x.get()[1:64]).all()


@pytest.mark.parametrize("wrong", [128, 1.0, np.int64(128), np.float32(128), None])
def test_arguments_are_of_the_types_that_the_source_says(run, x, y, wrong):
    with pytest.raises(AssertionError, match="reverse: "):
        run("reverse", x, y, wrong)


def test_arrays_are_of_the_types_that_the_source_says(strict_cupy, run, x, y):
    for wrong in (x.astype(np.float64), strict_cupy.zeros((128, 2), np.float32)[:, 0]):
        with pytest.raises(AssertionError, match="reverse: "):
            run("reverse", wrong, y, np.int32(128))
    with pytest.raises(AssertionError, match="2 arguments"):
        run("reverse", x, y)


def test_threads_and_blocks_in_three_dimensions(strict_cupy, run):
    y = strict_cupy.zeros(2 * 3 * 2 * 24, np.int32)
    run("indices", y, np.int32(0), grid=(2, 3, 2), block=(2, 3, 4))
    block, thread = np.divmod(np.arange(2 * 3 * 2 * 24), 24)
    assert (y.get() == 100 * block + thread).all()
