"""Sphinx configuration.  Build with:  sphinx-build -n -W docs docs/_build"""

from __future__ import annotations

import os
import posixpath
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]
os.environ.setdefault("MPLBACKEND", "Agg")

from docutils import nodes  # noqa: E402

import tinygan  # noqa: E402

project = "tinygan"
author = "The tinygan authors"
copyright = f"2026, {author}"
version = release = tinygan.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx-mathjax-offline",  # mathematics without a network
    "matplotlib.sphinxext.plot_directive",  # figures drawn by docs/figures/ at every build
    "myst_parser",  # the changelog is Markdown
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "commandline",
    "contents_table",
    "course",
    "lighter",
    "names",
    "notebooks",
    "outputs",
    "source_lines",
    "touch",
    "tutorial_table",
]

# --- the reference, from the docstrings ---------------------------------------------------------

default_role = "py:obj"
autodoc_default_options = {"members": True}
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "none"
add_module_names = False
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
# A lone word in backticks may be an argument or a local name; `names` links it where there is such
# an object.  A dotted name must be found.
nitpick_ignore = [("py:class", "collections.abc.Callable")]
nitpick_ignore_regex = [("py:obj", r"[^.]*"), ("py:obj", r"(numpy|cupy)\..*")]
suppress_warnings = ["config.cache"]

# --- the tutorials ------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../tutorials",
    "gallery_dirs": "tutorials",
    "filename_pattern": r"/\d\d_",
    "ignore_pattern": r"my_gan\.py",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "remove_config_comments": True,
    "copyfile_regex": "",
    "show_signature": False,
    "image_scrapers": ("course.film", "matplotlib"),
    "reset_modules": ("matplotlib",),
    "min_reported_time": 1,
}

# --- figures ------------------------------------------------------------------------------------

plot_html_show_source_link = False
plot_html_show_formats = False
plot_formats = [("svg", 96)]

# --- pages --------------------------------------------------------------------------------------

exclude_patterns = [
    "_build",
    "README.md",
    "package.md",
    "tutorials/GALLERY_HEADER.rst",
    "**sg_execution_times.rst",
]
html_context = {"default_mode": "auto"}
html_theme = "pydata_sphinx_theme"
html_title = "tinygan"
html_static_path = ["_static"]
html_extra_path = ["recorded/report.html"]  # loaded when it is asked for
templates_path = ["_templates"]
html_css_files = ["tinygan.css"]
_scripts = ["wide", "film", "gan2d", "gan2d_figure", "convolution", "kernel", "batchnorm"]
_scripts += ["network", "latent", "translator"]
html_js_files = [(f"{name}.js", {"defer": "defer"}) for name in _scripts]
html_show_sourcelink = False
html_sidebars = {"papers": [], "getting-started": [], "index": []}
html_show_search_summary = False  # it fetches the pages, which needs a server
html_copy_source = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-field"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def setup(app):
    # only what the formulas need: a third of MathJax in one piece
    app.config.mathjax_path = "mathjax/startup.js"
    parts = ["input/tex", "output/chtml", "a11y/assistive-mml"]
    app.config.mathjax3_config = {"loader": {"load": parts}}
    app.connect("doctree-read", describe_thumbnails)
    app.connect("html-page-context", mend_sources)


def mend_sources(app, name, template, context, doctree):
    """Mend what Sphinx's pages of source code get wrong: a list in a list, and some links back."""
    if name == "_modules/index":
        body = context["body"].replace("</li>\n<ul>", "\n<ul>")  # into the item it belongs to
        context["body"] = re.sub("</ul>(?=<li|</ul>)", "</ul></li>", body)
    elif name.startswith("_modules/"):
        places = app.env.domaindata["py"]["objects"]

        def link(match):
            page = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[1]))
            parts = match[2].split(".")
            for i in range(len(parts)):  # the module is that of another object of the file
                end = "." + ".".join(parts[i:])
                found = [
                    place
                    for place, entry in places.items()
                    if entry.docname == page and f".{place}".endswith(end)
                ]
                if found:  # `Options`, rather than `System.Options`
                    return f"{match[1]}.html#{min(found, key=lambda place: place.count('.'))}"
            return match[0]

        context["body"] = re.sub(r"(\.\./[\w./]+)\.html#(tinygan[\w.]+)", link, context["body"])


def describe_thumbnails(app, doctree):
    """Give the gallery's thumbnails the title of their tutorial as alternative text."""
    for image in doctree.findall(nodes.image):
        if "/thumb/" in image["uri"] and not image.get("alt"):
            name = Path(image["uri"]).stem.removeprefix("sphx_glr_").removesuffix("_thumb")
            image["alt"] = name[3:].replace("_", " ").capitalize()
