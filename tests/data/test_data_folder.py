"""Folders of pictures of every kind: what is read, what is skipped, what is kept."""

import io
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinygan.data import (
    DataError,
    ImageFolder,
    Prefetcher,
    checksum,
    faces,
    is_same_data,
    load_image,
    save_grid,
    to_uint8,
)
from tinygan.data.fingerprint import sampled_checksum

FIXTURES = Path(__file__).parents[1] / "fixtures"


pytestmark = pytest.mark.usefixtures("own_cache")


def ramp(height, width, seed=0):
    """A smooth picture, so that lossy formats change it little."""
    y, x = np.mgrid[0:height, 0:width]
    rng = np.random.default_rng(seed)
    planes = [(a * x / width + b * y / height) * 120 for a, b in rng.random((3, 2))]
    return np.stack(planes, -1).astype(np.uint8)


def plain(colour, size=(10, 10), mode="RGB"):
    return Image.new(mode, size, colour)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.bmp", "a.gif", "a.tif", "a.PPM"])
def test_formats_keep_their_colours(folder, name):
    Image.fromarray(ramp(24, 24)).save(folder / name, quality=95)
    images = ImageFolder(folder, 24).images
    assert images.shape == (1, 24, 24, 3)
    tolerance = 30 if name.endswith("gif") else 8
    assert np.abs(images[0].astype(int) - ramp(24, 24)).max() <= tolerance


def test_transparency_is_laid_on_white(folder):
    picture = plain((255, 0, 0, 255), mode="RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 5, 10))
    picture.save(folder / "a.png")
    picture.convert("LA").save(folder / "b.png")
    palette = picture.quantize(4)
    palette.save(folder / "c.png")
    for image in ImageFolder(folder, 10).images:
        assert (image[:, :4] == 255).all()
        assert (image[:, 6:, 1] < 100).all()


def test_half_transparent_pixels_are_blended(folder):
    plain((0, 0, 0, 128), mode="RGBA").save(folder / "a.png")
    assert (ImageFolder(folder, 10).images == 127).all()


def test_cmyk_palette_and_bilevel(folder):
    plain((0, 255, 255, 0), mode="CMYK").save(folder / "cmyk.jpg")  # red
    plain((255, 0, 0)).quantize(2).save(folder / "palette.gif")
    plain(1, mode="1").save(folder / "white.png")
    data = ImageFolder(folder, 10)
    assert data.files == ["cmyk.jpg", "palette.gif", "white.png"]
    for image in data.images[:2]:
        assert (image[..., 0] > 240).all()
        assert (image[..., 1:] < 15).all()
    assert (data.images[2] == 255).all()


def test_exif_orientation_is_applied(folder):
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20] = 255  # bright on the left; turned by a quarter, bright on top
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn clockwise to see it upright"
    Image.fromarray(pixels).save(folder / "a.jpg", exif=exif, quality=95)
    image = load_image(folder / "a.jpg")
    assert image.shape == (40, 20, 3)
    assert image[:18].min() > 230
    assert image[22:].max() < 25


def test_crop_is_a_centred_fraction_of_the_width(folder):
    for scale in (1, 2):  # the same crop at two resolutions
        pixels = np.zeros((109 * scale, 89 * scale, 3), np.uint8)
        side = 54 * scale
        top, left = (109 * scale - side) // 2, (89 * scale - side) // 2
        pixels[top : top + side, left : left + side] = 255
        Image.fromarray(pixels).save(folder / f"{scale}.png")
    whole = ImageFolder(folder, 32, channels=1).images
    cropped = ImageFolder(folder, 32, channels=1, crop=108 / 178).images
    assert whole.min() == 0
    assert cropped[:, 1:-1, 1:-1].min() > 240
    bigger = ImageFolder(folder, 32, channels=1, crop=0.7).images
    assert bigger[:, 0].max() == 0
    assert bigger[:, :, 0].max() == 0


@pytest.mark.parametrize(("fit", "column"), [("crop", 60), ("stretch", 60), ("pad", 255)])
def test_fit(folder, fit, column):
    pixels = np.full((40, 20, 3), 60, np.uint8)
    pixels[:5] = pixels[-5:] = 200
    Image.fromarray(pixels).save(folder / "a.png")
    image = ImageFolder(folder, 16, fit=fit).images[0]
    assert image.shape == (16, 16, 3)
    assert image[8, 0, 0] == column
    assert (image[0, 8, 0] < 70) == (fit == "crop")


def test_huge_jpegs_are_reduced_accurately(folder):
    Image.fromarray(ramp(1500, 2000)).save(folder / "a.jpg", quality=95)
    fast = load_image(folder / "a.jpg", 32)
    exact = Image.fromarray(ramp(1500, 2000)[:, 250:1750]).resize(
        (32, 32), Image.Resampling.LANCZOS
    )
    assert np.abs(fast.astype(int) - np.asarray(exact)).max() <= 4


def test_depth_order_hidden_files_and_other_files(folder):
    for name in ("b/deep/er/1.png", "a.png", "c.JPG", ".hidden.png", ".cache/x.png", "b/0.jpeg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        plain((len(name), 0, 0)).save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    data = ImageFolder(folder, 8)
    assert data.files == ["a.png", "b/0.jpeg", "b/deep/er/1.png", "c.JPG"]
    assert data.skipped == []
    assert len(data) == 4
    assert data.images[0, 0, 0, 0] == len("a.png")


def test_link_loops_are_walked_once(folder):
    plain("red").save(folder / "a.png")
    (folder / "sub").mkdir()
    plain("blue").save(folder / "sub" / "b.png")
    (folder / "sub" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "sub" / "gone.png").symlink_to(folder / "nowhere.png")
    with pytest.warns(UserWarning, match="gone.png"):
        data = ImageFolder(folder, 8)
    assert data.files == ["a.png", "sub/b.png"]


def test_damaged_files_are_skipped_and_each_named_once(folder):
    for i in range(3):
        Image.fromarray(ramp(64, 64, i)).save(folder / f"{i}.jpg")
    whole = (folder / "1.jpg").read_bytes()
    (folder / "1.jpg").write_bytes(whole[: len(whole) // 2])  # cut short
    (folder / "text.png").write_text("hello")
    (folder / "empty.gif").write_bytes(b"")
    buffer = io.BytesIO()
    Image.fromarray(ramp(64, 64)).save(buffer, "PNG")
    (folder / "cut.png").write_bytes(buffer.getvalue()[:-40])
    for from_cache in (False, True):  # told again when the cache is used
        with pytest.warns(UserWarning, match="skipped") as told:
            data = ImageFolder(folder, 16)
        assert data.from_cache is from_cache
        assert data.files == ["0.jpg", "2.jpg"]
        assert [name for name, _ in data.skipped] == ["1.jpg", "cut.png", "empty.gif", "text.png"]
        assert all(why for _, why in data.skipped)
        assert len(told) == 4
        for name, _ in data.skipped:
            assert sum(str(folder / name) in str(w.message) for w in told) == 1
        np.testing.assert_array_equal(data.images[1], load_image(folder / "2.jpg", 16))


def test_nothing_usable_is_an_error(folder, tmp_path):
    with pytest.raises(DataError, match="no pictures in this folder"):
        ImageFolder(folder)
    (folder / "a.png").write_text("x")
    with (
        pytest.warns(UserWarning, match="skipped"),
        pytest.raises(DataError, match="none of its 1 picture files"),
    ):
        ImageFolder(folder)
    with pytest.raises(DataError, match="no such folder"):
        ImageFolder(tmp_path / "missing")
    with pytest.raises(DataError, match="got a file"):
        ImageFolder(folder / "a.png")
    assert issubclass(DataError, ValueError)


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": 0},
        {"image_size": 2.5},
        {"channels": 2},
        {"crop": 0},
        {"crop": 1.1},
        {"fit": "x"},
    ],
)
def test_senseless_options(folder, options):
    plain("red").save(folder / "a.png")
    with pytest.raises(DataError, match=next(iter(options))):
        ImageFolder(folder, **options)


def cache_files(tmp_path):
    return sorted(p.suffix for p in (tmp_path / "cache").rglob("*") if p.is_file())


def test_cache_is_used_and_equal(folder, tmp_path):
    for i in range(5):
        Image.fromarray(ramp(20, 30, i)).save(folder / f"{i}.png")
    cold, warm = ImageFolder(folder, 16), ImageFolder(folder, 16)
    plainly = ImageFolder(folder, 16, cache=False)
    assert (cold.from_cache, warm.from_cache, plainly.from_cache) == (False, True, False)
    np.testing.assert_array_equal(cold.images, plainly.images)
    np.testing.assert_array_equal(warm.images, plainly.images)
    assert cache_files(tmp_path) == [".json", ".npy"]
    with pytest.raises(ValueError, match="read-only"):
        plainly.images[0] = 0


def test_cache_notices_every_change(folder):
    for i in range(3):
        plain((i, 0, 0)).save(folder / f"{i}.png")
    ImageFolder(folder, 8)
    assert ImageFolder(folder, 8).from_cache
    for options in ({"image_size": 9}, {"channels": 1}, {"crop": 0.5}, {"fit": "pad"}):
        assert not ImageFolder(folder, **{"image_size": 8, **options}).from_cache
    plain((77, 0, 0)).save(folder / "1.png")
    os.utime(folder / "1.png", ns=(1, 1))
    data = ImageFolder(folder, 8)
    assert not data.from_cache
    assert data.images[1, 0, 0, 0] == 77
    (folder / "0.png").unlink()
    assert len(ImageFolder(folder, 8)) == 2
    (folder / "1.png").rename(folder / "x.png")
    assert ImageFolder(folder, 8).files == ["2.png", "x.png"]


def test_damaged_cache_is_made_anew(folder, tmp_path):
    plain((9, 0, 0)).save(folder / "a.png")
    ImageFolder(folder, 8)
    (array,) = (tmp_path / "cache").rglob("*.npy")
    array.write_bytes(array.read_bytes()[:100])
    data = ImageFolder(folder, 8)
    assert not data.from_cache
    assert data.images[0, 0, 0, 0] == 9
    assert ImageFolder(folder, 8).from_cache


def overwritten(array, notes):
    data = bytearray(array.read_bytes())
    data[-10:] = bytes(10)
    array.write_bytes(data)


def fewer(array, notes):
    images = np.load(array)[:-1]
    np.save(array, images)


def fewer_and_noted(array, notes):
    fewer(array, notes)
    noted = json.loads(notes.read_text())
    noted["images"] -= 1
    notes.write_text(json.dumps(noted))


def more_than_there_is(array, notes):
    data = array.read_bytes().replace(b"(5, 8", b"(99999999, 8")
    array.write_bytes(data)


def pickled(array, notes):
    np.save(array, np.array([Trap()], object), allow_pickle=True)


def zipped(array, notes):
    np.savez(array.with_suffix(".npz"), np.load(array))
    array.with_suffix(".npz").replace(array)


def a_pipe(array, notes):
    notes.unlink()
    os.mkfifo(notes)


class Trap:
    def __reduce__(self):
        return os.mkdir, (os.environ["TRAP"],)


@pytest.mark.parametrize(
    "damage",
    [
        overwritten,
        fewer,
        fewer_and_noted,
        more_than_there_is,
        pickled,
        zipped,
        a_pipe,
        lambda array, notes: array.unlink(),
        lambda array, notes: notes.unlink(),
        lambda array, notes: array.write_bytes(b""),
        lambda array, notes: array.write_bytes(array.read_bytes()[:-1]),
        lambda array, notes: array.write_bytes(b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535),
        lambda array, notes: notes.write_text("["),
        lambda array, notes: notes.write_text("[]"),
        lambda array, notes: notes.write_text("[" * 100_000),
        lambda array, notes: notes.write_text('{"images": 5}'),
        lambda array, notes: notes.write_text(
            notes.read_text().replace('"scale": {}', '"scale": 3')
        ),
        lambda array, notes: notes.write_text(notes.read_text().replace("[]", "[[1, 2]]")),
        lambda array, notes: notes.write_text(notes.read_text().replace("[]", "7")),
    ],
)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX only")
def test_a_cache_of_anything_else_is_made_anew(folder, tmp_path, monkeypatch, damage):
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    for i in range(5):
        plain((50 * i, 0, 0)).save(folder / f"{i}.png")
    whole = ImageFolder(folder, 8)
    (array,), (notes,) = ((tmp_path / "cache").rglob(f"*.{kind}") for kind in ("npy", "json"))
    damage(array, notes)
    for from_cache in (False, True):
        data = ImageFolder(folder, 8)
        assert data.from_cache is from_cache
        assert data.checksum == whole.checksum
        assert data.images[:, 0, 0, 0].tolist() == [0, 50, 100, 150, 200]
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("mapped", [False, True])
def test_a_cache_that_is_cut_short_while_in_use_ends_no_process(
    folder, tmp_path, monkeypatch, mapped
):
    if mapped:
        monkeypatch.setattr("tinygan.data.cache.IN_MEMORY", 0)
    for i in range(40):
        plain((i, 0, 0), (64, 64)).save(folder / f"{i:02}.png")
    data = ImageFolder(folder, 64)
    assert isinstance(data.images, np.memmap) == mapped
    (array,) = (tmp_path / "cache").rglob("*.npy")
    batches = Prefetcher(data.images, 40)
    batches.batch(0)
    os.truncate(array, 200)
    if mapped:
        with pytest.raises(DataError, match="cut short while it was in use"):
            batches.batch(1)
    else:
        assert len(batches.batch(1)) == 40


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_cache_files_and_grids_have_the_umasks_mode(folder, tmp_path, umask):
    plain((9, 0, 0)).save(folder / "a.png")
    before = os.umask(umask)
    try:
        ImageFolder(folder, 8)
        save_grid(np.zeros((1, 4, 4, 3), np.uint8), tmp_path / "grid.png")
    finally:
        os.umask(before)
    files = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert len(files) == 2
    for path in (*files, tmp_path / "grid.png"):
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_the_checksum_covers_every_picture(folder):
    for i in range(400):
        plain((i % 256, i // 256, 0), (8, 8)).save(folder / f"{i:03}.png")
    before = ImageFolder(folder, 8)
    assert before.description == {
        "folder": str(folder),
        "skipped": 0,
        "images": 400,
        "checksum": before.checksum,
        "scale": {},
    }
    assert checksum(before.images) == before.checksum
    assert ImageFolder(folder, 8, cache=False).checksum == before.checksum
    sampled = sampled_checksum(before.images, at_most=256)
    seen = set(np.linspace(0, 399, 256).astype(int).tolist())
    for i in set(range(400)) - seen:
        plain("black", (8, 8)).save(folder / f"{i:03}.png")
    after = ImageFolder(folder, 8)
    assert sampled_checksum(after.images, at_most=256) == sampled  # what was believed
    assert after.checksum != before.checksum
    assert is_same_data(sampled, after.images, at_most=256)
    assert is_same_data(before.checksum, before.images, at_most=256)
    assert not is_same_data(before.checksum, after.images, at_most=256)
    assert checksum(before.images[:200], before.images[200:]) != before.checksum


def test_the_older_checksums_of_runs_are_known_still():
    data = json.loads((FIXTURES / "run_format_1" / "dcgan" / "config.json").read_text())
    options = data["options"]
    images = faces(options["dataset_size"], options["image_size"], options["seed"]).images
    assert is_same_data(data["data"]["checksum"], images, at_most=256)
    assert not is_same_data(data["data"]["checksum"], images + 1, at_most=256)


def test_cache_that_cannot_be_written_costs_a_warning(folder, tmp_path, monkeypatch):
    plain((9, 0, 0)).save(folder / "a.png")
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TINYGAN_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="kept in memory"):
        data = ImageFolder(folder, 8)
    assert data.images[0, 0, 0, 0] == 9


def test_interrupted_decoding_leaves_no_cache(folder, tmp_path, monkeypatch):
    plain("red").save(folder / "a.png")

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tinygan.data.sources.load_image", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ImageFolder(folder, 8)
    assert cache_files(tmp_path) == []


def test_more_pictures_than_one_chunk_keep_their_order(folder, monkeypatch):
    monkeypatch.setattr("tinygan.data.folder._CHUNK", 4)
    for i in range(11):
        plain((i, 0, 0)).save(folder / f"{i:02}.png")
    (folder / "05.png").write_text("broken")
    with warnings.catch_warnings(action="ignore"):
        data = ImageFolder(folder, 8)
    assert data.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("channels", [1, 3])
def test_save_grid(tmp_path, channels):
    images = np.linspace(-1, 1, 5 * 4 * 6 * channels, dtype=np.float32).reshape(5, 4, 6, channels)
    save_grid(images, tmp_path / "new" / "grid.png", columns=3)
    page = load_image(tmp_path / "new" / "grid.png", channels=channels)
    assert page.shape == (2 * (4 + 2) + 2, 3 * (6 + 2) + 2, channels)
    np.testing.assert_array_equal(page[2:6, 10:16], to_uint8(images[1]))
    np.testing.assert_array_equal(page[8:12, 2:8], to_uint8(images[3]))
    assert (page[:2] == 255).all()
    assert (page[8:12, 18:24] == 255).all()  # the empty cell
    assert os.listdir(tmp_path / "new") == ["grid.png"]
    save_grid(to_uint8(images), tmp_path / "grid.png")
    assert load_image(tmp_path / "grid.png").shape == (3 * 6 + 2, 2 * 8 + 2, 3)


def test_save_grid_refuses_other_shapes(tmp_path):
    for shape in ((4, 4, 3), (2, 4, 4, 2), (0, 4, 4, 3)):
        with pytest.raises(DataError, match="expected images of shape"):
            save_grid(np.zeros(shape, np.float32), tmp_path / "a.png")
    with pytest.raises(DataError, match="int64"):
        to_uint8(np.zeros(3, np.int64))
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif("TINYGAN_TEST_DATA" not in os.environ, reason="TINYGAN_TEST_DATA is not set")
def test_real_pictures():
    data = ImageFolder(os.path.join(os.environ["TINYGAN_TEST_DATA"], "mnist", "0"), 32, channels=1)
    assert data.images.shape[1:] == (32, 32, 1)
    assert data.skipped == []
    assert data.images.mean(axis=0)[:4].max() < 60 < data.images.mean() + 40


def test_sets_that_fit_nowhere_are_refused_before_they_are_decoded(folder, monkeypatch):
    plain("red").save(folder / "a.png")
    monkeypatch.setattr("tinygan.data.folder.total_bytes", lambda: 1000)
    monkeypatch.setattr("tinygan.data.folder.disk_bytes", lambda path: (1000, path))
    with (
        pytest.warns(UserWarning, match="No space left on device"),
        pytest.raises(DataError, match="1 pictures of 64 × 64 pixels take"),
    ):
        ImageFolder(folder, 64)
    assert len(ImageFolder(folder, 8)) == 1
    with pytest.raises(DataError, match="image_size: expected 1 to 16384 pixels, got 100000"):
        ImageFolder(folder, 100_000)
