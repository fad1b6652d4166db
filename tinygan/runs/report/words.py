"""How to read the curves of each system, beside the curves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

__all__ = ["Panel", "panels"]


@dataclass(frozen=True)
class Panel:
    """One chart of metrics and what it says.

    Attributes
    ----------
    title : str
    lines : dict of str to str
        What a curve is called → metric.
    text : tuple of str
        Paragraphs.
    references : dict of str to float
        Lines that a reader can compare with.
    limits : (float, float) or None
    """

    title: str
    lines: dict[str, str]
    text: tuple[str, ...]
    references: dict[str, float] = field(default_factory=dict)
    limits: tuple[float, float] | None = None


_DCGAN = (
    Panel(
        "Losses of discriminator and generator",
        {"D": "loss_D", "G": "loss_G"},
        (
            "The two play against each other, so neither loss shows how good the pictures are: "
            "each is measured by an opponent that changes. A falling loss is no progress and a "
            "rising one no failure. That both stay in a band, none running off to zero or "
            "upwards, is what a healthy game looks like.",
            "If D could do no better than toss a coin, its loss would be log 4 = 1.39 and G's "
            "log 2 = 0.69: the dashed lines. In practice D stays below and G above. D near zero "
            "while G climbs: D is winning, and G learns little from a judge that is never in "
            "doubt. D at its line while the pictures are poor: D has lost.",
            "When to stop? Look at the samples, and measure: python -m tinygan.evaluate.",
        ),
        {"D, coin toss": 2 * math.log(2), "G, coin toss": math.log(2)},
    ),
    Panel(
        "D(x) and D(G(z)): what D thinks of real and of generated pictures",
        {"D(x)": "D_real", "D(G(z))": "D_fake"},
        (
            "The mean probability that D gives to being real: to the data, D(x), and to G's "
            "pictures, D(G(z)). The gap between the two is how well D tells them apart.",
            "Healthy: a gap that stays, neither closed nor complete. Gap near 1: D is winning. "
            "No gap: D has lost, or the pictures have become as good as the data, which your own "
            "eyes decide. With label smoothing D(x) is drawn to the smoothed label, not to 1.",
        ),
        {"in doubt": 0.5},
        (0.0, 1.0),
    ),
)
_CYCLEGAN = (
    Panel(
        "(a) Total loss of the generators",
        {"L_G": "L_G"},
        (
            "The weighted sum of the three losses further below, of both generators. The cycle "
            "and identity losses weigh most and fall steadily, so unlike a DCGAN's this curve "
            "does go down while the training goes well; the adversarial part in it does not.",
        ),
    ),
    Panel(
        "(b) Losses of the discriminators",
        {"L_D": "L_D", "L_D_X": "L_D_X", "L_D_Y": "L_D_Y"},
        (
            "Squared errors. A discriminator that answers ½ to everything has the loss ½, two of "
            "them 1: the dashed line. Near zero: that D tells every patch apart, and G gets "
            "little from it. At the line for long: it has stopped to judge.",
        ),
        {"both in doubt": 1.0},
    ),
    Panel(
        "(c) Adversarial loss",
        {"L_GAN": "L_GAN"},
        (
            "How far the generators are from passing for real; ½ if both discriminators are in "
            "doubt, 2 if they are never fooled. It goes up and down with the opponent's skill and "
            "need not fall.",
        ),
        {"both in doubt": 0.5},
    ),
    Panel(
        "(d) Identity loss",
        {"L_identity": "L_identity"},
        (
            "How much a generator changes a picture that already is of the domain it translates "
            "into. It should fall. High with wrong colours: raise --lambda-identity.",
        ),
    ),
    Panel(
        "(e) Cycle-consistency loss",
        {"L_cyc": "L_cyc"},
        (
            "How far a picture that was translated there and back is from where it started. It "
            "should fall and flatten. Very low with translations that look like their originals: "
            "the generators have learnt to do nothing; lower --lambda-cycle.",
        ),
    ),
)


def panels(system: str, metrics: list[str]) -> list[Panel]:
    """Return the panels of a system; one with every metric for a system that has none."""
    known = {"dcgan": _DCGAN, "cyclegan": _CYCLEGAN}.get(system)
    if known is None:
        return [Panel("Metrics", {name: name for name in metrics}, ())]
    return [panel for panel in known if set(panel.lines.values()) <= set(metrics)]
