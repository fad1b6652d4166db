"""The hypotheses about a wrong gradient: what each predicts is compared with what was seen.

A hypothesis takes the evidence and a tensor's name and yields guesses: a cause, its sentence, and
the gradient that it predicts.  A new one is a generator and a line here.
"""

from tinygan.gradcheck.diagnosis import conv, coupled, factors, places, products, scale, sums

HYPOTHESES = [
    (0, scale.nothing),
    (0, scale.dy_ignored),
    (0, places.dy_changed),
    (1, factors.constant_factor),
    (1, places.gradient_reordered),
    (1, sums.summed_wrongly),
    (1, conv.stride_or_padding),
    (1, scale.whole_numbers),
    (1, coupled.normalisation),
    (1, products.behind_a_product),
    (2, products.rows_of_terms),
    (2, factors.wrong_factor),
    (2, factors.one_of_two_terms),
    (2, factors.sum_of_terms),
    (2, places.map_for_its_transpose),
    (2, places.tensor_replaced),
    (2, sums.contributions_lost),
    (2, scale.not_linear),
    (3, factors.constant_in_part),
    (3, places.sorted_alike),
    (3, coupled.wrong_group),
]
"""Each with the rank of the simplest guess that it makes; the cheap and simple ones first."""

FOR_WRONG_SHAPES = [(0, scale.nothing), (0, places.wrong_shape), (0, sums.summed_wrongly)]
"""Those that can be told from a gradient of a wrong shape."""
