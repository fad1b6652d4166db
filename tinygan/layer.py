r"""The protocol: what a layer is, how layers are put together, and their backward passes.

The author of a layer writes two methods::

    y, cache = layer.forward(x)         # cache: exactly what backward needs, nothing hidden on self
    dx = layer.backward(dy, cache)      # adds into each Parameter's .grad, returns the input's

The user of a layer calls it, and gets the backward pass with the result::

    y, backward = layer(x)
    dx = backward(dy)

Each call owns its backward pass.  The same generator may be called three times before any of the
three is called, in any order, as CycleGAN does; what a call remembers is gone after its backward.
Do not change `x` or `y` in place in between: layers remember them, and their gradients would be
wrong.

**No gradient penalty.**  A penalty on :math:`\|\nabla_x D(x)\|` is trained by the derivative of a
*gradient* with respect to the weights: the backward pass of every backward pass, a third method a
layer.  tinygan leaves it out, for it would double the mathematics to read.  A Wasserstein critic is
kept in bounds by clipping its weights, any other by instance noise.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from tinygan.backward import Backward
from tinygan.contents import contents, holds
from tinygan.machine.arrays import Array, asarray, asnumpy, get_xp

__all__ = ["Backward", "Layer", "Parameter", "frozen"]


class Parameter:
    """An array that is learnt, and the gradient that has been gathered for it.

    Parameters
    ----------
    data : ndarray
        The initial values.

    Attributes
    ----------
    data : ndarray
        The values.
    grad : ndarray
        The gradient, of the shape of `data`: zeros at first.  Every backward pass adds to it;
        `zero_grad` clears it.  Its memory is taken with the first one that is added.
    frozen : bool
        True inside ``with frozen(...)``: a layer called now neither remembers what only this
        parameter's gradient would need, nor computes that gradient in its backward pass.
    """

    __slots__ = ("_grad", "data", "frozen")

    def __init__(self, data: Array):
        if data.dtype.kind != "f":
            raise TypeError(f"Parameter: expected a floating-point array, got {data.dtype}")
        self.data: Array = data
        self._grad: Array | None = None
        self.frozen = False

    @property
    def grad(self) -> Array:
        if self._grad is None:
            self._grad = get_xp(self.data).zeros_like(self.data)
        return self._grad

    @grad.setter
    def grad(self, value: Array) -> None:
        self._grad = value

    def add_grad(self, g: Array) -> None:
        """Do ``grad += g``; the first `g` after `zero_grad` is kept itself, so do not change it."""
        new = self._grad is None and g.dtype == self.data.dtype and g.flags.c_contiguous
        if new and g.shape == self.data.shape:
            self._grad = g
        else:
            self.grad += g

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def size(self) -> int:
        return self.data.size

    def zero_grad(self) -> None:
        """Set the gradient to zero."""
        self._grad = None

    def __repr__(self) -> str:
        return f"Parameter(shape={self.data.shape}, dtype={self.data.dtype})"


class Layer:
    """A function with parameters and a hand-written gradient.

    A subclass defines ``forward(x) -> (y, cache)`` and ``backward(dy, cache) -> dx``.  Parameters
    and layers among its attributes, and in lists, tuples and dicts there, are found by themselves,
    in the order in which they were set.  A layer that contains layers also defines `predict`.

    If `backward` takes a third argument ``input_gradient=True``, it may return None when that is
    False: the caller does not need the gradient of the input (it is an image, say).
    """

    buffer_names: tuple[str, ...] = ()
    """Names of attributes that are state but not learnt: running statistics, random state."""

    _skips_input_gradient = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if vars(cls).get("__slots__"):
            raise TypeError(f"{cls.__name__}: what stands in __slots__ is not found: leave it out")
        for name, value in vars(cls).items():
            looked_into = isinstance(value, (Parameter, Layer, list, tuple, dict))
            if looked_into and holds(value, (Parameter, Layer), set()):
                raise TypeError(
                    f"{cls.__name__}.{name}: a Parameter or Layer of the class, which all its "
                    "objects would share, is not found: set it in __init__"
                )
        cls._skips_input_gradient = "input_gradient" in inspect.signature(cls.backward).parameters

    def forward(self, x: Array) -> tuple[Array, Any]:
        """Return ``(y, cache)``: the output, and what `backward` will need."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward(x)")

    def backward(self, dy: Array, cache: Any) -> Array:
        """Add to each ``Parameter.grad`` and return the gradient of the input."""
        raise NotImplementedError(f"{type(self).__name__} does not define backward(dy, cache)")

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """Return ``(y, backward)``, where ``backward(dy)`` returns the gradient of `x`."""
        y, cache = self.forward(x)
        return y, Backward(self, cache, y.shape)

    def predict(self, x: Array) -> Array:
        """Return the output at inference: no cache, running statistics, no dropout."""
        for name, _ in self.children():
            raise NotImplementedError(
                f"{type(self).__name__} contains layers ({name}, …) and must define predict(x), "
                "so that each of them predicts too"
            )
        return self.forward(x)[0]

    # --- what is inside -----------------------------------------------------------------------

    def children(self) -> Iterator[tuple[str, Layer]]:
        """Yield ``(name, layer)`` for the layers directly inside this one, in definition order."""
        for name, value in contents(self, (Parameter, Layer)):
            if isinstance(value, Layer):
                yield name, value

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """Yield ``(dotted name, layer)`` for this layer (named ``""``) and all layers inside it."""
        yield prefix.removesuffix("."), self
        for name, child in self.children():
            yield from child.walk(f"{prefix}{name}.")

    def named_parameters(self) -> dict[str, Parameter]:
        """Return every parameter by its dotted name, in definition order; a shared one once.

        Raises
        ------
        TypeError
            If a parameter or layer is where it cannot be found: in a set, an array of objects or
            an object that is no Layer.
        """
        found: dict[str, Parameter] = {}
        seen: set[int] = set()
        for prefix, layer in self.walk():
            prefix = prefix and f"{prefix}."
            for name, value in contents(layer, (Parameter, Layer), prefix):
                if isinstance(value, Parameter) and id(value) not in seen:
                    seen.add(id(value))
                    if prefix + name in found:
                        raise ValueError(f"two parameters are called {prefix + name!r}")
                    found[prefix + name] = value
        return found

    def parameters(self) -> list[Parameter]:
        """Return every parameter, in definition order."""
        return list(self.named_parameters().values())

    def buffers(self) -> dict[str, np.ndarray]:
        """Return the arrays of state that are not learnt, by dotted name (not copies)."""
        return {name: getattr(layer, short) for name, layer, short in self._buffer_places()}

    def _buffer_places(self) -> Iterator[tuple[str, Layer, str]]:
        for prefix, layer in self.walk():
            for short in layer.buffer_names:
                yield (f"{prefix}.{short}" if prefix else short), layer, short

    def zero_grad(self) -> None:
        """Set every parameter's gradient to zero."""
        for parameter in self.parameters():
            parameter.zero_grad()

    # --- state --------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of all parameters and buffers as NumPy arrays, by dotted name."""
        state = {name: parameter.data for name, parameter in self.named_parameters().items()}
        state.update(self.buffers())
        return {name: np.array(asnumpy(array)) for name, array in state.items()}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Set all parameters and buffers from `state`, keeping this layer's backend and dtype.

        Raises
        ------
        ValueError
            If names are missing or unknown, or a shape differs.  Nothing is changed then.
        """
        parameters, buffers = self.named_parameters(), self.buffers()
        expected = {name: parameter.data for name, parameter in parameters.items()} | buffers
        missing = [name for name in expected if name not in state]
        unknown = [name for name in state if name not in expected]
        if missing or unknown:
            raise ValueError(
                f"load_state_dict: the state is not one of this network: "
                f"missing {_some(missing)}, unknown {_some(unknown)}"
            )
        for name, array in expected.items():
            if tuple(state[name].shape) != tuple(array.shape):
                raise ValueError(
                    f"load_state_dict: {name}: expected shape {tuple(array.shape)}, "
                    f"got {tuple(state[name].shape)}"
                )
        for name, array in expected.items():
            array[...] = get_xp(array).asarray(np.asarray(state[name], dtype=array.dtype))

    def to(self, backend: str | None = None, dtype: DTypeLike | None = None) -> Self:
        """Move all parameters and buffers to a backend, convert them to a dtype; return the layer.

        Parameters
        ----------
        backend : {"numpy", "cupy"}, optional
        dtype : {"float32", "float64"} or numpy dtype, optional
            Buffers that are not floating point (a dropout's random state) stay as they are, on the
            host.
        """
        if dtype is not None and np.dtype(dtype) not in (np.float32, np.float64):
            raise ValueError(f"to: dtype: expected float32 or float64, got {dtype!r}")

        def convert(array: Array) -> Array:
            if array.dtype.kind != "f":
                return array
            if backend is not None:
                array = asarray(array, backend)
            return array if dtype is None else array.astype(dtype, copy=False)

        for parameter in self.parameters():
            parameter.data = convert(parameter.data)
            if parameter._grad is not None:  # else its memory is not taken
                parameter.grad = convert(parameter._grad)
        for _, layer, short in self._buffer_places():
            setattr(layer, short, convert(getattr(layer, short)))
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more or "none"


@contextmanager
def frozen(*layers: Layer) -> Iterator[None]:
    """Within the scope, calls of `layers` compute no parameter gradients in their backward pass.

    The gradients of their inputs still flow.  What counts is the moment of the call: the backward
    of a call made inside the scope may be called outside of it; one made before stays as it was.

    Examples
    --------
    The generator's half of a step, through a discriminator that is not to learn from it:

    >>> import numpy as np
    >>> from tinygan import Conv2d
    >>> D = Conv2d(1, 1, 4)
    >>> with frozen(D):
    ...     score, score_backward = D(np.ones((1, 4, 4, 1), np.float32))
    >>> dfake = score_backward(np.ones_like(score))
    >>> float(abs(D.weight.grad).sum())
    0.0
    """
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    before = [parameter.frozen for parameter in parameters]
    for parameter in parameters:
        parameter.frozen = True
    try:
        yield
    finally:
        for parameter, was in zip(parameters, before, strict=True):
            parameter.frozen = was
