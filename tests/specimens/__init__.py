"""A second set of implementations, written before the diagnosis was tuned on it.

Every second row is held out: it is measured, never looked at while the diagnosis is changed.
A wrong formula that no cause describes has the cause ``wrong formula``: silence is right there.
"""

from specimens import affine, groups, pointwise  # noqa: F401
from specimens.table import ROWS

WRONG = [row for row in ROWS if row.cause]
RIGHT = [row for row in ROWS if not row.cause]
DEVELOPED, HELD_OUT = WRONG[::2], WRONG[1::2]

__all__ = ["DEVELOPED", "HELD_OUT", "RIGHT", "ROWS", "WRONG"]
