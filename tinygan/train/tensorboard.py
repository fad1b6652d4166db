"""``--log tensorboard``: a run's numbers and sample sheets, for TensorBoard to show."""

from __future__ import annotations

import importlib.util
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinygan.errors import UserError
from tinygan.systems.system import System

__all__ = ["TensorBoard", "check_log"]

_SECONDS = 5.0  # between two times that numbers are brought to the file
_VERSION = "brain.Event:2"  # of the file's format; the first record says so


def check_log(kind: str | None) -> None:
    """Raise a UserError if there is no writer for what is asked for."""
    if kind is not None and importlib.util.find_spec("tensorboardX") is None:
        raise UserError(
            "--log tensorboard needs the package tensorboardX: pip install 'tinygan[tensorboard]'"
        )


class TensorBoard:
    """A callback of training that writes ``RUN/tensorboard``; a new file each session.

    What cannot be written is said once; the training goes on without it.

    Parameters
    ----------
    folder : Path
    start : int
        Steps that were done before.  What an earlier session wrote of later ones, before it was
        killed, is taken back.
    warn : callable
        Told what goes wrong.
    """

    def __init__(self, folder: Path, start: int, warn: Callable[[str], Any]):
        self._folder, self._start, self._warn = folder, start, warn
        self._writer: Any = None
        self._over = False
        self._flushed = time.monotonic()

    def __call__(self, system: System, row: dict[str, Any]) -> None:
        """Write the metrics of a step."""
        step, named = row["step"], {"epoch": row["epoch"], "seconds per step": row["seconds"]}
        named |= {name: row[name] for name in system.metric_names}
        values = [{"tag": tag, "simple_value": float(value)} for tag, value in named.items()]
        self._write(step=step, summary={"value": values})

    def picture(self, path: Path) -> None:
        """Write a sheet of samples, ``…/step-000100.png``."""
        try:
            png, step = path.read_bytes(), int(path.stem.rpartition("-")[2])
            width, height = struct.unpack(">II", png[16:24])
        except (OSError, ValueError, struct.error):
            return  # a system that draws none
        image = {"width": width, "height": height, "encoded_image_string": png}
        self._write(step=step, summary={"value": [{"tag": "samples", "image": image}]}, now=True)

    def close(self) -> None:
        """Bring everything to the file."""
        if self._writer is not None and not self._over:
            self._try(self._writer.close)

    def _write(self, now: bool = False, **event: Any) -> None:
        if not self._over:
            self._try(self._record, now, event)

    def _record(self, now: bool, event: dict[str, Any]) -> None:
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        if self._writer is None:
            self._writer = self._opened()
            begun = SessionLog(status=SessionLog.START)
            for first in (
                {"file_version": _VERSION},
                {"step": self._start + 1, "session_log": begun},
            ):
                self._writer.write(_bytes(Event(**first)))
        self._writer.write(_bytes(Event(**event)))
        if now or time.monotonic() - self._flushed > _SECONDS:
            self._writer.flush()
            self._flushed = time.monotonic()

    def _opened(self) -> Any:
        from tensorboardX.record_writer import RecordWriter

        if self._folder.is_symlink():
            raise OSError(f"{self._folder} is a link, expected a folder of this run")
        self._folder.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns() // 10**6:014d}.tinygan"
        return RecordWriter(str((self._folder / name).absolute()))

    def _try(self, do: Callable[..., Any], *arguments: Any) -> None:
        try:
            do(*arguments)
        except Exception as error:  # whatever it is, no training ends of it
            self._over = True
            self._warn(f"warning: --log tensorboard is over: {error or type(error).__name__}")


def _bytes(event: Any) -> bytes:
    event.wall_time = time.time()
    return event.SerializeToString()
