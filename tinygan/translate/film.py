"""A film through a system that translates, frame by frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tinygan.commands import check_file
from tinygan.data import to_float, to_uint8
from tinygan.data.animation import MOVING, VIDEOS, check_ffmpeg, save_animation
from tinygan.data.film import Film, open_film
from tinygan.data.images import enlarge
from tinygan.data.opening import shown
from tinygan.errors import UserError
from tinygan.systems.translates import Translates
from tinygan.translate.pictures import fitted, side_by_side, translate_picture
from tinygan.translate.smoothing import smoothed

__all__ = ["check_film", "is_film", "translate_film"]


def is_film(out: Path) -> bool:
    """Tell whether moving pictures are to be written to `out`, and not a folder of pictures."""
    return out.suffix.lower() in MOVING and not out.is_dir()


def check_film(source: Path, out: Path, force: bool) -> None:
    """Raise a UserError before the time that translating takes if a film cannot be written."""
    if not source.exists():
        raise UserError(f"--input {shown(source)}: no such file or folder")
    if os.path.realpath(source) == os.path.realpath(out):
        raise UserError(f"--out {shown(out)}: this is --input itself; give another name")
    if out.suffix.lower() in VIDEOS:
        check_ffmpeg()
    check_file(out, force)


def translate_film(
    system: Translates, direction: str, source: Path, out: Path, note: str | None, options: Any
) -> tuple[int, list[str]]:
    """Translate a film into another.

    Parameters
    ----------
    system : Translates
    direction : str
    source : Path
        What `tinygan.data.film.open_film` opens.
    out : Path
    note : str or None
        Who made it.
    options
        The command's: size, pairs, smooth, fps.

    Returns
    -------
    int
        How many frames it has.
    list of str
        A line for each that could not be read.
    """
    failed: list[str] = []
    count = 0
    scale = {"range": options.range} if options.range else system.input_scale(direction)

    def translated(film: Film) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        nonlocal count
        for frame in tqdm(film.frames, total=film.count or None, unit="frame", disable=None):
            frame = fitted(system, frame, options.size)
            made = translate_picture(system, frame, direction)
            count += 1
            yield to_float(enlarge(frame[None], system.factor)[0]), to_float(made)

    with open_film(source, system.options.channels, scale, out, failed.append) as film:
        pairs = smoothed(translated(film), options.smooth)
        frames = (to_uint8(y) for _, y in pairs)
        if options.pairs:
            frames = (side_by_side(to_uint8(x), to_uint8(y)) for x, y in pairs)
        sound = source if film.sound and not options.fps else None
        save_animation(frames, out, options.fps or film.fps, note, sound)
    return count, failed
