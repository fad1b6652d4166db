"""Notebooks that read well: hints and solutions folded, roles as words, an install cell first."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import sphinx_gallery.gen_rst
import sphinx_gallery.notebook as notebook

INSTALL = """\
# This notebook needs tinygan.  In a copy of its repository, once:
#     pip install .
# or, from here:
#     %pip install PATH/TO/THE/COPY
import tinygan

print("tinygan", tinygan.__version__)
"""
RECORDED = Path(__file__).resolve().parent.parent / "recorded"
_DIRECTIVE = re.compile(r"^\.\. (\w[\w-]*)::[ ]*(.*)\n((?:[ ]+\S.*\n|[ ]*\n)*)", re.M)


def prepare(text: str) -> str:
    """Turn what only Sphinx knows into what a notebook shows."""
    text = _DIRECTIVE.sub(_directive, text + "\n")
    text = re.sub(r"^:(You need|Afterwards|Time): ((?:.*\n)(?:   .*\n)*)", _field, text, flags=re.M)
    text = re.sub(r":(?:doc|download):`([^`<]+?)\s*<[^>]+>`", r"\1", text)
    text = re.sub(r":doc:`(?:[^`]*/)?([^`/]+)`", _page, text)
    text = re.sub(r":(?:mod|class|func|obj|meth):`~?([^`]+)`", r"``\1``", text)
    text = re.sub(r"(?<![`\w:])`~?((?:tinygan\.)[\w.]+)`(?!`|_)", _name, text)
    return re.sub(r"`([^`<]+?)\s*<([^`>]+)>`__", r"[\1](\2)", text).rstrip("\n")


def _directive(match):
    name, argument, body = match[1], match[2].strip(), textwrap.dedent(match[3]).strip("\n")
    if name == "dropdown":
        return f"<details><summary>{argument}</summary>\n\n{body}\n\n</details>\n\n"
    if name == "solution":
        return f"<details><summary>Solution</summary>\n\n{body}\n\n</details>\n\n"
    if name == "recorded":
        caption = json.loads((RECORDED / f"{argument}.json").read_text(encoding="utf-8"))["caption"]
        return f"*On the web page, a recorded run:* {caption}\n\n"
    if name == "plot":
        described = re.search(r":alt: ((?:.*\n?)(?:   .*\n?)*)", body)
        return f"*A drawing, on the web page:* {' '.join(described[1].split())}\n\n"
    if name in ("raw", "kernel-over-face"):
        return "*A figure to be touched is on the web page.*\n\n"
    if name == "literalinclude":
        return f"*The file* ``{Path(argument).name}`` *is shown on the web page.*\n\n"
    return match[0]


def _field(match):
    return f"**{match[1]}:** {' '.join(match[2].split())}\n\n"


def _page(match):
    return match[1].lstrip("0123456789_").replace("_", " ").replace("-", " ")


def _name(match):
    return f"``{match[1].rpartition('.')[2]}``"


def setup(app):
    rst2md, build = notebook.rst2md, notebook.jupyter_notebook

    def convert(text, *arguments):
        return rst2md(prepare(text), *arguments)

    def jupyter_notebook(*arguments):
        made = build(*arguments)
        folded = False
        for cell in made["cells"]:
            if cell["cell_type"] == "code" and folded:
                cell["metadata"]["jupyter"] = {"source_hidden": True}
            text = "".join(cell["source"])
            folded = cell["cell_type"] == "markdown" and "<summary>Solution" in text
        return made

    notebook.rst2md = convert
    for module in (notebook, sphinx_gallery.gen_rst):
        module.jupyter_notebook = jupyter_notebook
    app.config.sphinx_gallery_conf["first_notebook_cell"] = INSTALL
    return {"parallel_read_safe": True}
