"""Look at every page of the built site in a real browser, from the folder, without a server.

    python docs/check_site.py docs/_build [--shots DIR]

On each page: no message in the console, no request that leaves the folder, every formula drawn,
every picture there and described, every link inside the site leads somewhere, nothing wider than a
phone's screen.  On the search page: a search finds something.  It needs Chromium or Chrome and its
``chromedriver``; nothing is installed.
"""

from __future__ import annotations

import argparse
import base64
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
]
DESKTOP, PHONE = (1280, 900), (390, 844)

LOOK = """
const done = arguments[arguments.length - 1];
const look = () => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const drawn = (e) => e.querySelector("mjx-container") !== null;
  done({
    title: document.title,
    formulas: all(".math").length,
    undrawn: all(".math").filter((e) => !drawn(e)).map((e) => e.textContent.slice(0, 80)),
    wrong: all("mjx-merror, [data-mjx-error]").map((e) => e.textContent.slice(0, 80)),
    pictures: all("img").length,
    missing: all("img").filter((e) => !(e.complete && e.naturalWidth)).map((e) => e.src),
    undescribed: all("article img").filter((e) => !e.alt.trim()).map((e) => e.src),
    links: all("a[href]").map((e) => e.href),
    ids: all("[id], a[name]").map((e) => e.id || e.name),
    results: all("#search-results li").length,
  });
};
for (const image of document.querySelectorAll("img")) image.loading = "eager";
const images = Promise.all([...document.images].map((e) => e.decode().catch(() => {})));
const formulas = window.MathJax ? MathJax.startup.promise : Promise.resolve();
Promise.all([formulas, images]).then(() => setTimeout(look, arguments[0]));
"""
CUT = """
return [...document.querySelectorAll("article div.highlight pre")]
  .filter((e) => e.offsetParent && e.scrollWidth > e.clientWidth + 1)
  .map((e) => e.textContent.trim().slice(0, 60));
"""
WIDER = """
const width = document.documentElement.clientWidth;
return document.documentElement.scrollWidth <= width + 1 ? [] :
  [...document.querySelectorAll("body *")]
    .filter((e) => e.getBoundingClientRect().right > width + 1)
    .slice(0, 3).map((e) => e.outerHTML.slice(0, 120));
"""


class Browser:
    """A browser driven by ``chromedriver``, over its own protocol."""

    def __init__(self, size):
        driver = shutil.which("chromedriver") or sys.exit("check_site: chromedriver not found")
        binary = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.profile = tempfile.mkdtemp(prefix="check-site-")
        self.driver = subprocess.Popen(
            [driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.root = f"http://127.0.0.1:{port}/session"
        options = {
            "binary": binary,
            "args": [
                *FLAGS,
                f"--user-data-dir={self.profile}",
                f"--window-size={size[0]},{size[1]}",
            ],
        }
        capabilities = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        for _ in range(100):
            try:
                answer = self._send("", {"capabilities": {"alwaysMatch": capabilities}})
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        self.root += "/" + answer["sessionId"]
        self._send("/timeouts", {"script": 60000, "pageLoad": 60000})

    def _send(self, path, body=None, method="POST"):
        request = urllib.request.Request(
            self.root + path,
            json.dumps(body or {}).encode() if method == "POST" else None,
            {"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None

    def open(self, url, wait=0):
        self._send("/url", {"url": url})
        return self._send("/execute/async", {"script": LOOK, "args": [wait]})

    def run(self, script, *arguments):
        return self._send("/execute/sync", {"script": script, "args": list(arguments)})

    def devtools(self, command, **parameters):
        return self._send("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def resize(self, size, mobile=False):
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=size[0],
            height=size[1],
            deviceScaleFactor=1,
            mobile=mobile,
        )

    def console(self):
        entries = self._send("/se/log", {"type": "browser"})
        return [e["message"] for e in entries if e["level"] in ("WARNING", "SEVERE")]

    def requests(self):
        found = []
        for entry in self._send("/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return found

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self._send("/screenshot", method="GET")))

    def close(self):
        try:
            self._send("", method="DELETE")
        finally:
            self.driver.terminate()
            self.driver.wait()
            shutil.rmtree(self.profile, ignore_errors=True)


def check(root: Path, shots: Path | None, only: str) -> int:
    pages = sorted(p for p in root.rglob("*.html") if "_static" not in p.parts and only in str(p))
    browser, problems, totals = Browser(DESKTOP), [], {"formulas": 0, "pictures": 0, "links": 0}
    anchors, wanted = {}, []
    try:
        browser.open("about:blank")
        browser.requests()  # what the browser's own new-tab page asked for
        for page in pages:
            name = str(page.relative_to(root))
            query = "?q=convolution" if name == "search.html" else ""
            browser.resize(DESKTOP)
            seen = browser.open(page.as_uri() + query, wait=2000 if query else 0)
            anchors[page] = set(seen["ids"])
            wanted += [(name, link) for link in seen["links"]]
            for what in ("undrawn", "wrong", "missing", "undescribed"):
                problems += [f"{name}: {what}: {item}" for item in seen[what]]
            if query and not seen["results"]:
                problems.append(f"{name}: a search for 'convolution' finds nothing")
            totals["formulas"] += seen["formulas"]
            totals["pictures"] += seen["pictures"]
            if shots:
                photograph(browser, shots, name)
            problems += [f"{name}: cut at {DESKTOP[0]}: {item}" for item in browser.run(CUT)]
            browser.resize(PHONE, mobile=True)
            problems += [f"{name}: too wide: {item}" for item in browser.run(WIDER)]
            problems += [f"{name}: console: {line}" for line in browser.console()]
            for url in browser.requests():
                scheme = urlsplit(url).scheme
                inside = scheme == "file" and unquote(urlsplit(url).path).startswith(str(root))
                if not inside and scheme not in ("data", "blob", "chrome-extension"):
                    problems.append(f"{name}: asks for {url}")
    finally:
        browser.close()
    for name, link in wanted:
        parts = urlsplit(link)
        if parts.scheme != "file":
            continue
        target = Path(unquote(parts.path))
        totals["links"] += 1
        known = anchors.get(target)
        if not target.exists():
            problems.append(f"{name}: a link to {target}, which is not there")
        elif parts.fragment and known is not None and unquote(parts.fragment) not in known:
            problems.append(f"{name}: a link to {target.relative_to(root)}#{parts.fragment}")
    print("\n".join(sorted(set(problems))))
    counts = ", ".join(f"{count} {what}" for what, count in totals.items())
    print(f"{len(pages)} pages, {counts}: {len(set(problems))} problems")
    return 1 if problems else 0


def photograph(browser: Browser, shots: Path, name: str) -> None:
    """Save the whole page in light and dark, wide and narrow."""
    shots.mkdir(parents=True, exist_ok=True)
    stem = name.removesuffix(".html").replace("/", "-")
    for device, size in (("desktop", DESKTOP), ("phone", PHONE)):
        for theme in ("light", "dark"):
            browser.resize(size, mobile=device == "phone")
            browser.run("document.documentElement.dataset.theme = arguments[0]", theme)
            height = browser.run("return document.documentElement.scrollHeight")
            browser.resize((size[0], min(int(height), 12000)), mobile=device == "phone")
            time.sleep(0.2)
            browser.screenshot(shots / f"{stem}-{device}-{theme}.png")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--shots", type=Path, help="save pictures of every page in this folder")
    parser.add_argument("--only", default="", help="pages whose path contains this")
    options = parser.parse_args()
    return check(options.site.resolve(), options.shots, options.only)


if __name__ == "__main__":
    sys.exit(main())
