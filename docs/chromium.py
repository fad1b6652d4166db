"""A real browser for docs/check_site.py, driven by ``chromedriver`` over its own protocol."""

from __future__ import annotations

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

LOOK = """
const done = arguments[arguments.length - 1];
const look = () => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const drawn = (e) => e.querySelector("mjx-container") !== null;
  done({
    address: document.URL,
    title: document.title,
    formulas: all(".math").length,
    undrawn: all(".math").filter((e) => !drawn(e)).map((e) => e.textContent.slice(0, 80)),
    wrong: all("mjx-merror, [data-mjx-error]").map((e) => e.textContent.slice(0, 80)),
    pictures: all("img").length,
    missing: all("img").filter((e) => !(e.complete && e.naturalWidth)).map((e) => e.src),
    links: all("a[href]").map((e) => e.href),
    ids: all("[id], a[name]").map((e) => e.id || e.name),
    results: all("#search-results li").length,
  });
};
for (const image of document.querySelectorAll("img")) image.loading = "eager";
const images = Promise.all([...document.images].map((e) => e.decode().catch(() => {})));
// Formulas are drawn when every one of them is; after 40 s what is not drawn is reported.
const formulas = async () => {
  const bare = (e) => !e.querySelector("mjx-container");
  const waiting = () => [...document.querySelectorAll(".math")].some(bare);
  for (let k = 0; k < 400 && waiting(); k++) await new Promise((go) => setTimeout(go, 100));
};
Promise.all([formulas(), images]).then(() => setTimeout(look, arguments[0]));
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
        """Open a page; return what is on it.  A page that did not come whole is opened again."""
        for _ in range(3):
            self._send("/url", {"url": url})
            seen = self.wait(LOOK, wait)
            if seen["address"].split("#")[0] == url.split("#")[0]:
                return seen
        raise RuntimeError(f"{url}: the browser shows {seen['address']}")

    def run(self, script, *arguments):
        return self._send("/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script, *arguments):
        """Run a script that calls its last argument with its answer."""
        return self._send("/execute/async", {"script": script, "args": list(arguments)})

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
