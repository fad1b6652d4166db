"""Features that need no download: a fixed random network, and the colours of a thumbnail."""

from __future__ import annotations

import numpy as np

from tinygan.data import faces
from tinygan.initialize import normal
from tinygan.layer import Layer
from tinygan.layers import Conv2d, LeakyReLU
from tinygan.layers.sequential import Sequential
from tinygan.machine.arrays import Array, asarray, asnumpy, get_xp
from tinygan.metrics import _check

__all__ = ["RandomFeatures"]

_CALIBRATION = 256  # drawn faces
_SLOPE = 0.2
_BATCH = 64


class RandomFeatures:
    r"""Features of pictures from a convolutional network that was never trained.

    Random filters respond to edges, colours' contrasts and textures at all sizes, and differ enough
    from one another to tell sets of pictures apart; what they do not know is what a face is.  So
    they rank well what a GAN does wrong early (noise, blur, artefacts, missing variety), and say
    little about two nearly perfect generators.  **The distances computed from them are not
    comparable with published FID or KID values**, which are those of the Inception network; nor
    are they between different sizes of pictures.  They are between runs on one data set.

    Parameters
    ----------
    image_size : int
        Side of the pictures, at least 16.
    channels : int
        Random filters of each stage.
    backend : {"numpy", "cupy"}
        What the network is computed with.
    seed : int
        Of the filters: another one gives other features, to judge what was trained with these.

    Attributes
    ----------
    stages : list of Layer
        The network, from colour pictures in [−1, 1] on.
    size : int
        D, the number of features.
    name : str
        What to write beside a number that was computed from them.

    Notes
    -----
    A stage is a convolution 4×4 of stride 2 with normal random weights, drawn once and for all from
    the seed, and a leaky ReLU; there are as many stages as lead to 4×4 positions.  The first one's
    filters sum to zero: they see differences, not brightness.  Each filter is then scaled and
    shifted so that its responses to 256 drawn faces of this size have mean 0 and deviation 1 (as
    the networks of Mishkin and Matas are initialised), or the signal would fade from stage to
    stage.

    The features are, of each stage, the mean of each filter's responses in each quarter of the
    picture (what is where) and their standard deviation (how much of it), and the colours of a 4×4
    thumbnail; each brought to mean 0 and deviation 1 over the same drawn faces.  Grey pictures
    count as colour pictures of three equal channels.

    References
    ----------
    A. Saxe et al., *On Random Weights and Unsupervised Feature Learning*, 2011; D. Mishkin,
    J. Matas, *All you need is a good init*, 2016.

    Examples
    --------
    >>> features = RandomFeatures(32)
    >>> features(faces(5, 32).images).shape
    (5, 408)
    """

    def __init__(self, image_size: int, channels: int = 24, backend: str = "numpy", seed: int = 0):
        if image_size < 16:
            raise ValueError(f"image_size: expected 16 pixels or more, got {image_size!r}")
        self.image_size, self.backend = image_size, backend
        self.name = f"random network, {image_size} px" + (f", seed {seed}" if seed else "")
        rng = np.random.default_rng(seed)
        x = _check.as_float(faces(_CALIBRATION, image_size, seed=2**20).images)
        self.stages: list[Layer] = []
        wide, parts = 3, [_thumbnail(x)]
        while x.shape[1] >= 8:
            conv = _calibrated(x, wide, channels, rng, first=not self.stages)
            stage = Sequential(conv, LeakyReLU(_SLOPE))
            x, wide = stage.predict(x), channels
            self.stages.append(stage.to(backend=backend))
            parts.append(_pooled(x))
        features = np.concatenate(parts, axis=1)
        self._mean, self._deviation = features.mean(axis=0), features.std(axis=0) + 1e-6
        self.size = features.shape[1]

    def __call__(self, images: Array) -> np.ndarray:
        """Return the features ``(N, size)``, float32 on the host, of pictures ``(N, H, W, C)``."""
        images = _check.images(images, "images")
        if images.shape[1:3] != (self.image_size, self.image_size):
            raise ValueError(
                f"RandomFeatures({self.image_size}): expected pictures of {self.image_size}×"
                f"{self.image_size} pixels, got {images.shape[1]}×{images.shape[2]}"
            )
        parts = [self._part(images[i : i + _BATCH]) for i in range(0, len(images), _BATCH)]
        return (np.concatenate(parts) - self._mean) / self._deviation

    def _part(self, images: Array) -> np.ndarray:
        x = _check.as_float(images)
        x = asarray(x if x.shape[3] == 3 else np.repeat(x, 3, axis=3), self.backend)
        features = [_thumbnail(x)]
        for stage in self.stages:
            x = stage.predict(x)
            features.append(_pooled(x))
        return asnumpy(get_xp(*features).concatenate(features, axis=1))


def _calibrated(
    x: Array, in_channels: int, out_channels: int, rng: np.random.Generator, first: bool
) -> Conv2d:
    """Return a random convolution whose responses to `x` have mean 0 and deviation 1."""
    conv = Conv2d(in_channels, out_channels, 4, stride=2, padding=1)
    weight = normal(conv.weight.shape, std=1.0, rng=rng)
    if first:
        weight = weight - weight.mean(axis=(0, 1), keepdims=True)
    conv.weight.data = weight
    y = conv.predict(x)
    mean, deviation = y.mean(axis=(0, 1, 2)), y.std(axis=(0, 1, 2))
    conv.weight.data = weight / deviation
    conv.bias.data = -mean / deviation
    return conv


def _pooled(x: Array) -> Array:
    """Return the mean of each channel in each quarter, and its deviation: ``(N, 5C)``."""
    n, h, w, c = x.shape
    quarters = x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, 2, h // 2, 2, w // 2, c)
    means = quarters.mean(axis=(2, 4)).reshape(n, 4 * c)
    return get_xp(x).concatenate([means, x.std(axis=(1, 2))], axis=1)


def _thumbnail(x: Array) -> Array:
    n, h, w, c = x.shape
    x = x[:, : h // 4 * 4, : w // 4 * 4].reshape(n, 4, h // 4, 4, w // 4, c)
    return x.mean(axis=(2, 4)).reshape(n, 16 * c)
