"""Layers put together: one after another, and with their input added to their output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygan.fast import as_one
from tinygan.layer import Layer
from tinygan.machine.arrays import Array
from tinygan.machine.parallel import one_blas_thread

__all__ = ["Residual", "Sequential"]


class Sequential(Layer):
    """Layers one after another.

    The backward pass is the chain rule: those of the layers, last one first.  Neighbours for which
    there is a fast version of both (a normalisation and its ReLU) run as one; names, parameters and
    results are those of the two.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygan import Conv2d, ReLU
    >>> network = Sequential(Conv2d(3, 8, 3, padding=1), ReLU())
    >>> y, backward = network(np.zeros((2, 16, 16, 3), np.float32))
    >>> y.shape, backward(y).shape
    ((2, 16, 16, 8), (2, 16, 16, 3))
    """

    def __init__(self, *layers: Layer) -> None:
        for i, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"Sequential: layer {i}: expected a Layer, got {layer!r}")
        self.layers = list(layers)

    def children(self) -> Iterator[tuple[str, Layer]]:
        for i, layer in enumerate(self.layers):
            yield str(i), layer

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __getitem__(self, index: int) -> Layer:
        return self.layers[index]

    def forward(self, x: Array) -> tuple[Array, Any]:
        backwards = []
        with one_blas_thread():
            for layer in self._running():
                x, backward = layer(x)
                backwards.append(backward)
        return x, backwards

    def backward(self, dy: Array, backwards: Any, input_gradient: bool = True) -> Array | None:
        with one_blas_thread():
            while backwards:
                backward = backwards.pop()  # popped, so that its cache dies once it was called
                dy = backward(dy, input_gradient=input_gradient or bool(backwards))
        return dy

    def predict(self, x: Array) -> Array:
        with one_blas_thread():
            for layer in self._running():
                x = layer.predict(x)
        return x

    def _running(self) -> Iterator[Layer]:
        """Yield the layers as they run."""
        i = 0
        while i < len(self.layers):
            both = self.layers[i : i + 2]
            one = as_one(*both) if len(both) == 2 else None
            yield both[0] if one is None else one
            i += 1 if one is None else 2

    def __repr__(self) -> str:
        inside = "".join("    " + repr(layer).replace("\n", "\n    ") + ",\n" for layer in self)
        return f"{type(self).__name__}(\n{inside})" if self.layers else f"{type(self).__name__}()"


class Residual(Sequential):
    r"""Layers in sequence, with their input added to their output: :math:`y = x + f(x)`.

    Notes
    -----
    By the sum rule :math:`dx = dy + f'(x)^T dy`: the gradient flows back along both branches.

    References
    ----------
    The residual layers of the translation generator ("Deep Fakes" using GANs, section 2.2).
    """

    def forward(self, x: Array) -> tuple[Array, Any]:
        y, backwards = super().forward(x)
        if y.shape != x.shape:
            raise ValueError(
                f"Residual: expected its layers to keep the shape {x.shape} of their input, "
                f"got an output of shape {y.shape}"
            )
        return x + y, backwards

    def backward(self, dy: Array, backwards: Any, input_gradient: bool = True) -> Array | None:
        dx = super().backward(dy, backwards, input_gradient)
        return dy + dx if input_gradient else None

    def predict(self, x: Array) -> Array:
        return x + super().predict(x)
