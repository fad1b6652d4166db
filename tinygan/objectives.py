"""What two networks play for: a GAN's losses as one small object that a training step takes.

An objective has two methods, each of which turns scores into ``(loss, gradient)``::

    loss_D, dscore = objective.discriminator(score, real=True)   # and real=False
    loss_G, dscore = objective.generator(score)                  # of generated images

To train with other losses, write these two methods in a class of your own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tinygan.losses import bce_with_logits, hinge, hinge_generator, minimax, mse, non_saturating
from tinygan.machine.arrays import Array, get_xp

__all__ = [
    "OBJECTIVES",
    "CycleObjective",
    "Hinge",
    "LeastSquares",
    "Minimax",
    "NonSaturating",
    "Objective",
]


class Objective:
    """The base of a GAN's losses."""

    def discriminator(self, score: Array, real: bool) -> tuple[Array, Array]:
        """Return D's loss on one batch of scores, and its gradient.

        Parameters
        ----------
        score : ndarray
            What D gave a batch of images, before any sigmoid.
        real : bool
            Whether they were real images or generated ones.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not define discriminator(score, real)"
        )

    def generator(self, score: Array) -> tuple[Array, Array]:
        """Return G's loss on what D gave its images, and its gradient."""
        raise NotImplementedError(f"{type(self).__name__} does not define generator(score)")

    def probability(self, score: Array) -> Array:
        """Return D's scores as probabilities that an image is real; here σ(score)."""
        return (get_xp(score).tanh(score * 0.5) + 1) * 0.5


@dataclass(frozen=True)
class NonSaturating(Objective):
    """Cross-entropy for D; for G −log D(G(z)), which is large while D wins.

    Parameters
    ----------
    label_smoothing : float
        D's target for real images, instead of 1.

    References
    ----------
    DeepFake Generation … DCGAN, section II.C, Gloss, second form; label smoothing, section III.A.
    """

    label_smoothing: float = 0.9

    def discriminator(self, score: Array, real: bool) -> tuple[Array, Array]:
        return bce_with_logits(score, self.label_smoothing if real else 0.0)

    def generator(self, score: Array) -> tuple[Array, Array]:
        return non_saturating(score)


@dataclass(frozen=True)
class Minimax(NonSaturating):
    """Cross-entropy for D; for G log(1 − D(G(z))), the minimax game to the letter.

    Parameters
    ----------
    label_smoothing : float
        As in `NonSaturating`.

    References
    ----------
    DeepFake Generation … DCGAN, section II.C, Gloss, first form; "Deep Fakes" using GANs, eq. (1).
    """

    def generator(self, score: Array) -> tuple[Array, Array]:
        return minimax(score)


@dataclass(frozen=True)
class LeastSquares(Objective):
    """(1 − D(x))² + D(G(z))² for D, (1 − D(G(z)))² for G.

    References
    ----------
    "Deep Fakes" using GANs, equations (2), (7), (8); Mao et al., *Least Squares Generative
    Adversarial Networks*, 2017.
    """

    def discriminator(self, score: Array, real: bool) -> tuple[Array, Array]:
        return mse(score, 1.0 if real else 0.0)

    def generator(self, score: Array) -> tuple[Array, Array]:
        return mse(score, 1.0)

    def probability(self, score: Array) -> Array:
        """Return the scores themselves, within [0, 1]."""
        return get_xp(score).clip(score, 0, 1)


@dataclass(frozen=True)
class Hinge(Objective):
    """max(0, 1 − D(x)) + max(0, 1 + D(G(z))) for D, −D(G(z)) for G.

    References
    ----------
    Lim, Ye, *Geometric GAN*, 2017.
    """

    def discriminator(self, score: Array, real: bool) -> tuple[Array, Array]:
        return hinge(score, 1.0 if real else -1.0)

    def generator(self, score: Array) -> tuple[Array, Array]:
        return hinge_generator(score)

    def probability(self, score: Array) -> Array:
        """Return the scores from −1 to 1 as numbers from 0 to 1."""
        return get_xp(score).clip(0.5 * score + 0.5, 0, 1)


OBJECTIVES: dict[str, type[Objective]] = {
    "non_saturating": NonSaturating,
    "minimax": Minimax,
    "least_squares": LeastSquares,
    "hinge": Hinge,
}
"""By the names that commands know them by."""


@dataclass(frozen=True)
class CycleObjective:
    """The weights of the CycleGAN's losses, and the losses that its discriminators play for.

    Parameters
    ----------
    lambda_gan, lambda_identity, lambda_cycle : float
        λ₁, λ₂ and λ₃ of equation (6).  With λ₂ = 0 the two passes of the identity loss are saved,
        and ``L_identity`` is 0.
    lambda_discriminator : float
        "The L_D is multiplied by a coefficient of 0.5", which slows the discriminators down.
    adversarial : Objective
        Least squares in both papers.

    References
    ----------
    "Deep Fakes" using GANs, equation (6); the coefficients, section 3.2.
    """

    lambda_gan: float = 1.0
    lambda_identity: float = 5.0
    lambda_cycle: float = 10.0
    lambda_discriminator: float = 0.5
    adversarial: Objective = field(default_factory=LeastSquares)
