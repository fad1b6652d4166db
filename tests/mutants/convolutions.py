"""Convolution and transposed convolution, channels last and channels first."""

from itertools import product

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mutants.specimen import Collection


def arguments(rng, channels=2, out=3, size=(6, 5), stride=1, padding=1, kernel=3, batch=2):
    return (
        rng.standard_normal((batch, *size, channels)),
        rng.standard_normal((kernel, kernel, channels, out)),
        rng.standard_normal(out),
        stride,
        padding,
    )


def strided(rng):
    return arguments(rng, size=(6, 6), stride=2, padding=1, kernel=4)


def square(rng):
    return arguments(rng, channels=3, out=3)


SPECIMENS = Collection("conv", arguments)
wrong = right = SPECIMENS.backward


def pad(x, p):
    return np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))


def cut(x, p, size):
    return x[:, p : p + size[0], p : p + size[1]]


def conv(x, w, b, stride=1, padding=0):
    kernel = w.shape[:2]
    view = sliding_window_view(pad(x, padding), kernel, axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nijcab,abco->nijo", view, w) + b, (x, w, b, stride, padding)


def columns(x, kernel, stride, padding):
    view = sliding_window_view(pad(x, padding), kernel, axis=(1, 2))[:, ::stride, ::stride]
    return view.transpose(0, 1, 2, 4, 5, 3)  # (N, OH, OW, KH, KW, C)


def grad_x(dy, cache, w=None, shift=0, assign=False, add=1):
    """dx by stamping kernels; its options are mistakes."""
    x, right_w, _, stride, padding = cache
    w = right_w if w is None else w
    n, h, v, c = x.shape
    kernel = w.shape[:2]
    dx = np.zeros((n, h + 2 * padding + 6, v + 2 * padding + 6, c))
    for i, j in product(range(dy.shape[1]), range(dy.shape[2])):
        window = np.s_[:, i * stride : i * stride + kernel[0], j * stride : j * stride + kernel[1]]
        stamp = np.einsum("no,abco->nabc", dy[:, i, j], w) * add
        if assign:
            dx[window] = stamp
        else:
            dx[window] += stamp
    return dx[:, padding + shift : padding + shift + h, padding + shift : padding + shift + v]


def grad_w(dy, cache, x=None, padding=None):
    x = cache[0] if x is None else x
    padding = cache[4] if padding is None else padding
    patches = columns(x, cache[1].shape[:2], cache[3], padding)
    return np.einsum("nijabc,nijo->abco", patches[:, : dy.shape[1], : dy.shape[2]], dy)


# --- right ones ---------------------------------------------------------------------------------


@right(conv)
def _(dy, cache):
    """einsum and stamps"""
    return grad_x(dy, cache), grad_w(dy, cache), dy.sum(axis=(0, 1, 2))


@right(conv, arguments=strided)
def _(dy, cache):
    """einsum and stamps, strided"""
    return grad_x(dy, cache), grad_w(dy, cache), dy.sum(axis=(0, 1, 2))


@right(conv)
def _(dy, cache):
    """in loops"""
    x, w, b, s, p = cache
    padded = pad(x, p)
    dx, dw, db = np.zeros_like(padded), np.zeros_like(w), np.zeros_like(b)
    for n, i, j, o in np.ndindex(*dy.shape):
        window = np.s_[n, i * s : i * s + w.shape[0], j * s : j * s + w.shape[1]]
        dx[window] += dy[n, i, j, o] * w[..., o]
        dw[..., o] += dy[n, i, j, o] * padded[window]
        db[o] += dy[n, i, j, o]
    return cut(dx, p, x.shape[1:3]), dw, db


@right(conv, arguments=strided)
def _(dy, cache):
    """im2col and col2im"""
    x, w, b, s, p = cache
    matrix = columns(x, w.shape[:2], s, p)
    flat, d = matrix.reshape(-1, w[..., 0].size), dy.reshape(-1, len(b))
    dcolumns = (d @ w.reshape(-1, len(b)).T).reshape(matrix.shape)
    dx = pad(np.zeros_like(x), p)
    for i, j in np.ndindex(dy.shape[1:3]):
        dx[:, i * s : i * s + w.shape[0], j * s : j * s + w.shape[1]] += dcolumns[:, i, j]
    return cut(dx, p, x.shape[1:3]), (flat.T @ d).reshape(w.shape), d.sum(axis=0)


@right(conv)
def _(dy, cache):
    """by FFT"""
    x, w, _, _, p = cache
    padded = pad(x, p)
    size = padded.shape[1:3]
    fx = np.fft.rfft2(padded, axes=(1, 2))
    fw = np.fft.rfft2(w, s=size, axes=(0, 1))
    fdy = np.fft.rfft2(dy, s=size, axes=(1, 2))
    dx = np.fft.irfft2(np.einsum("nhvo,hvco->nhvc", fdy, fw), s=size, axes=(1, 2))
    dw = np.fft.irfft2(np.einsum("nhvc,nhvo->hvco", fx, fdy.conj()), s=size, axes=(0, 1))
    dw = dw[: w.shape[0], : w.shape[1]]
    return cut(dx, p, x.shape[1:3]), dw, dy.sum(axis=(0, 1, 2))


@right(conv)
def _(dy, cache):
    """dx as a full convolution with the flipped kernel"""
    x, w, _, _, p = cache
    k = w.shape[0]
    flipped = w[::-1, ::-1].swapaxes(2, 3)
    dx, _ = conv(dy, flipped, np.zeros(x.shape[3]), 1, k - 1 - p)
    return dx, grad_w(dy, cache), dy.sum((0, 1, 2))


# --- wrong ones ---------------------------------------------------------------------------------


def bias(dy):
    return dy.sum(axis=(0, 1, 2))


def broken(name, cause, dx=None, dw=None, db=None, sizes=None, also=(), forward=conv):
    def conv_backward(dy, cache):
        return (
            grad_x(dy, cache) if dx is None else dx(dy, cache),
            grad_w(dy, cache) if dw is None else dw(dy, cache),
            bias(dy) if db is None else db(dy, cache),
        )

    SPECIMENS.pair(name, forward, conv_backward, cause, sizes, also)


broken("dx with the kernel flipped", "flipped kernel",
       lambda dy, c: grad_x(dy, c, c[1][::-1, ::-1]))  # fmt: skip
broken("dx with the kernel flipped, strided", "flipped kernel",
       lambda dy, c: grad_x(dy, c, c[1][::-1, ::-1]), sizes=strided)  # fmt: skip
broken("dx flipped left to right only", "flipped kernel",
       lambda dy, c: grad_x(dy, c, c[1][:, ::-1]))  # fmt: skip
broken("dw flipped", "flipped kernel", dw=lambda dy, c: grad_w(dy, c)[::-1, ::-1])
broken("dw flipped, strided", "flipped kernel",
       dw=lambda dy, c: grad_w(dy, c)[::-1, ::-1], sizes=strided)  # fmt: skip
broken("channels exchanged in dx", "transposed",
       lambda dy, c: grad_x(dy, c, c[1].swapaxes(2, 3)), sizes=square)  # fmt: skip
broken("channels exchanged in dw", "transposed",
       dw=lambda dy, c: grad_w(dy, c).swapaxes(2, 3), sizes=square)  # fmt: skip
broken("dw transposed", "transposed", dw=lambda dy, c: grad_w(dy, c).transpose(3, 2, 0, 1))
broken("kernel's height and width exchanged in dw", "transposed",
       dw=lambda dy, c: grad_w(dy, c).swapaxes(0, 1))  # fmt: skip
broken("kernel's height and width exchanged in dx", "transposed",
       lambda dy, c: grad_x(dy, c, c[1].swapaxes(0, 1)))  # fmt: skip
broken("border cut one off", "stride or padding", lambda dy, c: grad_x(dy, c, shift=1))
broken("border not cut", "stride or padding", lambda dy, c: grad_x(dy, c, shift=-1))
broken("border cut one off, strided", "stride or padding",
       lambda dy, c: grad_x(dy, c, shift=1), sizes=strided)  # fmt: skip
broken("dw with one more padding", "stride or padding",
       dw=lambda dy, c: grad_w(dy, c, padding=c[4] + 1))  # fmt: skip
broken("dw with stride 1", "stride or padding",
       dw=lambda dy, c: grad_w(dy, (*c[:3], 1, c[4])), sizes=strided)  # fmt: skip
broken("dx with stride 1", "stride or padding",
       lambda dy, c: grad_x(dy, (*c[:3], 1, c[4])), sizes=strided)  # fmt: skip
broken("windows overwrite each other", "assigned",
       lambda dy, c: grad_x(dy, c, assign=True), also=("missing term",))  # fmt: skip
broken("bias forgotten", "missing gradient", db=lambda dy, c: None)
broken("bias summed over the batch only", "wrong shape", db=lambda dy, c: dy.sum(axis=0))
broken("bias averaged", "constant factor", db=lambda dy, c: dy.mean(axis=(0, 1, 2)))
broken("bias: sum over the batch, mean over pixels", "constant factor",
       db=lambda dy, c: dy.sum(axis=0).mean(axis=(0, 1)))  # fmt: skip
broken("dw averaged over the batch", "constant factor",
       dw=lambda dy, c: grad_w(dy, c) / len(dy), sizes=lambda r: arguments(r, batch=3))  # fmt: skip
broken("dx negative", "constant factor", lambda dy, c: -grad_x(dy, c))
broken("dx twice", "constant factor", lambda dy, c: grad_x(dy, c, add=2))
broken("dw divided by the pixels", "constant factor",
       dw=lambda dy, c: grad_w(dy, c) / (dy.shape[1] * dy.shape[2]))  # fmt: skip
broken("dw of the first image", "missing term",
       dw=lambda dy, c: grad_w(dy[:1], (c[0][:1], *c[1:])))  # fmt: skip
broken("dw of the last image", "assigned", also=("missing term",),
       dw=lambda dy, c: grad_w(dy[-1:], (c[0][-1:], *c[1:])))  # fmt: skip
broken("last row forgotten", "missing term",
       lambda dy, c: grad_x(dy[:, :-1], c))  # fmt: skip
broken("products in float32", "float32",
       dw=lambda dy, c: grad_w(dy.astype(np.float32), c, c[0].astype(np.float32)))  # fmt: skip


@wrong(conv, "upstream overwritten")
def _(dy, cache):
    """dy scaled in place"""
    dw, db = grad_w(dy, cache), bias(dy)
    dy *= 1.0 + (dy > 0)
    dy /= 1.0 + (dy > 0)
    dx = grad_x(dy, cache)
    dy += 1
    return dx, dw, db


def conv_padding_in_place(x, w, b, stride, padding):
    y, cache = conv(x, w, b, stride, padding)
    x[:, 0] = 0
    return y, cache


broken("x's first row set to zero", "input overwritten", forward=conv_padding_in_place)

_kept = {}


def conv_global(x, w, b, stride, padding):
    y, cache = conv(x, w, b, stride, padding)
    _kept["x"] = x
    return y, cache


broken("x kept in a global", "shared cache", dw=lambda dy, c: grad_w(dy, c, _kept["x"]),
       forward=conv_global)  # fmt: skip


# --- channels first -----------------------------------------------------------------------------


def first(x, w, b, stride=1, padding=0):
    y, cache = conv(x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0), b, stride, padding)
    return y.transpose(0, 3, 1, 2), cache


def channels_first(rng):
    x, w, *rest = arguments(rng)
    return (x.transpose(0, 3, 1, 2).copy(), w.transpose(3, 2, 0, 1).copy(), *rest)


def first_backward(dy, cache, dx=None, dw=None, db=None):
    d = dy.transpose(0, 2, 3, 1)
    return (
        (grad_x(d, cache) if dx is None else dx(d, cache)).transpose(0, 3, 1, 2),
        (grad_w(d, cache) if dw is None else dw(d, cache)).transpose(3, 2, 0, 1),
        bias(d) if db is None else db(d),
    )


SPECIMENS.pair("channels first", first, first_backward, arguments=channels_first)
for name, cause, options in (
    ("flipped in dx", "flipped kernel", {"dx": lambda d, c: grad_x(d, c, c[1][::-1, ::-1])}),
    ("flipped dw", "flipped kernel", {"dw": lambda d, c: grad_w(d, c)[::-1, ::-1]}),
    ("border cut one off", "stride or padding", {"dx": lambda d, c: grad_x(d, c, shift=1)}),
    ("dw with other padding", "stride or padding", {"dw": lambda d, c: grad_w(d, c, padding=2)}),
    ("bias over the batch and rows", "wrong shape", {"db": lambda d: d.sum(axis=(0, 1))}),
):
    SPECIMENS.pair(
        f"channels first: {name}",
        first,
        lambda dy, cache, options=options: first_backward(dy, cache, **options),
        cause,
        channels_first,
    )


# --- transposed convolution ---------------------------------------------------------------------


def transposed(x, w, b, stride=2, padding=1):
    """w is (KH, KW, out, in)."""
    n, h, v, _ = x.shape
    k = w.shape[0]
    size = [(m - 1) * stride + k - 2 * padding for m in (h, v)]
    cache = (np.zeros((n, *size, w.shape[2])), w, None, stride, padding)
    return grad_x(x, cache) + b, (x, w, stride, padding)


def enlarging(rng):
    return (
        rng.standard_normal((2, 3, 2, 2)),
        rng.standard_normal((4, 4, 3, 2)),
        rng.standard_normal(3),
        2,
        1,
    )


def enlarging_square(rng):
    x, w, b, s, p = enlarging(rng)
    return x, w[:, :, :2], b[:2], s, p


def transposed_backward(dy, cache, dx_w=None, dx_padding=None, dw=None, db=None):
    x, w, s, p = cache
    dx, _ = conv(dy, w if dx_w is None else dx_w(w), 0, s, p if dx_padding is None else dx_padding)
    dx = dx[:, : x.shape[1], : x.shape[2]]
    right_dw = grad_w(x, (dy, w, None, s, p))
    return dx, right_dw if dw is None else dw(right_dw), bias(dy) if db is None else db(dy)


SPECIMENS.pair("transposed", transposed, transposed_backward, arguments=enlarging)
for name, cause, options, sizes in (
    ("dx flipped", "flipped kernel", {"dx_w": lambda w: w[::-1, ::-1]}, enlarging),
    ("dw flipped", "flipped kernel", {"dw": lambda dw: dw[::-1, ::-1]}, enlarging),
    ("dx padding", "stride or padding", {"dx_padding": 2}, enlarging),
    ("dw transposed", "transposed", {"dw": lambda dw: dw.swapaxes(2, 3)}, enlarging),
    ("channels exchanged in dx", "transposed", {"dx_w": lambda w: w.swapaxes(2, 3)},
     enlarging_square),
    ("bias halved", "constant factor", {"db": lambda dy: bias(dy) / 2}, enlarging),
    ("bias zero", "missing gradient", {"db": lambda dy: 0 * bias(dy)}, enlarging),
):  # fmt: skip
    SPECIMENS.pair(
        f"transposed: {name}",
        transposed,
        lambda dy, cache, options=options: transposed_backward(dy, cache, **options),
        cause,
        sizes,
    )
