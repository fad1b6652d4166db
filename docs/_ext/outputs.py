"""The notebooks that the pages offer have been executed: their outputs are those of the page.

sphinx-gallery executes a tutorial once, for its page.  What a block printed and drew there is put
below the same block of the notebook.
"""

from __future__ import annotations

import base64
import io
import json
import re
import textwrap
import zipfile
from pathlib import Path

from PIL import Image

import tinygan

_BLOCK = re.compile(r"^\.\. GENERATED FROM PYTHON SOURCE LINES .*$", re.M)
_PRINTED = re.compile(r"^ \.\. code-block:: none\n\n((?:    .*\n|\n)+)", re.M)
_DRAWN = re.compile(r"^\.\. image(?:-sg)?:: (/\S+)\n((?:   :.*\n)+)", re.M)


def outputs_of(text: str, source: Path) -> list[list[dict]]:
    """Return the outputs of every block of code on a page, in order."""
    blocks = [part for part in _BLOCK.split(text)[1:] if ".. code-block:: Python\n" in part]
    return [_outputs(block + "\n", source) for block in blocks]


def _outputs(block: str, source: Path) -> list[dict]:
    found = []
    for match in _PRINTED.finditer(block):
        printed = textwrap.dedent(match[1]).rstrip("\n") + "\n"
        found.append({"name": "stdout", "output_type": "stream", "text": printed})
    for match in _DRAWN.finditer(block):
        described = re.search(r":alt: (.*)", match[2])
        data = {"image/png": _png(source / match[1].lstrip("/"))}
        data["text/plain"] = described[1] if described else "a figure"
        found.append({"data": data, "metadata": {}, "output_type": "display_data"})
    return found


def _png(path: Path) -> str:
    """Return a picture as a notebook holds it."""
    if path.suffix == ".png":
        return base64.b64encode(path.read_bytes()).decode()
    buffer = io.BytesIO()
    with Image.open(path) as picture:
        picture.save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()


def fill(notebook: dict, outputs: list[list[dict]]) -> dict:
    """Put outputs below the blocks of code; the first cell says which tinygan is there."""
    printed = f"tinygan {tinygan.__version__}\n"
    first = [{"name": "stdout", "output_type": "stream", "text": printed}]
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, (cell, made) in enumerate(zip(cells, [first, *outputs], strict=True), 1):
        cell |= {"execution_count": number, "outputs": made}
    return notebook


def fill_all(app):
    """Fill the notebooks of the gallery, and those in the archives that it offers."""
    source = Path(app.srcdir)
    for path in sorted((source / "tutorials").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        page = path.with_suffix(".rst").read_text(encoding="utf-8")
        text = json.dumps(fill(notebook, outputs_of(page, source)), ensure_ascii=False, indent=1)
        path.write_text(text, encoding="utf-8")
        if (archive := path.with_suffix(".zip")).exists():
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as both:
                for file in (path.with_suffix(".py"), path):
                    both.write(file, file.name)


def setup(app):
    app.connect("builder-inited", fill_all, priority=900)  # after sphinx-gallery
    return {"parallel_read_safe": True}
