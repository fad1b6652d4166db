"""A real browser for the tests of pages, where there is one."""

from __future__ import annotations

import queue
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --enable-logging=stderr"
)


def answer_of(
    page: str, script: str, profile: Path, width: int = 1280, files: dict[str, bytes] | None = None
) -> str:
    """Open a page with a script added to its end; return what the script gives to ``answer(text)``.

    A message on the browser's console fails.  `files`, by their paths, are served beside the page,
    on this machine, for as long as its script takes, in real time: a loaded machine makes it slow,
    not wrong.
    """
    answers: queue.Queue = queue.Queue()
    reply = 'const answer = (text) => fetch("/", {method: "POST", body: text});'
    content = page.replace("</body>", f"<script>{reply}{script}</script></body>").encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = (files or {}).get(self.path, content)
            kind = "text/javascript" if self.path.endswith(".js") else "text/html"
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.end_headers()
            self.wfile.write(found)

        def do_POST(self):
            answers.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    size, folder = f"--window-size={width},800", f"--user-data-dir={profile}"
    address = f"http://127.0.0.1:{server.server_port}/"
    log = profile.with_suffix(".log")
    with open(log, "w", encoding="utf-8") as file:
        browser = subprocess.Popen(
            [CHROMIUM, *_FLAGS.split(), size, folder, address],
            stdout=subprocess.DEVNULL,
            stderr=file,
        )
    try:
        return answers.get(timeout=150)
    except queue.Empty:
        pytest.fail(f"the page gave no answer; the browser says:\n{log.read_text()[-2000:]}")
    finally:
        browser.terminate()
        browser.wait()
        server.shutdown()
        server.server_close()
        assert "CONSOLE" not in log.read_text(encoding="utf-8")
