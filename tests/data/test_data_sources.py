"""Archives and arrays of pictures, where a folder is expected otherwise."""

import io
import json
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from training import train

from tinygan.data import DataError, ImageFolder, checksum
from tinygan.data.archive import BadArchive, names_in, unpack
from tinygan.data.sources import has_part

pytestmark = pytest.mark.usefixtures("own_cache")
RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (5, 12, 10, 3), np.uint8)


def fill(folder, pictures=PICTURES):
    """A folder of pictures of three formats at two depths, a damaged one, and other files."""
    (folder / "deep/er").mkdir(parents=True)
    places = ["b.png", "a.bmp", "deep/c.png", "deep/er/d.tif", "deep/e.ppm"]
    for place, picture in zip(places, pictures, strict=True):
        Image.fromarray(picture).save(folder / place)
    (folder / "deep/broken.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture either")
    (folder / ".hidden.png").write_bytes((folder / "b.png").read_bytes())
    return folder


def packed(folder, path):
    """`folder` packed in the way that the ending of `path` says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(folder.rglob("*"), reverse=True):
                archive.write(file, f"pictures/{file.relative_to(folder)}")
        return path
    how = {".tar": "", ".gz": "gz", ".tgz": "gz", ".xz": "xz", ".bz2": "bz2"}[path.suffix]
    with tarfile.open(path, f"w:{how}") as archive:
        archive.add(folder, "pictures")
    return path


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "tgz", "tar.xz", "tar.bz2"])
def test_an_archive_is_the_folder_that_was_packed(folder, tmp_path, ending, cache):
    options = {"image_size": 8, "cache": cache}
    with pytest.warns(UserWarning, match=r"deep/broken\.png"):
        expected = ImageFolder(fill(folder), **options)
    path = packed(folder, tmp_path / f"all.{ending}")
    for again in (False, True):
        with pytest.warns(UserWarning, match=rf"all\.{ending}/deep/broken\.png"):
            got = ImageFolder(path, **options)
        assert got.from_cache == (again and cache)
        assert got.files == expected.files == ["a.bmp", "b.png", *got.files[2:]]
        assert len(got) == 5
        assert got.skipped == expected.skipped
        np.testing.assert_array_equal(got.images, expected.images)
        assert got.checksum == expected.checksum
    with pytest.warns(UserWarning, match="broken"):
        part = ImageFolder(path / "deep", **options)
    assert part.files == ["c.png", "e.ppm", "er/d.tif"]


def test_a_changed_archive_is_read_anew(folder, tmp_path):
    Image.fromarray(PICTURES[0]).save(folder / "a.png")
    first = ImageFolder(packed(folder, tmp_path / "a.zip"), 8).checksum
    Image.fromarray(PICTURES[1]).save(folder / "a.png")
    assert ImageFolder(packed(folder, tmp_path / "a.zip"), 8).checksum != first


def test_runs_within_archives_are_left_out_and_named_each_time(folder, tmp_path):
    Image.fromarray(PICTURES[0]).save(folder / "a.png")
    (folder / "old").mkdir()
    (folder / "old/config.json").write_text('{"format": "tinygan run 2"}')
    Image.fromarray(PICTURES[0]).save(folder / "old/sheet.png")
    packed(folder, tmp_path / "a.zip")
    for _ in range(2):
        with pytest.warns(UserWarning, match="a run of tinygan"):
            assert ImageFolder(tmp_path / "a.zip", 8).files == ["a.png"]


def test_one_scale_for_an_archive(folder, tmp_path):
    for name, value in (("a.png", 1000), ("b.png", 3000)):
        Image.fromarray(np.full((8, 8), value, np.uint16)).save(folder / name)
    with pytest.warns(UserWarning, match=r"a\.zip: 2 pictures .* white is 4095"):
        data = ImageFolder(packed(folder, tmp_path / "a.zip"), 8, channels=1)
    assert data.scale == {"integers": [0, 4095]}
    assert data.images[:, 0, 0, 0].tolist() == [62, 187]


def tar_of(path, *members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, data, kind in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(data), "/etc/passwd"
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../a.png", tarfile.REGTYPE),
        ("/a.png", tarfile.REGTYPE),
        ("x/../../a.png", tarfile.REGTYPE),
        ("..\\a.png", tarfile.REGTYPE),
        ("C:/a.png", tarfile.REGTYPE),
        ("a.png", tarfile.SYMTYPE),
        ("a.png", tarfile.LNKTYPE),
        ("a.png", tarfile.FIFOTYPE),
        ("a.png", tarfile.CHRTYPE),
    ],
)
def test_tar_archives_that_must_not_be_trusted(tmp_path, name, kind):
    good = ("good.png", b"x", tarfile.REGTYPE)
    path = tar_of(tmp_path / "evil.tar", good, (name, b"", kind))
    (tmp_path / "place").mkdir()
    for use in (lambda: unpack(path, tmp_path / "place/out"), lambda: ImageFolder(path, 8),
                lambda: names_in(path)):  # fmt: skip
        with pytest.raises(BadArchive, match="refused"):
            use()
    assert list((tmp_path / "place").iterdir()) == []
    assert not (tmp_path / "a.png").exists()


def test_a_name_twice_in_a_tar_is_refused(tmp_path):
    twice = ("a.png", b"x", tarfile.REGTYPE)
    with pytest.raises(BadArchive, match="twice"):
        unpack(tar_of(tmp_path / "a.tar", twice, twice), tmp_path / "out")


@pytest.mark.parametrize("name", ["n" * 300 + ".png", "d/" * 3000 + "a.png"])
@pytest.mark.parametrize("ending", ["zip", "tar"])
def test_names_that_no_file_can_have(tmp_path, name, ending):
    path = tmp_path / f"a.{ending}"
    if ending == "tar":
        tar_of(path, (name, b"x", tarfile.REGTYPE))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, b"x")
    (tmp_path / "place").mkdir()
    for use in (lambda: unpack(path, tmp_path / "place/out"), lambda: ImageFolder(path, 8)):
        with pytest.raises(BadArchive, match=rf"a\.{ending}: .* cannot be the name of a file here"):
            use()
    assert list((tmp_path / "place").iterdir()) == []


def test_tar_bombs(tmp_path, monkeypatch):
    monkeypatch.setattr("tinygan.data.archive._MOST", (100, 1 << 20))
    path = tmp_path / "bomb.tar.gz"
    tar_of(path, ("a.png", bytes(30 << 20), tarfile.REGTYPE), mode="w:gz")
    for use in (names_in, lambda path: unpack(path, tmp_path / "out")):
        with pytest.raises(BadArchive, match="refused, as unpacked"):
            use(path)
    assert not (tmp_path / "out").exists()
    long_name = tmp_path / "name.tar.gz"
    tar_of(long_name, ("n" * (4 << 20) + ".png", b"", tarfile.REGTYPE), mode="w:gz")
    with pytest.raises(BadArchive, match="more than a megabyte"):
        unpack(long_name, tmp_path / "out")


def refusal(path):
    """The words with which a file is refused, None if it is not."""
    try:
        ImageFolder(path, 8, cache=False)
    except DataError as error:
        return str(error)
    return None


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "tar.xz", "tar.bz2", "npy", "npz"])
def test_damaged_files_are_one_clear_error(folder, tmp_path, ending):
    """Cut off and overwritten anywhere: a DataError that names the file, or pictures."""
    path = tmp_path / f"a.{ending}"
    if ending == "npy":
        np.save(path, PICTURES)
    elif ending == "npz":
        np.savez_compressed(path, PICTURES)
    else:
        for i, picture in enumerate(PICTURES):
            Image.fromarray(picture).save(folder / f"{i}.png")
        packed(folder, path)
    whole, rng = path.read_bytes(), np.random.default_rng(1)
    refused = []
    for trial in range(60):
        data = bytearray(whole)
        if trial % 2:
            data = data[: rng.integers(len(data))]
        else:
            for _ in range(rng.integers(1, 9)):
                data[rng.integers(min(len(data), 2000))] = rng.integers(256)
        path.write_bytes(data)
        refused.append(refusal(path))
    assert all(words is None or words.startswith(str(path)) for words in refused)
    assert sum(words is not None for words in refused) > 20


LAYOUTS = {
    "N×H×W×C": lambda x: x,
    "N×C×H×W": lambda x: x.transpose(0, 3, 1, 2),
    "Fortran": np.asfortranarray,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
}
KINDS = {
    "uint8": (lambda x: x, {}),
    "int64": (lambda x: x.astype(np.int64), {"integers": [0, 255]}),
    "uint16": (lambda x: x.astype(np.uint16) * 257, {"integers": [0, 65535]}),
    "float32": (lambda x: (x / 255).astype(np.float32), {"floats": [0, 1]}),
    "float16": (lambda x: (x / 255).astype(np.float16), {"floats": [0, 1]}),
    "signed float64": (lambda x: x / 127.5 - 1, {"floats": [-1, 1]}),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_arrays(tmp_path, ending, kind, layout):
    convert, scale = KINDS[kind]
    array = LAYOUTS[layout](convert(PICTURES))
    path = tmp_path / f"x.{ending}"
    np.save(path, array) if ending == "npy" else np.savez_compressed(path, faces=array)
    data = ImageFolder(path, (12, 10))
    np.testing.assert_array_equal(data.images, PICTURES)
    assert data.scale == scale
    assert data.files[1] == "000001"
    assert data.description["images"] == 5
    assert ImageFolder(path, (12, 10)).from_cache


def test_arrays_are_cut_and_scaled_as_pictures_are(tmp_path, folder):
    np.save(tmp_path / "x.npy", PICTURES)
    for i, picture in enumerate(PICTURES):
        Image.fromarray(picture).save(folder / f"{i}.png")
    for options in ({"crop": 0.5}, {"fit": "pad"}, {"channels": 1}, {"fit": "stretch"}):
        got, expected = (ImageFolder(p, 8, **options) for p in (tmp_path / "x.npy", folder))
        np.testing.assert_array_equal(got.images, expected.images)


def test_grey_bilevel_and_transparent_arrays(tmp_path):
    grey = PICTURES[..., 0]
    np.save(tmp_path / "grey.npy", grey)
    np.save(tmp_path / "two.npy", grey > 100)
    rgba = np.concatenate([PICTURES, np.zeros((5, 12, 10, 1), np.uint8)], axis=3)
    np.save(tmp_path / "rgba.npy", rgba)
    images = [ImageFolder(tmp_path / f"{n}.npy", (12, 10), 1).images for n in ("grey", "two")]
    np.testing.assert_array_equal(images[0][..., 0], grey)
    np.testing.assert_array_equal(images[1][..., 0], np.where(grey > 100, 255, 0))
    assert (ImageFolder(tmp_path / "rgba.npy", 8).images == 255).all()


def test_one_of_several_arrays(tmp_path):
    path = tmp_path / "set.npz"
    np.savez(path, train=PICTURES, test=PICTURES[:2], labels=np.arange(5))
    assert len(ImageFolder(path / "train", 8)) == 5
    assert len(ImageFolder(path / "test", 8)) == 2
    with pytest.raises(DataError, match="NAME one of train, test, labels"):
        ImageFolder(path, 8)
    with pytest.raises(DataError, match="NAME one of"):
        ImageFolder(path / "valid", 8)
    with pytest.raises(DataError, match=r"expected pictures N×H×W×C.*; got 5"):
        ImageFolder(path / "labels", 8)
    assert has_part(path, "train")
    assert not has_part(path, "valid")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((8, 8, 3), np.uint8), "one picture"),
        (np.zeros((2, 8, 8, 5), np.uint8), "got 2×8×8×5"),
        (np.zeros((0, 8, 8, 3), np.uint8), "shape"),
        (np.uint8(3), "one number"),
        (np.array([{}] * 3), "nothing is unpickled"),
        (np.zeros((2, 8, 8), np.complex64), "array of numbers"),
        (np.zeros((2, 8, 8), [("a", "u1")]), "array of numbers"),
        (np.full((2, 8, 8), 7.5), "--range LOW HIGH"),
        (np.full((2, 8, 8), np.nan), "finite"),
    ],
)
def test_arrays_that_are_no_pictures(tmp_path, array, words):
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=words) as caught:
        ImageFolder(tmp_path / "x.npy", 8)
    assert str(caught.value).startswith(str(tmp_path / "x.npy"))


def test_range_and_pickles(tmp_path):
    np.save(tmp_path / "x.npy", np.full((2, 8, 8), 7.5))
    data = ImageFolder(tmp_path / "x.npy", 8, scale={"range": [0, 15]})
    assert (data.images == 128).all()
    (tmp_path / "y.npy").write_bytes(pickle.dumps(PICTURES))
    with pytest.raises(DataError, match="no array that can be read"):
        ImageFolder(tmp_path / "y.npy", 8)


@pytest.mark.parametrize("shape", [(True, 8, 8, 3), (1.0, 8, 8, 3), (-1, 8, 8, -3), (1j,), "8"])
def test_shapes_that_are_none(tmp_path, shape):
    with open(tmp_path / "x.npy", "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(8 * 8 * 3))
    with pytest.raises(DataError, match=r"x\.npy: "):
        ImageFolder(tmp_path / "x.npy", 8)


def test_headers_that_promise_too_much(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 8, 8, 3)}
    )
    (tmp_path / "x.npy").write_bytes(header.getvalue())
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", header.getvalue() + bytes(1 << 20))
    with zipfile.ZipFile(
        tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9
    ) as archive:
        archive.writestr("a.npy", bytes(64 << 20))
    for name, words in (
        ("x.npy", "do not hold"),
        ("x.npz", "do not hold"),
        ("bomb.npz", "refused"),
    ):
        with pytest.raises(DataError, match=words):
            ImageFolder(tmp_path / name, 8)


def test_what_is_not_there(tmp_path):
    for name in ("gone.zip", "gone.npy", "gone.tar/a"):
        with pytest.raises(DataError, match="there is no such folder"):
            ImageFolder(tmp_path / name, 8)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(DataError, match=r"\.zip, \.tar, \.npy or \.npz"):
        ImageFolder(tmp_path / "a.txt", 8)
    np.save(tmp_path / "x.npy", PICTURES)
    with pytest.raises(DataError, match="there is no part in it"):
        ImageFolder(tmp_path / "x.npy/part", 8)
    assert Path(tmp_path / "x.npy").is_file()


def test_same_data_from_anywhere_are_the_same(folder, tmp_path):
    for i, picture in enumerate(PICTURES):
        Image.fromarray(picture).save(folder / f"{i}.png")
    np.save(tmp_path / "a.npy", PICTURES)
    found = {
        ImageFolder(path, (12, 10)).checksum
        for path in (folder, packed(folder, tmp_path / "a.tgz"), tmp_path / "a.npy")
    }
    assert found == {checksum(PICTURES)}


def test_a_run_on_an_array_is_resumed_on_it_and_on_nothing_else(tmp_path, capsys):
    rng, data, run = np.random.default_rng(0), tmp_path / "faces.npy", tmp_path / "run"
    np.save(data, rng.integers(0, 4096, (9, 3, 16, 16), np.uint16))
    words = ["--data", data, "--image-size", 16, "--width", 4, "--noise-size", 8, "--batch-size", 4]
    assert train(*words, "--steps", 2, "--out", run, tiny=False) == 0
    assert "white is 4095" in capsys.readouterr().err
    assert json.loads((run / "config.json").read_text())["data"]["scale"] == {"integers": [0, 4095]}
    assert train("--resume", run, "--steps", 3, tiny=False) == 0
    np.save(data, rng.integers(0, 4096, (9, 3, 16, 16), np.uint16))
    assert train("--resume", run, "--steps", 4, tiny=False) == 2
    assert "not those of this run" in capsys.readouterr().err
