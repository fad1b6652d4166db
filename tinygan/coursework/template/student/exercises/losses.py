r"""Exercise 8: the losses of GANs.

A loss returns its value, the mean over all M elements, and its gradient with respect to the first
argument.  The target t is one number or an array.

Binary cross-entropy of probabilities p, and its gradient:

    L = −1/M Σ t log p + (1 − t) log(1 − p),       dp = 1/M · (p − t) / (p (1 − p)).

With scores s, p = sigmoid(s), the slope of the sigmoid cancels the denominator:

    L = 1/M Σ max(s, 0) − s t + log(1 + exp(−|s|)),       ds = 1/M · (sigmoid(s) − t).

This form overflows for no score.  The least-squares loss of LSGAN, on scores:

    L = 1/M Σ (s − t)²,       ds = 2/M · (s − t).

Real pictures get the target 1 (or 0.9, "label smoothing"), generated ones 0; the generator asks for
1 on its own pictures.
"""

import numpy as np  # noqa: F401


def bce(probability, target):
    """Return ``(loss, gradient)``."""
    raise NotImplementedError("bce: the mean of −t log p − (1 − t) log(1 − p)")


def bce_with_logits(score, target):
    """Return ``(loss, gradient)``."""
    raise NotImplementedError("bce_with_logits: as bce, of sigmoid(score), without overflow")


def least_squares(score, target):
    """Return ``(loss, gradient)``."""
    raise NotImplementedError("least_squares: the mean of (s − t)²")
