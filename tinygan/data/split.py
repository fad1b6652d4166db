"""From two folders of pictures to the published layout: trainA, trainB, testA and testB."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tinygan.data.finding import scan
from tinygan.data.opening import describe_error, open_regular, shown
from tinygan.data.output import check_new, new_folder
from tinygan.errors import DataError

__all__ = ["LINKS", "split"]

LINKS: dict[str, Callable] = {
    "copy": shutil.copy2,
    "hard": os.link,
    "symbolic": os.symlink,
}
"""Ways for a picture to come to its new place; it stays in the old one, too."""


def split(
    a: str | os.PathLike,
    b: str | os.PathLike,
    out: str | os.PathLike,
    test: tuple[int, int],
    seed: int = 0,
    link: str = "copy",
) -> dict[str, int]:
    """Divide the pictures of two folders into training and test sets.

    Which pictures become test pictures depends on `seed` and their sorted relative paths alone.
    The pictures of `a` and `b` stay as and where they are; below the new folders they keep their
    relative paths.  ``OUT/split.json`` says how the folder was made.

    Parameters
    ----------
    a, b
        The two folders, searched at any depth.
    out
        The folder to make; it must not exist, or be empty.
    test : (int, int)
        Number of test pictures of `a` and of `b`; the second paper uses 100 and 149.
    seed : int
    link : {"copy", "hard", "symbolic"}
        Copy the files, or make hard or symbolic links to them.

    Returns
    -------
    dict
        The number of pictures in each of trainA, trainB, testA and testB.

    Raises
    ------
    DataError
        If a folder is missing or holds too few pictures, or `out` holds something or is in one of
        the folders.  Nothing is written then.
    """
    out = check_new(out)
    if link not in LINKS:
        raise DataError(f"link: expected one of {', '.join(LINKS)}, got {link!r}")
    if seed < 0:
        raise DataError(f"seed: expected 0 or more, got {seed}")
    chosen: dict[str, tuple[Path, list[str]]] = {}
    for number, (domain, folder, count) in enumerate((("A", a, test[0]), ("B", b, test[1]))):
        folder = Path(os.path.realpath(folder))
        if Path(os.path.realpath(out)).is_relative_to(folder):
            raise DataError(
                f"{out}: the new folder cannot be inside of {folder}, which it is made from"
            )
        names = _usable(folder)
        if not 0 <= count < len(names):
            raise DataError(
                f"{folder}: {count} test pictures asked for, expected 0 to {len(names) - 1}, "
                f"as there are {len(names)} pictures and some are to train with"
            )
        order = np.random.default_rng((seed, number)).permutation(len(names))
        chosen[f"test{domain}"] = folder, [names[i] for i in sorted(order[:count])]
        chosen[f"train{domain}"] = folder, [names[i] for i in sorted(order[count:])]
    with new_folder(out) as new:
        for part in ("trainA", "trainB", "testA", "testB"):
            folder, names = chosen[part]
            (new / part).mkdir()
            for name in names:
                target = new / part / name
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    LINKS[link](folder / name, target)
                except OSError as error:
                    raise DataError(
                        f"{folder / name}: cannot be {_DONE[link]} to {out}: {error.strerror}"
                    ) from None
        about = {
            "A": str(Path(a)),
            "B": str(Path(b)),
            "test": list(test),
            "seed": seed,
            "link": link,
        }
        (new / "split.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    return {part: len(chosen[part][1]) for part in ("trainA", "trainB", "testA", "testB")}


def _usable(folder: Path) -> list[str]:
    """Return the pictures of a folder that are files; each of the others is named in a warning."""
    names, left_out = scan(folder)
    usable = []
    for name in names:
        try:
            open_regular(folder / name).close()
            usable.append(name)
        except (OSError, DataError) as error:
            left_out.append((name, describe_error(error)))
    for name, why in left_out:
        warnings.warn(f"skipped {shown(folder / name)}: {why}", stacklevel=3)
    return usable


_DONE = {"copy": "copied", "hard": "hard-linked", "symbolic": "linked"}
