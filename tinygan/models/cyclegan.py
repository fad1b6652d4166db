"""The CycleGAN of the second paper: its objective and one step of Algorithm 1.

References
----------
Shen, Liu, Bai, Li, *"Deep Fakes" using Generative Adversarial Networks (GAN)*, equations (2)–(8)
and Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinygan.distributed.shared import whole_size
from tinygan.layer import Layer, frozen
from tinygan.layers.sequential import Sequential
from tinygan.losses import l1
from tinygan.machine.arrays import Array, get_xp
from tinygan.machine.parallel import side_by_side
from tinygan.models.cyclegan_networks import generator, patch_discriminator
from tinygan.models.image_pool import ImagePool
from tinygan.models.together import together
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


SMALL = 3 * 128 * 128
"""Numbers in a batch of images of one domain: up to here one network leaves cores idle, and what
four passes remember is little."""

TINY = 3 * 64 * 64
"""Up to here six are: the cycle and the identity are one pass, which reads each weight once."""


def _small(x: Array) -> bool:
    return get_xp(x) is np and whole_size(x) <= SMALL


def _tiny(x: Array) -> bool:
    return get_xp(x) is np and whole_size(x) <= TINY


def _both(at_once: bool, first: Callable[[], Any], second: Callable[[], Any]) -> list:
    return side_by_side(first, second) if at_once else [first(), second()]


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
    is known: a step remembers two passes through a generator at most, instead of six, and of small
    images, whose two directions run at the same time, four.  Of tiny ones it remembers all six: the
    weights are what takes time there, and F is called with G(x) and x as one batch.
    """
    augment = augment if augment is not None else Sequential()  # which changes nothing
    X = _Direction(G, F, D_Y, x, objective)
    Y = _Direction(F, G, D_X, y, objective)
    tiny = objective.lambda_identity and _tiny(x)
    cycle = _Direction.cycle_and_identity if tiny else _Direction.cycle
    for directions in [(X, Y)] if _small(x) else [(X,), (Y,)]:
        side_by_side(*(direction.translate for direction in directions))
        for direction in directions:
            direction.judge(augment)
        side_by_side(*(partial(cycle, direction) for direction in directions))
        side_by_side(*(direction.learn for direction in directions))
    L_GAN, L_cyc = X.L_GAN + Y.L_GAN, X.L_cyc + Y.L_cyc
    if objective.lambda_identity and not tiny:
        _both(_small(x), X.identity, Y.identity)
    L_identity = X.L_identity + Y.L_identity
    L_G = (
        objective.lambda_gan * L_GAN
        + objective.lambda_identity * L_identity
        + objective.lambda_cycle * L_cyc
    )
    losses = {"L_G": L_G, "L_GAN": L_GAN, "L_identity": L_identity, "L_cyc": L_cyc}
    return losses, Y.seen, X.seen


class _Direction:
    """One direction's part in L_G: x → G(x) → F(G(x)), for G and F in either role.

    Its first four methods, in this order, are of G, of D_Y, of F and of G again, so that those of
    two directions, one with the roles exchanged, can run `side_by_side`.
    """

    def __init__(self, G: Layer, F: Layer, D_Y: Layer, x: Array, objective: CycleObjective):
        self.G, self.F, self.D_Y, self.x, self.objective = G, F, D_Y, x, objective
        self.L_identity = get_xp(x).zeros((), x.dtype)

    def translate(self) -> None:
        self.fake, self.G_backward = self.G(self.x)

    def judge(self, augment: Layer) -> None:
        """(1 − D_Y(G(x)))²"""
        self.seen, seen_backward = augment(self.fake)
        with frozen(self.D_Y):
            score, D_backward = self.D_Y(self.seen)
        self.L_GAN, dscore = self.objective.adversarial.generator(score)
        self.dfake = seen_backward(D_backward(self.objective.lambda_gan * dscore))

    def cycle(self) -> None:
        """‖F(G(x)) − x‖"""
        again, F_backward = self.F(self.fake)
        self.L_cyc, dagain = l1(again, self.x)
        self.dfake = self.dfake + F_backward(self.objective.lambda_cycle * dagain)

    def learn(self) -> None:
        self.G_backward(self.dfake, input_gradient=False)

    def identity(self) -> None:
        """‖F(x) − x‖: F leaves alone what is already in the domain it translates *into*."""
        same, F_backward = self.F(self.x)
        self.L_identity, dsame = l1(same, self.x)
        F_backward(self.objective.lambda_identity * dsame, input_gradient=False)

    def cycle_and_identity(self) -> None:
        """Both in one pass."""
        again, same, F_backward = together(self.F, self.fake, self.x)
        self.L_cyc, dagain = l1(again, self.x)
        self.L_identity, dsame = l1(same, self.x)
        o = self.objective
        dfake, _ = F_backward(o.lambda_cycle * dagain, o.lambda_identity * dsame)
        self.dfake = self.dfake + dfake


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

    Real and generated pictures go through D_X as separate batches where it has batch normalisation,
    which would otherwise let each see the other's statistics.
    """
    return _judge(D_X, x, fake_x, objective)[0]


def _judge(
    D_X: Layer, x: Array, fake_x: Array, objective: CycleObjective
) -> tuple[Array, Array, Array]:
    """L_D_X, and the means of what D_X answers to real and to generated pictures."""
    score_real, score_fake, D_backward = together(D_X, x, fake_x)
    adversarial, weight = objective.adversarial, objective.lambda_discriminator
    loss_real, dreal = adversarial.discriminator(score_real, True)
    loss_fake, dfake = adversarial.discriminator(score_fake, False)
    D_backward(weight * dreal, weight * dfake, input_gradient=False)
    means = [adversarial.probability(score).mean() for score in (score_real, score_fake)]
    return loss_real + loss_fake, means[0], means[1]


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
    (L_D_X, D_X_real, D_X_fake), (L_D_Y, D_Y_real, D_Y_fake) = _both(
        _small(x),
        lambda: _learn(D_X, opt_D_X, seen_x, pool_X(fake_x), objective),
        lambda: _learn(D_Y, opt_D_Y, seen_y, pool_Y(fake_y), objective),
    )

    losses |= {"L_D": L_D_X + L_D_Y, "L_D_X": L_D_X, "L_D_Y": L_D_Y}
    means_X = {"D_X_real": D_X_real, "D_X_fake": D_X_fake}
    return losses | means_X | {"D_Y_real": D_Y_real, "D_Y_fake": D_Y_fake}
