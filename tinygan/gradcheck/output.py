"""The forward pass against the output that is due."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from tinygan.gradcheck.report import Cause

__all__ = ["check_output"]


def check_output(y, due, rtol: float = 1e-6) -> Cause | None:
    """Return what is wrong with the output `y`, or None.

    Parameters
    ----------
    y, due : array
        The output, and the one that is due.
    rtol : float
        The largest difference that passes, relative to the largest number that is due.
    """
    due = np.asarray(due, np.float64)
    try:
        y = np.asarray(y, np.float64)
    except (TypeError, ValueError):
        return Cause("wrong output", "y", f"expected an array, got {type(y).__name__}")
    if y.shape != due.shape:
        text = f"the output has shape {y.shape}, expected {due.shape}"
        return Cause("wrong output", "y", text)
    size = np.abs(due).max(initial=0) or 1.0
    difference = np.nan_to_num(np.abs(y - due), nan=np.inf)
    if difference.max(initial=0) <= rtol * size:
        return None
    index = tuple(int(i) for i in np.unravel_index(difference.argmax(), due.shape))
    text = f"worst at {index}: got {y[index]:.9g}, expected {due[index]:.9g}"
    hint = _hint(y, due, rtol * size)
    return Cause("wrong output", "y", f"{text}{hint}")


def _hint(y, due, tolerance) -> str:
    def same(a, b):
        return a.shape == b.shape and bool(np.abs(a - b).max(initial=0) <= tolerance)

    square = float((due * due).sum())
    if square and np.isfinite(y).all():
        c = float((y * due).sum()) / square
        if c and same(y, c * due):
            return f"; everywhere {c:.6g} times the expected output"
        rest = y - due
        if same(rest, np.broadcast_to(rest.mean(), rest.shape)):
            return f"; everywhere {rest.mean():.6g} too much"
        if y.ndim > 1 and same(rest, np.broadcast_to(rest.reshape(-1, rest.shape[-1])[0], y.shape)):
            return "; off by one number for each channel: is the bias added?"
    for order in permutations(range(y.ndim)):
        if list(order) != sorted(order) and same(y.transpose(order), due):
            return f"; transposed: axes {order}"
    return ""
