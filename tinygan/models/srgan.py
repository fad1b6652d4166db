r"""Super-resolution: a small image in, a sharper one of two or four times the size out.

"Our proposed future directions of work include being able to extend the current implementation to
generate better and higher resolution images using Super Resolution GANs": DeepFake Generation …
DCGAN, section V.

References
----------
Ledig et al., *Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial
Network*, 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from tinygan.initialize import Seed
from tinygan.layer import Layer, frozen
from tinygan.layers import Conv2d, PixelShuffle, PReLU, Residual, Sequential, Upsample
from tinygan.losses import mse
from tinygan.machine.arrays import Array, get_xp
from tinygan.models.cyclegan_networks import patch_discriminator
from tinygan.objectives import NonSaturating, Objective
from tinygan.optim import Optimizer

__all__ = [
    "FACTORS",
    "SuperObjective",
    "discriminator",
    "feature_loss",
    "generator",
    "generator_objective",
    "reduce_area",
    "train_step",
]

FACTORS = (2, 4)


def generator(
    factor: int = 4,
    channels: int = 3,
    width: int = 64,
    residual_blocks: int = 16,
    rng: Seed = None,
) -> Sequential:
    r"""Build G, which makes an image `factor` times as high and wide.

    .. math:: G(x) = u + f(u), \qquad u = \text{each pixel of } x \text{ as factor×factor pixels}

    A convolution with as large a window and stride brings u back to the small size, where
    the residual blocks work, with a skip around all of them; for each doubling a convolution to
    four times the channels, which `PixelShuffle` deals out to 2×2 pixels; and one that makes the
    image.  So f has to make the details alone, and G begins as an enlargement that is already good.

    Parameters
    ----------
    factor : {2, 4}
    channels : {1, 3}
        Grey or colour.
    width : int
        Channels of all hidden layers.
    residual_blocks : int
        16 in Ledig et al.
    rng : int, numpy.random.Generator or None
        Where the initial weights are drawn from.

    Returns
    -------
    Sequential
        From ``(N, H, W, channels)`` to ``(N, factor·H, factor·W, channels)``.  Nothing keeps the
        result within [−1, 1]: clip it.

    References
    ----------
    Ledig et al., section 2.1 and figure 4.  u + is Kim et al.'s, *Accurate Image Super-Resolution
    Using Very Deep Convolutional Networks*, 2016; batch normalisation is left out with Lim et al.,
    *Enhanced Deep Residual Networks for Single Image Super-Resolution*, 2017.

    Examples
    --------
    >>> G = generator(factor=4, width=8, residual_blocks=1)
    >>> G.predict(np.zeros((1, 22, 22, 3), np.float32)).shape
    (1, 88, 88, 3)
    """
    if factor not in FACTORS:
        raise ValueError(f"factor: expected one of {FACTORS}, got {factor!r}")
    rng = np.random.default_rng(rng)
    conv = partial(Conv2d, kernel_size=3, padding=1, rng=rng)
    blocks: list[Layer] = [
        Residual(conv(width, width), PReLU(width), conv(width, width))
        for _ in range(residual_blocks)
    ]
    layers = [Conv2d(channels, width, factor, stride=factor, rng=rng), PReLU(width)]
    layers += [Residual(*blocks, conv(width, width))]
    for _ in range(factor // 2):
        layers += [conv(width, 4 * width), PixelShuffle(2), PReLU(width)]
    return Sequential(Upsample(factor), Residual(*layers, conv(width, channels)))


def discriminator(channels: int = 3, width: int = 64, rng: Seed = None) -> Sequential:
    """Build D, which scores every patch of 34×34 pixels for how real it looks, at any size.

    The CycleGAN's `~tinygan.models.cyclegan.patch_discriminator` with batch normalisation: what a
    super-resolution has to add is texture, and where a face belongs its input says.

    Parameters
    ----------
    channels : {1, 3}
    width : int
        Channels of the first layer, doubled twice.
    rng : int, numpy.random.Generator or None
    """
    return patch_discriminator(channels, width, layers=2, norm="batch", rng=rng)


def reduce_area(images: Array, factor: int) -> Array:
    """Return images ``(N, H, W, C)`` of which each pixel is the mean of factor×factor pixels."""
    n, h, w, c = images.shape
    if h % factor or w % factor:
        raise ValueError(f"expected height and width in multiples of {factor}, got {h} × {w}")
    return images.reshape(n, h // factor, factor, w // factor, factor, c).mean(axis=(2, 4))


@dataclass(frozen=True)
class SuperObjective:
    """What G plays for: to be near the true image, and to pass for real.

    Parameters
    ----------
    lambda_pixel, lambda_features, lambda_gan : float
        What the three parts of `generator_objective` are multiplied by.  With λ_gan = 0 there is no
        game, and D does not learn.
    adversarial : Objective
    """

    lambda_pixel: float = 1.0
    lambda_features: float = 0.1
    lambda_gan: float = 1e-3
    adversarial: Objective = field(default_factory=lambda: NonSaturating(1.0))


def feature_loss(stages: Sequence[Layer], made: Array, true: Array) -> tuple[Array, Array]:
    r"""Compare two images by what the stages φ₁, φ₂, … of a fixed network make of them.

    Parameters
    ----------
    stages : sequence of Layer
        Each takes the output of the one before; the first takes images of 3 channels.  None of
        them learns.
    made, true : ndarray
        ``(N, H, W, C)``; grey images count as colour images of three equal channels.

    Returns
    -------
    loss, gradient
        The gradient with respect to `made`.

    Notes
    -----
    .. math:: L = \tfrac1K \sum_{k=1}^K \mathrm{mean}\,(f_k - t_k)^2,
              \qquad f_k = \varphi_k(f_{k-1}),\; t_k = \varphi_k(t_{k-1}),

    with :math:`f_0` the made image and :math:`t_0` the true one.  What arrives at :math:`f_k` is
    the gradient of its own term and what the stages behind it send back,

    .. math:: df_k = \tfrac{2}{K M_k} (f_k - t_k) + \varphi_{k+1}'^{\,T} df_{k+1} .

    References
    ----------
    Ledig et al., equation (5), with a trained VGG network; Johnson, Alahi, Fei-Fei, *Perceptual
    Losses for Real-Time Style Transfer and Super-Resolution*, 2016.
    """
    xp, grey = get_xp(made, true), made.shape[3] == 1
    f, t = (xp.repeat(x, 3, axis=3) if grey else x for x in (made, true))
    loss, behind = 0.0, []
    with frozen(*stages):
        for stage in stages:
            (f, backward), t = stage(f), stage.predict(t)
            part, df = mse(f, t)
            loss = loss + part * (1 / len(stages))
            behind.append((backward, df * (1 / len(stages))))
    dx: Array = 0.0
    for backward, df in reversed(behind):
        dx = backward(df + dx)
    return loss, dx.sum(axis=3, keepdims=True) if grey else dx


def generator_objective(
    G: Layer,
    D: Layer,
    low: Array,
    high: Array,
    *,
    objective: SuperObjective = SuperObjective(),
    stages: Sequence[Layer] = (),
    augment: Layer | None = None,
) -> tuple[dict, Array]:
    r"""Calculate L_G and back-propagate it into G.

    Parameters
    ----------
    G, D, low, high, objective, stages, augment
        As in `train_step`.

    Returns
    -------
    losses : dict
        ``L_G``, ``L_pixel``, ``L_features``, ``L_GAN``, scalars on the backend of `high`.
    seen : ndarray
        G's images as D saw them.

    Notes
    -----
    With x the small image and y the true one, means over pixels,

    .. math::
        L_{pixel} &= \mathrm{mean}\,(G(x) - y)^2, \\
        L_{features} &= \textstyle\frac1K \sum_k \mathrm{mean}\,(f_k - t_k)^2
            \quad \text{(see `feature_loss`)}, \\
        L_{GAN} &= -\log D(G(x)), \\
        L_G &= \lambda_{pixel} L_{pixel} + \lambda_{features} L_{features} + \lambda_{GAN} L_{GAN}.

    G(x) is where three paths meet, so its gradient is the sum of theirs.

    References
    ----------
    Ledig et al., equations (3) to (6).
    """
    fake, fake_backward = G(low)
    L_pixel, dfake = mse(fake, high)
    dfake = objective.lambda_pixel * dfake
    seen, L_features, L_GAN = fake, 0 * L_pixel, 0 * L_pixel
    if objective.lambda_features and stages:
        L_features, dfeatures = feature_loss(stages, fake, high)
        dfake = dfake + objective.lambda_features * dfeatures
    if objective.lambda_gan:
        seen, seen_backward = augment(fake) if augment is not None else (fake, lambda dy: dy)
        with frozen(D):
            score, D_backward = D(seen)
        L_GAN, dscore = objective.adversarial.generator(score)
        dfake = dfake + seen_backward(D_backward(objective.lambda_gan * dscore))
    fake_backward(dfake, input_gradient=False)
    L_G = (
        objective.lambda_pixel * L_pixel
        + objective.lambda_features * L_features
        + objective.lambda_gan * L_GAN
    )
    losses = {"L_G": L_G, "L_pixel": L_pixel, "L_features": L_features, "L_GAN": L_GAN}
    return losses, seen


def train_step(
    G: Layer,
    D: Layer,
    opt_G: Optimizer,
    opt_D: Optimizer,
    low: Array,
    high: Array,
    *,
    objective: SuperObjective = SuperObjective(),
    stages: Sequence[Layer] = (),
    augment: Layer | None = None,
) -> dict:
    """Take one step: G learns to enlarge, then D learns to tell its images from real ones.

    Parameters
    ----------
    G, D : Layer
    opt_G, opt_D : Optimizer
    low, high : ndarray
        Small images ``(N, H, W, C)`` in [−1, 1], and the true large ones.
    objective : SuperObjective
        The losses' weights, and the game's losses.
    stages : sequence of Layer
        The fixed network of `feature_loss`, stage by stage; none: no such loss.
    augment : Layer, optional
        Everything that D sees passes through it first.

    Returns
    -------
    dict
        The losses of `generator_objective`, ``L_D``, and the means ``D_real`` and ``D_fake`` of D's
        answers as probabilities, before its update; scalars on the backend of `high`.
    """
    for optimizer in (opt_G, opt_D):
        optimizer.zero_grad()
    losses, seen_fake = generator_objective(
        G, D, low, high, objective=objective, stages=stages, augment=augment
    )
    opt_G.step()
    losses |= dict.fromkeys(("L_D", "D_real", "D_fake"), 0 * losses["L_pixel"])
    if objective.lambda_gan:
        seen_real = high if augment is None else augment(high)[0]
        for name, images in (("D_real", seen_real), ("D_fake", seen_fake)):
            score, D_backward = D(images)
            part, dscore = objective.adversarial.discriminator(score, real=images is seen_real)
            D_backward(dscore, input_gradient=False)
            losses["L_D"] = losses["L_D"] + part
            losses[name] = objective.adversarial.probability(score).mean()
        opt_D.step()
    return losses
