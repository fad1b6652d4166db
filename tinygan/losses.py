r"""Every loss of both papers, and the hinge, each as ``(loss, gradient)``.

The gradient is that of the loss with respect to the first argument, ready for the backward pass of
the network that made it.  All losses are means over every element, so that neither the batch's
size nor the score map's changes their scale.

The loss is a scalar array on the predictions' own backend, so that nothing waits for a GPU;
``float(loss)`` fetches it.  Predictions are floating-point arrays with at least one element; a
target is a number or an array of the predictions' shape, and is converted to their dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygan.fast import accelerated
from tinygan.machine.arrays import Array, get_xp

__all__ = [
    "bce",
    "bce_with_logits",
    "hinge",
    "hinge_generator",
    "l1",
    "minimax",
    "mse",
    "non_saturating",
]


@accelerated
def bce(probability: Array, target: Array) -> tuple[Array, Array]:
    r"""Binary cross-entropy of probabilities.

    Parameters
    ----------
    probability : ndarray
        p = D(x), in [0, 1], of any shape: what a sigmoid gave.
    target : float or ndarray
        t in [0, 1]: 1 for real, 0 for generated.  The first paper smooths the label of real
        pictures to 0.9.

    Returns
    -------
    loss, gradient
        The mean over all M elements, and its gradient with respect to `probability`.

    Notes
    -----
    .. math::
        L = -\tfrac1M \sum_i t_i \log p_i + (1 - t_i) \log (1 - p_i), \qquad
        dp_i = \tfrac1M \frac{p_i - t_i}{p_i (1 - p_i)}.

    With t = 1 this is :math:`-\log D(x)`, with t = 0 it is :math:`-\log(1 - D(G(z)))`: minimising
    their sum maximises the paper's ``Dloss``.  A sigmoid that has saturated to exactly 0 or 1 has
    no finite logarithm, so p is kept a rounding error away from both; `bce_with_logits` needs no
    such thing.

    References
    ----------
    DeepFake Generation … DCGAN, section II.C; label smoothing, section III.A.

    Examples
    --------
    >>> import numpy as np
    >>> loss, gradient = bce(np.array([0.5, 0.5]), 1.0)
    >>> float(loss), gradient
    (0.6931471805599453, array([-1., -1.]))
    """
    t, xp = _checked("bce", probability, target), get_xp(probability)
    tiny = float(xp.finfo(probability.dtype).eps) / 2
    p = xp.clip(probability, tiny, 1 - tiny)
    loss = -(t * xp.log(p) + (1 - t) * xp.log1p(-p)).mean()
    return loss, (p - t) / (p * (1 - p)) * (1 / p.size)


@accelerated
def bce_with_logits(score: Array, target: Array) -> tuple[Array, Array]:
    r"""Binary cross-entropy of scores before the sigmoid, finite for every score.

    Parameters
    ----------
    score : ndarray
        s, with D(x) = σ(s), of any shape.
    target : float or ndarray
        t in [0, 1], as in `bce`.

    Returns
    -------
    loss, gradient
        The mean over all M elements, and its gradient with respect to `score`.

    Notes
    -----
    Putting p = σ(s) into `bce` and taking the exponential of negative numbers only,

    .. math::
        L = \tfrac1M \sum_i \max(s_i, 0) - s_i t_i + \log(1 + e^{-|s_i|}), \qquad
        ds_i = \tfrac1M (\sigma(s_i) - t_i).

    The sigmoid's slope p (1 − p) has cancelled the loss's 1 / (p (1 − p)): a confident, wrong
    discriminator still gets a full gradient.

    References
    ----------
    DeepFake Generation … DCGAN, section II.C.

    Examples
    --------
    >>> import numpy as np
    >>> loss, gradient = bce_with_logits(np.array([1000.0, -1000.0]), 1.0)
    >>> float(loss), gradient
    (500.0, array([ 0. , -0.5]))
    """
    t, xp = _checked("bce_with_logits", score, target), get_xp(score)
    loss = (xp.maximum(score, 0) - score * t + xp.log1p(xp.exp(-abs(score)))).mean()
    sigmoid = 0.5 * (xp.tanh(0.5 * score) + 1)
    return loss, (sigmoid - t) * (1 / score.size)


def minimax(score: Array) -> tuple[Array, Array]:
    r"""The generator's loss of the minimax game, log(1 − D(G(z))).

    Parameters
    ----------
    score : ndarray
        s, the discriminator's score of generated pictures before the sigmoid, D(G(z)) = σ(s).

    Returns
    -------
    loss, gradient
        The mean over all M elements, and its gradient with respect to `score`.

    Notes
    -----
    .. math:: L = \tfrac1M \sum_i \log(1 - \sigma(s_i)), \qquad ds_i = -\tfrac1M \sigma(s_i).

    While the discriminator wins, σ(s) is near 0, and so is the gradient: the generator learns
    least when it has most to learn.  `non_saturating` mends that.

    References
    ----------
    DeepFake Generation … DCGAN, section II.C, Gloss, first form; "Deep Fakes" using GANs, eq. (1).

    Examples
    --------
    >>> import numpy as np
    >>> loss, gradient = minimax(np.array([0.0]))
    >>> float(loss), gradient
    (-0.6931471805599453, array([-0.5]))
    """
    loss, gradient = bce_with_logits(score, 0.0)
    return -loss, -gradient


def non_saturating(score: Array) -> tuple[Array, Array]:
    r"""The generator's non-saturating loss, −log D(G(z)).

    Parameters
    ----------
    score : ndarray
        s, the discriminator's score of generated pictures before the sigmoid, D(G(z)) = σ(s).

    Returns
    -------
    loss, gradient
        The mean over all M elements, and its gradient with respect to `score`.

    Notes
    -----
    .. math:: L = -\tfrac1M \sum_i \log \sigma(s_i), \qquad ds_i = -\tfrac1M (1 - \sigma(s_i)).

    It has the same fixed point as `minimax` and is large where D is sure that a picture is
    generated.

    References
    ----------
    DeepFake Generation … DCGAN, section II.C, Gloss, second form.

    Examples
    --------
    >>> import numpy as np
    >>> loss, gradient = non_saturating(np.array([0.0]))
    >>> float(loss), gradient
    (0.6931471805599453, array([-0.5]))
    """
    return bce_with_logits(score, 1.0)


@accelerated
def mse(prediction: Array, target: Array) -> tuple[Array, Array]:
    r"""Mean squared error, the adversarial loss of least-squares GANs.

    Parameters
    ----------
    prediction : ndarray
        p, of any shape: a discriminator's scores, with no sigmoid.
    target : float or ndarray
        t: 1 for real, 0 for generated; or an array of the prediction's shape.

    Returns
    -------
    loss, gradient
        The mean over all M elements, and its gradient with respect to `prediction`.

    Notes
    -----
    .. math:: L = \tfrac1M \sum_i (p_i - t_i)^2, \qquad dp_i = \tfrac2M (p_i - t_i).

    References
    ----------
    "Deep Fakes" using GANs, equations (2), (3), (7), (8); Mao et al., *Least Squares Generative
    Adversarial Networks*, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> loss, gradient = mse(np.array([0.5, 1.0]), 1.0)
    >>> float(loss), gradient
    (0.125, array([-0.5,  0. ]))
    """
    difference = prediction - _checked("mse", prediction, target)
    return (difference * difference).mean(), difference * (2 / difference.size)


@accelerated
def l1(prediction: Array, target: Array) -> tuple[Array, Array]:
    r"""Mean absolute difference, the cycle-consistency and identity losses' norm.

    Parameters
    ----------
    prediction, target : ndarray
        p and t, of one shape; `target` may be a single number.

    Returns
    -------
    loss, gradient
        The mean over all M elements, and its gradient with respect to `prediction`.

    Notes
    -----
    .. math:: L = \tfrac1M \sum_i |p_i - t_i|, \qquad dp_i = \tfrac1M \mathrm{sign}(p_i - t_i),

    with the sign of 0 taken as 0.  The paper writes the norm :math:`\|\cdot\|_1`; the mean differs
    from it by the constant factor M, which keeps λ's meaning the same at every image size and is
    what the published code does.

    References
    ----------
    "Deep Fakes" using GANs, equations (4) and (5).

    Examples
    --------
    >>> import numpy as np
    >>> loss, gradient = l1(np.array([3.0, -1.0]), np.array([1.0, 0.0]))
    >>> float(loss), gradient
    (1.5, array([ 0.5, -0.5]))
    """
    difference = prediction - _checked("l1", prediction, target)
    return abs(difference).mean(), get_xp(difference).sign(difference) * (1 / difference.size)


@accelerated
def hinge(score: Array, target: Array) -> tuple[Array, Array]:
    r"""The discriminator's hinge: it stops pushing at scores that are right by a margin of 1.

    Parameters
    ----------
    score : ndarray
        s, the discriminator's scores, of any shape, with no sigmoid.
    target : float or ndarray
        t: 1 for real, −1 for generated.

    Returns
    -------
    loss, gradient
        The mean over all M elements, and its gradient with respect to `score`.

    Notes
    -----
    .. math:: L = \tfrac1M \sum_i \max(0, 1 - t_i s_i), \qquad
              ds_i = -\tfrac1M\, t_i \text{ where } t_i s_i < 1 \text{, else } 0.

    References
    ----------
    Lim, Ye, *Geometric GAN*, 2017; Miyato et al., *Spectral Normalization for Generative
    Adversarial Networks*, 2018, equation (16).

    Examples
    --------
    >>> import numpy as np
    >>> loss, gradient = hinge(np.array([3.0, 0.5]), 1.0)
    >>> float(loss), gradient
    (0.25, array([-0. , -0.5]))
    """
    t, xp = _checked("hinge", score, target), get_xp(score)
    missing = xp.maximum(1 - t * score, 0)
    return missing.mean(), xp.sign(missing) * t * (-1 / score.size)


def hinge_generator(score: Array) -> tuple[Array, Array]:
    r"""The generator's loss against a discriminator with a `hinge`: −D(G(z)).

    Parameters
    ----------
    score : ndarray
        s, the discriminator's scores of generated pictures, with no sigmoid.

    Returns
    -------
    loss, gradient
        The mean over all M elements, and its gradient with respect to `score`.

    Notes
    -----
    .. math:: L = -\tfrac1M \sum_i s_i, \qquad ds_i = -\tfrac1M.

    References
    ----------
    As `hinge`; Miyato et al., equation (17).

    Examples
    --------
    >>> import numpy as np
    >>> loss, gradient = hinge_generator(np.array([3.0, -1.0]))
    >>> float(loss), gradient
    (-1.0, array([-0.5, -0.5]))
    """
    _checked("hinge_generator", score)
    return -score.mean(), get_xp(score).full_like(score, -1 / score.size)


def _checked(name: str, prediction: Array, target: Any = 0.0) -> Any:
    """Check both arguments; return the target as a number or an array of the prediction's dtype."""
    get_xp(prediction=prediction)
    if prediction.dtype.kind != "f":
        raise TypeError(
            f"{name}: expected predictions of a floating-point dtype, got {prediction.dtype}; "
            "convert them first, as in x.astype('float32')"
        )
    if prediction.size == 0:
        raise ValueError(
            f"{name}: expected at least one prediction, got shape {tuple(prediction.shape)}"
        )
    if isinstance(target, (int, float)):
        return float(target)  # also of an np.float64, which would make float32 float64
    number = isinstance(target, np.generic) or (isinstance(target, np.ndarray) and target.ndim == 0)
    if not number:
        get_xp(prediction=prediction, target=target)
    if target.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected a target of real numbers, got dtype {target.dtype}")
    if number:
        return float(target)
    if target.shape not in (prediction.shape, ()):
        raise ValueError(
            f"{name}: expected a target of the prediction's shape {tuple(prediction.shape)} "
            f"or a single number, got shape {tuple(target.shape)}"
        )
    return target.astype(prediction.dtype, copy=False)
