"""The forms in which generated pictures are written: a sheet, single files, an animation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tinygan.commands import check_file
from tinygan.data.animation import MOVING, VIDEOS, check_ffmpeg, save_animation
from tinygan.data.images import enlarge, load_image, save_grid, save_pictures, tile
from tinygan.errors import UserError
from tinygan.files import new_folder
from tinygan.runs.report.pictures import sample_files

__all__ = ["check_out", "write_history", "write_sheet", "write_single", "write_walk"]

Draw = Callable[[np.ndarray], np.ndarray]  # from z to pictures

_AT_ONCE = 256  # pictures
_WALK, _HISTORY = 20, 4  # frames a second
_MOST_FRAMES = 200


def check_out(out: Path, force: bool) -> str:
    """Return the form that a path asks for: "sheet", "single" or "animation".

    Raises
    ------
    UserError
        If there is no such form, or something in the way.
    """
    kind = out.suffix.lower()
    if not kind or (out.is_dir() and kind != ".png" and kind not in MOVING):
        if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
            raise UserError(f"--out {out}: expected a new or an empty folder")
        return "single"
    if kind != ".png" and kind not in MOVING:
        raise UserError(
            f"--out {out}: expected the name of a .png file, of an animation or a video "
            f"({' '.join(MOVING)}), or of a folder"
        )
    if kind in VIDEOS:
        check_ffmpeg()
    check_file(out, force)
    return "sheet" if kind == ".png" else "animation"


def write_sheet(
    images: np.ndarray, out: Path, columns: int, scale: int, note: str | None = None
) -> None:
    """Write all images on one sheet.  The note, here and below, says who made them."""
    save_grid(enlarge(images, scale), out, columns, note=note)


def write_single(draw: Draw, z: np.ndarray, out: Path, scale: int, note: str | None = None) -> None:
    """Write one file a picture, of its exact size, into a new folder."""
    with new_folder(out) as folder:
        for i in tqdm(range(0, len(z), _AT_ONCE), unit_scale=_AT_ONCE, disable=None):
            images = draw(z[i : i + _AT_ONCE])
            save_pictures(enlarge(images, scale), folder, i, note)


def write_walk(
    draw: Draw, z: np.ndarray, out: Path, columns: int, scale: int, note: str | None = None
) -> None:
    """Write an animation of a walk, z ``(frames, count, noise_size)``."""
    frames = tqdm(z, unit="frame", disable=None)
    sheets = (tile(enlarge(draw(at), scale), columns) for at in frames)
    save_animation(sheets, out, _WALK, note)


def write_history(folder: Path, out: Path, scale: int, note: str | None = None) -> int:
    """Write an animation of a run's samples over time; return how many frames it has."""
    sheets = []
    for _, path in sample_files(folder / "samples", _MOST_FRAMES):
        try:
            sheets.append(load_image(path))
        except Exception:  # Pillow raises a dozen kinds for damaged files: one frame fewer
            continue
    sheets = [sheet for sheet in sheets if sheet.shape == sheets[-1].shape]
    if not sheets:
        raise UserError(f"{folder}: there are no samples in it")
    save_animation((enlarge(sheet[None], scale)[0] for sheet in sheets), out, _HISTORY, note)
    return len(sheets)
