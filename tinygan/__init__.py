"""tinygan: generative adversarial networks from scratch, every gradient by hand.

The layers, losses and optimiser are here at the top; the two papers' systems are in
`tinygan.models`, pictures in `tinygan.data`, training in `tinygan.train`.
"""

from tinygan import starting as starting  # isort: skip - it minds Ctrl-C while the rest is loaded

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tinygan.averages import Average
from tinygan.fast import plain
from tinygan.initialize import initialize, normal
from tinygan.layer import Backward, Layer, Parameter, frozen
from tinygan.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    GaussianNoise,
    GroupNorm,
    InstanceNorm2d,
    LeakyReLU,
    Linear,
    MaxPool2d,
    PixelShuffle,
    PReLU,
    RandomColor,
    RandomCutout,
    RandomTranslation,
    ReflectionPad2d,
    ReLU,
    Reshape,
    Sigmoid,
    Tanh,
    Upsample,
)
from tinygan.layers.sequential import Residual, Sequential
from tinygan.losses import (
    bce,
    bce_with_logits,
    hinge,
    hinge_generator,
    l1,
    minimax,
    mse,
    non_saturating,
)
from tinygan.machine.arrays import BackendError, asarray, asnumpy, get_xp
from tinygan.objectives import (
    CycleObjective,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Objective,
)
from tinygan.optim import SGD, Adam, Optimizer, RMSprop, linear_decay
from tinygan.summary import summary

if TYPE_CHECKING:
    from tinygan.gradcheck import (
        GradientError,
        GradientReport,
        check_gradients,
        check_objective,
    )
    from tinygan.runs.run import load
    from tinygan.train.fit import fit

__version__ = "0.1.0"

_LATER = {
    "GradientError": "tinygan.gradcheck",
    "GradientReport": "tinygan.gradcheck",
    "check_gradients": "tinygan.gradcheck",
    "check_objective": "tinygan.gradcheck",
    "fit": "tinygan.train.fit",
    "load": "tinygan.runs.run",
}


def __getattr__(name: str) -> Any:
    """Import what few need when it is asked for: ``import tinygan`` stays light."""
    if name not in _LATER:
        raise AttributeError(f"module 'tinygan' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


__all__ = [
    "SGD",
    "Adam",
    "Average",
    "AvgPool2d",
    "BackendError",
    "Backward",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "CycleObjective",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "GradientError",
    "GradientReport",
    "GroupNorm",
    "Hinge",
    "InstanceNorm2d",
    "Layer",
    "LeakyReLU",
    "LeastSquares",
    "Linear",
    "MaxPool2d",
    "Minimax",
    "NonSaturating",
    "Objective",
    "Optimizer",
    "PReLU",
    "Parameter",
    "PixelShuffle",
    "RMSprop",
    "RandomColor",
    "RandomCutout",
    "RandomTranslation",
    "ReLU",
    "ReflectionPad2d",
    "Reshape",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "Upsample",
    "asarray",
    "asnumpy",
    "bce",
    "bce_with_logits",
    "check_gradients",
    "check_objective",
    "fit",
    "frozen",
    "get_xp",
    "hinge",
    "hinge_generator",
    "initialize",
    "l1",
    "linear_decay",
    "load",
    "minimax",
    "mse",
    "non_saturating",
    "normal",
    "plain",
    "summary",
]
