"""The hypotheses about a wrong gradient: what each predicts is compared with what was seen.

A hypothesis takes the evidence and a tensor's name and yields guesses: a cause, its sentence, and
the gradient that it predicts.  A new one is a generator and a line here.
"""

from tinygan.gradcheck.diagnosis import factors, paths, places, scale, sums, terms

HYPOTHESES = [
    (0, scale.nothing),
    (0, scale.dy_ignored),
    (0, places.dy_changed),
    (1, factors.constant_factor),
    (1, places.gradient_reordered),
    (1, sums.summed_wrongly),
    (1, scale.whole_numbers),
    (2, factors.wrong_factor),
    (1, terms.wrong_term),
    (1, paths.wrong_product),
    (2, places.map_for_its_transpose),
    (2, places.tensor_replaced),
    (2, sums.contributions_lost),
    (2, scale.not_linear),
    (3, factors.constant_in_part),
    (3, places.moved),
    (3, sums.wrong_group),
]
"""Each with the rank of the simplest guess that it makes; the cheap and simple ones first."""

FOR_WRONG_SHAPES = [(0, scale.nothing), (0, places.wrong_shape), (0, sums.summed_wrongly)]
"""Those that can be told from a gradient of a wrong shape."""
