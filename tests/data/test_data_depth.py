"""Pictures of other kinds than 8 bits: a folder's one scale, and what is seen."""

import json
import struct
import sys
import warnings
import zlib

import numpy as np
import pytest
from picture_files import png, tiff
from PIL import Image, ImageCms
from training import train

from tinygan.data import DataError, ImageFolder, load_image, opening
from tinygan.runs.run import load

H, W = 8, 12
RAMP = np.linspace(0, 1, H * W).reshape(H, W)


pytestmark = pytest.mark.usefixtures("own_cache")


def levels(high, low=0, dtype=np.uint16):
    return np.rint(low + RAMP * (high - low)).astype(dtype)


def grey(path, **options):
    return load_image(path, channels=1, **options)[:, :, 0].astype(int)


def quietly(*args, **options):
    with warnings.catch_warnings(action="ignore"):
        return ImageFolder(*args, **options)


FULL = np.rint(RAMP * 255).astype(int)
# name of the file, its bytes, the largest difference in levels
WHOLE_RAMPS = {
    "png 16": ("a.png", png(levels(65535), 16, 0)),
    "png 12 in 16": ("a.png", png(levels(4095), 16, 0)),
    "png 10 in 16, sBIT": ("a.png", png(levels(1023), 16, 0, sBIT=b"\x0a")),
    "png 10 upper of 16, sBIT": ("a.png", png(levels(1023) << 6, 16, 0, sBIT=b"\x0a")),
    "png 1": ("a.png", png(levels(1), 1, 0)),
    "png 2": ("a.png", png(levels(3), 2, 0)),
    "png 4": ("a.png", png(levels(15), 4, 0)),
    "png 8": ("a.png", png(levels(255), 8, 0)),
    "tiff 12": ("a.tif", tiff(levels(4095), bits=12)),
    "tiff 16": ("a.tif", tiff(levels(65535))),
    "tiff 16, big endian": ("a.tif", tiff(levels(65535), order=">")),
    "tiff 16, compressed": ("a.tif", tiff(levels(65535), compressed=True)),
    "tiff 16, big endian, compressed": ("a.tif", tiff(levels(65535), order=">", compressed=True)),
    "tiff 12 in 16": ("a.tif", tiff(levels(4095))),
    "tiff 16, 1000 is most": ("a.tif", tiff(levels(1000), t280=0, t281=1000)),
    "tiff 16, white is 0": ("a.tif", tiff(65535 - levels(65535), photometric=0)),
    "tiff signed 8": ("a.tif", tiff(levels(127, -128, np.int8))),
    "tiff signed 16": ("a.tif", tiff(levels(2047, -2048, np.int16))),
    "tiff signed 16, big endian": ("a.tif", tiff(levels(2047, -2048, np.int16), order=">")),
    "tiff signed 16, big endian, compressed": (
        "a.tif",
        tiff(levels(2047, -2048, np.int16), order=">", compressed=True),
    ),
    "tiff signed 16, none negative": ("a.tif", tiff(levels(4095, 0, np.int16))),
    "tiff 32": ("a.tif", tiff(levels(2**32 - 1, dtype=np.uint32))),
    "tiff 20 in 32": ("a.tif", tiff(levels(2**20 - 1, dtype=np.uint32))),
    "tiff signed 32": ("a.tif", tiff(levels(2**31 - 1, -(2**31), np.int32))),
    "tiff signed 32, compressed": (
        "a.tif",
        tiff(levels(1023, -1024, np.int32), order=">", compressed=True),
    ),
    "tiff float": ("a.tif", tiff(RAMP.astype(np.float32))),
    "tiff float, big endian, compressed": (
        "a.tif",
        tiff(RAMP.astype(np.float32), order=">", compressed=True),
    ),
    "tiff float, -1 to 1": ("a.tif", tiff((2 * RAMP - 1).astype(np.float32))),
    "tiff float, declared": (
        "a.tif",
        tiff((RAMP * 50 + 100).astype(np.float32), t340=100.0, t341=150.0),
    ),
    "pgm": ("a.pgm", b"P5 12 8 255\n" + FULL.astype(np.uint8).tobytes()),
    "pgm 1000": ("a.pgm", b"P5 12 8 1000\n" + levels(1000, dtype=">u2").tobytes()),
    "pgm 65535": ("a.pgm", b"P5 12 8 65535\n" + levels(65535, dtype=">u2").tobytes()),
    "pfm": ("a.pfm", b"Pf\n12 8\n-1.0\n" + RAMP[::-1].astype("<f4").tobytes()),
}


@pytest.mark.parametrize("kind", WHOLE_RAMPS)
def test_a_ramp_from_black_to_white_is_one(folder, kind):
    name, data = WHOLE_RAMPS[kind]
    (folder / name).write_bytes(data)
    bits = {"png 1": 1, "png 2": 2, "png 4": 4}.get(kind, 8)
    steps = 2**bits - 1
    expected = np.rint(np.rint(RAMP * steps) * 255 / steps)
    for image in (grey(folder / name), quietly(folder, (H, W), channels=1).images[0, :, :, 0]):
        assert abs(image - expected).max() <= 1
        assert (image.min(), image.max()) == (0, 255)


COLORS = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], -1)
FOUR = np.concatenate([COLORS, np.ones((H, W, 1))], -1)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", lambda c, s: png(np.rint(c * s), 16, 2)),
        ("a.png", lambda c, s: png(np.rint(c * s), 16, 6, alpha=np.full((H, W), 65535))),
        ("a.tif", lambda c, s: tiff(np.rint(c * s).astype(np.uint16))),
        ("a.tif", lambda c, s: tiff(np.rint(c * s).astype(np.uint16), order=">")),
        ("a.tif", lambda c, s: tiff(np.rint(c * s).astype(np.uint16), compressed=True)),
        ("a.tif", lambda c, s: tiff(np.rint(c * s).astype(np.uint16), order=">", compressed=True)),
        (
            "a.tif",
            lambda c, s: tiff(np.rint(FOUR * [s, s, s, 65535]).astype(np.uint16), t338=2),
        ),
    ],
    ids=["png", "png alpha", "tiff", "tiff MM", "tiff zip", "tiff MM zip", "tiff alpha"],
)
@pytest.mark.parametrize("most", [65535, 4095])
def test_deep_colours(folder, name, data, most):
    (folder / name).write_bytes(data(COLORS, most))
    assert abs(load_image(folder / name).astype(int) - np.rint(COLORS * 255)).max() <= 1


def test_deep_cmyk(folder):
    inks = np.concatenate([1 - COLORS, np.zeros((H, W, 1))], -1)
    (folder / "a.tif").write_bytes(tiff(np.rint(inks * 65535).astype(np.uint16), photometric=5))
    assert abs(load_image(folder / "a.tif").astype(int) - np.rint(COLORS * 255)).max() <= 1


def test_separate_planes_of_16_bits_are_refused_by_name(folder):
    (folder / "a.tif").write_bytes(tiff(np.rint(COLORS * 65535).astype(np.uint16), planar=2))
    (folder / "b.png").write_bytes(png(levels(255), 8, 0))
    with pytest.warns(UserWarning, match=r"a\.tif: .*separate planes"):
        assert ImageFolder(folder, 8).files == ["b.png"]


def test_what_pillow_cannot_read_is_named(folder):
    (folder / "a.tif").write_bytes(tiff(RAMP.astype(np.float64)))
    (folder / "b.png").write_bytes(png(levels(255), 8, 0))
    with pytest.warns(UserWarning, match=r"a\.tif: a TIFF file of a kind"):
        assert ImageFolder(folder, 8).files == ["b.png"]


def test_one_scale_holds_every_value_of_the_folder(folder):
    dark, bright = np.full((8, 8), 100), np.full((8, 8), 3000)
    (folder / "a.png").write_bytes(png(dark, 16, 0))
    (folder / "b.tif").write_bytes(tiff(bright.astype(np.uint16)))
    (folder / "c.png").write_bytes(png(np.full((8, 8), 40), 8, 0))
    with pytest.warns(UserWarning, match="black is 0, white is 4095") as told:
        data = ImageFolder(folder, 8, channels=1)
    assert len(told) == 1
    assert data.scale == {"integers": [0, 4095]}
    assert data.images[:, 0, 0, 0].tolist() == [
        round(100 * 255 / 4095),
        round(3000 * 255 / 4095),
        40,
    ]
    with warnings.catch_warnings(action="error"):
        again = ImageFolder(folder, 8, channels=1)
    assert again.from_cache
    assert again.scale == data.scale


def test_a_noted_scale_is_used_again(folder, tmp_path):
    (folder / "a.png").write_bytes(png(np.full((8, 8), 3000), 16, 0))
    scale = json.loads(json.dumps(quietly(folder, 8).description))["scale"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "dark.png").write_bytes(png(np.full((8, 8), 100), 16, 0))
    with warnings.catch_warnings(action="error"):
        data = ImageFolder(other, 8, channels=1, scale=scale)
    assert data.images[0, 0, 0, 0] == round(100 * 255 / 4095)
    assert grey(other / "dark.png", scale=scale)[0, 0] == round(100 * 255 / 4095)
    assert quietly(other, 8, channels=1).images[0, 0, 0, 0] == round(100 * 255 / 127)


def test_what_a_file_declares_comes_before_the_folder(folder):
    (folder / "a.png").write_bytes(png(np.full((8, 8), 341), 16, 0, sBIT=b"\x0a"))
    (folder / "b.png").write_bytes(png(np.full((8, 8), 65535), 16, 0))
    assert quietly(folder, 8, channels=1).images[:, 0, 0, 0].tolist() == [85, 255]


def test_8_bit_pictures_are_never_stretched(folder):
    (folder / "a.png").write_bytes(png(np.full((8, 8), 9), 8, 0, sBIT=b"\x04"))
    (folder / "b.tif").write_bytes(tiff(np.full((8, 8), 9, np.uint8), t280=0, t281=10))
    with warnings.catch_warnings(action="error"):
        data = ImageFolder(folder, 8, channels=1, scale={"range": [0, 10]})
    assert (data.images == 9).all()


def test_floats_need_a_range_unless_they_are_of_0_to_1(folder):
    (folder / "a.tif").write_bytes(tiff(np.full((8, 8), 0.5, np.float32)))
    (folder / "b.tif").write_bytes(tiff(np.full((8, 8), 200, np.float32)))
    with pytest.warns(UserWarning, match=r"b\.tif: its numbers go from 200 to 200.*--range"):
        data = ImageFolder(folder, 8)
    assert data.scale == {"floats": [0, 1]}
    assert (data.images == 128).all()
    data = ImageFolder(folder, 8, scale={"range": [0, 400]})
    assert data.images[:, 0, 0, 0].tolist() == [0, 128]
    (folder / "a.tif").unlink()
    with pytest.warns(), pytest.raises(DataError, match="--range LOW HIGH"):
        ImageFolder(folder, 8)


def test_floats_that_are_no_numbers(folder):
    values = RAMP.astype(np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    (folder / "a.tif").write_bytes(tiff(values))
    image = grey(folder / "a.tif")
    assert image[0, :3].tolist() == [0, 255, 0]
    assert abs(image.ravel()[3:] - FULL.ravel()[3:]).max() <= 1


@pytest.mark.parametrize(
    "scale",
    [{"range": [1, 1]}, {"range": [0]}, {"x": [0, 1]}, [0, 1], {"floats": [0, float("nan")]}],
)
def test_a_scale_that_is_none(folder, scale):
    (folder / "a.png").write_bytes(png(levels(255), 8, 0))
    with pytest.raises(DataError, match="expected"):
        ImageFolder(folder, 8, scale=scale)


def key(*levels_):
    return struct.pack(f">{len(levels_)}H", *levels_)


@pytest.mark.parametrize(
    ("data", "clear"),
    [
        (png(levels(65535), 16, 0, tRNS=key(0)), 1),
        (png(np.zeros((H, W)), 16, 0, tRNS=key(0)), H * W),
        (png(levels(3), 2, 0, tRNS=key(3)), (levels(3) == 3).sum()),
        (png(levels(15), 4, 0, tRNS=key(5)), (levels(15) == 5).sum()),
        (png(levels(1), 1, 0, tRNS=key(0)), (levels(1) == 0).sum()),
        (png(levels(255), 8, 0, tRNS=key(0)), (levels(255) == 0).sum()),
        (png(np.rint(COLORS * 65535) // 256 * 256, 16, 2, tRNS=key(1, 2, 3)), 0),
        (png(np.full((H, W, 3), 258), 16, 2, tRNS=key(258, 258, 258)), H * W),
        (png(np.full((H, W, 3), 258), 16, 2, tRNS=key(258, 258, 259)), 0),
    ],
)
def test_transparent_levels(folder, data, clear):
    (folder / "a.png").write_bytes(data)
    with_key = load_image(folder / "a.png").astype(int)
    assert (with_key == 255).all(-1).sum() >= clear
    if clear == H * W:
        assert (with_key == 255).all()
    if clear == 0:
        assert with_key.min() < 255


def test_transparent_4_bit_grey_is_white_and_the_rest_as_it_was(folder):
    (folder / "a.png").write_bytes(png(levels(15), 4, 0, tRNS=key(5)))
    expected = np.where(levels(15) == 5, 255, levels(15) * 17)
    np.testing.assert_array_equal(grey(folder / "a.png"), expected)


def test_deep_grey_with_alpha(folder):
    alpha = np.full((H, W), 65535)
    alpha[:, :6] = 0
    (folder / "a.png").write_bytes(png(levels(4095), 16, 4, alpha=alpha))
    image = grey(folder / "a.png")
    assert (image[:, :6] == 255).all()
    assert abs(image - FULL)[:, 6:].max() <= 1


def test_deep_pictures_are_turned_as_exif_says(folder):
    values = np.zeros((20, 40), np.uint16)
    values[:, :20] = 65535
    exif = Image.Exif()
    exif[0x0112] = 6
    (folder / "a.png").write_bytes(png(values, 16, 0, eXIf=exif.tobytes()[6:]))
    colours = np.repeat(values[:, :, None], 3, 2)
    (folder / "b.png").write_bytes(png(colours, 16, 2, eXIf=exif.tobytes()[6:]))
    (folder / "c.tif").write_bytes(tiff(values, t274=6))
    (folder / "d.tif").write_bytes(tiff(colours, t274=6))
    for name in ("a.png", "b.png", "c.tif", "d.tif"):
        image = load_image(folder / name)
        assert image.shape == (40, 20, 3), name
        assert image[:20].min() == 255, name
        assert image[20:].max() == 0, name


def linear_profile():
    """sRGB's primaries, with its curve replaced by a straight line: 0.5 is shown as 188."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for i in range(int.from_bytes(data[128:132], "big")):
        at = 132 + 12 * i
        if data[at : at + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            start = int.from_bytes(data[at + 4 : at + 8], "big")
            data[start : start + 12] = b"curv" + bytes(8)
    return bytes(data)


def srgb_profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_colour_profiles_are_applied(folder, name, channels):
    picture = Image.new("RGB", (32, 32), (128, 128, 128))
    for profile, level in ((None, 128), (srgb_profile(), 128), (linear_profile(), 188)):
        picture.save(folder / name, icc_profile=profile, quality=100)
        for size in (None, 8):
            image = load_image(folder / name, size, channels)
            assert abs(image.astype(int) - level).max() <= 2, (profile and len(profile), size)


def test_a_profile_of_srgb_changes_no_bit(folder):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "a.png", icc_profile=srgb_profile())
    np.testing.assert_array_equal(load_image(folder / "a.png"), pixels)


def test_profiles_with_transparency_palette_and_depth(folder):
    profile = linear_profile()
    Image.new("RGBA", (8, 8), (128, 128, 128, 0)).save(folder / "clear.png", icc_profile=profile)
    Image.new("RGBA", (8, 8), (128, 128, 128, 255)).save(folder / "solid.png", icc_profile=profile)
    Image.new("RGB", (8, 8), (128,) * 3).quantize(2).save(folder / "p.png", icc_profile=profile)
    (folder / "deep.tif").write_bytes(tiff(np.full((8, 8, 3), 32896, np.uint16)))
    with Image.open(folder / "solid.png") as picture:
        packed = picture.info["icc_profile"]
    iccp = b"x\0\0" + zlib.compress(packed)
    (folder / "deep.png").write_bytes(png(np.full((8, 8, 3), 32896), 16, 2, iCCP=iccp))
    levels_ = {p.name: int(load_image(p)[4, 4, 0]) for p in folder.iterdir()}
    assert levels_.pop("clear.png") == 255
    assert levels_.pop("deep.tif") == 128
    assert all(abs(level - 188) <= 1 for level in levels_.values()), levels_


def test_damaged_and_foreign_profiles_are_left_alone(folder):
    Image.new("RGB", (8, 8), (9, 80, 200)).save(folder / "a.png", icc_profile=b"x" * 500)
    Image.new("L", (8, 8), 80).save(folder / "b.png", icc_profile=linear_profile())
    cut = linear_profile()[:200]
    Image.new("RGB", (8, 8), (9, 80, 200)).save(folder / "c.png", icc_profile=cut)
    assert load_image(folder / "a.png")[0, 0].tolist() == [9, 80, 200]
    assert load_image(folder / "b.png")[0, 0].tolist() == [80, 80, 80]
    assert load_image(folder / "c.png")[0, 0].tolist() == [9, 80, 200]


def test_lab_pictures(folder):
    Image.new("LAB", (8, 8), (128, 128, 128)).save(folder / "a.tif")
    image = load_image(folder / "a.tif").astype(int)
    assert abs(image - image[0, 0, 0]).max() <= 2  # grey
    assert 100 < image.mean() < 140


def test_png_gamma(folder):
    linear = struct.pack(">I", 100000)
    usual = struct.pack(">I", 45455)
    for chunk, level in ((linear, 186), (usual, 128)):
        (folder / "a.png").write_bytes(png(np.full((8, 8), 128), 8, 0, gAMA=chunk))
        assert abs(int(load_image(folder / "a.png")[0, 0, 0]) - level) <= 1


def test_the_first_frame_of_an_animation(folder):
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "green", "blue")]
    for name in ("a.gif", "a.png", "a.webp", "a.tif"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:], lossless=True)
        assert load_image(folder / name)[8, 8].tolist() == [255, 0, 0], name


def test_heic_is_named_where_its_package_is_missing(folder, monkeypatch):
    (folder / "a.heic").write_bytes(bytes(4) + b"ftypheic" + bytes(100))
    (folder / "b.png").write_bytes(png(levels(255), 8, 0))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    opening._formats.cache_clear()
    with pytest.warns(UserWarning, match=r"a\.heic: HEIC pictures need.*tinygan\[heif\]"):
        assert ImageFolder(folder, 8).files == ["b.png"]
    opening._formats.cache_clear()


def test_heic(folder):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    Image.new("RGB", (64, 64), (200, 30, 40)).save(folder / "a.heic", quality=95)
    assert abs(load_image(folder / "a.heic").astype(int) - [200, 30, 40]).max() <= 6


def test_a_run_notes_its_scale_and_uses_it_again(folder, tmp_path, capsys):
    for i in range(4):
        (folder / f"{i}.png").write_bytes(png(np.full((16, 16), 700 * i + 900), 16, 0))
    out = tmp_path / "run"
    words = ["--data", folder, "--batch-size", 2, "--out", out, "--steps", 2]
    assert train(*words) == 0
    assert "black is 0, white is 4095" in capsys.readouterr().err
    data = json.loads((out / "config.json").read_text())["data"]
    assert data["scale"] == {"integers": [0, 4095]}
    assert train("--resume", out, "--steps", 3, tiny=False) == 0
    assert "black is" not in capsys.readouterr().err
    assert load(out).system.data["scale"] == {"integers": [0, 4095]}
    (folder / "0.png").write_bytes(png(np.full((16, 16), 1000), 16, 0))
    assert train("--resume", out, "--steps", 4, tiny=False) == 2
    assert "the data are not those of this run" in capsys.readouterr().err


def test_a_range_that_is_given(folder, tmp_path, capsys):
    for i in range(4):
        (folder / f"{i}.tif").write_bytes(tiff(np.full((16, 16), 50 * i - 75, np.float32)))
    out = tmp_path / "run"
    words = ["--data", folder, "--batch-size", 2, "--out", out, "--steps", 1]
    assert train(*words) == 2
    assert "--range LOW HIGH" in capsys.readouterr().err
    assert train(*words, "--range", 5, 1) == 2
    assert "--range: expected two numbers" in capsys.readouterr().err
    assert train(*words, "--range", -100, 100) == 0
    data = json.loads((out / "config.json").read_text())["data"]
    assert data["scale"] == {"range": [-100, 100]}
    assert train("--resume", out, "--steps", 2, tiny=False) == 0
