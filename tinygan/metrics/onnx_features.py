"""Features from a network of the user's, as an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from tinygan.machine.arrays import Array
from tinygan.metrics import _check

__all__ = ["OnnxFeatures"]

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


class OnnxFeatures:
    """Features computed by an ONNX file, for example an Inception network.

    Needs onnxruntime: ``pip install 'tinygan[onnx]'``.

    Parameters
    ----------
    path
        The file.  Its one input takes pictures, ``(N, 3, H, W)`` or ``(N, H, W, 3)``; which, and
        the size if it is fixed, is read from the file.
    values : (float, float)
        What the network expects for black and for white.
    mean, std : sequence of 3 floats, optional
        Of red, green and blue, in `values`: the network expects (x − mean) / std.
    size : int, optional
        Side in pixels to bring pictures to, for a network that takes any size; by default they keep
        theirs.
    resize : {"bilinear", "bicubic"}
        How they are brought to another size.  Where that is smaller, the filter is as much wider,
        so that nothing aliases.
    output : str, optional
        The output that holds the features, by default the first.

    Raises
    ------
    ImportError
        If onnxruntime is not installed.
    ValueError
        If the file cannot be read or takes no pictures.

    Examples
    --------
    >>> features = OnnxFeatures("inception.onnx", values=(0, 1))  # doctest: +SKIP
    >>> features(images).shape                                    # doctest: +SKIP
    (1000, 2048)
    """

    def __init__(
        self,
        path: str | os.PathLike,
        values: tuple[float, float] = (-1.0, 1.0),
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        size: int | None = None,
        resize: str = "bilinear",
        output: str | None = None,
    ):
        try:
            import onnxruntime
        except ImportError:
            raise ImportError(
                "features from an ONNX file need onnxruntime: pip install 'tinygan[onnx]', or use "
                "the features that are built in"
            ) from None
        self.path, self.values = os.fspath(path), values
        self._mean, self._std = _three(mean, 0.0, "mean"), _three(std, 1.0, "std")
        if not self._std.all():
            raise ValueError(f"std: expected numbers other than 0, got {std}")
        if resize not in _FILTERS:
            raise ValueError(f"resize: expected {' or '.join(_FILTERS)}, got {resize!r}")
        self._filter = _FILTERS[resize]
        self.name = f"ONNX {os.path.basename(self.path)}"
        if not os.path.isfile(self.path):
            raise ValueError(f"{self.path}: no such file")
        try:
            self._session = onnxruntime.InferenceSession(
                self.path, providers=onnxruntime.get_available_providers()
            )
        except Exception as error:  # onnxruntime raises a dozen kinds of its own
            raise ValueError(f"{self.path}: cannot be read as an ONNX network: {error}") from None
        inputs = self._session.get_inputs()
        shape = list(inputs[0].shape) if inputs else []
        self._input = inputs[0].name if inputs else ""
        self._first = len(shape) == 4 and shape[1] == 3
        if len(inputs) != 1 or len(shape) != 4 or not (self._first or shape[3] == 3):
            raise ValueError(
                f"{self.path}: expected one input of shape (N, 3, H, W) or (N, H, W, 3), got "
                f"{[list(i.shape) for i in inputs]}"
            )
        sides = shape[2:] if self._first else shape[1:3]
        self._size = tuple(sides) if all(isinstance(s, int) for s in sides) else None
        if size is not None and self._size not in (None, (size, size)):
            raise ValueError(f"{self.path}: takes pictures of {self._size}, not of {size}")
        self._size = (size, size) if size is not None else self._size
        outputs = [found.name for found in self._session.get_outputs()]
        if output is not None and output not in outputs:
            raise ValueError(f"{self.path}: its outputs are {', '.join(outputs)}; got {output!r}")
        self._outputs = None if output is None else [output]
        self._fixed = isinstance(shape[0], int)
        self._batch = shape[0] if self._fixed else 32

    def __call__(self, images: Array) -> np.ndarray:
        """Return the features ``(N, D)`` of pictures ``(N, H, W, C)``, float32."""
        images = _check.images(images, "images")
        results = []
        for start in range(0, len(images), self._batch):
            part = images[start : start + self._batch]
            x = self._prepared(part)
            missing = self._batch - len(x)
            if self._fixed and missing:  # it takes neither more nor less
                x = np.concatenate([x, np.repeat(x[-1:], missing, axis=0)])
            y = self._session.run(self._outputs, {self._input: x})[0]
            results.append(np.asarray(y, np.float32).reshape(len(x), -1)[: len(part)])
        return np.concatenate(results)

    def _prepared(self, images: Array) -> np.ndarray:
        x = _check.as_float(images)
        if x.shape[3] == 1:
            x = np.repeat(x, 3, axis=3)
        if self._size is not None and x.shape[1:3] != self._size:
            x = np.stack([_resized(image, self._size, self._filter) for image in x])
        low, high = self.values
        x = (x + 1) * ((high - low) / 2) + low
        x = (x - self._mean) / self._std
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2) if self._first else x, np.float32)


def _resized(image: np.ndarray, size: tuple[int, int], filter: Image.Resampling) -> np.ndarray:
    planes = [
        Image.fromarray(np.ascontiguousarray(image[:, :, c])).resize((size[1], size[0]), filter)
        for c in range(3)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=2)


def _three(values: Sequence[float] | None, default: float, name: str) -> np.ndarray:
    if values is not None and len(values) != 3:
        raise ValueError(f"{name}: expected three numbers, of red, green and blue, got {values}")
    return np.array([default] * 3 if values is None else values, np.float32)
