"""Who made a picture, written into its file: ``made with tinygan 0.1.0 (dcgan, step 7)``."""

from __future__ import annotations

from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

import tinygan

__all__ = ["made_with", "metadata"]

_SOFTWARE = 0x0131  # EXIF's tag for the program


def made_with(system: str, step: int, seed: int | None = None) -> str:
    """Return the note for pictures of a system after `step` steps; it names no file and no folder.

    Examples
    --------
    >>> made_with("dcgan", 1000, seed=0).partition("(")[2]
    'dcgan, step 1000, seed 0)'
    """
    seeded = "" if seed is None else f", seed {seed}"
    name = system.encode("ascii", "replace").decode()
    return f"made with tinygan {tinygan.__version__} ({name}, step {step}{seeded})"


def metadata(kind: str, note: str | None) -> dict[str, Any]:
    """Return what Pillow's ``save`` takes to write a note into a file of a format.

    As PNG's text "Software", EXIF's tag of that name (JPEG, WebP), or a comment (JPEG, GIF); other
    formats have no place for it.
    """
    if note is None:
        return {}
    if kind == "PNG":
        info = PngInfo()
        info.add_text("Software", note)
        return {"pnginfo": info}
    exif = Image.Exif()
    exif[_SOFTWARE] = note
    places: dict[str, dict[str, Any]] = {
        "JPEG": {"exif": exif, "comment": note},
        "WEBP": {"exif": exif},
        "GIF": {"comment": note},
    }
    return places.get(kind, {})
