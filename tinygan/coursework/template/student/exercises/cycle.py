r"""Exercise 11: cycle consistency and identity.

CycleGAN translates pictures between two collections X and Y without pairs: G turns an x into a y,
F turns a y into an x.  What ties them together is that going there and back must return the
picture, and that a picture which is already right should stay as it is (‖·‖ is the mean absolute
difference, ``tinygan.l1(prediction, target)``, which returns ``(loss, gradient)``):

    cycle:     ‖F(G(x)) − x‖ + ‖G(F(y)) − y‖,
    identity:  ‖G(y) − y‖ + ‖F(x) − x‖.

Mind the second: G makes y's, so it is a *y* that it should leave alone.

    L = cycle_weight · cycle + identity_weight · identity.

G and F are called three times each.  Every call returns its own backward pass; gradients add
up in the parameters.  The gradient of ‖F(G(x)) − x‖ flows back through F and then through G.
"""

from tinygan import l1  # noqa: F401


def cycle_and_identity(G, F, x, y, cycle_weight=10.0, identity_weight=5.0):
    """Add L's gradients to the parameters of G and F, and return L."""
    raise NotImplementedError("cycle_and_identity: six calls, six ways back")
