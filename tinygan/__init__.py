"""tinygan: generative adversarial networks from scratch, every gradient by hand.

The layers, losses and optimiser are here at the top; the two papers' systems are in
`tinygan.models`, pictures in `tinygan.data`, training in `tinygan.train`.
"""

from tinygan import starting as starting  # isort: skip - it minds Ctrl-C while the rest is loaded

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygan.averages import Average
    from tinygan.fast import plain
    from tinygan.gradcheck import (
        GradientError,
        GradientReport,
        check_gradients,
        check_objective,
    )
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
        Residual,
        Sequential,
        Sigmoid,
        Tanh,
        Upsample,
    )
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
    from tinygan.runs.run import load
    from tinygan.summary import summary
    from tinygan.train.fit import fit

__version__ = "0.1.0"

_WHERE = {
    "averages": "Average",
    "fast": "plain",
    "initialize": "initialize normal",
    "layer": "Backward Layer Parameter frozen",
    "layers": "AvgPool2d BatchNorm2d Conv2d ConvTranspose2d Dropout Flatten GaussianNoise "
    "GroupNorm InstanceNorm2d LeakyReLU Linear MaxPool2d PReLU PixelShuffle "
    "RandomColor RandomCutout RandomTranslation ReLU ReflectionPad2d Reshape Residual "
    "Sequential Sigmoid Tanh Upsample",
    "losses": "bce bce_with_logits hinge hinge_generator l1 minimax mse non_saturating",
    "machine.arrays": "BackendError asarray asnumpy get_xp",
    "objectives": "CycleObjective Hinge LeastSquares Minimax NonSaturating Objective",
    "optim": "Adam Optimizer RMSprop SGD linear_decay",
    "summary": "summary",
    "gradcheck": "GradientError GradientReport check_gradients check_objective",
    "runs.run": "load",
    "train.fit": "fit",
}
_HOME = {name: f"tinygan.{home}" for home, names in _WHERE.items() for name in names.split()}
"""Where every name is.  Its module is imported when the name is asked for, as is any submodule."""


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if not name.startswith("_"):
        try:
            return import_module(f"tinygan.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"tinygan.{name}":
                raise
    raise AttributeError(f"module 'tinygan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})


class _Package(ModuleType):
    """Of a function and a module of one name, as ``summary``, the attribute is the function."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in _HOME and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

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
