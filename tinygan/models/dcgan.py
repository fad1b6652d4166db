"""The deep convolutional GAN of the first paper: two networks and one step of their game.

References
----------
Venkat, Richa, Rao, *DeepFake Generation in the world of Deep Convolutional Generative Adversarial
Networks (DCGAN)*.  What the paper leaves open (kernel sizes, widths) follows Radford, Metz,
Chintala, *Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks*, 2016, in the 4×4 form that has become usual.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinygan.initialize import Seed
from tinygan.layer import Layer, frozen
from tinygan.layers import BatchNorm2d, Conv2d, ConvTranspose2d, LeakyReLU, ReLU, Reshape, Tanh
from tinygan.layers.sequential import Sequential
from tinygan.machine.arrays import Array
from tinygan.objectives import NonSaturating, Objective
from tinygan.optim import Optimizer

__all__ = ["discriminator", "draw_noise", "generator", "train_step"]

IMAGE_SIZES = (16, 32, 64, 128, 256)


def generator(
    image_size: int = 64,
    channels: int = 3,
    noise_size: int = 200,
    width: int = 64,
    activation: str | Callable[[], Layer] = "relu",
    negative_slope: float = 0.2,
    rng: Seed = None,
) -> Sequential:
    """Build G, which turns a noise vector into a picture.

    A transposed convolution makes 4×4 pixels of the noise; each further one doubles the size and
    halves the channels, down to `width`; the last makes the picture.  "Batch normalization layers
    are used after the transpose convolution layer instead of the last layer", then the activation;
    the picture goes through tanh.

    Parameters
    ----------
    image_size : {16, 32, 64, 128, 256}
        Height and width of the picture.
    channels : {1, 3}
        Grey or colour.
    noise_size : int
        The length of z.
    width : int
        Channels of the largest hidden layer.
    activation : {"relu", "leaky_relu"} or callable
        The paper's first experiment uses ReLU, the others leaky ReLU.  A callable makes the layer.
    negative_slope : float
        Of the leaky ReLU.
    rng : int, numpy.random.Generator or None
        Where the initial weights are drawn from.

    Returns
    -------
    Sequential
        From ``(N, noise_size)`` to ``(N, image_size, image_size, channels)`` in [−1, 1].

    References
    ----------
    DeepFake Generation … DCGAN, section II.A.

    Examples
    --------
    >>> G = generator(image_size=64, noise_size=100)
    >>> sum(parameter.size for parameter in G.parameters())
    3576704
    """
    _check_sizes(image_size, channels)
    activations: dict[str, Callable[[], Layer]] = {
        "relu": ReLU,
        "leaky_relu": partial(LeakyReLU, negative_slope),
    }
    if not callable(activation) and activation not in activations:
        raise ValueError(f"activation: expected 'relu' or 'leaky_relu', got {activation!r}")
    act = activation if callable(activation) else activations[activation]
    rng = np.random.default_rng(rng)
    conv = partial(ConvTranspose2d, kernel_size=4, bias=False, rng=rng)
    norm = partial(BatchNorm2d, weight_std=0.02, rng=rng)
    wide = width * image_size // 8
    layers = [Reshape(1, 1, noise_size), conv(noise_size, wide), norm(wide), act()]
    while wide > width:
        layers += [conv(wide, wide // 2, stride=2, padding=1)]
        layers += [norm(wide // 2), act()]
        wide //= 2
    return Sequential(*layers, conv(width, channels, stride=2, padding=1), Tanh())


def discriminator(
    image_size: int = 64,
    channels: int = 3,
    width: int = 64,
    negative_slope: float = 0.2,
    rng: Seed = None,
) -> Sequential:
    """Build D, which scores how real a picture looks.

    The generator's mirror image: each convolution halves the size and doubles the channels from
    `width` on; batch normalisation in between but not on the picture itself; the last convolution
    sees the remaining 4×4 pixels whole.

    Parameters
    ----------
    image_size : {16, 32, 64, 128, 256}
    channels : {1, 3}
    width : int
        Channels of the first layer.
    negative_slope : float
        Of the leaky ReLU.
    rng : int, numpy.random.Generator or None
        Where the initial weights are drawn from.

    Returns
    -------
    Sequential
        From ``(N, image_size, image_size, channels)`` to scores ``(N,)``.  The paper's
        probability is the sigmoid of the score: D(x) = σ(score).  The losses take the score,
        which is the same mathematics and safe from overflow.

    References
    ----------
    DeepFake Generation … DCGAN, section II.A.

    Examples
    --------
    >>> D = discriminator(image_size=64)
    >>> sum(parameter.size for parameter in D.parameters())
    2765568
    """
    _check_sizes(image_size, channels)
    rng = np.random.default_rng(rng)
    conv = partial(Conv2d, kernel_size=4, bias=False, rng=rng)
    norm = partial(BatchNorm2d, weight_std=0.02, rng=rng)
    layers = [conv(channels, width, stride=2, padding=1), LeakyReLU(negative_slope)]
    wide, size = width, image_size // 2
    while size > 4:
        layers += [conv(wide, 2 * wide, stride=2, padding=1)]
        layers += [norm(2 * wide), LeakyReLU(negative_slope)]
        wide, size = 2 * wide, size // 2
    return Sequential(*layers, conv(wide, 1), Reshape())


def draw_noise(count: int, noise_size: int, rng: Any, distribution: str = "uniform") -> np.ndarray:
    """Draw z, the generator's input.

    Parameters
    ----------
    count, noise_size : int
    rng : int or numpy.random.Generator
    distribution : {"uniform", "normal"}
        Uniform in [−1, 1], as the paper has it, or standard normal.

    Returns
    -------
    ndarray
        ``(count, noise_size)``, float32, in host memory.

    References
    ----------
    "A 200-dimensional noise (uniform distribution between -1.0 to 1.0)": DeepFake Generation …
    DCGAN, section II.A.
    """
    rng = np.random.default_rng(rng)
    if distribution == "uniform":
        return rng.random((count, noise_size), np.float32) * np.float32(2) - np.float32(1)
    if distribution == "normal":
        return rng.standard_normal((count, noise_size), np.float32)
    raise ValueError(f"distribution: expected 'uniform' or 'normal', got {distribution!r}")


def train_step(
    G: Layer,
    D: Layer,
    opt_G: Optimizer,
    opt_D: Optimizer,
    x: Array,
    z: Array,
    *,
    objective: Objective = NonSaturating(label_smoothing=0.9),
    augment: Layer | None = None,
) -> dict:
    r"""Play one round: D learns to tell x from G(z), then G learns to pass for x.

    Parameters
    ----------
    G, D : Layer
    opt_G, opt_D : Optimizer
        Over the parameters of G and of D.
    x : ndarray
        A batch of real pictures, ``(N, H, W, C)`` in [−1, 1].
    z : ndarray
        Noise, ``(N, noise_size)``.
    objective : Objective
        The losses, see `tinygan.objectives`.
    augment : Layer, optional
        Everything that D sees passes through it first, as through a `GaussianNoise`.

    Returns
    -------
    dict
        ``loss_D = loss_D_real + loss_D_fake``, ``loss_G``, and the means ``D_real`` of D(x) and
        ``D_fake`` of D(G(z)), as probabilities, before D's update; scalars on the backend of `x`.

    Notes
    -----
    With the default objective D minimises
    :math:`-\tfrac1m \sum_i \log D(x^i) + \log(1 - D(G(z^i)))`, the negative of the paper's total
    cost.  Real and generated pictures go through D as separate batches, since batch normalisation
    would otherwise let each see the other's statistics.

    References
    ----------
    DeepFake Generation … DCGAN, section II.C; adding noise to D's input, section IV.
    """
    augment = augment if augment is not None else Sequential()  # which changes nothing
    fake, fake_backward = G(z)
    seen_real, _ = augment(x)
    seen_fake, seen_backward = augment(fake)

    # D: maximise log D(x) + log(1 − D(G(z)))
    opt_D.zero_grad()
    score_real, score_backward = D(seen_real)
    loss_D_real, dscore = objective.discriminator(score_real, real=True)
    score_backward(dscore, input_gradient=False)
    score_fake, score_backward = D(seen_fake)
    loss_D_fake, dscore = objective.discriminator(score_fake, real=False)
    score_backward(dscore, input_gradient=False)
    opt_D.step()

    # G: maximise D(G(z)) of the D that has just learnt
    opt_G.zero_grad()
    with frozen(D):
        score, score_backward = D(seen_fake)
    loss_G, dscore = objective.generator(score)
    fake_backward(seen_backward(score_backward(dscore)), input_gradient=False)
    opt_G.step()

    return {
        "loss_D": loss_D_real + loss_D_fake,
        "loss_D_real": loss_D_real,
        "loss_D_fake": loss_D_fake,
        "loss_G": loss_G,
        "D_real": objective.probability(score_real).mean(),
        "D_fake": objective.probability(score_fake).mean(),
    }


def _check_sizes(image_size: int, channels: int) -> None:
    if image_size not in IMAGE_SIZES:
        raise ValueError(f"image_size: expected one of {IMAGE_SIZES}, got {image_size!r}")
    if channels not in (1, 3):
        raise ValueError(f"channels: expected 1 (grey) or 3 (colour), got {channels!r}")
