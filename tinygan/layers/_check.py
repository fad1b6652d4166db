"""Checks of what a layer was built with and called with, and the errors that say what was wrong."""

from __future__ import annotations

from collections.abc import Callable

from tinygan.layer import Layer
from tinygan.machine.arrays import Array, get_xp


def images(layer: Layer, x: Array, channels: int | None = None, like: Array = None) -> None:
    """Check that `x` is a batch of images ``(N, H, W, C)`` this layer can take.

    `like` is the data of a parameter: `x` must be of the same library and dtype.
    """
    _batch(layer, x, "(N, H, W, {})", lambda axes: axes == 4, channels, like)


def features(layer: Layer, x: Array, channels: int | None = None, like: Array = None) -> None:
    """Check that `x` is a batch ``(N, …, C)`` of any number of axes from two on."""
    _batch(layer, x, "(N, …, {})", lambda axes: axes >= 2, channels, like)


def floats(layer: Layer, x: Array) -> None:
    """Check that `x` is an array of floating-point numbers: whole ones would be cut or wrap."""
    get_xp(x=x)
    if x.dtype.kind != "f":
        raise TypeError(
            f"{layer!r}: expected x of a floating-point dtype, got {x.dtype} "
            "(images are float32 in [-1, 1])"
        )


def _batch(
    layer: Layer,
    x: Array,
    shape: str,
    fits: Callable[[int], bool],
    channels: int | None,
    like: Array,
) -> None:
    xp = get_xp(x=x) if like is None else get_xp(x=x, parameters=like)
    if not fits(x.ndim) or (channels is not None and x.shape[-1] != channels):
        wanted = shape.format("C" if channels is None else channels)
        raise ValueError(f"{layer!r}: expected x of shape {wanted}, got {tuple(x.shape)}")
    floats(layer, x)
    if like is not None and x.dtype != like.dtype:
        advice = f"convert it: x.astype({xp.__name__}.{like.dtype})"
        if str(x.dtype) in ("float32", "float64"):  # what a layer can be, see Layer.to
            advice = f"{advice} or layer.to(dtype={str(x.dtype)!r})".replace("it", "one of them", 1)
        raise TypeError(
            f"{layer!r}: expected x of the layer's dtype {like.dtype}, got {x.dtype}; {advice}"
        )


def pair_text(values: tuple[int, int]) -> str:
    """Return a pair as it is best read: one number where both are the same."""
    return str(values[0]) if values[0] == values[1] else str(values)
