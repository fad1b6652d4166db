"""Checking hand-written gradients against differences: for the tests, the class, the reader."""

from tinygan.gradcheck.check import check_gradients, check_objective
from tinygan.gradcheck.report import GradientError, GradientReport, TensorCheck

__all__ = [
    "GradientError",
    "GradientReport",
    "TensorCheck",
    "check_gradients",
    "check_objective",
]
