"""The CycleGAN of the second paper: its objective and one step of Algorithm 1.

References
----------
Shen, Liu, Bai, Li, *"Deep Fakes" using Generative Adversarial Networks (GAN)*, equations (2)–(8)
and Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from tinygan.layer import Layer, Sequential, frozen
from tinygan.losses import l1
from tinygan.machine.arrays import Array, get_xp
from tinygan.machine.parallel import side_by_side
from tinygan.models.cyclegan_networks import generator, patch_discriminator
from tinygan.models.image_pool import ImagePool
from tinygan.objectives import CycleObjective
from tinygan.optim import Optimizer

__all__ = [
    "ImagePool",
    "discriminator_objective",
    "generator",
    "generator_objective",
    "patch_discriminator",
    "train_step",
]


def _small(x: Array, side: int = 128) -> bool:
    """Whether one pass leaves cores idle, and what several of them remember is little."""
    return get_xp(x) is np and x.size <= 3 * side * side


def generator_objective(
    G: Layer,
    F: Layer,
    D_X: Layer,
    D_Y: Layer,
    x: Array,
    y: Array,
    *,
    objective: CycleObjective = CycleObjective(),
    augment: Layer | None = None,
) -> tuple[dict, object, object]:
    r"""Calculate L_G and back-propagate it into G and F.

    Parameters
    ----------
    G, F, D_X, D_Y, x, y, objective, augment
        As in `train_step`.

    Returns
    -------
    losses : dict
        ``L_G``, ``L_GAN``, ``L_identity``, ``L_cyc``, scalars on the backend of `x`.
    fake_x, fake_y : ndarray
        F(y) and G(x), as the discriminators saw them.

    Notes
    -----
    .. math::
        L_{GAN} &= (1 - D_Y(G(x)))^2 + (1 - D_X(F(y)))^2 & (2) \\
        L_{identity} &= \|G(y) - y\|_1 + \|F(x) - x\|_1 & (4) \\
        L_{cyc} &= \|F(G(x)) - x\|_1 + \|G(F(y)) - y\|_1 & (5) \\
        L_G &= \lambda_1 L_{GAN} + \lambda_2 L_{identity} + \lambda_3 L_{cyc} & (6)

    with means over pixels and patches.  L_G is a sum over four paths through the generators, so
    its gradient is the sum of theirs, and the backward pass of each is called as soon as its loss
    is known: a step remembers two passes through a generator at most, instead of six.
    """
    L_identity = get_xp(x=x, y=y).zeros((), x.dtype)
    if objective.lambda_identity:
        L_identity = sum(
            side_by_side(
                lambda: _identity(G, y, objective),
                lambda: _identity(F, x, objective),
                together=_small(x),
            )
        )
    together = _small(x) and augment is None  # whose random numbers come in the order of its calls
    augment = augment if augment is not None else Sequential()  # which changes nothing
    (fake_y, L_GAN_G, L_cyc_x), (fake_x, L_GAN_F, L_cyc_y) = side_by_side(
        _cycle(G, F, D_Y, x, objective, augment),
        _cycle(F, G, D_X, y, objective, augment),
        together=together,
    )
    L_GAN, L_cyc = L_GAN_G + L_GAN_F, L_cyc_x + L_cyc_y
    L_G = (
        objective.lambda_gan * L_GAN
        + objective.lambda_identity * L_identity
        + objective.lambda_cycle * L_cyc
    )
    losses = {"L_G": L_G, "L_GAN": L_GAN, "L_identity": L_identity, "L_cyc": L_cyc}
    return losses, fake_x, fake_y


def _identity(G: Layer, y: Array, objective: CycleObjective) -> Array:
    """‖G(y) − y‖: G leaves alone what is already in the domain it translates *into*."""
    same, G_backward = G(y)
    loss, dsame = l1(same, y)
    G_backward(objective.lambda_identity * dsame, input_gradient=False)
    return loss


def _cycle(
    G: Layer, F: Layer, D_Y: Layer, x: Array, objective: CycleObjective, augment: Layer
) -> Generator[None, None, tuple[Array, Array, Array]]:
    """(1 − D_Y(G(x)))² and ‖F(G(x)) − x‖, for G and F in either role.

    Its three phases are of G, of F, and of G again: two of these, with the roles exchanged, can run
    `side_by_side`.
    """
    fake, G_backward = G(x)
    yield
    seen, seen_backward = augment(fake)
    with frozen(D_Y):
        score, D_backward = D_Y(seen)
    loss_gan, dscore = objective.adversarial.generator(score)
    dfake = seen_backward(D_backward(objective.lambda_gan * dscore))
    again, F_backward = F(fake)
    loss_cycle, dagain = l1(again, x)
    dfake = dfake + F_backward(objective.lambda_cycle * dagain)
    yield
    G_backward(dfake, input_gradient=False)
    return seen, loss_gan, loss_cycle


def discriminator_objective(
    D_X: Layer, x: Array, fake_x: Array, *, objective: CycleObjective = CycleObjective()
) -> Array:
    r"""Calculate L_D_X and back-propagate it, times `lambda_discriminator`, into D_X.

    With D_Y, y and G(x) it is L_D_Y.

    Returns
    -------
    scalar ndarray
        The loss of equation (7), not multiplied.

    Notes
    -----
    .. math:: L_{D_X} = (1 - D_X(x))^2 + D_X(F(y))^2 \qquad (7), (8)

    Real and generated pictures go through D_X as separate batches, since batch normalisation would
    otherwise let each see the other's statistics.
    """
    return _judge(D_X, x, fake_x, objective)[0]


def _judge(
    D_X: Layer, x: Array, fake_x: Array, objective: CycleObjective
) -> tuple[Array, Array, Array]:
    """L_D_X, and the means of what D_X answers to real and to generated pictures."""
    loss: Array = 0.0
    means = []
    for images, real in ((x, True), (fake_x, False)):
        score, D_backward = D_X(images)
        part, dscore = objective.adversarial.discriminator(score, real)
        D_backward(objective.lambda_discriminator * dscore, input_gradient=False)
        loss = loss + part
        means.append(objective.adversarial.probability(score).mean())
    return loss, means[0], means[1]


def _learn(
    D_X: Layer, opt_D_X: Optimizer, x: Array, fake_x: Array, objective: CycleObjective
) -> tuple[Array, Array, Array]:
    """One step of D_X."""
    judgement = _judge(D_X, x, fake_x, objective)
    opt_D_X.step()
    return judgement


def train_step(
    G: Layer,
    F: Layer,
    D_X: Layer,
    D_Y: Layer,
    opt_G: Optimizer,
    opt_D_X: Optimizer,
    opt_D_Y: Optimizer,
    x: Array,
    y: Array,
    *,
    objective: CycleObjective = CycleObjective(),
    pools: tuple[ImagePool, ImagePool] | None = None,
    augment: Layer | None = None,
) -> dict:
    """Take one step of Algorithm 1: the generators learn, then D_X, then D_Y.

    Parameters
    ----------
    G, F : Layer
        The generators, G from X to Y and F from Y to X.
    D_X, D_Y : Layer
        The discriminators, each of the domain in its name.
    opt_G : Optimizer
        Over the parameters of G and of F: ``Adam(G.parameters() + F.parameters(), …)``.
    opt_D_X, opt_D_Y : Optimizer
    x, y : ndarray
        Pictures of the two domains, ``(N, H, W, C)`` in [−1, 1].  Nothing pairs them.
    objective : CycleObjective
        The losses' weights, and the discriminators' losses.
    pools : pair of ImagePool, optional
        Histories of F(y) and of G(x), as the discriminators saw them, that D_X and D_Y are shown
        instead of the newest only.
    augment : Layer, optional
        Everything that the discriminators see passes through it first.

    Returns
    -------
    dict
        ``L_G``, ``L_GAN``, ``L_identity``, ``L_cyc``, ``L_D``, ``L_D_X``, ``L_D_Y`` as in equations
        (2)–(8), before any coefficient, and the means ``D_X_real``, ``D_X_fake``, ``D_Y_real``,
        ``D_Y_fake`` of the discriminators' answers as probabilities; scalars on the backend of `x`.

    References
    ----------
    "Deep Fakes" using GANs, Algorithm 1; the coefficients, section 3.2.
    """
    pool_X, pool_Y = pools if pools is not None else (ImagePool(0), ImagePool(0))

    for optimizer in (opt_G, opt_D_X, opt_D_Y):
        optimizer.zero_grad()
    losses, fake_x, fake_y = generator_objective(
        G, F, D_X, D_Y, x, y, objective=objective, augment=augment
    )
    opt_G.step()

    augment = augment if augment is not None else Sequential()  # which changes nothing
    (seen_x, _), (seen_y, _) = augment(x), augment(y)
    (L_D_X, D_X_real, D_X_fake), (L_D_Y, D_Y_real, D_Y_fake) = side_by_side(
        lambda: _learn(D_X, opt_D_X, seen_x, pool_X(fake_x), objective),
        lambda: _learn(D_Y, opt_D_Y, seen_y, pool_Y(fake_y), objective),
        together=_small(x, 64),
    )

    losses |= {"L_D": L_D_X + L_D_Y, "L_D_X": L_D_X, "L_D_Y": L_D_Y}
    means_X = {"D_X_real": D_X_real, "D_X_fake": D_X_fake}
    return losses | means_X | {"D_Y_real": D_Y_real, "D_Y_fake": D_Y_fake}
