"""A role that shows one line of the source, and fails the build when the source has no such line.

``:line:`tinygan/losses.py | def l1(prediction, target):``` becomes ``losses.py:238``, linked to the
page of the source.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxRole

ROOT = Path(__file__).resolve().parents[2]


class Line(SphinxRole):
    def run(self):
        file, _, wanted = (part.strip() for part in self.text.partition("|"))
        lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
        found = [number for number, line in enumerate(lines, 1) if wanted in line]
        if not wanted or not found:
            message = self.inliner.reporter.error(f"no line of {file} has {wanted!r}")
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        self.env.note_dependency(str(ROOT / file))
        module = file.removesuffix(".py").removesuffix("/__init__")
        text = f"{file.removeprefix('tinygan/')}:{found[0]}"
        link = nodes.literal(text, text, classes=["source-line"])
        reference = nodes.reference("", "", link, internal=True)
        depth = self.env.docname.count("/")
        reference["refuri"] = "../" * depth + f"_modules/{module}.html"
        reference["reftitle"] = wanted
        return [reference], []


def setup(app):
    app.add_role("line", Line())
    return {"parallel_read_safe": True}
