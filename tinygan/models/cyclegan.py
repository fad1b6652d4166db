"""The CycleGAN of the second paper: its objective and one step of Algorithm 1.

References
----------
Shen, Liu, Bai, Li, *"Deep Fakes" using Generative Adversarial Networks (GAN)*, equations (2)–(8)
and Algorithm 1.
"""

from __future__ import annotations

from tinygan.layer import Layer, frozen
from tinygan.losses import l1, mse
from tinygan.machine.arrays import get_xp
from tinygan.models.cyclegan_networks import generator, patch_discriminator
from tinygan.models.image_pool import ImagePool
from tinygan.optim import Adam

__all__ = [
    "ImagePool",
    "discriminator_objective",
    "generator",
    "generator_objective",
    "patch_discriminator",
    "train_step",
]


def generator_objective(
    G: Layer,
    F: Layer,
    D_X: Layer,
    D_Y: Layer,
    x,
    y,
    *,
    lambda_gan: float = 1.0,
    lambda_identity: float = 5.0,
    lambda_cycle: float = 10.0,
) -> tuple[dict, object, object]:
    r"""Calculate L_G and back-propagate it into G and F.

    Parameters
    ----------
    G, F, D_X, D_Y, x, y, lambda_gan, lambda_identity, lambda_cycle
        As in `train_step`.

    Returns
    -------
    losses : dict
        ``L_G``, ``L_GAN``, ``L_identity``, ``L_cyc``, scalars on the backend of `x`.
    fake_x, fake_y : ndarray
        F(y) and G(x).

    Notes
    -----
    .. math::
        L_{GAN} &= (1 - D_Y(G(x)))^2 + (1 - D_X(F(y)))^2 & (2) \\
        L_{identity} &= \|G(y) - y\|_1 + \|F(x) - x\|_1 & (4) \\
        L_{cyc} &= \|F(G(x)) - x\|_1 + \|G(F(y)) - y\|_1 & (5) \\
        L_G &= \lambda_1 L_{GAN} + \lambda_2 L_{identity} + \lambda_3 L_{cyc} & (6)

    with means over pixels and patches.  L_G is a sum over four paths through the generators, so
    its gradient is the sum of theirs, and each path is walked back as soon as its loss is known: a
    step remembers two passes through a generator at most, instead of six.
    """
    L_identity = get_xp(x=x, y=y).zeros((), x.dtype)
    if lambda_identity:
        L_identity = _identity(G, y, lambda_identity) + _identity(F, x, lambda_identity)
    fake_y, L_GAN_G, L_cyc_x = _cycle(G, F, D_Y, x, lambda_gan, lambda_cycle)
    fake_x, L_GAN_F, L_cyc_y = _cycle(F, G, D_X, y, lambda_gan, lambda_cycle)
    L_GAN, L_cyc = L_GAN_G + L_GAN_F, L_cyc_x + L_cyc_y
    L_G = lambda_gan * L_GAN + lambda_identity * L_identity + lambda_cycle * L_cyc
    losses = {"L_G": L_G, "L_GAN": L_GAN, "L_identity": L_identity, "L_cyc": L_cyc}
    return losses, fake_x, fake_y


def _identity(G, y, weight):
    """‖G(y) − y‖: G leaves alone what is already in the domain it translates *into*."""
    same, G_backward = G(y)
    loss, dsame = l1(same, y)
    G_backward(weight * dsame, input_gradient=False)
    return loss


def _cycle(G, F, D_Y, x, lambda_gan, lambda_cycle):
    """(1 − D_Y(G(x)))² and ‖F(G(x)) − x‖, for G and F in either role."""
    fake, G_backward = G(x)
    with frozen(D_Y):
        score, D_backward = D_Y(fake)
    loss_gan, dscore = mse(score, 1.0)
    dfake = D_backward(lambda_gan * dscore)
    again, F_backward = F(fake)
    loss_cycle, dagain = l1(again, x)
    dfake = dfake + F_backward(lambda_cycle * dagain)
    G_backward(dfake, input_gradient=False)
    return fake, loss_gan, loss_cycle


def discriminator_objective(D_X: Layer, x, fake_x, *, lambda_discriminator: float = 0.5):
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
    loss = 0.0
    for pictures, target in ((x, 1.0), (fake_x, 0.0)):
        score, D_backward = D_X(pictures)
        part, dscore = mse(score, target)
        D_backward(lambda_discriminator * dscore, input_gradient=False)
        loss = loss + part
    return loss


def train_step(
    G: Layer,
    F: Layer,
    D_X: Layer,
    D_Y: Layer,
    adam_G: Adam,
    adam_D_X: Adam,
    adam_D_Y: Adam,
    x,
    y,
    *,
    lambda_gan: float = 1.0,
    lambda_identity: float = 5.0,
    lambda_cycle: float = 10.0,
    lambda_discriminator: float = 0.5,
    pool_X: ImagePool | None = None,
    pool_Y: ImagePool | None = None,
) -> dict:
    """Take one step of Algorithm 1: the generators learn, then D_X, then D_Y.

    Parameters
    ----------
    G, F : Layer
        The generators, G from X to Y and F from Y to X.
    D_X, D_Y : Layer
        The discriminators, each of the domain in its name.
    adam_G : Adam
        Over the parameters of G and of F: ``Adam(G.parameters() + F.parameters(), …)``.
    adam_D_X, adam_D_Y : Adam
    x, y : ndarray
        Pictures of the two domains, ``(N, H, W, C)`` in [−1, 1].  Nothing pairs them.
    lambda_gan, lambda_identity, lambda_cycle : float
        λ₁, λ₂ and λ₃ of equation (6).  With λ₂ = 0 the two passes of the identity
        loss are saved, and ``L_identity`` is 0.
    lambda_discriminator : float
        "The L_D is multiplied by a coefficient of 0.5", which slows the discriminators down.
    pool_X, pool_Y : ImagePool, optional
        Histories of F(y) and of G(x) that the discriminators see instead of the newest only.

    Returns
    -------
    dict
        ``L_G``, ``L_GAN``, ``L_identity``, ``L_cyc``, ``L_D``, ``L_D_X``, ``L_D_Y`` as in equations
        (2)–(8), before any coefficient; scalars on the backend of `x`.

    References
    ----------
    "Deep Fakes" using GANs, Algorithm 1; the coefficients, section 3.2.
    """
    adam_G.zero_grad()
    losses, fake_x, fake_y = generator_objective(
        G,
        F,
        D_X,
        D_Y,
        x,
        y,
        lambda_gan=lambda_gan,
        lambda_identity=lambda_identity,
        lambda_cycle=lambda_cycle,
    )
    adam_G.step()

    adam_D_X.zero_grad()
    seen = pool_X(fake_x) if pool_X is not None else fake_x
    L_D_X = discriminator_objective(D_X, x, seen, lambda_discriminator=lambda_discriminator)
    adam_D_X.step()

    adam_D_Y.zero_grad()
    seen = pool_Y(fake_y) if pool_Y is not None else fake_y
    L_D_Y = discriminator_objective(D_Y, y, seen, lambda_discriminator=lambda_discriminator)
    adam_D_Y.step()

    return losses | {"L_D": L_D_X + L_D_Y, "L_D_X": L_D_X, "L_D_Y": L_D_Y}
