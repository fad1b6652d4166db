"""axe-core, for docs/check_site.py: contrast, alternative texts, names, headings and landmarks.

It is fetched by ``npm`` when the check runs, and is no part of this repository.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

VERSION = "4.14.1"
ALL = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Tables show by a gradient that they go on; what stands on one, axe-core does not judge.
RUN = """
const [options, done] = arguments, style = document.createElement("style");
style.textContent = ".bd-article table { background: none !important; }";
document.head.append(style);
const short = (text) => text.replace(/\\s+/g, " ").slice(0, 120);
const why = (n) => (n.any[0] ? `: ${n.any[0].message}` : "");
const say = ({ id, nodes }) => nodes.map((n) => `${id}: ${short(n.html)}${why(n)}`);
const rules = { "empty-table-header": { enabled: false } };  // the corner of a table may be empty
axe.run(document, { ...options, rules, preload: false, resultTypes: ["violations", "incomplete"] })
  .then((found) => done([found.violations.flatMap(say), found.incomplete.flatMap(say)]))
  .catch((error) => done([[`axe-core: ${error}`], []]))
  .finally(() => style.remove());
"""


def source(path: Path | None = None) -> str | None:
    """Return the program, from a file or by npm; None where neither gives it."""
    if path:
        return path.read_text(encoding="utf-8")
    npm = shutil.which("npm")
    if npm is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"axe-core@{VERSION}", "--silent"]
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120)
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            return None
        with tarfile.open(archives[0]) as archive:
            return archive.extractfile("package/axe.min.js").read().decode()


def judge(browser, axe: str, only: list[str] | None = None) -> tuple[list[str], list[str]]:
    """Return what is wrong with the open page, and what axe-core cannot decide."""
    run = {"type": "rule", "values": only} if only else {"type": "tag", "values": ALL}
    browser.run(f"if (!window.axe) {{ (0, eval)({json.dumps(axe)}); }}")
    wrong, undecided = browser.wait(RUN, {"runOnly": run})
    return wrong, undecided
