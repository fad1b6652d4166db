"""CUDA kernels: one launch where the plain version needs several, one pass over memory for many.

Each stands beside a plain version, written in array operations, that it is tested against and that
runs wherever `usable` says no: on NumPy, on arrays with gaps, within ``with disabled():``.  A leaf
of the library asks::

    if kernels.usable(x):
        return kernels.relu(x)

The sources, ``*.cu``, are compiled by CuPy when the first of them is needed, once for float32 and
once for float64, and kept in CuPy's cache on disk.
"""

from tinygan.fast.cuda.activation import (
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    tanh,
    tanh_backward,
)
from tinygan.fast.cuda.adam import update_all, zero_all
from tinygan.fast.cuda.convolution import patches, sum_patches
from tinygan.fast.cuda.loss import bce_with_logits, l1, mse
from tinygan.fast.cuda.module import disabled, usable
from tinygan.fast.cuda.normalisation import (
    column_sums,
    moments,
    move_running,
    normalise,
    normalise_backward,
)
from tinygan.fast.cuda.padding import reflection_pad, reflection_pad_backward

__all__ = [
    "bce_with_logits",
    "column_sums",
    "disabled",
    "l1",
    "leaky_relu",
    "leaky_relu_backward",
    "moments",
    "move_running",
    "mse",
    "normalise",
    "normalise_backward",
    "patches",
    "reflection_pad",
    "reflection_pad_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "sum_patches",
    "tanh",
    "tanh_backward",
    "update_all",
    "usable",
    "zero_all",
]
