"""Link a lone word in backticks to the public object of that name, wherever it is documented."""

from __future__ import annotations

import re

from sphinx.util.nodes import make_refnode


def resolve(app, env, node, content):
    """Handle ``missing-reference``: `Conv2d` in any docstring leads to `tinygan.layers.Conv2d`."""
    target = node.get("reftarget", "")
    target = re.sub(
        r"^tinygan\.(?=\w+$)", "", target
    )  # the top level's names live in their modules
    if node.get("refdomain") != "py" or not target or target.startswith("tinygan"):
        return None
    target = target.partition(".")[0]  # `Coverage.recognised`: an attribute leads to its class
    found = {
        name: entry
        for name, entry in env.get_domain("py").objects.items()
        if name.rpartition(".")[2] == target
        and not entry.aliased
        and entry.objtype in ("class", "function", "exception")
    }
    if len(found) != 1:  # nothing, or several: no guess
        return None
    ((name, entry),) = found.items()
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, name)


def setup(app):
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True}
