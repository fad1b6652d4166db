"""What a CycleGAN is trained on and looked at with: two folders of pictures, or the drawn bags."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinygan.data import DataError, ImageFolder, bags

__all__ = ["Domains", "load_domains"]

_SAMPLES = 6  # rows of a sample sheet
_PAIRS = 32  # drawn bags that the translation is measured with


@dataclass(frozen=True)
class Domains:
    """Two unpaired sets of pictures, bytes ``(N, H, W, C)``, and others to look at.

    Attributes
    ----------
    A, B : ndarray
        To train on, of the load size.
    test_A, test_B : ndarray
        A few, of the image size, to look at.
    pairs : (ndarray, ndarray) or None
        Pictures, of the image size and not among the others, of which each is the true translation
        of the other: there are such of drawn data only.
    data : dict
        What they are, for a run's ``config.json``.
    """

    A: np.ndarray
    B: np.ndarray
    test_A: np.ndarray
    test_B: np.ndarray
    pairs: tuple[np.ndarray, np.ndarray] | None
    data: dict


def load_domains(options: dict) -> Domains:
    """Return the pictures that a run with these options is trained on.

    Raises
    ------
    DataError
        If the folder is not laid out as trainA/, trainB/, or holds no usable picture.
    """
    return _folders(options) if options["data"] else _bags(options)


def _folders(options) -> Domains:
    root = Path(options["data"])
    missing = [name for name in ("trainA", "trainB") if not (root / name).is_dir()]
    if missing:
        raise DataError(
            f"{root}: expected a folder with trainA/ and trainB/ in it, there is no "
            f"{' and no '.join(missing)}; python -m tinygan.data split A_DIR B_DIR --out DIR "
            "makes such a folder from two folders of pictures"
        )

    def read(name, size):
        return ImageFolder(
            root / name, size, options["channels"], fit=options["fit"], cache=options["cache"]
        )

    train = {domain: read(f"train{domain}", options["load_size"]) for domain in "AB"}
    test = {}
    for domain in "AB":
        # without pictures set aside, those that are learnt from have to do
        name = f"test{domain}" if (root / f"test{domain}").is_dir() else f"train{domain}"
        test[domain] = _some(read(name, options["image_size"]).images, _SAMPLES)
    A, B = (train[domain].images for domain in "AB")
    skipped = sum(len(folder.skipped) for folder in train.values())
    source = {"folder": str(root), "skipped": skipped}
    return Domains(A, B, test["A"], test["B"], None, source | _content(A, B))


def _bags(options) -> Domains:
    count, load_size, size = (options[n] for n in ("dataset_size", "load_size", "image_size"))
    common = {"seed": options["seed"], "channels": options["channels"]}
    A = bags(count, load_size, domain="handbag", **common).images
    B = bags(count, load_size, domain="backpack", start=count, **common).images
    pairs = tuple(
        bags(_PAIRS, size, domain=domain, start=2 * count, **common).images
        for domain in ("handbag", "backpack")
    )
    test = (images[:_SAMPLES] for images in pairs)
    return Domains(A, B, *test, pairs, {"dataset": "bags"} | _content(A, B))


def _content(A, B) -> dict:
    checksum = 0
    for images in (A, B):
        for image in _some(images, 128):
            checksum = zlib.crc32(np.ascontiguousarray(image), checksum)
    return {"images": len(A) + len(B), "images_A": len(A), "images_B": len(B), "checksum": checksum}


def _some(images, count) -> np.ndarray:
    return images[np.linspace(0, len(images) - 1, min(len(images), count)).astype(int)]
