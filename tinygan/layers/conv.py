"""Convolution and transposed convolution as layers.

Both are the same bilinear map (see `tinygan.convolution`).  With ``C`` the map from image to
scores, `Conv2d` computes ``C x``; its gradient with respect to `x` is ``Cᵀ dy``.  `ConvTranspose2d`
computes ``Cᵀ x``, so that its gradient is ``C dy``: three functions serve both layers.
"""

from __future__ import annotations

from typing import Any

from tinygan.checks import count
from tinygan.convolution import (
    Pair,
    convolve,
    convolve_backward,
    convolve_grad_input,
    convolve_grad_weight,
    convolve_transposed_backward,
    output_size,
)
from tinygan.convolution.geometry import pair
from tinygan.fast import accelerated, run_as_one
from tinygan.initialize import Seed, normal
from tinygan.layer import Layer, Parameter
from tinygan.layers import _check
from tinygan.layers.shape import ReflectionPad2d
from tinygan.machine.arrays import Array, Size

__all__ = ["Conv2d", "ConvTranspose2d", "add_channels", "sum_channels"]


@accelerated
def add_channels(y: Array, b: Array) -> Array:
    """Return ``y + b``, `b` of shape ``(C,)`` added to every pixel; `y` may be written over."""
    return y + b


@accelerated
def sum_channels(dy: Array) -> Array:
    """Return the sum over all pixels, ``(N, H, W, C) -> (C,)``: the gradient of b."""
    return dy.sum(axis=(0, 1, 2))


class _Conv(Layer):
    """What both convolutions share: sizes, weight and bias, and what is refused."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Pair, stride: Pair,
                 padding: Pair | str, bias: bool, rng: Seed, dilation: int,
                 groups: int):  # fmt: skip
        name = type(self).__name__
        self.in_channels = count(in_channels, f"{name}: in_channels")
        self.out_channels = count(out_channels, f"{name}: out_channels")
        self.kernel_size = pair(kernel_size, f"{name}: kernel_size", 1)
        self.stride = pair(stride, f"{name}: stride", 1)
        self.padding = pair(padding, f"{name}: padding", 0)
        for option, value, what in (
            ("dilation", dilation, "windows without gaps"),
            ("groups", groups, "every output channel made of all input channels"),
        ):
            if value not in (1, (1, 1)):
                raise ValueError(f"{name}: {option}: tinygan has only {what}: 1, got {value!r}")
        self.weight = Parameter(normal(self._weight_shape(), rng=rng))
        self.bias: Any = Parameter(normal((self.out_channels,), std=0.0)) if bias else None

    def _weight_shape(self) -> tuple[int, ...]:
        raise NotImplementedError

    def _add_bias(self, y: Array) -> Array:
        return y if self.bias is None else add_channels(y, self.bias.data)

    def _frozen(self) -> tuple[bool, bool]:
        """Whether the gradients of weight and bias are not wanted, as of now."""
        return self.weight.frozen, self.bias is None or self.bias.frozen

    def _text(self, extra: str = "") -> str:
        text = f"{self.in_channels}, {self.out_channels}"
        text += f", kernel_size={_check.pair_text(self.kernel_size)}"
        if self.stride != (1, 1):
            text += f", stride={_check.pair_text(self.stride)}"
        if self.padding != (0, 0):
            text += f", padding={_check.pair_text(self.padding)}"
        text += extra + ("" if self.bias is not None else ", bias=False")
        return f"{type(self).__name__}({text})"


class Conv2d(_Conv):
    r"""Convolution of images with a learnt kernel.

    Parameters
    ----------
    in_channels, out_channels : int
        C and O, the channels of the input and of the output.
    kernel_size : int or pair of int
        (KH, KW), the height and width of the window.
    stride : int or pair of int
        The step of the window.
    padding : int, pair of int or "same"
        The rows and columns of zeros put around the image; ``"same"``: as many as keep its size,
        for odd windows that move by 1.
    bias : bool
        Whether a learnt number is added to each output channel.
    rng : int, numpy.random.Generator or None
        Where the initial weights, N(0, 0.02²), are drawn from.
    dilation, groups : 1
        Others are refused.

    Attributes
    ----------
    weight : Parameter
        w, of shape ``(KH, KW, in_channels, out_channels)``.
    bias : Parameter or None
        b, of shape ``(out_channels,)``, zeros at first.

    Raises
    ------
    ValueError
        If `x` is not of shape ``(N, H, W, in_channels)``, or the window does not fit into it.
    TypeError
        If `x` is not of the parameters' dtype and library.

    Notes
    -----
    With stride s and padding p, and x zero outside the image,

    .. math:: y_{nijo} = b_o + \sum_{a,b,c} x_{n,\,si+a-p,\,sj+b-p,\,c}\; w_{abco}.

    y is linear in each of x, w and b, so the gradients are the same sum read from the other sides:

    .. math::
        dx_{nhwc} = \sum_{si+a-p=h,\;sj+b-p=w} \sum_o dy_{nijo}\, w_{abco}, \qquad
        dw_{abco} = \sum_{n,i,j} x_{n,\,si+a-p,\,sj+b-p,\,c}\, dy_{nijo}, \qquad
        db_o = \sum_{n,i,j} dy_{nijo}.

    Like every deep-learning library this correlates: the kernel is not flipped.

    References
    ----------
    The discriminators of both papers (DeepFake Generation … DCGAN, section II.A; "Deep Fakes"
    using GANs, section 2.2).

    Examples
    --------
    >>> import numpy as np
    >>> layer = Conv2d(3, 64, kernel_size=4, stride=2, padding=1)
    >>> y, backward = layer(np.zeros((16, 64, 64, 3), np.float32))
    >>> y.shape
    (16, 32, 32, 64)
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Pair, stride: Pair = 1,
                 padding: Pair | str = 0, bias: bool = True, *, rng: Seed = None,
                 dilation: int = 1, groups: int = 1):  # fmt: skip
        if padding == "same":
            sizes = pair(kernel_size, "Conv2d: kernel_size", 1)
            if any(k % 2 == 0 for k in sizes) or pair(stride, "Conv2d: stride", 1) != (1, 1):
                raise ValueError(
                    "Conv2d: padding='same': expected an odd kernel_size and stride 1, "
                    f"got kernel_size {kernel_size!r} and stride {stride!r}"
                )
            padding = sizes[0] // 2, sizes[1] // 2
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, bias, rng,
                         dilation, groups)  # fmt: skip

    def _weight_shape(self) -> tuple[int, ...]:
        return (*self.kernel_size, self.in_channels, self.out_channels)

    def forward(self, x: Array) -> tuple[Array, Any]:
        w = self.weight.data
        _check.images(self, x, self.in_channels, like=w)
        for axis, name in ((0, "height"), (1, "width")):
            size, kernel = x.shape[1 + axis], self.kernel_size[axis]
            if output_size(size, kernel, self.stride[axis], self.padding[axis]) < 1:
                raise ValueError(
                    f"{self!r}: the window does not fit: expected a {name} of at least "
                    f"{kernel - 2 * self.padding[axis]}, got x of shape {x.shape}"
                )
        y = self._add_bias(convolve(x, w, self.stride, self.padding))
        return y, (None if self.weight.frozen else x, x.shape[1:3], *self._frozen())

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> Array | None:
        x, input_size, weight_frozen, bias_frozen = cache
        w, how, dx, dw = self.weight.data, (self.stride, self.padding), None, None
        if input_gradient and not weight_frozen:
            dx, dw = convolve_backward(x, w, dy, *how)
        elif input_gradient:
            dx = convolve_grad_input(dy, w, *how, input_size)
        elif not weight_frozen:
            dw = convolve_grad_weight(x, dy, *how, self.kernel_size)
        if dw is not None:
            self.weight.add_grad(dw)
        if not bias_frozen:
            self.bias.add_grad(sum_channels(dy))
        return dx

    def __repr__(self) -> str:
        return self._text()


class ConvTranspose2d(_Conv):
    r"""Transposed convolution: the adjoint of `Conv2d`, which enlarges images.

    Parameters
    ----------
    in_channels, out_channels : int
        C and O, the channels of the input and of the output.
    kernel_size : int or pair of int
        (KH, KW), the height and width of the window.
    stride, padding : int or pair of int
        Those of the convolution that this layer is the adjoint of: the output is about `stride`
        times as large as the input, with `padding` rows and columns cut off around it.
    output_padding : int or pair of int
        Added to the output's height and width on one side.  A convolution of stride s maps s
        different sizes to the same one; this says which of them is meant.  Smaller than `stride`.
    bias : bool
        Whether a learnt number is added to each output channel.
    output_size : int or pair of int, optional
        The output's (H, W), instead of `output_padding`.
    rng : int, numpy.random.Generator or None
        Where the initial weights, N(0, 0.02²), are drawn from.
    dilation, groups : 1
        Others are refused.

    Attributes
    ----------
    weight : Parameter
        w, of shape ``(KH, KW, out_channels, in_channels)``: the very array of the convolution from
        `out_channels` to `in_channels` that this layer is the adjoint of.
    bias : Parameter or None
        b, of shape ``(out_channels,)``, zeros at first.

    Raises
    ------
    ValueError
        If `x` is not of shape ``(N, H, W, in_channels)``, or nothing is left of the output.
    TypeError
        If `x` is not of the parameters' dtype and library.

    Notes
    -----
    Each input pixel stamps the kernel, scaled by its value, on the output; stamps that overlap
    add up:

    .. math:: y_{nhwo} = b_o + \sum_{si+a-p=h,\;sj+b-p=w} \sum_c x_{nijc}\, w_{aboc}.

    This is ``convolve_grad_input``, so with the roles exchanged the gradients are

    .. math::
        dx = \mathrm{convolve}(dy, w), \qquad
        dw = \mathrm{convolve\_grad\_weight}(dy, x), \qquad
        db_o = \sum_{n,h,w} dy_{nhwo}.

    The output's height is ``(H − 1)·stride − 2·padding + KH + output_padding``.

    References
    ----------
    "The inverse of convolution, called transposed convolution": DeepFake Generation … DCGAN,
    section II.A.

    Examples
    --------
    >>> import numpy as np
    >>> layer = ConvTranspose2d(64, 3, kernel_size=4, stride=2, padding=1)
    >>> y, backward = layer(np.zeros((16, 32, 32, 64), np.float32))
    >>> y.shape
    (16, 64, 64, 3)
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Pair, stride: Pair = 1,
                 padding: Pair = 0, output_padding: Pair = 0, bias: bool = True, *,
                 output_size: Pair | None = None, rng: Seed = None, dilation: int = 1,
                 groups: int = 1):  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, bias, rng,
                         dilation, groups)  # fmt: skip
        self.output_padding = pair(output_padding, "ConvTranspose2d: output_padding", 0)
        if any(o >= s for o, s in zip(self.output_padding, self.stride, strict=True)):
            raise ValueError(
                f"ConvTranspose2d: output_padding: expected less than the stride "
                f"{_check.pair_text(self.stride)}, got {_check.pair_text(self.output_padding)}"
            )
        self.output_size = None
        if output_size is not None:
            self.output_size = pair(output_size, "ConvTranspose2d: output_size", 1)
            if any(self.output_padding):
                raise ValueError("ConvTranspose2d: give output_size or output_padding, not both")

    def _weight_shape(self) -> tuple[int, ...]:
        return (*self.kernel_size, self.out_channels, self.in_channels)

    def _size(self, x: Array) -> Size:
        """Return the output's ``(H, W)``."""
        least = [
            (n - 1) * s - 2 * p + k
            for n, s, p, k in zip(
                x.shape[1:3], self.stride, self.padding, self.kernel_size, strict=True
            )
        ]
        if self.output_size is None:
            return tuple(n + o for n, o in zip(least, self.output_padding, strict=True))
        sizes = zip(self.output_size, least, self.stride, strict=True)
        if not all(0 <= size - n < s for size, n, s in sizes):
            most = tuple(n + s - 1 for n, s in zip(least, self.stride, strict=True))
            raise ValueError(
                f"{self!r}: x of shape {tuple(x.shape)} gives outputs from {tuple(least)} to {most}"
            )
        return self.output_size

    def forward(self, x: Array) -> tuple[Array, Any]:
        w = self.weight.data
        _check.images(self, x, self.in_channels, like=w)
        size = self._size(x)
        if min(size) < 1:
            raise ValueError(f"{self!r}: nothing is left of the output: its size would be {size}")
        y = self._add_bias(convolve_grad_input(x, w, self.stride, self.padding, size))
        return y, (None if self.weight.frozen else x, *self._frozen())

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> Array | None:
        x, weight_frozen, bias_frozen = cache
        w, how, dx, dw = self.weight.data, (self.stride, self.padding), None, None
        if input_gradient and not weight_frozen:
            dx, dw = convolve_transposed_backward(x, w, dy, *how)
        elif input_gradient:
            dx = convolve(dy, w, *how)
        elif not weight_frozen:
            dw = convolve_grad_weight(dy, x, *how, self.kernel_size)
        if dw is not None:
            self.weight.add_grad(dw)
        if not bias_frozen:
            self.bias.add_grad(sum_channels(dy))
        return dx

    def __repr__(self) -> str:
        extra = ""
        if any(self.output_padding):
            extra = f", output_padding={_check.pair_text(self.output_padding)}"
        if self.output_size is not None:
            extra = f", output_size={_check.pair_text(self.output_size)}"
        return self._text(extra)


class _Padded(Layer):
    """A padding by reflection and the convolution behind it, as `Sequential` runs the two.

    The convolution remembers the image as it was, which other layers remember anyway, and not the
    larger copy: that is made again for the backward pass.
    """

    def __init__(self, pad: ReflectionPad2d, conv: Conv2d):
        self.pad, self.conv = pad, conv

    def forward(self, x: Array) -> tuple[Array, Any]:
        padded, padding = self.pad.forward(x)
        y, (remembered, *rest) = self.conv.forward(padded)
        return y, (None if remembered is None else x, padding, rest)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> Array | None:
        x, padding, rest = cache
        dpadded = self.conv.backward(dy, (self._padded(x), *rest), input_gradient)
        return self.pad.backward(dpadded, padding) if input_gradient else None

    def _padded(self, x: Array | None) -> Array | None:
        return None if x is None else self.pad.forward(x)[0]

    def predict(self, x: Array) -> Array:
        return self.conv.predict(self.pad.predict(x))

    def __repr__(self) -> str:
        return f"{self.pad!r}, {self.conv!r}"


run_as_one(ReflectionPad2d, Conv2d)(_Padded)
