"""PyTorch's weight files, read and written without PyTorch, and safetensors files.

A ``.pth`` or ``.pt`` file is a pickle, and a pickle is a program.  Ours runs on a small machine of
its own: it knows the instructions that a dictionary of tensors takes, and five things that they may
call, each of which only puts numbers together.  Everything else is an error, never an action.

Two layouts exist.  Since PyTorch 1.6 a file is a zip archive of uncompressed members,
``archive/data.pkl`` and the numbers of each storage in ``archive/data/<key>``.  Before, five
pickles stood in a row, and behind them each storage: its length in eight bytes, then its numbers.

What a file makes us allocate is bounded by its own length: compressed members, tensors that lie
over one another and tensors that reach out of their storage are refused.
"""

from __future__ import annotations

import io
import math
import pickletools
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save_file

from tinygan.errors import UserError
from tinygan.files import read_regular, replaced

__all__ = ["SUFFIXES", "read_weights", "write_weights"]

SUFFIXES = (".pth", ".pt", ".safetensors")
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # how the files of before 1.6 begin
_MOST_INSTRUCTIONS = 1_000_000  # of one pickle; a network of 500 tensors takes 20,000
_TYPES = {
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "DoubleStorage": "f8",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
    "BFloat16Storage": "u2",  # the upper half of a float32
}
_SAFE = {"F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1"}
_SAFE |= {"U8": "u1", "BOOL": "?", "BF16": "u2"}  # safetensors' names of types
_WRAPPINGS = ("module.", "_orig_mod.")  # of nn.DataParallel and torch.compile
_ORDERED = "collections OrderedDict"
_REBUILD = "torch._utils _rebuild_tensor_v2"
_REBUILDS = (_REBUILD, "torch._utils _rebuild_tensor")
_PARAMETER = "torch._utils _rebuild_parameter"


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a ``.pth``, ``.pt`` or ``.safetensors`` file by name.

    A file that holds one dictionary of tensors inside another (``{"state_dict": …}``) is read like
    that dictionary.  The prefixes of `nn.DataParallel` and `torch.compile` are taken off; bfloat16
    becomes float32.

    Raises
    ------
    UserError
        If the file is missing, damaged, or holds anything but tensors, numbers and text.
    """
    path = Path(path)
    kind = "safetensors" if path.suffix.lower() == ".safetensors" else "PyTorch"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged texts in a pickle
            if kind == "safetensors":
                arrays = _safe(read_regular(path))
            else:
                arrays = _tensors(_load(read_regular(path)))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # zipfile and pickletools raise a dozen kinds for damaged files
        why = " ".join(str(error).split())[:300]
        raise UserError(f"{path}: cannot be read as a {kind} file: {why}") from None
    while prefix := next((p for p in _WRAPPINGS if _all_begin(arrays, p)), ""):
        arrays = {name.removeprefix(prefix): array for name, array in arrays.items()}
    return arrays


def _all_begin(arrays: dict[str, np.ndarray], prefix: str) -> bool:
    return bool(arrays) and all(name.startswith(prefix) for name in arrays)


def write_weights(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write tensors to a ``.pth``, ``.pt`` or ``.safetensors`` file, whole or not at all.

    ``torch.load(path, weights_only=True)`` reads the first two.
    """
    path = Path(path)
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    try:
        with replaced(path) as beside:
            if path.suffix.lower() == ".safetensors":
                save_file(arrays, beside, {"format": "pt"})
            else:
                _save(beside, arrays)
    except SafetensorError as error:  # it wraps the operating system's errors
        raise OSError(f"{path}: cannot be written: {error}") from error


# --- reading ----------------------------------------------------------------------------------


def _safe(content: bytes) -> dict[str, np.ndarray]:
    arrays = {}
    for name, found in deserialize(content):
        if found["dtype"] not in _SAFE:
            raise ValueError(f"{name} holds {found['dtype']}; known are {', '.join(_SAFE)}")
        flat = np.frombuffer(found["data"], np.dtype(_SAFE[found["dtype"]]).newbyteorder("<"))
        array = flat.reshape(found["shape"])
        arrays[name] = _widened(array) if found["dtype"] == "BF16" else array
    return arrays


def _widened(bits: np.ndarray) -> np.ndarray:
    """Return bfloat16 numbers, given by their bits, as float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _load(content: bytes) -> Any:
    file = io.BytesIO(content)
    return _load_zip(file) if content[:4] == b"PK\x03\x04" else _load_in_a_row(file)


def _load_zip(file: io.BytesIO) -> Any:
    archive, left = zipfile.ZipFile(file), len(file.getvalue())
    sizes = {}
    for member in archive.infolist():
        left -= member.file_size
        if member.compress_type != zipfile.ZIP_STORED or left < 0:
            raise ValueError("its members are compressed, which PyTorch's never are")
        sizes[member.filename] = member
    pickles = [name for name in sizes if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1:
        raise ValueError("expected a zip file with one data.pkl")
    folder = pickles[0].removesuffix("data.pkl")
    big = f"{folder}byteorder" in sizes and archive.read(f"{folder}byteorder") == b"big"
    storages: dict[str, bytes] = {}
    made: dict[tuple[str, str, int], np.ndarray] = {}

    def storage(kind: str, key: str, length: int) -> Any:
        if key not in storages:
            storages[key] = archive.read(f"{folder}data/{key}")
        if (key, kind, length) not in made:
            made[key, kind, length] = _numbers(storages[key], kind, length, big)
        return made[key, kind, length]

    return _run(io.BytesIO(archive.read(pickles[0])), storage)


def _load_in_a_row(file: io.BytesIO) -> Any:
    content = file.getbuffer()
    if _run(file) != _MAGIC or _run(file) != _PROTOCOL:
        raise ValueError("it does not begin as one; expected a file that torch.save wrote")
    system = _run(file)
    big = isinstance(system, dict) and system.get("little_endian") is False
    pending: dict = {}

    def storage(kind: str, key: str, length: int) -> Any:
        # the numbers come behind the pickle: note what they are, fill them in afterwards
        pending.setdefault(key, (kind, length))
        if pending[key] != (kind, length):
            raise ValueError(f"its storage {key} has two types or lengths")
        return key

    tree, keys, storages = _run(file, storage), _run(file), {}
    if not isinstance(keys, list) or len(keys) > len(content):
        raise ValueError("the list of its storages is missing")
    for key in keys:
        kind, length = pending[_text(key)]
        size = length * np.dtype(_TYPES[kind]).itemsize
        (stated,) = struct.unpack(">q" if big else "<q", file.read(8))
        if stated != length or size > len(content) - file.tell():
            raise ValueError(f"it is cut short: storage {key} has {length} numbers")
        part = content[file.tell() : file.tell() + size]
        storages[key] = _numbers(part, kind, length, big)
        file.seek(size, io.SEEK_CUR)
    return _filled(tree, storages)


class _Tensor(tuple):
    """``(storage, offset, shape, strides)`` of a tensor."""


def _filled(tree: Any, storages: dict[str, np.ndarray]) -> Any:
    """Return a dictionary, or one of dictionaries, with its tensors' storages in place of keys."""
    if isinstance(tree, _Tensor):
        return _Tensor((storages[tree[0]], *tree[1:]))
    if isinstance(tree, dict):
        return {
            name: {k: _filled(v, storages) for k, v in value.items() if not isinstance(v, dict)}
            if isinstance(value, dict)
            else _filled(value, storages)
            for name, value in tree.items()
        }
    return tree


def _numbers(content: Any, kind: str, length: int, big: bool) -> np.ndarray:
    dtype = np.dtype(_TYPES[kind]).newbyteorder(">" if big else "<")
    if length * dtype.itemsize > len(content) or length < 0:
        raise ValueError(f"it is cut short: expected {length} numbers, {len(content)} bytes came")
    numbers = np.frombuffer(content, dtype, length)
    return _widened(numbers) if kind == "BFloat16Storage" else numbers


def _tensors(tree: Any) -> dict[str, np.ndarray]:
    """Return the tensors of a state, or of the only state inside."""
    if not isinstance(tree, dict):
        raise ValueError("expected a dictionary of tensors, as network.state_dict() gives")
    inside = [value for value in tree.values() if isinstance(value, dict) and _state(value)]
    if not _state(tree) and len(inside) == 1:
        tree = inside[0]
    if not _state(tree):
        raise ValueError(
            f"expected a dictionary of tensors, as network.state_dict() gives, got one of "
            f"{', '.join(str(name)[:40] for name in list(tree)[:5]) or 'nothing'}"
        )
    arrays: dict[str, np.ndarray] = {}
    taken: dict[int, int] = {}
    for name, (numbers, offset, shape, strides) in tree.items():
        count, size = math.prod(shape), numbers.dtype.itemsize
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        if min(offset, 0, *shape, *strides) < 0 or (count and last >= len(numbers)):
            raise ValueError(f"{name}: reaches out of its storage")
        place = numbers.__array_interface__["data"][0]
        taken[place] = taken.get(place, 0) + count
        if taken[place] > len(numbers):
            raise ValueError(f"{name}: shares its numbers with another tensor")
        array = np.lib.stride_tricks.as_strided(
            numbers[offset:], shape, [step * size for step in strides], writeable=False
        )
        arrays[str(name)] = array.astype(array.dtype.newbyteorder("="), copy=False)
    return arrays


def _state(tree: Any) -> bool:
    return bool(tree) and all(isinstance(value, _Tensor) for value in tree.values())


# --- the machine ------------------------------------------------------------------------------

_CONSTANTS: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
}
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"),
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Name(str):
    """Something that a pickle calls by its name."""


def _run(file: IO[bytes], storage: Callable[[str, str, int], Any] | None = None) -> Any:
    """Run one pickle and return what it makes; the file then stands behind it."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}

    def since_mark() -> list:
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    for count, (opcode, value, _) in enumerate(pickletools.genops(file)):
        name = opcode.name
        if count > _MOST_INSTRUCTIONS:
            raise ValueError(f"it has more than {_MOST_INSTRUCTIONS} instructions")
        if name in ("PROTO", "FRAME"):
            continue
        if name == "STOP":
            return stack.pop()
        if name in _LITERALS:
            stack.append(value)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name == "MARK":
            marks.append(len(stack))
        elif name == "TUPLE":
            stack.append(tuple(since_mark()))
        elif name in _TUPLES:
            n = _TUPLES[name]
            if len(stack) < n:
                raise ValueError("its pickle is damaged")
            stack[-n:] = [tuple(stack[-n:])]
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            memo[value] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(memo[value])
        elif name == "GLOBAL":
            stack.append(_Name(value))
        elif name == "STACK_GLOBAL":
            word = stack.pop()
            stack.append(_Name(f"{_text(stack.pop())} {_text(word)}"))
        elif name in ("APPEND", "APPENDS"):
            items = [stack.pop()] if name == "APPEND" else since_mark()
            _of(list, stack[-1]).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = [stack.pop(-2), stack.pop()] if name == "SETITEM" else since_mark()
            _update(stack[-1], zip(items[::2], items[1::2], strict=True))
        elif name == "BUILD":  # the attributes of a dictionary; nothing needs them
            stack.pop()
            _of(dict, stack[-1])
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(_call(stack.pop(), _of(tuple, arguments)))
        elif name == "BINPERSID" and storage is not None:
            _, kind, key, _, length, *view = _of(tuple, stack.pop())
            if any(view):
                raise ValueError("it holds a view of a storage, which PyTorch stopped writing")
            kind = _text(kind).rpartition(" ")[2]
            if kind not in _TYPES:
                raise ValueError(f"it holds a {kind[:40]}; known are {', '.join(_TYPES)}")
            key = _text(key)
            stack.append(_Storage((storage(kind, key, _of(int, length)),)))
        else:
            raise ValueError(f"its pickle holds the instruction {name}, which no tensors need")
    raise ValueError("its pickle ends too early")


class _Storage(tuple):
    """The numbers of a storage, or the key of one that is not read yet."""


def _call(name: Any, arguments: tuple) -> Any:
    """Do what may be called: make a dictionary, a tensor, or a parameter, which is its tensor."""
    if not isinstance(name, _Name):
        raise ValueError("its pickle calls something that has no name")
    if name == _ORDERED and len(arguments) <= 1:
        made: dict = {}
        _update(made, (_of(list, pair) for pair in _of(list, arguments[0])) if arguments else ())
        return made
    if name in _REBUILDS and len(arguments) >= 4:
        numbers, offset, shape, strides = arguments[:4]
        _of(_Storage, numbers), _of(int, offset)
        for value in (*_of(tuple, shape), *_of(tuple, strides)):
            _of(int, value)
        if len(shape) != len(strides) or len(shape) > 8:
            raise ValueError("a tensor has as many strides as sizes")
        return _Tensor((numbers[0], offset, shape, strides))
    if name == _PARAMETER and arguments:
        return _of(_Tensor, arguments[0])
    raise ValueError(
        f"it holds a {name[:80]}, which is no tensor; save only network.state_dict() in it"
    )


def _update(target: Any, pairs: Iterable) -> None:
    _of(dict, target)
    for key, value in pairs:
        if not isinstance(key, (str, int)):
            raise ValueError(f"a name is a {type(key).__name__}")
        target[key] = value


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"expected a {kind.__name__} in its pickle, got a {type(value).__name__}")
    return value


def _text(value: Any) -> str:
    return _of(str, value)


# --- writing ----------------------------------------------------------------------------------


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a zip archive of members that are not compressed, as torch.save does."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:

        def add(
            name: str, content: bytes
        ) -> None:  # with a fixed date: the same weights give the same file
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), content)

        add("data.pkl", _pickled(arrays))
        add("byteorder", b"little")
        for i, array in enumerate(arrays.values()):
            add(f"data/{i}", array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
        add("version", b"3\n")


def _pickled(arrays: dict[str, np.ndarray]) -> bytes:
    """Return the pickle of an OrderedDict of tensors, in protocol 2 as PyTorch has it."""
    ordered = b"ccollections\nOrderedDict\n)R"
    rebuild = f"c{_REBUILD}\n".replace(" ", "\n").encode()
    kinds = {np.dtype(code): name for name, code in _TYPES.items() if code != "u2"}
    out = [b"\x80\x02", ordered, b"("]
    for i, (name, array) in enumerate(arrays.items()):
        strides = [step // array.itemsize for step in array.strides]
        storage = [_unicode("storage"), f"ctorch\n{kinds[array.dtype]}\n".encode()]
        storage += [_unicode(str(i)), _unicode("cpu"), _whole(array.size)]
        parts = [_tuple(storage), b"Q", _whole(0)]
        parts += [_tuple(map(_whole, array.shape)), _tuple(map(_whole, strides)), b"\x89", ordered]
        out += [_unicode(name), rebuild, _tuple(parts), b"R"]
    return b"".join([*out, b"u."])


def _unicode(text: str) -> bytes:
    content = text.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def _whole(number: int) -> bytes:
    content = number.to_bytes(8, "little", signed=True)
    return b"\x8a\x08" + content


def _tuple(parts: Iterable[bytes]) -> bytes:
    return b"(" + b"".join(parts) + b"t"
