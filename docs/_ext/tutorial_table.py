"""``.. tutorial-table::``: every tutorial and its minutes, from the files themselves."""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

TUTORIALS = Path(__file__).resolve().parents[2] / "tutorials"


class TutorialTable(SphinxDirective):
    def run(self):
        lines = [".. list-table::", "   :header-rows: 1", "", "   * - Tutorial", "     - Minutes"]
        for path in sorted(TUTORIALS.glob("[0-9][0-9]_*.py")):
            minutes = re.search(r"^:Time: (\d+) minutes", path.read_text(encoding="utf-8"), re.M)
            lines += [f"   * - :doc:`/tutorials/{path.stem}`", f"     - {minutes[1]}"]
            self.env.note_dependency(str(path))
        node = nodes.container()
        self.state.nested_parse(StringList(lines, "tutorials"), self.content_offset, node)
        return node.children


def setup(app):
    app.add_directive("tutorial-table", TutorialTable)
    return {"parallel_read_safe": True}
