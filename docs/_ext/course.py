"""What a course page needs besides text: solutions that run and stay folded, films, widgets.

``.. solution::`` is followed by code: the text, the code and what it printed and drew are folded
into one element that a reader opens.  The code runs with its page, so a solution is never wrong.

`film` is an image scraper of sphinx-gallery: an animation in a tutorial becomes one tall picture,
frame under frame.  A page shows its last frame; ``film.js`` puts a slider over it and loads the
others from ``films/`` when a reader asks for them.
"""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from docutils import nodes
from docutils.statemachine import StringList
from matplotlib.animation import FuncAnimation
from PIL import Image
from sphinx.util.docutils import SphinxDirective

from tinygan.data import faces

_FOLDED = (
    nodes.literal_block,
    nodes.image,
    nodes.container,
    nodes.comment,
    nodes.raw,
    nodes.target,
)


class solution(nodes.General, nodes.Element):
    """Where a solution begins; what belongs to it follows."""


class Solution(SphinxDirective):
    has_content = True

    def run(self):
        node = solution()
        self.state.nested_parse(self.content, self.content_offset, node)
        return [node]


class Recorded(SphinxDirective):
    """``.. recorded:: NAME``: a result of docs/record.py, with its command, machine and date."""

    required_arguments = 1

    def run(self):
        folder = Path(self.env.srcdir) / "recorded"
        facts = folder / f"{self.arguments[0]}.json"
        said = json.loads(facts.read_text(encoding="utf-8"))
        self.env.note_dependency(str(facts))
        classes, picture = "tg-recorded no-scaled-link", self.arguments[0]
        if said["frames"] > 1:
            classes += f" {film_classes(folder / f'{picture}.webp', said['frames'])}"
            picture += "-last"
        lines = [
            f".. image:: /recorded/{picture}.webp",
            f"   :alt: {said['alt']}",
            f"   :class: {classes}",
            "",
            said["caption"],
            "",
            f"*Recorded* on {said['date']} by ``{said['command']}`` on {said['machine']}; "
            "``docs/record.py`` makes it again.",
        ]
        node = nodes.container(classes=["tg-record"])
        self.state.nested_parse(StringList(lines, str(facts)), self.content_offset, node)
        return [node]


class KernelOverFace(SphinxDirective):
    """``.. kernel-over-face::``: a 3×3 kernel to type, over the face that the page draws."""

    def run(self):
        picture = faces(1, 64, seed=7).images[0].mean(axis=-1).round().astype(np.uint8)
        html = (
            f'<div class="tg-widget" data-widget="kernel" data-picture="{picture.tobytes().hex()}">'
            "<noscript>This figure needs JavaScript.</noscript></div>"
        )
        return [nodes.raw("", html, format="html")]


def fold_solutions(app, doctree):
    """Move the code and the output behind each solution into it, and draw a box around all."""
    for node in list(doctree.findall(solution)):
        parent = node.parent
        start = parent.index(node)
        end = start + 1
        while end < len(parent) and _belongs(parent[end]):
            end += 1
        moved = parent.children[start + 1 : end]
        summary = nodes.raw(
            "", "<details class='tg-solution'><summary>Solution</summary>", format="html"
        )
        box = nodes.container("", summary, *node.children, *moved, classes=["tg-solution-box"])
        box += nodes.raw("", "</details>", format="html")
        parent.children[start:end] = [box]
        box.parent = parent


def fold_long_sections(app, doctree):
    """On the page of the measurements, fold every section behind the summary."""
    if app.env.docname != "speed":
        return
    top = next(doctree.findall(nodes.section))
    for section in [node for node in top.children if isinstance(node, nodes.section)][1:]:
        title, content = section.children[0], section.children[1:]
        opening = "<details class='tg-solution'><summary>Show</summary>"
        section.children[1:] = [
            nodes.raw("", opening, format="html"),
            *content,
            nodes.raw("", "</details>", format="html"),
        ]
        for node in section.children:
            node.parent = section
        assert title is section.children[0]


def _belongs(node):
    if isinstance(node, _FOLDED):
        return True
    return type(node).__name__ in ("imgsgnode", "highlightlang")


def film(block, block_vars, gallery_conf):
    """Save every new animation of a tutorial as one picture, its frames under one another."""
    found = []
    for animation in block_vars["example_globals"].values():
        if not isinstance(animation, FuncAnimation) or getattr(animation, "_is_saved", False):
            continue
        if animation._fig.number not in plt.get_fignums():
            continue
        animation._is_saved, animation._draw_was_started = True, True
        frames = list(_frames(animation))
        path = Path(next(block_vars["image_path_iterator"]))
        frames[-1].save(path)
        strip = path.with_name(f"{path.stem}_film.webp")
        sheet = Image.fromarray(np.concatenate([np.asarray(frame) for frame in frames]))
        sheet.save(strip, quality=80, method=4)
        title = (
            animation._fig.get_label() or "An animation, frame by frame; its title says where it is"
        )
        source = "/" + path.relative_to(gallery_conf["src_dir"]).as_posix()
        classes = f"no-scaled-link {film_classes(strip, len(frames))}"
        found.append(f"\n.. image:: {source}\n   :alt: {title}\n   :class: {classes}\n")
        plt.close(animation._fig)
    return "\n".join(found)


def film_classes(strip: Path, frames: int) -> str:
    """Return what film.js reads: how many frames, where they are, how heavy."""
    kilobytes = strip.stat().st_size // 1000
    return f"tg-film frames-{frames} film-of-{nodes.make_id(strip.stem)} kilobytes-{kilobytes}"


def copy_films(app, error):
    """Put the films where film.js finds them."""
    folder = Path(app.outdir) / "films"
    if error or app.builder.format != "html":
        return
    folder.mkdir(exist_ok=True)
    last = Path(app.srcdir, "recorded").glob("*-last.webp")
    recorded = (path.with_name(path.name.replace("-last", "")) for path in last)
    drawn = Path(app.srcdir, "tutorials", "images").glob("*_film.webp")
    for strip in (*recorded, *drawn):
        shutil.copy(strip, folder / f"{nodes.make_id(strip.stem)}.webp")


def _frames(animation):
    figure, numbers = animation._fig, list(animation.new_frame_seq())
    dpi = min(100, int(16000 / figure.get_figheight() / len(numbers)))  # WebP's limit is 16383
    for number in numbers:
        animation._func(number)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi)
        yield Image.open(buffer).convert("RGB")


def setup(app):
    app.add_node(solution)
    app.add_directive("solution", Solution)
    app.add_directive("recorded", Recorded)
    app.add_directive("kernel-over-face", KernelOverFace)
    app.connect("doctree-read", fold_solutions)
    app.connect("doctree-read", fold_long_sections)
    app.connect("build-finished", copy_films)
    return {"parallel_read_safe": True}
