"""Damaged pictures of every format: a picture or a reason, never a crash, a hang or a flood."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LONG = os.environ.get("TINYGAN_LONG") == "1"
FUZZ = Path(__file__).parents[1] / "fuzz_pictures.py"


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux does")
@pytest.mark.parametrize("part", range(10 if LONG else 1))
@pytest.mark.timeout(1200)
def test_damaged_pictures(tmp_path, part):
    count = 1000 if LONG else 240
    words = [sys.executable, "-X", "faulthandler", FUZZ, str(part * 1000), str(count), tmp_path]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True)
    last = (tmp_path / "last").read_text() if (tmp_path / "last").exists() else "none"
    assert done.returncode == 0, f"number {last}: {done.returncode}\n{done.stderr[-3000:]}"
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["count"] == count
    assert told["read"] > count // 20
    assert sum(told["refused"].values()) > count // 20
    assert told["peak_mb"] < 2000
    print(told)
