"""What a CycleGAN is trained on and looked at with: two folders of images, or drawn pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinygan.data import DRAWN_SETS, DataError, ImageFolder, checksum
from tinygan.data.drawing import DrawnImages
from tinygan.data.sources import has_part
from tinygan.errors import UserError
from tinygan.systems.cyclegan.options import CycleGANOptions
from tinygan.systems.draws import FRESH, some
from tinygan.systems.system import Material, refuse_above

__all__ = ["Domains", "load_domains", "material"]

_SAMPLES = 6  # rows of a sample sheet
_PAIRS = 32  # drawn images that the translation is measured with


@dataclass(frozen=True)
class Domains:
    """Two unpaired sets of images, bytes ``(N, H, W, C)``, and others to look at.

    Attributes
    ----------
    A, B : ndarray
        To train on, of the load size.
    test_A, test_B : ndarray
        A few, of the image size, to look at.
    pairs : (ndarray, ndarray) or None
        Images, of the image size and not among the others, of which each is the true translation
        of the other: there are such of drawn data only.
    data : dict
        What they are, for a run's ``config.json``.
    """

    A: np.ndarray
    B: np.ndarray
    test_A: np.ndarray
    test_B: np.ndarray
    pairs: tuple[np.ndarray, np.ndarray] | None
    data: dict[str, Any]


def load_domains(options: CycleGANOptions, scales: dict[str, Any] | None = None) -> Domains:
    """Return the images that a run with these options is trained on.

    Parameters
    ----------
    options
    scales : dict, optional
        Domain, "A" or "B" → the scale of its pictures of more than 8 bits, as a run noted it.

    Raises
    ------
    DataError
        If the folder is not laid out as trainA/, trainB/, or holds no usable image.
    """
    return _folders(options, scales or {}) if options.data else _drawn(options)


def _read(
    options: Any,
    root: Path,
    names: Sequence[str],
    size: int,
    scale: dict[str, Any] | None = None,
) -> ImageFolder:
    """Read the first of some folders that is there."""
    path = _find(root, names)
    scale = {"range": options.range} if options.range else scale
    return ImageFolder(
        path, size, options.channels, fit=options.fit, cache=options.cache, scale=scale
    )


def _find(root: Path, names: Sequence[str]) -> Path:
    for name in names:
        if has_part(root, name):
            return root / name
    raise DataError(
        f"{root}: expected a folder, or an archive, with trainA/ and trainB/ in it, or .npz with "
        f"arrays of these names; there is no {names[0]}; "
        "python -m tinygan.data split A_DIR B_DIR --out DIR makes such a folder from two "
        "folders of pictures"
    )


def _folders(options: Any, scales: dict[str, Any]) -> Domains:
    root = Path(options.data)
    for domain in "AB":
        _find(root, [f"train{domain}"])  # both, before the time it takes to read one
    train = [
        _read(options, root, [f"train{domain}"], options.load_size, scales.get(domain))
        for domain in "AB"
    ]
    scales = {domain: folder.scale for domain, folder in zip("AB", train, strict=True)}
    test = [  # without images set aside, those that are learnt from have to do
        _read(options, root, [f"test{d}", f"train{d}"], options.image_size, scales[d]) for d in "AB"
    ]
    A, B = (folder.images for folder in train)
    source = {
        "folder": str(root),
        "skipped": sum(len(folder.skipped) for folder in train),
        "scale": {domain: scale for domain, scale in scales.items() if scale},
    }
    test_A, test_B = (some(folder.images, _SAMPLES) for folder in test)
    return Domains(A, B, test_A, test_B, None, source | _content(A, B))


def _makers(
    options: CycleGANOptions, name: str | None
) -> tuple[str, list[Callable[..., DrawnImages]]]:
    name = name or options.dataset or options.drawn
    if len(DRAWN_SETS.get(name, ())) != 2:
        raise UserError(f"--dataset {name}: a cyclegan is measured on {options.drawn}")
    common = {"seed": options.seed, "channels": options.channels}
    return name, [partial(maker, **common) for maker in DRAWN_SETS[name]]


def _drawn(options: Any) -> Domains:
    name, (draw_A, draw_B) = _makers(options, None)
    count, load_size, size = options.dataset_size, options.load_size, options.image_size
    refuse_above(
        2 * count * load_size**2 * options.channels,
        "the drawn pictures",
        "--dataset-size or --image-size",
    )
    A = draw_A(count, load_size).images
    B = draw_B(count, load_size, start=count).images
    x, y = (draw(_PAIRS, size, start=2 * count).images for draw in (draw_A, draw_B))
    described = {"dataset": name} | _content(A, B)
    return Domains(A, B, x[:_SAMPLES], y[:_SAMPLES], (x, y), described)


def _content(A: np.ndarray, B: np.ndarray) -> dict:
    counts = {"images": len(A) + len(B), "images_A": len(A), "images_B": len(B)}
    return counts | {"checksum": checksum(A, B)}


def material(
    options: CycleGANOptions,
    count: int,
    data: str | None,
    dataset: str | None,
    scales: dict[str, Any] | None = None,
) -> list[Material]:
    """Return what to measure a run's translations with, A to B and B to A.

    Images set aside as ``testA/``, ``testB/`` are translated where there are such.
    """
    size, own = options.image_size, options.dataset_size
    drawn = dataset is not None or (data is None and not options.data)
    if drawn:
        _, makers = _makers(options, dataset)
        inputs = [draw(count, size, start=FRESH).images for draw in makers]
        real = [draw(2 * count, size, start=2 * FRESH).images for draw in makers]
    else:
        root = Path(data or options.data or "")
        read, scales = partial(_read, options, root, size=size), scales or {}
        inputs = [read([f"test{d}", f"train{d}"], scale=scales.get(d)).images for d in "AB"]
        real = [read([f"train{d}", f"test{d}"], scale=scales.get(d)).images for d in "AB"]
    training = real
    if drawn and not options.data:  # those that the run was trained on, at the images' size
        _, makers = _makers(options, None)
        training = [draw(own, size, start=i * own).images for i, draw in enumerate(makers)]
    return [
        Material(
            f"translation {'AB'[i]} to {'BA'[i]}",
            real[1 - i],
            training[1 - i],
            direction=("AtoB", "BtoA")[i],
            inputs=inputs[i],
            truth=inputs[1 - i] if drawn else None,
        )
        for i in range(2)
    ]
