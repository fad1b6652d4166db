"""A second set of implementations, by another hand than ``tests/mutants``, and seven more.

The diagnosis was developed with the second.  The third (``third.py``) was written before today's
diagnosis and only measured; the fourth (``fourth.py``) before it was mended for the last time; the
fifth (``fifth.py``) to the tenth (``tenth.py``) by hands that had not read the diagnosis.  It was
mended after it had been measured with the fifth to the ninth; with the tenth nothing was mended.  A
wrong formula that no cause describes has the cause ``wrong formula``: silence is right there.
"""

from specimens import affine, groups, pointwise  # noqa: F401
from specimens.table import ROWS

WRONG = [row for row in ROWS if row.cause]
RIGHT = [row for row in ROWS if not row.cause]

__all__ = ["RIGHT", "ROWS", "WRONG"]
