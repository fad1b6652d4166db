"""PyTorch's files, whole, old, damaged and hostile."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from contextlib import suppress

import numpy as np
import pytest

from tinygan.errors import UserError
from tinygan.formats import torch_file
from tinygan.formats.torch_file import read_weights, write_weights

ARRAYS = {
    "main.0.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "main.1.running_mean": np.array([1.5, -2.0], np.float64),
    "main.1.num_batches_tracked": np.array(7, np.int64),
    "half": np.array([[0.5]], np.float16),
    "empty": np.zeros((0, 3), np.float32),
    "namé": np.array([True, False]),
}


def in_a_row(arrays, big=False) -> bytes:
    """Return a file as PyTorch before 1.6 wrote it."""
    parts = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": not big}]
    content = b"".join(pickle.dumps(part, protocol=2) for part in parts)
    content += torch_file._pickled(arrays)
    content += pickle.dumps([str(i) for i in range(len(arrays))], protocol=2)
    for array in arrays.values():
        content += struct.pack(">q" if big else "<q", array.size)
        content += array.astype(array.dtype.newbyteorder(">" if big else "<")).tobytes()
    return content


def zipped(content: bytes, storages=(), compression=zipfile.ZIP_STORED, **further) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", content)
        for i, storage in enumerate(storages):
            archive.writestr(f"archive/data/{i}", storage)
        for name, text in further.items():
            archive.writestr(f"archive/{name}", text)
    return file.getvalue()


def tensor(shape, strides, length, offset=0, key="0", kind="FloatStorage") -> bytes:
    """Return the instructions that make one tensor."""
    t = torch_file
    storage = [t._unicode("storage"), f"ctorch\n{kind}\n".encode(), t._unicode(key)]
    storage += [t._unicode("cpu"), t._whole(length)]
    parts = [t._tuple(storage), b"Q", t._whole(offset), t._tuple(map(t._whole, shape))]
    parts += [t._tuple(map(t._whole, strides)), b"\x89", b"ccollections\nOrderedDict\n)R"]
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + t._tuple(parts) + b"R"


def state(**tensors: bytes) -> bytes:
    named = [torch_file._unicode(name) + content for name, content in tensors.items()]
    return b"\x80\x02}(" + b"".join(named) + b"u."


def check(found, expected=ARRAYS):
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def refused(tmp_path, content: bytes) -> str:
    path = tmp_path / "bad.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.pth: cannot be read as a PyTorch file") as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    return str(caught.value)


@pytest.mark.parametrize("suffix", torch_file.SUFFIXES)
def test_what_was_written_is_read(suffix, tmp_path):
    write_weights(tmp_path / f"net{suffix}", ARRAYS)
    found = read_weights(tmp_path / f"net{suffix}")
    check({name: found[name] for name in ARRAYS})


@pytest.mark.parametrize("big", [False, True])
def test_files_of_before_1_6_are_read(big, tmp_path):
    path = tmp_path / "old.pth"
    path.write_bytes(in_a_row(ARRAYS, big))
    check(read_weights(path))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_the_prefixes_of_wrappers_are_taken_off(prefix, tmp_path):
    write_weights(tmp_path / "net.pth", {prefix + name: a for name, a in ARRAYS.items()})
    check(read_weights(tmp_path / "net.pth"))


def test_tensors_that_lay_on_a_gpu_are_read(tmp_path):
    path = tmp_path / "cuda.pth"
    content = state(a=tensor((3,), (1,), 3)).replace(
        torch_file._unicode("cpu"), torch_file._unicode("cuda:1")
    )
    values = np.array([1.0, 2.5, -3.0], "<f4")
    path.write_bytes(zipped(content, [values.tobytes()]))
    check(read_weights(path), {"a": values})


def test_bfloat16_becomes_float32(tmp_path):
    bits = np.array([0x3F80, 0xC040, 0x0000], "<u2")  # 1, -3, 0
    expected = {"a": np.array([1, -3, 0], np.float32)}
    content = state(a=tensor((3,), (1,), 3, kind="BFloat16Storage"))
    (tmp_path / "net.pth").write_bytes(zipped(content, [bits.tobytes()]))
    check(read_weights(tmp_path / "net.pth"), expected)
    header = b'{"a":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]}}'
    content = struct.pack("<Q", len(header)) + header + bits.tobytes()
    (tmp_path / "net.safetensors").write_bytes(content)
    check(read_weights(tmp_path / "net.safetensors"), expected)


def test_two_tensors_in_one_storage_are_read(tmp_path):
    path, values = tmp_path / "flat.pth", np.arange(6, dtype="<f4")
    content = state(a=tensor((2,), (1,), 6), b=tensor((2, 2), (1, 2), 6, offset=2))
    path.write_bytes(zipped(content, [values.tobytes()]))
    check(read_weights(path), {"a": values[:2], "b": values[2:].reshape(2, 2).T})


@pytest.mark.parametrize("new", [True, False])
def test_whole_checkpoints_of_a_training_are_read(new, tmp_path):
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    for key in ("state_dict", "model", "netG"):
        tree = {"epoch": 3, key: network.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save(tree, tmp_path / "net.pth", _use_new_zipfile_serialization=new)
        check(
            read_weights(tmp_path / "net.pth"),
            {name: t.numpy() for name, t in network.state_dict().items()},
        )
    half = {name: t.half() for name, t in network.state_dict().items() if t.is_floating_point()}
    half |= {"bf": network[0].weight.detach().bfloat16().transpose(0, 1)}
    torch.save(half, tmp_path / "net.pth", _use_new_zipfile_serialization=new)
    expected = {name: t.numpy() for name, t in half.items() if name != "bf"}
    check(read_weights(tmp_path / "net.pth"), expected | {"bf": half["bf"].float().numpy()})


def test_the_same_weights_give_the_same_file(tmp_path):
    for name in "ab":
        write_weights(tmp_path / f"{name}.pth", ARRAYS)
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()


def test_a_big_endian_zip_is_read(tmp_path):
    path = tmp_path / "big.pth"
    values = np.array([1.0, 2.5, -3.0], ">f4")
    path.write_bytes(zipped(state(a=tensor((3,), (1,), 3)), [values.tobytes()], byteorder="big"))
    check(read_weights(path), {"a": values.astype(np.float32)})


def test_a_transposed_tensor_is_read_by_its_strides(tmp_path):
    path = tmp_path / "strided.pth"
    values = np.arange(7, dtype="<f4")
    path.write_bytes(zipped(state(a=tensor((3, 2), (1, 3), 7, offset=1)), [values.tobytes()]))
    check(read_weights(path), {"a": values[1:].reshape(2, 3).T})


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("inside", [False, True])
def test_files_of_pytorch_itself_are_read(protocol, new, inside, tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(array.copy()) for name, array in ARRAYS.items()}
    tensors["main.0.weight"] = torch.nn.Parameter(tensors["main.0.weight"])
    tree = {"epoch": 3, "lr": 0.1, "note": "x", "netG": tensors} if inside else tensors
    torch.save(
        tree,
        tmp_path / "net.pth",
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=new,
    )
    check(read_weights(tmp_path / "net.pth"))


def test_pytorch_reads_what_was_written_without_running_code(tmp_path):
    torch = pytest.importorskip("torch")
    write_weights(tmp_path / "net.pth", ARRAYS)
    loaded = torch.load(tmp_path / "net.pth", weights_only=True)
    check({name: array.numpy() for name, array in loaded.items()})


# --- damaged and hostile ----------------------------------------------------------------------


class Hostile:
    def __reduce__(self):
        return os.system, ("touch hostile-was-run",)


@pytest.mark.parametrize("protocol", range(6))
def test_no_file_runs_code(protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    attack = pickle.dumps({"a": Hostile()}, protocol)
    for content in (attack, zipped(attack), in_a_row({})[:-10] + attack):
        refused(tmp_path, content)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.pth"]


FAR = 1 << 40
HOSTILE = {
    "an object": pickle.dumps({"a": np.float64}, 2),
    "no dictionary": b"\x80\x02K\x01.",
    "no tensors": b"\x80\x02}X\x01\x00\x00\x00aK\x01s.",
    "an unknown call": b"\x80\x02cbuiltins\neval\n(X\x01\x00\x00\x001tR.",
    "a tensor's neighbour": b"\x80\x02ctorch._utils\n_rebuild_qtensor\n)R.",
    "a far memo": b"\x80\x02}r\xff\xff\xff\xff.",
    "an unknown memo": b"\x80\x02h\x05.",
    "an endless text": b"\x80\x02X\xff\xff\xff\xffabc.",
    "endless bytes": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "a long number": b"\x80\x02\x8b\xff\xff\xff\x7f\x01.",
    "an empty stack": b"\x80\x02.",
    "a missing mark": b"\x80\x02}u.",
    "a key that is a deep tuple": b"\x80\x02})" + b"\x85" * 100_000 + b"K\x01s.",
    "deep lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "many instructions": b"\x80\x02" + b"]0" * 10**6 + b".",
    "a stack of lists": b"\x80\x02" + b"]" * 10**6,
    "a large shape": state(a=tensor((FAR, FAR), (FAR, 1), 4)),
    "a large storage": state(a=tensor((2,), (1,), FAR)),
    "a negative storage": state(a=tensor((2,), (1,), -4)),
    "a repeated number": state(a=tensor((FAR,), (0,), 4)),
    "an offset": state(a=tensor((4,), (1,), 4, offset=1)),
    "a negative offset": state(a=tensor((2,), (1,), 4, offset=-1)),
    "a negative stride": state(a=tensor((2,), (-1,), 4)),
    "a negative shape": state(a=tensor((-2,), (1,), 4)),
    "strides without sizes": state(a=tensor((2,), (1, 1), 4)),
    "many dimensions": state(a=tensor((1,) * 70, (1,) * 70, 4)),
    "another type": state(a=tensor((2,), (1,), 4, kind="ComplexFloatStorage")),
    "another member": state(a=tensor((2,), (1,), 4, key="../data.pkl")),
    "shared numbers": state(a=tensor((4,), (1,), 4), b=tensor((4,), (1,), 4)),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_pickle_is_one_error_and_takes_no_memory(content, tmp_path):
    content = zipped(content, [bytes(16)])
    tracemalloc.start()
    try:
        refused(tmp_path, content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(content) + 2**27  # instructions are bounded in number, not by the file


def test_a_compressed_archive_is_refused_before_it_is_unpacked(tmp_path):
    bomb = zipped(state(a=tensor((1,), (1,), 1)), [bytes(10**8)], zipfile.ZIP_DEFLATED)
    assert len(bomb) < 10**6
    tracemalloc.start()
    try:
        assert "compressed" in refused(tmp_path, bomb)
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


def test_messages_say_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"none\.pth: cannot be read: No such file"):
        read_weights(tmp_path / "none.pth")
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\xff" * 100)
    with pytest.raises(UserError, match="cannot be read as a safetensors file"):
        read_weights(bad)
    whole = pickle.dumps({"model": Hostile()}, 2)
    assert "which is no tensor; save only network.state_dict()" in refused(tmp_path, whole)


@pytest.mark.parametrize("layout", ["zip", "in a row", "safetensors"])
def test_damaged_files_are_one_error_or_weights(layout, tmp_path):
    """Cut, changed, repeated: a file is read as tensors of some kind, or refused in one line."""
    path = tmp_path / ("net.safetensors" if layout == "safetensors" else "net.pth")
    write_weights(path, ARRAYS)
    whole = in_a_row(ARRAYS) if layout == "in a row" else path.read_bytes()
    rng = np.random.default_rng(5)
    refusals = 0
    for _ in range(20_000 if os.environ.get("TINYGAN_LONG") else 300):
        content = bytearray(whole)
        for _ in range(rng.integers(1, 5)):
            at, length = rng.integers(len(content)), rng.integers(1, 9)
            match rng.integers(5):
                case 0:
                    del content[at:]
                case 1:
                    del content[at : at + length]
                case 2:
                    content[at : at + length] = rng.bytes(length)
                case 3:
                    content[at] ^= 1 << rng.integers(8)
                case 4:
                    content[at:at] = content[rng.integers(len(content)) :][: rng.integers(60)]
            if not content:
                break
        path.write_bytes(content)
        tracemalloc.start()
        try:
            with suppress(UserError):
                arrays, kept = None, None
                arrays = read_weights(path)
                kept = sum(array.nbytes for array in arrays.values())
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < 3 * len(content) + 2**20
        assert arrays is None or kept <= len(content)
        refusals += arrays is None
    assert refusals > 50
