"""The hypotheses about a wrong gradient: what each predicts is compared with what was seen.

A hypothesis takes the evidence and a tensor's name and yields guesses: a cause, its sentence, and
the gradient that it predicts.  A new one is a generator and a line here.  Between the simple ones
and the others the changes of the code in `edits` are tried, where it can be read.
"""

from tinygan.gradcheck.diagnosis import factors, places, scale, sums, terms

SIMPLE = [
    (0, scale.nothing),
    (0, scale.dy_ignored),
    (1, factors.constant_factor),
    (1, places.gradient_reordered),
    (1, scale.whole_numbers),
]
"""Each with the rank of the simplest guess that it makes; the cheap and simple ones first."""

OTHERS = [
    (0, places.dy_changed),
    (1, sums.summed_wrongly),
    (1, terms.wrong_term),
    (2, factors.wrong_factor),
    (2, sums.contributions_lost),
    (3, factors.constant_in_part),
]
"""Those that see less than a change of the code does."""

FOR_WRONG_SHAPES = [(0, scale.nothing), (0, places.wrong_shape), (0, sums.summed_wrongly)]
"""Those that can be told from a gradient of a wrong shape."""
