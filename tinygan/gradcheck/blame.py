"""Where in the code under test an exception came from."""

from __future__ import annotations

import traceback
from pathlib import Path

_OWN = str(Path(__file__).resolve().parent)


def where(error: BaseException) -> str:
    """Return `` (file.py, line 12: the line)`` of the last frame outside the checks and NumPy."""
    known = getattr(error, "where", None)  # it was raised in another process
    if known is not None:
        return f" ({known})" if known else ""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_OWN, "<")) and "site-packages" not in frame.filename
    ]
    if not frames:
        return ""
    frame = frames[-1]
    return f" ({Path(frame.filename).name}, line {frame.lineno}: {frame.line})"
