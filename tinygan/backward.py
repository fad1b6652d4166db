"""The backward pass of one call."""

from __future__ import annotations

from typing import Any

from tinygan.fast import mode, using_mode
from tinygan.machine.arrays import Array

__all__ = ["Backward"]


class Backward:
    """The backward pass of one call: give it the output's gradient, get the input's.

    It is called once.  What the call remembered is let go of layer by layer, so that memory falls
    as the gradient moves through a network.
    """

    __slots__ = ("_cache", "_called", "_layer", "_mode", "_shape")

    def __init__(self, layer: Any, cache: Any, shape: tuple[int, ...]):
        self._layer, self._cache, self._shape, self._called = layer, cache, shape, False
        self._mode = mode()

    def __call__(self, dy: Array, input_gradient: bool = True) -> Array:
        """Add to the parameters' gradients and return the gradient of the input.

        Parameters
        ----------
        dy : ndarray
            The gradient of the loss with respect to this call's output, of the output's shape.
        input_gradient : bool
            False: return None, and do not compute the input's gradient where that can be saved.
        """
        if self._called:
            raise RuntimeError(
                f"{_brief(self._layer)}: this backward was already called, and what it remembered "
                "is gone; call the layer again for another one"
            )
        if tuple(dy.shape) != tuple(self._shape):
            raise ValueError(
                f"{_brief(self._layer)}: backward expected dy of the output's shape "
                f"{tuple(self._shape)}, got {tuple(dy.shape)}"
            )
        cache, self._cache, self._called = self._cache, None, True
        if self._mode == mode():
            return self._run(dy, cache, input_gradient)
        with using_mode(self._mode):
            return self._run(dy, cache, input_gradient)

    def _run(self, dy: Array, cache: Any, input_gradient: bool) -> Array:
        if self._layer._skips_input_gradient:
            return self._layer.backward(dy, cache, input_gradient=input_gradient)
        dx = self._layer.backward(dy, cache)
        return dx if input_gradient else None


def _brief(layer: object) -> str:
    return repr(layer) if "\n" not in repr(layer) else type(layer).__name__
