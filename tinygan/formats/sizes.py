"""What a layer says of its output's size, as the formats have it."""

from __future__ import annotations

from tinygan.layers import ConvTranspose2d

__all__ = ["output_padding"]


def output_padding(layer: ConvTranspose2d) -> tuple[int, int]:
    """Return a transposed convolution's output padding, also where `output_size` is given.

    The size is ``(n − 1)·s − 2p + k + o`` with o below s: o is what is left over whole strides.
    """
    if layer.output_size is None:
        return layer.output_padding
    axes = zip(layer.output_size, layer.padding, layer.kernel_size, layer.stride, strict=True)
    rows, columns = ((size + 2 * p - k) % s for size, p, k, s in axes)
    return rows, columns
