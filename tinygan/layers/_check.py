"""Checks of what a layer was built with and called with, and the errors that say what was wrong."""

from __future__ import annotations

from collections.abc import Callable

from tinygan.layer import Layer
from tinygan.machine.arrays import Array, get_xp


def images(layer: Layer, x: Array, channels: int | None = None, like: Array = None) -> None:
    """Check that `x` is a batch of images ``(N, H, W, C)`` this layer can take.

    `like` is the data of a parameter: `x` must be of the same library and dtype.
    """
    numbers(layer, x, "(N, H, W, {})", lambda axes: axes == 4, channels, like)


def features(layer: Layer, x: Array, channels: int | None = None, like: Array = None) -> None:
    """Check that `x` is a batch ``(N, …, C)`` of any number of axes from two on."""
    numbers(layer, x, "(N, …, {})", lambda axes: axes >= 2, channels, like)


def numbers(
    layer: Layer,
    x: Array,
    shape: str = "",
    fits: Callable[[int], bool] | None = None,
    channels: int | None = None,
    like: Array = None,
) -> None:
    """Check that `x` is an array of real numbers, and that its shape `fits` if there is one."""
    xp = get_xp(x=x) if like is None else get_xp(x=x, parameters=like)
    if fits is not None:
        if not fits(x.ndim) or (channels is not None and x.shape[-1] != channels):
            wanted = shape.format("C" if channels is None else channels)
            raise ValueError(f"{layer!r}: expected x of shape {wanted}, got {tuple(x.shape)}")
        if not len(x):
            raise ValueError(
                f"{layer!r}: expected at least one sample, got x of shape {tuple(x.shape)}"
            )
    if x.dtype.kind != "f":
        raise TypeError(
            f"{layer!r}: expected x of a floating-point dtype, got {x.dtype} "
            "(images are float32 in [-1, 1])"
        )
    if like is not None and x.dtype != like.dtype:
        raise TypeError(
            f"{layer!r}: expected x of the layer's dtype {like.dtype}, got {x.dtype}; "
            f"convert one of them: x.astype({xp.__name__}.{like.dtype}) or "
            f"layer.to(dtype={str(x.dtype)!r})"
        )


def pair_text(values: tuple[int, int]) -> str:
    """Return a pair as it is best read: one number where both are the same."""
    return str(values[0]) if values[0] == values[1] else str(values)
