"""Getting the data sets of the two papers."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tinygan.data.address import Address
from tinygan.data.archive import BadArchive, unpack
from tinygan.data.cache import cache_directory
from tinygan.data.opening import shown
from tinygan.data.output import check_new
from tinygan.errors import DataError

__all__ = ["BY_HAND", "PICTURES", "PUBLISHED", "SERVER", "download"]

SERVER = "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets"
"""Where Zhu et al. publish the data sets of the CycleGAN paper, ``NAME.zip`` each."""

PUBLISHED = (
    "vangogh2photo",
    "ukiyoe2photo",
    "monet2photo",
    "cezanne2photo",
    "horse2zebra",
    "apple2orange",
    "summer2winter_yosemite",
    "maps",
    "facades",
    "iphone2dslr_flower",
    "ae_photos",
)
"""What is there."""

BY_HAND = {
    "celeba": "get img_align_celeba.zip from https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    "celebrity-100k": (
        "get the archive, with a Kaggle account, from "
        "https://www.kaggle.com/datasets/greg115/celebrities-100k"
    ),
    "cityscapes": (
        "its licence allows no copies: register at https://www.cityscapes-dataset.com and make "
        "an archive with the folders trainA, trainB, testA and testB"
    ),
}
"""Data sets that have no direct link, and where they are to be had."""

PICTURES = {"celeba": 202_599, "celebrity-100k": 100_000}
"""How many pictures a data set has, where its authors say so."""


def download(
    name: str,
    out: str | os.PathLike | None = None,
    url: str = SERVER,
    sha256: str | None = None,
    archive: str | os.PathLike | None = None,
) -> Path:
    """Fetch a data set, check it and unpack it into a new folder.

    A download that breaks off is kept and gone on with by the next call.  What is unpacked
    replaces nothing, and appears in one go when all of it is there.

    Parameters
    ----------
    name : str
        One of `PUBLISHED`, which are downloaded, or of `BY_HAND`, which need `archive`.
    out
        The folder to make; ``datasets/NAME`` by default.
    url : str
        The server's folder of archives, or the address of the ``.zip`` itself: a mirror, say.
    sha256 : str, optional
        Checksum that the archive must have, 64 hexadecimal digits.
    archive
        A zip file that you fetched yourself, to unpack instead of downloading.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    DataError
        If the name is unknown, the folder exists, the server is gone, or the archive is damaged
        or not to be trusted.  Nothing is left of the folder then.
    """
    if not url:
        raise DataError("url: expected an address, got an empty one")
    if name not in PUBLISHED and name not in BY_HAND:
        known = ", ".join((*PUBLISHED, *BY_HAND))
        raise DataError(f"no data set is called {name!r}; there are {known}")
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise DataError(f"sha256: expected 64 hexadecimal digits, got {sha256!r}")
    out = check_new(out or Path("datasets") / name)
    if archive is not None:
        _check_sum(Path(archive), sha256)
        return unpack(archive, out)
    if name in BY_HAND:
        raise DataError(
            f"{name} has no direct link: {BY_HAND[name]}, then give it with --archive FILE"
        )
    if not url.partition("?")[0].endswith(".zip"):
        url = f"{url.rstrip('/')}/{name}.zip"
    fetched = _fetch(name, url, sha256)
    try:
        unpack(fetched, out)
    except BadArchive:
        fetched.unlink()
        raise
    fetched.unlink()  # but kept when there was no room, or no permission, to unpack it
    return out


def _fetch(name: str, url: str, sha256: str | None) -> Path:
    import pooch

    from tinygan.data.resuming import ResumingDownloader

    folder = cache_directory() / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    pooch.get_logger().setLevel("WARNING")
    address = Address(url)
    # an archive is kept under its address: another server's may be another one
    file = f"{name}-{address.key}.zip"
    try:
        path = pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}" if sha256 else None,
            fname=file,
            path=folder,
            downloader=ResumingDownloader(folder / f"{file}.part"),
        )
    except DataError as error:
        raise DataError(
            f"{error}; if the server is gone, give a mirror with --url, or fetch {name}.zip by "
            "other means and give it with --archive FILE"
        ) from None
    except ValueError as error:  # pooch's: checksum, or a scheme that is not http(s) or ftp
        raise DataError(address.without_secrets(f"{url}: {error}")) from None
    return Path(path)


def _check_sum(path: Path, sha256: str | None) -> None:
    if sha256 is None or not path.is_file():
        return
    import hashlib

    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256.lower():
        raise DataError(f"{shown(path)}: its sha256 is {found}, expected {sha256.lower()}")
