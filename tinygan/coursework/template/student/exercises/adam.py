r"""Exercise 9: Adam.

For every parameter θ with gradient g, Adam keeps running averages of g and of g², corrects their
bias towards the zero that they start from, and takes a step of about the size of the learning rate:

    m ← β₁ m + (1 − β₁) g,            m̂ = m / (1 − β₁ᵗ),
    v ← β₂ v + (1 − β₂) g²,           v̂ = v / (1 − β₂ᵗ),
    θ ← θ − α m̂ / (√v̂ + ε),

where t counts the steps from 1.  GANs use β₁ = 0.5.
"""

import numpy as np  # noqa: F401


def adam_step(theta, g, m, v, t, lr=2e-4, beta1=0.5, beta2=0.999, eps=1e-8):
    """Return the new ``(theta, m, v)`` as new arrays; the given ones stay as they are."""
    raise NotImplementedError("adam_step: two averages, two corrections, one step")
