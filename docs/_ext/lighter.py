"""Pages stay under 2 MB: heavy figures as WebP, and of the theme only what some page uses."""

from __future__ import annotations

import re
from pathlib import Path

import pydata_sphinx_theme
import sphinx_design
from PIL import Image

HEAVY = 40_000  # bytes
_FIGURE = re.compile(r"/tutorials/images/(sphx_glr_\w+)\.png")
SHEETS = {  # in the built site: in its package
    "styles/pydata-sphinx-theme.css": Path(pydata_sphinx_theme.__file__).parent
    / "theme/pydata_sphinx_theme/static/styles/pydata-sphinx-theme.css",
    "sphinx-design.min.css": Path(sphinx_design.__file__).parent / "static/sphinx-design.min.css",
}


def lighten(page: Path, images: Path) -> None:
    """Make a page name light copies of its heavy figures."""
    text = page.read_text(encoding="utf-8")
    for name in sorted(set(_FIGURE.findall(text))):
        path = images / f"{name}.png"
        if not path.exists() or path.stat().st_size <= HEAVY:
            continue
        with Image.open(path) as picture:
            picture.convert("RGB").save(path.with_suffix(".webp"), quality=80, method=6)
        text = text.replace(f"{name}.png", f"{name}.webp")
    page.write_text(text, encoding="utf-8")


def lighten_all(app):
    folder = Path(app.srcdir) / "tutorials"
    for page in sorted(folder.glob("[0-9]*.rst")):
        lighten(page, folder / "images")


def used(css: str, words: set[str]) -> str:
    """Return the rules of a stylesheet without those whose classes and names are not in `words`."""
    kept, start, css = [], 0, re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    while (opening := css.find("{", start)) >= 0:
        head, depth, end = css[start:opening], 1, opening + 1
        while depth:
            depth += {"{": 1, "}": -1}.get(css[end], 0)
            end += 1
        statements, _, head = head.rpartition(";")  # such as @charset, in front of the rule
        body = css[opening + 1 : end - 1]
        if head.lstrip().startswith(("@media", "@supports", "@layer", "@container")):
            body = used(body, words)
            head = head if body else ""
        elif not head.lstrip().startswith("@"):
            head = ",".join(one for one in re.split(r",(?![^(]*\))", head) if _found(one, words))
        kept += [statements + ";" * bool(statements), f"{head}{{{body}}}" if head.strip() else ""]
        start = end
    return "".join(kept)


def _found(selector: str, words: set[str]) -> bool:
    outside = re.sub(r"\[[^]]*\]|:not\([^)]*\)", "", selector)
    return words.issuperset(re.findall(r"[.#]([A-Za-z_][\w-]*)", outside.replace("\\", "")))


def leave_out_what_no_page_uses(app, error):
    """Write the stylesheets anew, from those of their packages."""
    static = Path(app.outdir) / "_static"
    if error or app.builder.format != "html":
        return
    scripts = [path for path in static.rglob("*.js") if "mathjax" not in path.parts]
    files = [*Path(app.outdir).rglob("*.html"), *scripts]
    words = {w for path in files for w in re.findall(r"[\w-]+", path.read_text(encoding="utf-8"))}
    for name, source in SHEETS.items():
        text = source.read_text(encoding="utf-8")
        licences = "\n".join(re.findall(r"/\*!.*?\*/", text, re.DOTALL))
        (static / name).write_text(f"{licences}\n{used(text, words)}", encoding="utf-8")


def setup(app):
    app.connect("builder-inited", lighten_all, priority=850)  # after sphinx-gallery
    app.connect("build-finished", leave_out_what_no_page_uses)
    return {"parallel_read_safe": True}
