"""A page of the API begins with a table: every class and function on it, and what it does."""

from __future__ import annotations

from docutils import nodes
from sphinx import addnodes

KINDS = ("class", "function", "data", "exception", "attribute")


def begin_with_a_table(app, doctree):
    """Put the table behind the title, unless the page begins with one of its own."""
    if not app.env.docname.startswith("api/") or app.env.docname == "api/index":
        return
    top = next(doctree.findall(nodes.section))
    if any(isinstance(node, nodes.table) for node in top.children[1:4]):
        return
    rows = [_row(desc) for desc in doctree.findall(addnodes.desc) if _is_at_the_top(desc)]
    if rows:
        top.insert(1, _table(rows))


def _is_at_the_top(desc) -> bool:
    node = desc.parent
    while node is not None and not isinstance(node, addnodes.desc):
        node = node.parent
    return node is None and desc["objtype"] in KINDS and bool(desc[0].get("ids"))


def _row(desc):
    """Return the cells for one object: its name, which leads to it, and its first sentence."""
    signature = desc[0]
    link = nodes.reference("", "", internal=True, refid=signature["ids"][0])
    link += nodes.literal("", signature["fullname"])
    says = next(desc[-1].findall(nodes.paragraph), nodes.paragraph())
    return nodes.paragraph("", "", link), says.deepcopy()


def _table(rows):
    body = nodes.tbody()
    for row in rows:
        body += nodes.row("", *(nodes.entry("", cell) for cell in row))
    group = nodes.tgroup("", cols=2)
    group += [nodes.colspec(colwidth=width) for width in (35, 65)]
    group += body
    return nodes.table("", group, classes=["tg-contents"])


def setup(app):
    app.connect("doctree-read", begin_with_a_table)
    return {"parallel_read_safe": True}
