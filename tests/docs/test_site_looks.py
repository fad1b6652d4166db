"""What docs/check_site.py looks for, on a page that has every fault and on one that has none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from browser import answer_of, needs_chromium

DOCS = Path(__file__).resolve().parents[2] / "docs"
LOOKS = ("names", "letters", "tables", "wider", "cut", "table_first")

WRONG = """
<h1>Title</h1><p>well</p><p id="a"></p><p id="a">twice</p>
<img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">
<p style="font-size: 9px">small</p>
<table><tr><td style="white-space: nowrap">WIDE</td></tr></table>
<details><div class="highlight">
<pre style="overflow: hidden; width: 50px">WIDE</pre></div></details>
""".replace("WIDE", "wide " * 200)
RIGHT = """
<h1>Title</h1><table><tr><td>first</td></tr></table>
<img alt="a dot" src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">
<div style="overflow-x: auto">
<table><tr><td style="white-space: nowrap">WIDE</td></tr></table></div>
<details><div class="highlight"><pre style="white-space: pre-wrap">WIDE</pre></div></details>
""".replace("WIDE", "wide " * 200)


@pytest.fixture
def looked(tmp_path):
    def look(body):
        code = (DOCS / "site_looks.js").read_text(encoding="utf-8")
        page = (
            '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width">'
            f"<body><article><section>{body}</section></article><script>{code}</script></body></html>"
        )
        script = f"""addEventListener("load", () => answer(JSON.stringify(Object.fromEntries(
          {json.dumps(LOOKS)}.map((look) => [look, siteLooks[look]()])))));"""
        return json.loads(answer_of(page, script, tmp_path / "profile", 500))

    return look


@needs_chromium
def test_every_fault_is_found(looked):
    found = looked(WRONG)
    assert [look for look in LOOKS if not found[look]] == []
    assert len(found["names"]) == 2
    assert len(found["letters"]) == 1


@needs_chromium
def test_a_page_without_a_fault_is_left_alone(looked):
    assert looked(RIGHT) == {look: [] for look in LOOKS}


def test_anchors_are_those_of_the_file(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    monkeypatch.delitem(sys.modules, "check_site", raising=False)
    import check_site

    page, other = tmp_path / "a.html", tmp_path / "b.html"
    page.write_text('<dt id="tinygan.layer.Layer.predict">x</dt><a name="old"></a>', "utf-8")
    other.write_text("<p>", "utf-8")
    links = [
        (name, f"{page.as_uri()}#{fragment}")
        for name in ("b.html", "c.html")
        for fragment in ("tinygan.layer.Layer.predict", "old", "missing")
    ]
    assert check_site.dead_links(tmp_path, [*links, ("b.html", "https://example.org/#x")]) == [
        "b.html: a link to a.html#missing",
        "c.html: a link to a.html#missing",
    ]
    gone = check_site.dead_links(tmp_path, [("b.html", (tmp_path / "no.html").as_uri())])
    assert gone == [f"b.html: a link to {tmp_path / 'no.html'}, which is not there"]


def test_without_axe_core_the_check_has_no_judge(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(DOCS))
    import axe

    monkeypatch.setattr(axe.shutil, "which", lambda name: None)
    assert axe.source() is None
    failing = tmp_path / "npm"
    failing.write_text("#!/bin/sh\nexit 1\n", "utf-8")
    failing.chmod(0o755)
    monkeypatch.setattr(axe.shutil, "which", lambda name: str(failing))
    assert axe.source() is None
    given = tmp_path / "axe.min.js"
    given.write_text("axe", "utf-8")
    assert axe.source(given) == "axe"
