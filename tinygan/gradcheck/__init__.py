"""Checking hand-written gradients against differences: for the tests, the class, the reader."""

from tinygan.gradcheck.check import check_gradients
from tinygan.gradcheck.objective import check_objective
from tinygan.gradcheck.report import CAUSES, Cause, GradientError, GradientReport, TensorCheck
from tinygan.gradcheck.subject import NotCheckable

__all__ = [
    "CAUSES",
    "Cause",
    "GradientError",
    "GradientReport",
    "NotCheckable",
    "TensorCheck",
    "check_gradients",
    "check_objective",
]
