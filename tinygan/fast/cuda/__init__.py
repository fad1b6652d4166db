"""CUDA kernels: one launch where the plain function needs several, one pass over memory for many.

Each is an override of a plain function (see `tinygan.fast`), taken for CuPy arrays that `usable`
says yes to; `patches` and `sum_patches` serve `tinygan.convolution.gpu`.  The sources, ``*.cu``,
are compiled by CuPy when the first of them is needed, once for float32 and once for float64, and
kept in CuPy's cache on disk.
"""

from tinygan.fast.cuda.activation import (
    add_channels,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    tanh,
    tanh_backward,
)
from tinygan.fast.cuda.adam import update_all
from tinygan.fast.cuda.convolution import patches, sum_patches
from tinygan.fast.cuda.loss import bce_with_logits, l1, mse
from tinygan.fast.cuda.module import usable
from tinygan.fast.cuda.norm import (
    moments,
    move_running,
    normalize,
    normalize_backward,
    normalize_sums,
    sum_channels,
)
from tinygan.fast.cuda.padding import reflection_pad, reflection_pad_backward

__all__ = [
    "add_channels",
    "bce_with_logits",
    "l1",
    "leaky_relu",
    "leaky_relu_backward",
    "moments",
    "move_running",
    "mse",
    "normalize",
    "normalize_backward",
    "normalize_sums",
    "patches",
    "reflection_pad",
    "reflection_pad_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "sum_channels",
    "sum_patches",
    "tanh",
    "tanh_backward",
    "update_all",
    "usable",
]
