"""A real browser for the tests of pages, where there is one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --enable-logging=stderr"
)


def opened(page: Path, profile: Path, width: int = 1280, budget_ms: int | None = None) -> str:
    """Return the page's document after its scripts have run; fail on any message on the console.

    With `budget_ms` so much of the page's time goes by, as fast as it can.
    """
    budget = [f"--virtual-time-budget={budget_ms}"] if budget_ms else []
    size, profile = f"--window-size={width},800", f"--user-data-dir={profile}"
    command = [CHROMIUM, *_FLAGS.split(), *budget, size, profile, "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout
