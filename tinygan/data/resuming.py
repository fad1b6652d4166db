"""A downloader for pooch that goes on where a broken download stopped."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tinygan.data.address import Address
from tinygan.data.opening import shown
from tinygan.errors import DataError
from tinygan.machine.memory import size_text

__all__ = ["ResumingDownloader"]

_ATTEMPTS = 3  # that bring nothing, one after another
_PAUSE = 1.0  # seconds before the next attempt; doubled while they bring nothing
_PIECE = 1 << 16  # bytes; what is lost at most when a connection breaks
_TIMEOUT = (20, 60)  # seconds: to connect, between two pieces


class ResumingDownloader:
    """Downloads over HTTP into a file that is kept when the connection breaks.

    The pieces are appended to ``PART`` and, beside it, ``PART.json`` remembers which version of
    the file on the server they belong to.  The next attempt, in this process or in another one,
    asks for the rest; a server that does not know how to, or whose file has changed, sends it all.

    Parameters
    ----------
    part : pathlib.Path
        The file of the unfinished download.
    """

    def __init__(self, part: Path):
        self.part = part
        self.notes = part.with_name(part.name + ".json")

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download `url` to `output_file`, as pooch asks its downloaders to."""
        import requests

        address = Address(url)
        failures = 0  # in a row, without a byte more
        while True:
            before = self._size()
            try:
                self._fetch(requests, url)
                break
            except (
                requests.ConnectionError,
                requests.Timeout,
                requests.exceptions.ChunkedEncodingError,
                _CutShort,
            ) as error:
                failures = 1 if self._size() > before else failures + 1
                if failures == _ATTEMPTS:
                    kept = self._size()
                    note = f"; {kept} bytes are kept, the same command goes on from there"
                    cause = address.without_secrets(_cause(error))
                    raise DataError(
                        f"{address.shown}: the download failed ({cause}){note if kept else ''}"
                    ) from None
                time.sleep(_PAUSE * 2 ** (failures - 1))
            except requests.RequestException as error:  # no http(s) address, endless redirects
                raise DataError(address.without_secrets(f"{url}: {error}")) from None
        os.replace(self.part, output_file)
        self.notes.unlink(missing_ok=True)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _fetch(self, requests: Any, url: str) -> None:
        address = Address(url)
        have, version = self._begun(address.key)
        headers = {"Accept-Encoding": "identity"}  # lengths are those of the file itself
        if have:
            headers |= {"Range": f"bytes={have}-"}
            if version:
                headers |= {"If-Range": version}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
            if answer.status_code == 416:  # nothing beyond what we have: begin again if that is odd
                if answer.headers.get("Content-Range") == f"bytes */{have}":
                    return
                self.part.unlink()
                raise _CutShort("the file on the server has changed")
            if answer.status_code >= 400:
                said = f"{answer.status_code} {shown(answer.reason)}"
                raise DataError(f"{address.shown}: the server says {said}")
            goes_on = answer.status_code == 206 and answer.headers.get(
                "Content-Range", ""
            ).startswith(f"bytes {have}-")
            if not goes_on:
                have = 0
            length = answer.headers.get("Content-Length") or ""
            total = have + int(length) if length.isdecimal() else None
            self._check_room(address.shown, total, have)
            version = answer.headers.get("ETag", "")
            if not version or version.startswith("W/"):  # a weak tag does not vouch for every byte
                version = answer.headers.get("Last-Modified")
            self.notes.write_text(json.dumps({"address": address.key, "version": version}), "utf-8")
            self._save(answer, "ab" if goes_on else "wb", have, total)

    def _begun(self, key: str) -> tuple[int, str | None]:
        """Return how many bytes of the address are there, and the version they belong to."""
        try:
            notes = json.loads(self.notes.read_text("utf-8"))
            version = notes["version"]
            if notes["address"] == key and (version is None or isinstance(version, str)):
                return self.part.stat().st_size, version
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return 0, None

    def _check_room(self, url: str, total: int | None, have: int) -> None:
        free = shutil.disk_usage(self.part.parent).free
        if total is not None and total - have > free:
            raise DataError(
                f"{url}: {size_text(total)} to download, but there are only {size_text(free)} "
                f"free in {self.part.parent}"
            )

    def _save(self, answer: Any, mode: str, have: int, total: int | None) -> None:
        bar = tqdm(
            desc=f"downloading {self.part.name.removesuffix('.part')}",
            total=total,
            initial=have,
            unit="B",
            unit_scale=True,
            disable=None,  # only on a terminal
            leave=False,
        )
        with open(self.part, mode) as file, bar:
            for piece in answer.iter_content(_PIECE):
                file.write(piece)
                have += len(piece)
                bar.update(len(piece))
        if total is not None and have != total:
            raise _CutShort(f"{have} of {total} bytes arrived")


class _CutShort(Exception):
    """The connection ended early without an error of its own."""


def _cause(error: BaseException) -> str:
    """Return the innermost reason: requests wraps several exceptions around each other."""
    while getattr(error, "args", None) and isinstance(error.args[-1], BaseException):
        error = error.args[-1]
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return _cause(reason)
    return str(error).split(": ", 1)[-1] or type(error).__name__
