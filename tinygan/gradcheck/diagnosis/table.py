"""Hypotheses about a wrong gradient, each a test that the numbers pass or fail."""

from tinygan.gradcheck.diagnosis.axes import wrong_axis
from tinygan.gradcheck.diagnosis.chain import (
    behind_a_product,
    factor_of_dy,
    halves_exchanged,
    norm_held_fixed,
)
from tinygan.gradcheck.diagnosis.conv import stride_or_padding
from tinygan.gradcheck.diagnosis.elementwise import elementwise
from tinygan.gradcheck.diagnosis.norm import normalisation
from tinygan.gradcheck.diagnosis.order import (
    flipped,
    from_another_tensor,
    jacobian_transposed,
    permuted_axes,
    shifted,
    wrong_shape,
)
from tinygan.gradcheck.diagnosis.residue import residue
from tinygan.gradcheck.diagnosis.scale import (
    constant_factor,
    missing,
    swapped,
    upstream_ignored,
)
from tinygan.gradcheck.diagnosis.structure import coupling, rearranged, selection
from tinygan.gradcheck.diagnosis.upstream import (
    contributions,
    not_linear,
    upstream_rearranged,
)

HYPOTHESES = [
    (0, missing),
    (0, upstream_ignored),
    (0, wrong_shape),
    (1, constant_factor),
    (1, swapped),
    (1, permuted_axes),
    (1, flipped),
    (1, wrong_axis),
    (1, stride_or_padding),
    (1, normalisation),
    (0, upstream_rearranged),
    (1, behind_a_product),
    (1, halves_exchanged),
    (2, elementwise),
    (2, factor_of_dy),
    (2, norm_held_fixed),
    (2, residue),
    (2, jacobian_transposed),
    (2, from_another_tensor),
    (2, shifted),
    (2, contributions),
    (3, not_linear),
    (3, rearranged),
    (4, selection),
    (4, coupling),
]
"""Each with the rank of the simplest match it can give; the cheap and simple ones first."""

FOR_WRONG_SHAPES = [(0, missing), (0, wrong_shape), (1, wrong_axis)]
"""Those that can be told from a gradient of a wrong shape."""
