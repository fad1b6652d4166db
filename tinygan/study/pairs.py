"""The pairs of a study: a real picture and a generated one, side by side."""

from __future__ import annotations

import base64
import io
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tinygan.data import to_uint8
from tinygan.errors import UserError
from tinygan.evaluate.subjects import Subject

__all__ = ["Pair", "checksum", "make_pairs"]


@dataclass(frozen=True)
class Pair:
    """A real and a generated picture, as data URIs.

    Attributes
    ----------
    kind : str
        What the generated one is: from noise, or translated in one direction.
    real, generated : str
    """

    kind: str
    real: str
    generated: str


def make_pairs(
    subjects: list[Subject], count: int, matching: str, rng: np.random.Generator
) -> list[Pair]:
    """Return `count` pairs, equally many of each subject.

    Parameters
    ----------
    subjects : list of Subject
    count : int
    matching : {"input", "domain"}
        Beside a translation stands its own original, as in the paper; or any real picture of the
        domain that it should belong to.
    rng : int or numpy.random.Generator

    Raises
    ------
    UserError
        If there are too few pictures.
    """
    rng = np.random.default_rng(rng)
    pairs = []
    for i, subject in enumerate(subjects):
        wanted = count // len(subjects) + (i < count % len(subjects))
        made = list(subject.sets.values())[-1]
        if wanted > min(len(made), len(subject.data)):
            raise UserError(
                f"--pairs: {subject.title}: {wanted} wanted, but there are only {len(made)} "
                f"generated and {len(subject.data)} real pictures"
            )
        which = rng.permutation(len(made))[:wanted]
        if matching == "input":
            real = subject.sets["left alone"][which]
        else:
            real = subject.data[rng.permutation(len(subject.data))[:wanted]]
        for one, other in zip(real, to_uint8(made[which]), strict=True):
            pairs.append(Pair(subject.title, _uri(one), _uri(other)))
    return [pairs[i] for i in rng.permutation(len(pairs))]


def checksum(pairs: list[Pair]) -> str:
    """Return a short name for these very pairs: answers to other ones are not pooled with them."""
    value = 0
    for pair in pairs:
        value = zlib.crc32((pair.real + pair.generated).encode(), value)
    return f"{value:08x}"


def _uri(image: np.ndarray) -> str:
    """Encode both kinds alike, so that no artefact tells them apart; small ones without loss."""
    picture = Image.fromarray(image if image.shape[2] == 3 else image[:, :, 0])
    file = io.BytesIO()
    kind = "png" if max(picture.size) <= 128 else "jpeg"
    picture.save(file, kind, **({"quality": 95, "subsampling": 0} if kind == "jpeg" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
