"""Pictures in one array, ``.npy`` or ``.npz``: bytes, whole numbers or floats, colour or grey."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from tinygan.data.images import check_options, squared
from tinygan.data.opening import describe_error, open_regular, shown
from tinygan.data.samples import Samples, Span, span_of, to_bytes
from tinygan.data.sources import Source
from tinygan.errors import DataError
from tinygan.machine.memory import size_text, total_bytes

__all__ = ["ARRAYS", "ArrayFile", "array_names"]

ARRAYS = (".npy", ".npz")
_MAPPED = 1 << 30  # bytes: larger files are not read into memory
_CHANNELS = {1: "L", 3: "RGB", 4: "RGBA"}
_EXPECTED = "expected pictures N×H×W×C or N×C×H×W, C being 1, 3 or 4, or N×H×W"


class ArrayFile(Source):
    """The pictures of one array; ``FILE.npz`` holds it alone, or as `name`.

    Bytes are taken as they are.  Of other numbers one scale is found for all, by the rules of
    pictures of more than 8 bits: 0 to 2ᵏ − 1 for whole numbers, 0 to 1 or −1 to 1 for floats.
    Nothing is unpickled.
    """

    def __init__(self, file: Path, name: str = ""):
        super().__init__()
        self.file = file
        with _explained(file), open_regular(file) as opened:
            if file.suffix.lower() == ".npz":
                array = _member(opened, _chosen(array_names(file), name, file), file)
            elif name:
                raise DataError(f"{shown(file)}: one array, there is no {name} in it")
            else:
                array = _read(opened, file.stat().st_size)
        self._array = _arranged(array, file)
        self.names = [f"{i:06d}" for i in range(len(array))]
        self._span = None if array.dtype in (np.uint8, np.bool_) else self._measured()

    def _measured(self) -> Span:
        kind = "floats" if self._array.dtype.kind == "f" else "integers"
        try:
            span = span_of(Samples(self._array, "L", kind))
        except DataError as error:
            raise DataError(f"{shown(self.file)}: {error}") from None
        return span

    def measure(self, name: str) -> Span | None:
        return self._span

    def load(self, name: str, **options: Any) -> np.ndarray:
        scale = options.pop("scale")
        size = check_options(**options)
        values = self._array[int(name)]
        if values.dtype == np.bool_:
            values = values * np.uint8(255)
        elif self._span:
            low, high = scale.get("range") or scale[self._span.kind]
            values = to_bytes(values, low, high)
        mode = _CHANNELS[values.shape[2]]
        picture = Image.fromarray(values[:, :, 0] if mode == "L" else values, mode)
        return squared(picture, size, options["channels"], options["crop"], options["fit"])

    def check(self, scale: dict) -> None:
        span = self._span
        if span and not span.fits and "range" not in scale:
            raise DataError(
                f"{shown(self.file)}: its numbers go from {span.low:.6g} to {span.high:.6g}, "
                "expected 0 to 1 or -1 to 1; --range LOW HIGH says which are black and white"
            )


def array_names(file: Path) -> list[str]:
    """Return the names of the arrays in a ``.npz`` file; of a ``.npy`` there are none."""
    if file.suffix.lower() != ".npz":
        return []
    with _explained(file), open_regular(file) as opened, zipfile.ZipFile(opened) as archive:
        return [name[:-4] for name in archive.namelist() if name.endswith(".npy")]


def _chosen(names: list[str], name: str, file: Path) -> str:
    if name in names:
        return name
    if not name and len(names) == 1:
        return names[0]
    which = f"{shown(file)}/NAME, NAME one of" if names else "one or more arrays, got"
    raise DataError(f"{shown(file)}: expected {which} {shown(', '.join(names[:20]) or 'none')}")


def _member(opened: IO[bytes], name: str, file: Path) -> np.ndarray:
    with zipfile.ZipFile(opened) as archive:
        entry = archive.getinfo(f"{name}.npy")
        if entry.file_size > 1000 * entry.compress_size + (1 << 20):
            raise DataError(f"would become {size_text(entry.file_size)}: refused")
        with archive.open(entry) as member:
            return _read(member, entry.file_size)


def _read(opened: IO[bytes], size: int) -> np.ndarray:
    """Return an array whose header is true to the file's size, and which memory holds."""
    try:
        shape, fortran, dtype = _header(opened)
    except Exception as error:  # it is parsed as Python's literals are: a dozen kinds
        raise DataError(f"no array that can be read ({describe_error(error)})") from None
    if dtype.hasobject or dtype.kind not in "buif" or dtype.itemsize > 8:
        raise DataError(f"expected an array of numbers, got {dtype}: nothing is unpickled")
    count = int(np.prod(shape, dtype=object)) if all(type(n) is int for n in shape) else 0
    if 0 in shape:
        raise DataError(f"its shape is {shape}: there is no picture in it")
    if count < 1 or count * dtype.itemsize > size:
        raise DataError(f"its shape is {shape}, which its {size_text(size)} do not hold")
    if size > _MAPPED and hasattr(opened, "fileno"):
        flat: np.ndarray = np.memmap(opened, dtype, "r", opened.tell(), (count,))
    elif size > total_bytes():
        raise DataError(f"{size_text(size)}, there are {size_text(total_bytes())} of memory")
    else:
        flat = np.frombuffer(opened.read(count * dtype.itemsize), dtype, count)
    return flat.reshape(shape, order="F" if fortran else "C")


def _header(opened: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    if np.lib.format.read_magic(opened) == (1, 0):
        return np.lib.format.read_array_header_1_0(opened)
    return np.lib.format.read_array_header_2_0(opened)


def _arranged(array: np.ndarray, file: Path) -> np.ndarray:
    """Return pictures ``(N, H, W, C)``."""
    shape = "×".join(map(str, array.shape))
    if array.ndim == 3 and array.shape[2] in _CHANNELS:
        raise DataError(f"{shown(file)}: {_EXPECTED}; got {shape}: one picture? It takes an axis N")
    if array.ndim == 3:
        return array[:, :, :, None]
    if array.ndim == 4 and array.shape[3] in _CHANNELS:
        return array
    if array.ndim == 4 and array.shape[1] in _CHANNELS:
        return np.moveaxis(array, 1, 3)
    raise DataError(f"{shown(file)}: {_EXPECTED}; got {shape or 'one number'}")


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        named = str(error).startswith(shown(file))
        raise DataError(str(error) if named else f"{shown(file)}: {error}") from None
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise DataError(f"{shown(file)}: no array that can be read ({error})") from None
