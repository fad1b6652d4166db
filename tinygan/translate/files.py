"""Which pictures are translated, and into which files."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from tinygan.data.animation import MOVING
from tinygan.data.film import is_video
from tinygan.data.finding import scan
from tinygan.data.opening import describe_error, shown
from tinygan.errors import DataError, UserError
from tinygan.translate.pictures import suffix_to_write

__all__ = ["Plan", "plan"]


@dataclass
class Plan:
    """What is to be done.

    Attributes
    ----------
    files : list of (Path, Path)
        What to read, and what to write.
    there : int
        Pictures whose translation is there already.
    left_out : list of str
        A line for everything that is not translated, with the reason.
    notes : list of str
        Lines to say that are no failures.
    """

    files: list[tuple[Path, Path]] = field(default_factory=list)
    there: int = 0
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def plan(source: Path, out: Path, force: bool = False, skip_existing: bool = False) -> Plan:
    """Decide what to translate; no translation, and no file of anybody's, is ever replaced unasked.

    Pictures keep their names.  What cannot be written in its own format becomes a PNG: ``a.tif``
    is written to ``a.png``, or to ``a.tif.png`` where another picture is written to ``a.png``.

    Raises
    ------
    UserError
        If there is nothing to read, or something in the way.
    """
    if os.path.lexists(out) and not out.is_dir():
        raise UserError(f"--out {shown(out)}: expected a folder, this is a file")
    made = Plan()
    names = _names(source, out, made)
    base = source if source.is_dir() else source.parent
    for name, target in _targets(names).items():
        path, to = base / name, out / target
        there = os.path.lexists(to)
        if there and os.path.realpath(to) == os.path.realpath(path):
            raise UserError(
                f"--out {shown(out)}: {shown(path)} would be replaced by its translation"
            )
        if there and skip_existing:
            made.there += 1
            continue
        if there and not force:
            raise UserError(
                f"--out {shown(out)}: {shown(to)} is there already; --skip-existing keeps it, "
                "--force replaces it"
            )
        made.files.append((path, to))
    return made


def _names(source: Path, out: Path, made: Plan) -> list[str]:
    if not source.is_dir():
        try:
            video = is_video(source)
        except FileNotFoundError:
            raise UserError(f"--input {shown(source)}: no such file or folder") from None
        except (OSError, DataError) as error:
            raise UserError(f"--input {shown(source)}: {describe_error(error)}") from None
        if video:
            raise UserError(
                f"--out {shown(out)}: --input is a video, expected a file ending in "
                f"{' '.join(MOVING)}"
            )
        return [source.name]
    inside = os.path.realpath(out)
    if inside == os.path.realpath(source):
        raise UserError(
            f"--out {shown(out)}: this is --input itself, whose pictures would be replaced by "
            "their translations; give another folder"
        )
    names, left_out = scan(source)
    made.left_out += [f"{shown(source / name)}: {why}" for name, why in left_out]
    folders: dict[str, bool] = {}
    for name in names:
        parent = os.path.dirname(name)
        if parent not in folders:
            real = os.path.realpath(source / parent)
            folders[parent] = (real + os.sep).startswith(inside + os.sep)
    kept = [name for name in names if not folders[os.path.dirname(name)]]
    if len(kept) < len(names):
        made.notes.append(
            f"{len(names) - len(kept)} pictures in {shown(out)} are translations: left out"
        )
    if not kept:
        raise UserError(f"--input {shown(source)}: no pictures in it but those in --out")
    return kept


def _targets(names: list[str]) -> dict[str, str]:
    """Return what each picture is written to, no two to the same."""
    suffixes = {name: os.path.splitext(name)[1] for name in names}
    targets = {name: name for name, kind in suffixes.items() if suffix_to_write(kind) == kind}
    taken = set(targets.values())
    for name in names:
        if name not in targets:
            stem = os.path.splitext(name)[0]
            free = (t for t in (f"{stem}.png", f"{name}.png") if t not in taken)
            targets[name] = next(free, f"{name}.translated.png")
            taken.add(targets[name])
    return {name: targets[name] for name in names}
