"""Films: pictures one after the other, out of a video, an animation or a folder of frames."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageSequence

from tinygan.data.animation import check_ffmpeg
from tinygan.data.finding import find_images
from tinygan.data.folder import folder_scale
from tinygan.data.images import load_image, squared
from tinygan.data.opening import (
    BRANDS,
    describe_error,
    open_image,
    open_regular,
    quiet_pillow,
    shown,
)
from tinygan.errors import DataError

__all__ = ["Film", "is_video", "open_film"]

_FPS = 25.0  # of a folder of frames
_MISSING = 0.02  # of a video's frames, that may be fewer than its length says


@dataclass
class Film:
    """A film that is being read.

    Attributes
    ----------
    frames : iterator of ndarray
        Bytes ``(H, W, C)``, all of one size.
    count : int
        How many there are, as far as the file says; 0 where it does not.
    fps : float
        Frames a second.
    sound : bool
        Whether there is any.
    """

    frames: Iterator[np.ndarray]
    count: int
    fps: float
    sound: bool = False


def is_video(path: Path) -> bool:
    """Tell by its first bytes whether a file is a video: MP4 or QuickTime, Matroska, WebM or AVI.

    Nothing else is given to ffmpeg, which would open playlists and what they name.
    """
    with open_regular(path) as file:
        start = file.read(12)
    if start[4:8] == b"ftyp":
        return start[8:12] not in BRANDS
    quicktime = start[4:8] in (b"moov", b"mdat", b"wide", b"free")
    avi = start[:4] == b"RIFF" and start[8:12] == b"AVI "
    return quicktime or avi or start[:4] == b"\x1a\x45\xdf\xa3"


@contextmanager
def open_film(
    path: Path,
    channels: int,
    scale: dict | None = None,
    without: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[Film]:
    """Open a film.

    Parameters
    ----------
    path : Path
        A video, an animated WebP, GIF or PNG, or a folder of frames, in the order of the numbers
        in their names.
    channels : {3, 1}
        RGB or grey.
    scale : dict, optional
        Black and white of a folder's pictures of more than 8 bits, see `tinygan.data.load_image`.
    without : Path, optional
        A file of the folder that is no frame.
    say : callable
        Told what is left out.

    Raises
    ------
    DataError
        If it is none of these, has no frames, is damaged, or its frames are not of one size.
    """
    if path.is_dir():
        yield _folder(path, channels, scale, without, say)
        return
    try:
        video = is_video(path)
    except (OSError, DataError) as error:
        raise DataError(f"{shown(path)}: {describe_error(error)}") from None
    if not video:
        yield _animation(path, channels)
        return
    with _video(path, channels, say) as film:
        yield film


def _folder(
    path: Path, channels: int, scale: dict | None, without: Path | None, say: Callable[[str], None]
) -> Film:
    def numbered(name: str) -> list:
        return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", name))]

    files = [path / name for name in sorted(find_images(path), key=numbered)]
    own = without.resolve() if without else None
    files = [file for file in files if file.resolve() != own]
    if not files:
        raise DataError(f"{shown(path)}: no frames in it")
    scale = folder_scale(files, scale, "the frames")

    def frames() -> Iterator[np.ndarray]:
        shape = None
        for file in files:
            try:
                with quiet_pillow():
                    frame = load_image(file, channels=channels, scale=scale)
            except Exception as error:  # Pillow raises a dozen kinds for damaged files
                say(f"{shown(file)}: cannot be read: {describe_error(error)}")
                continue
            if frame.shape != (shape := shape or frame.shape):
                raise DataError(
                    f"{shown(file)}: expected a frame of {shape[1]} × {shape[0]} pixels like those "
                    f"before it, got {frame.shape[1]} × {frame.shape[0]}"
                )
            yield frame

    return Film(frames(), len(files), _FPS)


def _animation(path: Path, channels: int) -> Film:
    try:  # read through once: then it is whole, and how long its frames are shown is known
        with quiet_pillow(), open_image(path) as picture:
            lasts = []
            for frame in ImageSequence.Iterator(picture):
                frame.load()
                lasts.append(frame.info.get("duration") or 100)
    except Exception as error:  # Pillow raises a dozen kinds for damaged files
        raise DataError(
            f"{shown(path)}: expected a video, an animation or a folder of frames: "
            f"{describe_error(error)}"
        ) from None
    if len(lasts) == 1:
        raise DataError(
            f"{shown(path)}: expected a video, an animation or a folder of frames, got a picture"
        )

    shortest = min(lasts)
    times = [round(last / shortest) for last in lasts]  # frames that are shown for longer

    def frames() -> Iterator[np.ndarray]:
        with open_image(path) as picture:
            for frame, count in zip(ImageSequence.Iterator(picture), times, strict=True):
                yield from [squared(frame.copy(), None, channels, None, "crop")] * count

    return Film(frames(), sum(times), 1000 / shortest)


@contextmanager
def _video(path: Path, channels: int, say: Callable[[str], None]) -> Iterator[Film]:
    reader = check_ffmpeg().read_frames(
        str(path.absolute()), input_params=["-protocol_whitelist", "file,pipe"]
    )
    with closing(reader):
        try:
            about: dict[str, Any] = next(reader)
            width, height = about["size"]
            fps = float(about["fps"]) or _FPS
            count = round(about["duration"] * fps)
        except Exception:  # imageio raises a dozen kinds for damaged files
            raise DataError(f"{shown(path)}: damaged, or no video that ffmpeg can read") from None

        def frames() -> Iterator[np.ndarray]:
            got = 0
            try:
                for data in reader:
                    pixels = np.frombuffer(data, np.uint8).reshape(height, width, 3)
                    yield squared(Image.fromarray(pixels), None, channels, None, "crop")
                    got += 1
            except RuntimeError:
                pass
            if not got:
                raise DataError(f"{shown(path)}: no frames in it that ffmpeg can read")
            if got < count * (1 - _MISSING) - 1:
                say(f"{shown(path)}: {got} of about {count} frames can be read: it is damaged")

        yield Film(frames(), count, fps, bool(about.get("audio_codec")))
