"""Fast versions of the plain functions, found by name.

`layers`, `losses` and `optim` say what is computed, each function as the textbook has it::

    @accelerated
    def tanh_backward(dy, y):
        return (1 - y * y) * dy

A version tuned for NumPy (``fast.cpu``) or written in CUDA (``fast.cuda``) takes its place::

    @override("tanh_backward", "numpy", usable)
    def tanh_backward(dy, y): ...

A call looks at its first argument, an array or a list of arrays, and runs the version for that
library, where there is one and it can take these arguments; elsewhere it runs the plain function.
Within ``with plain():`` it always does.  Each version is tested against its plain function.

Where a version computes two neighbouring layers at once, `run_as_one` enters it for their types.
"""

from tinygan.fast.dispatch import (
    Override,
    accelerated,
    mode,
    override,
    overrides,
    plain,
    using_mode,
)
from tinygan.fast.pairs import apart, as_one, run_as_one

from tinygan.fast import cpu, cuda  # isort: skip  # they enter their versions in the table

__all__ = [
    "Override",
    "accelerated",
    "apart",
    "as_one",
    "cpu",
    "cuda",
    "mode",
    "override",
    "overrides",
    "plain",
    "run_as_one",
    "using_mode",
]
