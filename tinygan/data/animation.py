"""Moving pictures: animated WebP and GIF by Pillow, videos by ffmpeg."""

from __future__ import annotations

import errno
import io
import logging
from collections.abc import Iterable
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tinygan.data.mark import metadata
from tinygan.errors import DataError
from tinygan.files import replaced

__all__ = ["ANIMATIONS", "MOVING", "VIDEOS", "check_ffmpeg", "save_animation"]

ANIMATIONS = {".webp": "WEBP", ".gif": "GIF"}
"""Ending of a file's name → its format."""

VIDEOS = {
    ".mp4": ("mp4", "libx264"),
    ".mov": ("mov", "libx264"),
    ".mkv": ("matroska", "libx264"),
    ".webm": ("webm", "libvpx-vp9"),
}
"""Ending of a file's name → ffmpeg's names of the container and of the encoder."""

MOVING = (*VIDEOS, *ANIMATIONS)
"""The endings of all files that moving pictures are written to."""

_QUALITY: dict[str, dict[str, Any]] = {
    "WEBP": {"quality": 90, "method": 4},
    "GIF": {"optimize": False},
}


def check_ffmpeg() -> Any:
    """Return the package that finds and calls ffmpeg; a `DataError` where it is missing."""
    try:
        import imageio_ffmpeg
    except ImportError:
        raise DataError(
            "videos need the package imageio-ffmpeg: pip install 'tinygan[video]'; animated .webp "
            "and .gif files do not"
        ) from None
    logging.getLogger("imageio_ffmpeg").setLevel(logging.ERROR)  # it tells of turned pictures
    return imageio_ffmpeg


def save_animation(
    frames: Iterable[np.ndarray],
    path: Path,
    fps: float = 10,
    note: str | None = None,
    sound: Path | None = None,
) -> None:
    """Write pictures of one size as a video or an animation, in one go.

    Parameters
    ----------
    frames : iterable of ndarray
        Bytes ``(H, W, 3 or 1)``.  A video is written while they come.
    path : Path
        Its ending says the format: ``.webp``, of all colours, or ``.gif``, of 256 a frame, which
        begin again at their end; or a video, one of `VIDEOS`.
    fps : float
        Frames a second.
    note : str, optional
        Who made it, see ``tinygan/data/mark.py``.
    sound : Path, optional
        A video whose sound goes with a video.

    Raises
    ------
    DataError
        If there is no frame, or ffmpeg is missing.
    OSError
        If it cannot be written.
    """
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise DataError("save_animation: expected at least one frame, got none")
    frames = chain([first], frames)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in VIDEOS:
        _save_video(frames, first.shape, path, fps, note, sound)
        return
    pictures = [Image.fromarray(f if f.shape[2] == 3 else f[:, :, 0]) for f in frames]
    kind = ANIMATIONS[path.suffix.lower()]
    made = io.BytesIO()  # Pillow writes GIFs past Python and minds no short write
    pictures[0].save(
        made,
        kind,
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 / fps),
        loop=0,
        **_QUALITY[kind],
        **metadata(kind, note),
    )
    with replaced(path) as beside:
        beside.write_bytes(made.getvalue())


def _save_video(
    frames: Iterable[np.ndarray],
    shape: tuple[int, ...],
    path: Path,
    fps: float,
    note: str | None,
    sound: Path | None,
) -> None:
    ffmpeg = check_ffmpeg()
    container, codec = VIDEOS[path.suffix.lower()]
    height, width = shape[:2]
    even = ((0, height % 2), (0, width % 2), (0, 0))  # the colours are kept for 2 × 2 pixels
    marked = ["-metadata", f"comment={note}"] if note else []
    failed = OSError(errno.EIO, "ffmpeg cannot write this video; is the disk full?", str(path))
    with replaced(path) as beside:
        writer = ffmpeg.write_frames(
            str(beside.absolute()),
            (width + width % 2, height + height % 2),
            fps=fps,
            quality=7,
            codec=codec,
            macro_block_size=1,
            ffmpeg_log_level="quiet",
            output_params=["-f", container, *marked],
            audio_path=None if sound is None else str(sound.absolute()),
        )
        count = 0
        with closing(writer):
            writer.send(None)
            for frame in frames:
                frame = np.pad(frame, even, "edge")
                frame = np.broadcast_to(frame, (*frame.shape[:2], 3))
                try:
                    writer.send(np.ascontiguousarray(frame))
                except OSError:
                    raise failed from None
                count += 1
        try:  # what ffmpeg says at its end is not to be had
            written, _ = ffmpeg.count_frames_and_secs(str(beside.absolute()))
        except RuntimeError:
            raise failed from None
        if written != count:
            raise failed
