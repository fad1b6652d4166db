r"""Exercise 10: one step of a DCGAN.

Networks here are tinygan's: calling one returns its output and its backward pass,

    fake, fake_backward = G(z)
    dz = fake_backward(dfake)     # adds to every parameter's .grad, returns the gradient of z

A loss returns ``(loss, gradient)`` (use ``tinygan.bce_with_logits``), an optimiser has
``zero_grad()`` and ``step()``.  One step of the game:

1. Draw the pictures ``fake = G(z)`` (one call serves both halves).
2. D learns: clear D's gradients; D's loss is that of the real pictures with the target
   `real_label` plus that of the fakes with the target 0, each batch through D on its own; walk
   both back; ``adam_D.step()``.
3. G learns: clear G's gradients; score the same fakes with the D that has just learnt; G's loss has
   the target 1; walk back through D and then through G; ``adam_G.step()``.

In the third part D is only a road for the gradient: it must not change.
"""

from tinygan import bce_with_logits  # noqa: F401


def train_step(G, D, adam_G, adam_D, x, z, real_label=0.9):
    """Change D, then G, by one step; return ``(loss_D, loss_G)``."""
    raise NotImplementedError("train_step: D's half, then G's half")
