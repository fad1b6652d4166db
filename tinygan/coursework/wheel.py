"""The installed tinygan as a wheel, for an autograder that cannot download it."""

from __future__ import annotations

import base64
import hashlib
import io
from importlib import metadata
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import tinygan

__all__ = ["wheel"]

LEFT_OUT = (".pyc", ".so", ".part")


def wheel() -> tuple[str, bytes]:
    """Return the wheel's file name and its bytes."""
    distribution = metadata.distribution("tinygan")
    version = distribution.version
    package = Path(tinygan.__file__).resolve().parent
    contents = {
        f"tinygan/{path.relative_to(package).as_posix()}": path.read_bytes()
        for path in sorted(package.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in LEFT_OUT
    }
    info = f"tinygan-{version}.dist-info"
    about = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO")
    if not about:
        raise FileNotFoundError("tinygan is not installed: pip install -e . in its folder")
    contents[f"{info}/METADATA"] = about.encode()  # a checkout's own folder has PKG-INFO
    entries = distribution.read_text("entry_points.txt")
    contents[f"{info}/entry_points.txt"] = (entries or "").encode()
    contents[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: tinygan\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    lines = []
    for name, content in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}")
    contents[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return f"tinygan-{version}-py3-none-any.whl", file.getvalue()
