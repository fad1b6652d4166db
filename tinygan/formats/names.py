"""The one table of names between tinygan's networks and the published PyTorch files.

The published networks are ``nn.Sequential``, so a parameter's name is the place of its module:
``model.1.weight``, ``model.10.conv_block.5.bias``.  The places follow from tinygan's layers in
their order; no name is listed here.  Two rules are all:

- `Reshape` and `Flatten` have no place: the published code reshapes outside the network;
- a residual block's layers stand in its ``conv_block``.

Convolution weights go from ``(KH, KW, C, O)`` to ``(O, C, KH, KW)``, and those of transposed
convolutions from ``(KH, KW, O, C)`` to ``(C, O, KH, KW)``: the same transposition for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygan.errors import UserError
from tinygan.layer import Layer
from tinygan.layers import Flatten, Reshape
from tinygan.layers.sequential import Residual, Sequential
from tinygan.machine.arrays import asnumpy
from tinygan.models import cyclegan_networks, dcgan

__all__ = ["KINDS", "Kind", "from_published", "published_names", "recognize", "to_published"]

Shapes = dict[str, tuple[int, ...]]

_TO_PUBLISHED, _FROM_PUBLISHED = (3, 2, 0, 1), (2, 3, 1, 0)
_COUNTER = "num_batches_tracked"  # beside PyTorch's running statistics; a count, not used
_MOST = 24  # convolutions in a row; no published network has as many
_STATISTICS = ("running_mean", "running_var", _COUNTER)


def published_names(network: Layer, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield ``(published name, tinygan's name)`` of every weight and statistic of a network.

    Parameters
    ----------
    network : Sequential
    prefix : str
        ``"model"`` for a CycleGAN's networks, ``"main"`` for a DCGAN's.

    Examples
    --------
    >>> from tinygan.models.dcgan import discriminator
    >>> list(published_names(discriminator(image_size=16), "main"))[:2]
    [('main.0.weight', '0.weight'), ('main.2.weight', '2.weight')]
    """
    yield from _names(network, f"{prefix}.", "")


def _names(network: Layer, published: str, own: str) -> Iterator[tuple[str, str]]:
    place = 0
    for name, layer in network.children():
        if isinstance(layer, Residual):
            yield from _names(layer, f"{published}{place}.conv_block.", f"{own}{name}.")
        elif isinstance(layer, Sequential):
            yield from _names(layer, f"{published}{place}.", f"{own}{name}.")
        elif not isinstance(layer, (Reshape, Flatten)):
            weights = {key: p.data for key, p in layer.named_parameters().items()}
            for leaf, array in (weights | layer.buffers()).items():
                if array.dtype.kind == "f":  # not a dropout's random state
                    yield f"{published}{place}.{leaf}", f"{own}{name}.{leaf}"
        else:
            continue
        place += 1


def to_published(network: Layer, prefix: str) -> dict[str, np.ndarray]:
    """Return a network's weights under their published names, in PyTorch's order of axes."""
    state, arrays = network.state_dict(), {}
    for published, own in published_names(network, prefix):
        array = np.asarray(asnumpy(state[own]))
        arrays[published] = (
            np.ascontiguousarray(array.transpose(_TO_PUBLISHED)) if array.ndim == 4 else array
        )
        if published.endswith("running_var"):
            arrays[published.removesuffix("running_var") + _COUNTER] = np.array(0, np.int64)
    return arrays


def from_published(network: Layer, prefix: str, arrays: dict[str, np.ndarray]) -> Layer:
    """Set a network's weights from arrays under their published names; return the network."""
    state = network.state_dict()
    for published, own in published_names(network, prefix):
        array = arrays[published]
        state[own] = array.transpose(_FROM_PUBLISHED) if array.ndim == 4 else array
    network.load_state_dict(state)
    return network


@dataclass(frozen=True)
class Kind:
    """A network that was published.

    Attributes
    ----------
    title : str
        What it is, for messages.
    system : str
        The tinygan system it is part of.
    roles : tuple of str
        Its names there, the usual one first.
    prefix : str
        What all its published names begin with.
    build : callable
        From options to the network.  Every dimension of every weight is linear in `width`.
    read : callable
        From the shapes of a file to the options that would explain them, or several; it may raise
        KeyError where there are none.
    """

    title: str
    system: str
    roles: tuple[str, ...]
    prefix: str
    build: Callable[..., Layer]
    read: Callable[[dict], list[dict]]


def recognize(shapes: dict[str, tuple[int, ...]]) -> tuple[Kind, dict]:
    """Tell which published network a file holds, by its names and its shapes.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        The names in the file, without the ``module.`` of `nn.DataParallel`.

    Returns
    -------
    kind : Kind
    options : dict
        What to call `kind.build` with.

    Raises
    ------
    UserError
        If it is none of them; it says what was found and what is known.
    """
    shapes = {name: tuple(shape) for name, shape in shapes.items()}
    nearest = (len(shapes) + 1, "")
    for kind in KINDS:
        for options in _candidates(kind, shapes):
            wrong = _differences(_shapes(kind, options), shapes)
            if not wrong:
                return kind, options
            nearest = min(nearest, (len(wrong), f"; nearest is {kind.title}, but {wrong[0]}"))
    some = ", ".join(f"{name} {shape}" for name, shape in list(shapes.items())[:3])
    more = f" and {len(shapes) - 3} more" if len(shapes) > 3 else ""
    known = "; ".join(kind.title for kind in KINDS)
    raise UserError(
        f"not a published network: found {some or 'no tensors'}{more}{nearest[1]}; "
        f"known are {known}"
    )


def _candidates(kind: Kind, shapes: Shapes) -> list[dict[str, Any]]:
    if not all(name.startswith(f"{kind.prefix}.") and 0 not in s for name, s in shapes.items()):
        return []
    try:
        return kind.read(shapes)
    except KeyError:
        return []


def _shapes(kind: Kind, options: dict[str, Any]) -> Shapes:
    """Return the published shapes of a network that may be too large to build.

    Each dimension is linear in the width, so two narrow networks tell those of a wide one.
    """
    one, two = (
        {name: array.shape for name, array in to_published(network, kind.prefix).items()}
        for network in (kind.build(**options | {"width": width}) for width in (1, 2))
    )
    steps = options["width"] - 1
    return {
        name: tuple(a + steps * (b - a) for a, b in zip(shape, two[name], strict=True))
        for name, shape in one.items()
    }


def _differences(expected: Shapes, shapes: Shapes) -> list[str]:
    wrong = []
    for name, shape in expected.items():
        found = shapes.get(name)
        if found is None and name.endswith(_COUNTER):
            continue  # files of PyTorch before 0.4.1 have none
        if found is None:
            wrong.append(f"{name} is missing")
        elif found != shape:
            wrong.append(f"{name} has the shape {found} instead of {shape}")
    for name in shapes:
        # files of 2017 hold statistics of instance norms, which nothing uses
        if name not in expected and not name.endswith(_STATISTICS):
            wrong.append(f"{name} is unknown")
    return wrong


def _row(shapes: Shapes, kernel: int) -> list[tuple[int, ...]]:
    """Return the shapes of the convolutions that stand in a row, by their places.

    What a reader below says of a file is bounded by the tensors that the file does hold: two
    networks are built by it, so no file may talk us into large ones.
    """
    found: dict[int, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        words = name.split(".")
        if len(words) == 3 and words[2] == "weight" and len(shape) == 4 and words[1].isdecimal():
            found[int(words[1])] = shape
    row = [found[place] for place in sorted(found)]
    if not 3 <= len(row) <= _MOST or row[0][2:] != (kernel, kernel):
        raise KeyError
    return row


def _norm(shapes: Shapes) -> str:
    affine = any(name.endswith(".weight") and len(shape) == 1 for name, shape in shapes.items())
    return "batch" if affine else "instance"


def _read_translator(shapes: Shapes) -> list[dict[str, Any]]:
    row = _row(shapes, 7)
    width, channels = row[0][:2]
    downsamplings = (len(row) - 2) // 2
    wide = width << downsamplings
    inner = [name for name, s in shapes.items() if ".conv_block." in name and len(s) == 4]
    whole = [name for name in inner if shapes[name] == (wide, wide, 3, 3)]
    same = {
        "channels": channels,
        "width": width,
        "downsamplings": downsamplings,
        "residual_blocks": len(whole) // 2,
        "norm": _norm(shapes),
        "dropout": 0.5 if any(".conv_block.6." in name for name in inner) else 0.0,
    }
    return [same | {"upsampling": how} for how in cyclegan_networks.UPSAMPLINGS] if whole else []


def _read_patches(shapes: Shapes) -> list[dict[str, Any]]:
    row = _row(shapes, 4)
    width, channels = row[0][:2]
    norm = _norm(shapes)
    return [{"channels": channels, "width": width, "norm": norm, "layers": len(row) - 2}]


def _read_generator(shapes: Shapes) -> list[dict[str, Any]]:
    row = _row(shapes, 4)
    noise_size, wide = row[0][:2]
    width, channels = row[-1][:2]
    options = {"noise_size": noise_size, "width": width, "channels": channels}
    return _sized(options, row) if wide == width << (len(row) - 2) else []


def _read_discriminator(shapes: Shapes) -> list[dict[str, Any]]:
    row = _row(shapes, 4)
    return _sized({"width": row[0][0], "channels": row[0][1]}, row)


def _sized(options: dict[str, Any], row: list[tuple[int, ...]]) -> list[dict[str, Any]]:
    size = 2 << len(row)
    fits = size in dcgan.IMAGE_SIZES and options["channels"] in (1, 3)
    return [options | {"image_size": size}] if fits else []


KINDS = (
    Kind(
        "the generator of pytorch-CycleGAN-and-pix2pix",
        *("cyclegan", ("G", "F"), "model"),
        cyclegan_networks.generator,
        _read_translator,
    ),
    Kind(
        "the discriminator of pytorch-CycleGAN-and-pix2pix",
        *("cyclegan", ("D_Y", "D_X"), "model"),
        cyclegan_networks.patch_discriminator,
        _read_patches,
    ),
    Kind(
        "the generator of PyTorch's DCGAN example",
        *("dcgan", ("G",), "main"),
        dcgan.generator,
        _read_generator,
    ),
    Kind(
        "the discriminator of PyTorch's DCGAN example",
        *("dcgan", ("D",), "main"),
        dcgan.discriminator,
        _read_discriminator,
    ),
)
"""Every network that is recognized and written."""
