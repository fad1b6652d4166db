"""Follow every tutorial to the letter: paste its code, line by line, into a plain interpreter.

    python docs/check_tutorials.py [NUMBER …] [--site docs/_build [--notebooks]]

Each tutorial gets a new interpreter in a new, empty folder, and is given nothing but its code.
With ``--site`` the code is taken from the *pages* as a reader copies it, and not from the source
files; with ``--notebooks`` from the notebooks that the pages offer.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PASTE = """
import code, json, sys
blocks = json.load(open(sys.argv[1], encoding="utf-8"))
class Console(code.InteractiveConsole):
    failed = False
    def showtraceback(self):
        self.failed = True
        super().showtraceback()
    def showsyntaxerror(self, *arguments, **options):
        self.failed = True
        super().showsyntaxerror(*arguments, **options)
console = Console()
for number, block in enumerate(blocks, 1):
    for line in [*block.splitlines(), ""]:
        console.push(line)
        if console.failed:
            sys.exit(f"block {number} failed at: {line}")
"""


def blocks_of_source(path: Path) -> list[str]:
    """Return the code between the texts of a tutorial."""
    text = path.read_text(encoding="utf-8").split('"""', 2)[2]
    parts = [part for part in re.split(r"^# %%.*$", text, flags=re.M)]
    found = []
    for part in parts:
        lines = part.splitlines()
        start = next((i for i, line in enumerate(lines) if line and line[0] != "#"), len(lines))
        found.append("\n".join(lines[start:]).strip("\n"))
    return [block + "\n" for block in found if block]


def blocks_of_page(path: Path) -> list[str]:
    """Return what the copy buttons of a page copy from its blocks of Python."""
    text = path.read_text(encoding="utf-8")
    pattern = r'<div class="highlight-Python[^"]*">.*?<pre>(.*?)</pre>'
    found = re.findall(pattern, text, flags=re.S)
    return [html.unescape(re.sub(r"<[^>]+>", "", block)) for block in found]


def blocks_of_notebook(site: Path, name: str) -> list[str]:
    """Return the code cells of the notebook that a page offers; refuse what Sphinx alone reads.

    Its cells have been executed: each has a number, and each that shows a figure has one.
    """
    (path,) = site.glob(f"_downloads/*/{name}.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    for raw in (":doc:`", ".. dropdown::", ".. solution::", ".. recorded::"):
        if raw in text:
            sys.exit(f"{path}: shows {raw} as it is")
    for number, cell in enumerate((c for c in cells if c["cell_type"] == "code"), 1):
        source, kinds = "".join(cell["source"]), [o["output_type"] for o in cell["outputs"]]
        if cell["execution_count"] != number:
            sys.exit(f"{path}: cell {number} was not executed")
        if re.search(r"^plt\.show", source, re.M) and "display_data" not in kinds:
            sys.exit(f"{path}: cell {number} shows no figure")
    return ["".join(c["source"]) + "\n" for c in cells if c["cell_type"] == "code"]


def follow(name: str, blocks: list[str]) -> float | None:
    """Paste the blocks; return the seconds it took, or None if one failed."""
    with tempfile.TemporaryDirectory(prefix=name) as folder:
        listing = Path(folder) / ".blocks.json"
        listing.write_text(json.dumps(blocks), encoding="utf-8")
        environment = {**os.environ, "MPLBACKEND": "Agg", "TINYGAN_CACHE": folder}
        environment["PYTHONPATH"] = str(ROOT)
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", PASTE, str(listing)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        seconds = time.perf_counter() - start
    if done.returncode:
        print(done.stdout[-1000:], done.stderr[-3000:], sep="\n")
        return None
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers", nargs="*", type=int, metavar="NUMBER")
    parser.add_argument("--site", type=Path)
    parser.add_argument("--notebooks", action="store_true", help="the site's, with --site")
    options = parser.parse_args()
    failed, total = 0, 0.0
    for path in sorted((ROOT / "tutorials").glob("[0-9][0-9]_*.py")):
        if options.numbers and int(path.stem[:2]) not in options.numbers:
            continue
        if options.site and options.notebooks:
            blocks = blocks_of_notebook(options.site, path.stem)
        elif options.site:
            blocks = blocks_of_page(options.site / "tutorials" / f"{path.stem}.html")
        else:
            blocks = blocks_of_source(path)
        seconds = follow(path.stem, blocks) if blocks else None
        failed += seconds is None
        total += seconds or 0
        print(f"{path.stem:28} {len(blocks):3} blocks  ", end="")
        print("FAILED" if seconds is None else f"{seconds:5.1f} s", flush=True)
    print(f"{total:.0f} s in all, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
