"""Look at every page of the built site in a real browser, from the folder, without a server.

    python docs/check_site.py docs/_build [--only TEXT …] [--shots DIR] [--axe FILE]

On each page: no message in the console, no request that leaves the folder, at most 2 MB before a
click, every formula drawn, every picture there, every link inside the site leads somewhere; no code
cut on a wide screen, nothing wider than a phone's, no letters under 11 pixels, tables fit or
scroll.  A page of the API begins with a table.  On the search page: a search finds something.
Contrast, alternative texts and all else that WCAG asks for and a machine can see, light and dark,
wide and narrow, is judged by axe-core, which npm fetches; where it cannot, this part is skipped and
the check says so.  It needs Chromium or Chrome and its ``chromedriver``; nothing is installed.
"""

from __future__ import annotations

import argparse
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import axe
from chromium import Browser

DESKTOP, PHONE = (1280, 900), (390, 844)
MOST = 2_000_000  # bytes
LOOKS = Path(__file__).with_name("site_looks.js").read_text(encoding="utf-8")
THEME = "document.documentElement.dataset.theme = arguments[0]"


class Anchors(HTMLParser):
    """The names in a page's file that a link can lead to.

    They are read from the file, not from the browser: what is written there does not depend on
    how far a busy machine has got.
    """

    def __init__(self, path: Path):
        super().__init__()
        self.found: set[str | None] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.found |= {
            value for name, value in attrs if name == "id" or (tag, name) == ("a", "name")
        }


def look(browser: Browser, page: Path, name: str, root: Path, judge: str | None):
    """Return what is wrong with one page, and what is on it."""
    query = "?q=convolution" if name == "search.html" else ""
    browser.resize(DESKTOP)
    seen = browser.open(page.as_uri() + query, wait=2000 if query else 0)
    problems = [
        f"{what}: {item}" for what in ("undrawn", "wrong", "missing") for item in seen[what]
    ]
    if query and not seen["results"]:
        problems.append("a search for 'convolution' finds nothing")
    weight = 0
    for url in set(browser.requests()):
        scheme, path = urlsplit(url).scheme, Path(unquote(urlsplit(url).path))
        if scheme == "file" and path.is_relative_to(root):
            weight += path.stat().st_size if path.is_file() else 0
        elif scheme not in ("data", "blob", "chrome-extension"):
            problems.append(f"asks for {url}")
    if weight > MOST:
        problems.append(f"{weight / 1e6:.2f} MB before a click")
    browser.run(LOOKS)

    def ask(what):
        return browser.run(f"return siteLooks.{what}()")

    def ask_axe(where, only=None):
        wrong, unsure = axe.judge(browser, judge, only) if judge else ([], [])
        seen["undecided"] += len(unsure)
        return [f"{where}: {item}" for item in wrong]

    seen["undecided"] = 0
    if name.startswith("api/"):
        problems += ask("table_first")
    problems += [f"names: {item}" for item in ask("names")]
    problems += [f"too wide at {DESKTOP[0]}: {item}" for item in ask("wider")]
    # this opens what is folded
    problems += [f"cut at {DESKTOP[0]}: {item}" for item in ask("cut")]
    for theme in ("dark", "light"):
        browser.run(THEME, theme)
        time.sleep(0.3 if judge else 0)  # colours change slowly
        problems += ask_axe(theme, ["color-contrast"] if theme == "dark" else None)
    browser.resize(PHONE, mobile=True)
    for what, words in (("wider", "too wide"), ("tables", "table"), ("letters", "small letters")):
        problems += [f"{words} at {PHONE[0]}: {item}" for item in ask(what)]
    problems += ask_axe(f"at {PHONE[0]}")
    problems += [f"console: {line}" for line in browser.console()]
    return problems, seen | {"weight": weight}


def check(root: Path, shots: Path | None, only: list[str], judge: str | None) -> int:
    pages = sorted(p for p in root.rglob("*.html") if "_static" not in p.parts)
    pages = [page for page in pages if not only or any(text in str(page) for text in only)]
    browser, problems = Browser(DESKTOP), []
    totals = {"formulas": 0, "pictures": 0, "links": 0, "undecided": 0}
    wanted, weights = [], []
    try:
        browser.open("about:blank")
        browser.requests()  # what the browser's own new-tab page asked for
        for page in pages:
            name = page.relative_to(root).as_posix()
            found, seen = look(browser, page, name, root, judge)
            found = sorted({f"{name}: {line}" for line in found})
            print("".join(f"{line}\n" for line in found), end="", flush=True)
            problems += found
            wanted += [(name, link) for link in seen["links"]]
            weights.append((seen["weight"], name))
            for what in ("formulas", "pictures", "undecided"):
                totals[what] += seen[what]
            if shots:
                photograph(browser, shots, name)
    finally:
        browser.close()
    dead = sorted(set(dead_links(root, wanted)))
    problems += dead
    totals["links"] = len(wanted)
    print("".join(f"{line}\n" for line in dead), end="")
    undecided = totals.pop("undecided")
    counts = ", ".join(f"{count} {what}" for what, count in totals.items())
    heaviest, where = max(weights)
    print(f"{len(pages)} pages, {counts}; the heaviest is {where}, {heaviest / 1e6:.2f} MB")
    if judge is None:
        print("contrast, alternative texts and names: skipped, there is no axe-core (npm, --axe)")
    else:
        print(f"axe-core {axe.VERSION} leaves {undecided} elements to people")
    print(f"{len(problems)} problems")
    return 1 if problems else 0


def dead_links(root: Path, wanted: list[tuple[str, str]]) -> list[str]:
    """Return the links inside the site that lead nowhere."""
    anchors: dict[Path, set] = {}
    problems = []
    for name, link in wanted:
        parts = urlsplit(link)
        if parts.scheme != "file":
            continue
        target, fragment = Path(unquote(parts.path)), unquote(parts.fragment)
        if not target.exists():
            problems.append(f"{name}: a link to {target}, which is not there")
        elif fragment and target.suffix == ".html":
            if target not in anchors:
                anchors[target] = Anchors(target).found
            if fragment not in anchors[target]:
                problems.append(f"{name}: a link to {target.relative_to(root)}#{fragment}")
    return problems


def photograph(browser: Browser, shots: Path, name: str) -> None:
    """Save the whole page in light and dark, wide and narrow."""
    shots.mkdir(parents=True, exist_ok=True)
    stem = name.removesuffix(".html").replace("/", "-")
    for device, size in (("desktop", DESKTOP), ("phone", PHONE)):
        for theme in ("light", "dark"):
            browser.resize(size, mobile=device == "phone")
            browser.run(THEME, theme)
            height = browser.run("return document.documentElement.scrollHeight")
            browser.resize((size[0], min(int(height), 12000)), mobile=device == "phone")
            time.sleep(0.2)
            browser.screenshot(shots / f"{stem}-{device}-{theme}.png")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--shots", type=Path, help="save pictures of every page in this folder")
    parser.add_argument("--only", nargs="+", default=[], help="pages whose path contains one of")
    parser.add_argument("--axe", type=Path, help="axe.min.js, where npm cannot fetch it")
    options = parser.parse_args()
    judge = axe.source(options.axe)
    return check(options.site.resolve(), options.shots, options.only, judge)


if __name__ == "__main__":
    sys.exit(main())
