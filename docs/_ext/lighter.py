"""Figures of the tutorials that are heavy as PNG are shown as WebP: a page stays under 2 MB."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

HEAVY = 60_000  # bytes
_FIGURE = re.compile(r"/tutorials/images/(sphx_glr_\w+)\.png")


def lighten(page: Path, images: Path) -> None:
    """Make a page name light copies of its heavy figures."""
    text = page.read_text(encoding="utf-8")
    for name in sorted(set(_FIGURE.findall(text))):
        path = images / f"{name}.png"
        if not path.exists() or path.stat().st_size <= HEAVY:
            continue
        with Image.open(path) as picture:
            picture.convert("RGB").save(path.with_suffix(".webp"), quality=88, method=6)
        text = text.replace(f"{name}.png", f"{name}.webp")
    page.write_text(text, encoding="utf-8")


def lighten_all(app):
    folder = Path(app.srcdir) / "tutorials"
    for page in sorted(folder.glob("[0-9]*.rst")):
        lighten(page, folder / "images")


def setup(app):
    app.connect("builder-inited", lighten_all, priority=850)  # after sphinx-gallery
    return {"parallel_read_safe": True}
