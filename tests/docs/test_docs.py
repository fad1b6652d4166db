"""The site's sources: every tutorial has its parts, every command and preset is on its page."""

from __future__ import annotations

import ast
import code
import importlib
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tinygan.__main__ import COMMANDS
from tinygan.systems import SYSTEMS

ROOT = Path(__file__).resolve().parents[2]
DOCS, TUTORIALS = ROOT / "docs", sorted((ROOT / "tutorials").glob("[0-9][0-9]_*.py"))


def commandline():
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        return pytest.importorskip("commandline")  # needs Sphinx
    finally:
        sys.path.pop(0)


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_every_tutorial_asks_shows_checks_and_leaves_exercises(path):
    text = path.read_text(encoding="utf-8")
    opening = ast.get_docstring(ast.parse(text))
    number = int(path.stem[:2])
    assert opening.startswith(f"{number}. ")
    question = opening.split("\n\n")[1]
    assert question.startswith("**")
    assert "?" in question
    assert "plt.show()" in text
    assert "\nassert " in text
    assert text.count("# .. dropdown:: Hint") in (2, 3)
    assert text.count("# .. dropdown:: Hint") == text.count("# .. solution::")
    for field in ("You need", "Afterwards", "Time"):
        assert f"\n:{field}: " in opening
    remember = text.split("# Remember\n# --------\n")[1].split("# Exercises")[0]
    assert remember.count("# * ") == 3
    reading = text.split("# Read on\n# -------\n")[1]
    assert reading.count("\n# * ") + reading.startswith("# * ") == 2
    assert "# **Next:** " in reading
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_no_two_figures_share_a_cell(path):
    """They would be printed side by side, at half their size."""
    text = path.read_text(encoding="utf-8")
    functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    draws = {"plt.show"} | {f.name for f in functions if "plt.show()" in ast.unparse(f)}
    for cell in text.split("\n# %%"):
        lines = [ast.unparse(node) for node in ast.parse(cell).body if isinstance(node, ast.Expr)]
        assert sum(line.split("(")[0] in draws for line in lines) <= 1, cell


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_every_tutorial_can_be_pasted_into_a_plain_interpreter(path):
    """Python's interpreter ends a block at a blank line, and needs one after it."""

    class Console(code.InteractiveConsole):
        def runcode(self, compiled):
            pass

        def showsyntaxerror(self, *arguments, **options):
            raise AssertionError(f"{path.name}: not to be pasted: {self.buffer}")

    console = Console()
    for line in path.read_text(encoding="utf-8").splitlines():
        console.push(line)
    assert not console.push("")


def test_the_tutorials_are_numbered_without_a_gap():
    assert [int(path.stem[:2]) for path in TUTORIALS] == list(range(1, len(TUTORIALS) + 1))


def test_the_first_tutorial_has_the_forty_lines_that_its_title_promises():
    text = TUTORIALS[0].read_text(encoding="utf-8")
    program = text.split("rng = np.random.default_rng(0)\n")[1].split("# %%")[0]
    assert len([line for line in program.splitlines() if line.strip()]) + 1 <= 40


def test_every_command_is_on_the_page_of_the_command_line():
    page = (DOCS / "commands.rst").read_text(encoding="utf-8")
    words = {f"train {system}" for system in SYSTEMS} | (set(COMMANDS) - {"train"})
    assert {w for w in words if f".. commandline:: {w}\n" not in page} == set()


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_reference_knows_every_flag_of_the_real_parser(system, capsys):
    from tinygan.train.__main__ import main

    parser = commandline().parser_of(["train", system])
    flags = {flag for action in parser._actions for flag in action.option_strings}
    with pytest.raises(SystemExit):
        main([system, "--help"])
    shown = capsys.readouterr().out
    assert {"--data", "--resume", "--preset"} <= flags
    assert {flag for flag in flags if flag not in shown} == set()


def test_the_parser_is_caught_without_running_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert commandline().parser_of(["data"]).prog == "python -m tinygan.data"
    assert list(tmp_path.iterdir()) == []


def pages():
    return {path: path.read_text(encoding="utf-8") for path in DOCS.rglob("*.rst") if _own(path)}


def _own(path):
    return not {"_build", "tutorials"} & set(path.relative_to(DOCS).parts)


def test_every_line_that_the_papers_page_names_is_in_the_source():
    named = [
        (file.strip(), line.strip())
        for text in pages().values()
        for file, line in re.findall(r":line:`([^|`]+)\|([^`]+)`", text)
    ]
    assert len(named) > 20
    source = {file: (ROOT / file).read_text(encoding="utf-8") for file, _ in named}
    assert [(file, line) for file, line in named if line not in source[file]] == []


def test_every_equation_and_figure_of_the_papers_has_a_place():
    text = (DOCS / "papers.rst").read_text(encoding="utf-8")
    dcgan, cyclegan = text.split("[C] The CycleGAN\n")
    assert [n for n in range(1, 9) if f"({n})" not in cyclegan] == []
    for part, last in ((dcgan, 9), (cyclegan, 13)):
        mentions = " ".join(re.findall(r"[Ff]igs?\. ([\d, and]+)", part))
        assert set(map(int, re.findall(r"\d+", mentions))) >= set(range(1, last + 1))


def test_pages_lead_to_pages_that_exist():
    missing = []
    for path, text in pages().items():
        for target in re.findall(r":doc:`(?:[^`<]*<)?([^`>]+)>?`", text):
            base = DOCS if target.startswith("/") else path.parent
            page = (base / target.lstrip("/")).relative_to(DOCS)
            source = ROOT / page if page.parts[0] == "tutorials" else DOCS / page
            names = [source.with_suffix(end) for end in (".rst", ".md", ".py")]
            if page.name != "index" and not any(name.exists() for name in names):
                missing.append((path.name, target))
    assert missing == []


def test_every_picture_that_is_drawn_is_described():
    for path, text in pages().items():
        pictures = text.count(".. plot::") + text.count(".. image::")
        assert pictures == text.count("   :alt: "), path


def test_a_page_of_source_leads_back_to_a_class_and_not_to_an_attribute_of_its_name(monkeypatch):
    pytest.importorskip("docutils")
    monkeypatch.syspath_prepend(str(DOCS))
    monkeypatch.delitem(sys.modules, "conf", raising=False)
    conf = importlib.import_module("conf")
    page = SimpleNamespace(docname="api/systems")
    places = {"tinygan.systems.system.System.Options": page, "tinygan.options.base.Options": page}
    app = SimpleNamespace(env=SimpleNamespace(domaindata={"py": {"objects": places}}))
    context = {"body": '<a href="../../../api/systems.html#tinygan.systems.system.Options">'}
    conf.mend_sources(app, "_modules/tinygan/options/base", "page.html", context, None)
    assert 'api/systems.html#tinygan.options.base.Options"' in context["body"]
