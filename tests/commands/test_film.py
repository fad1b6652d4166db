"""Films through a trained CycleGAN: videos, animations, folders of frames; flicker, smoothing."""

import os
import random
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from test_train_cyclegan import train

import tinygan
from tinygan.data import seasons, to_float
from tinygan.data.animation import MOVING, VIDEOS, save_animation
from tinygan.data.film import is_video, open_film
from tinygan.errors import DataError
from tinygan.generate.__main__ import main as generate
from tinygan.metrics import flicker
from tinygan.runs.run import load
from tinygan.systems.dcgan import DCGAN
from tinygan.translate.__main__ import main
from tinygan.translate.smoothing import estimate_shift, smoothed


def needs_ffmpeg(path):
    if str(path).lower().endswith(tuple(VIDEOS)):
        pytest.importorskip("imageio_ffmpeg")
    return path


def pan(large, size, count=12):
    """Cut frames out of a large picture along a known way; return them and their places."""
    t = np.arange(count) / count * 2 * np.pi
    room = len(large) - size
    places = np.rint(room / 2 * (1 + np.stack([np.sin(t), np.cos(2 * t)], axis=1))).astype(int)
    return np.stack([large[i : i + size, j : j + size] for i, j in places]), places


def landscape(size=40, domain="summer", number=0):
    return seasons(1, size, domain=domain, start=number).images[0]


def read(path, channels=3):
    with open_film(path, channels) as film:
        return np.stack(list(film.frames)), film


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("film") / "run"
    assert train("--steps", 2, "--downsamplings", 2, "--norm", "instance", "--out", out) == 0
    return out


@pytest.fixture
def folder(tmp_path):
    """Twelve frames of 26 × 26 pixels, whose names do not sort by their letters."""
    place = tmp_path / "frames"
    place.mkdir()
    frames, _ = pan(landscape(), 26)
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(place / f"f{i}.png")
    return place


def translate(*words) -> int:
    return main([*map(str, words), "--backend", "numpy"])


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MOVING)
@pytest.mark.parametrize(("size", "channels"), [(32, 3), (31, 3), (20, 1)])
def test_a_film_is_written_and_read_again(tmp_path, kind, size, channels):
    path = needs_ffmpeg(tmp_path / f"a{kind.upper()}")
    frames, _ = pan(landscape(40), size)
    frames = frames[..., :channels]
    save_animation(iter(frames), path, 12.5, "made by a test")
    again, film = read(path, channels)
    even = size + size % 2 if kind in VIDEOS else size  # of videos the last pixels are repeated
    assert again.shape == (12, even, even, channels)
    assert film.count == 12
    assert film.fps == pytest.approx(12.5)
    assert np.abs(again[:, :size, :size].astype(int) - frames).mean() < 8
    assert (kind in VIDEOS) == is_video(path)
    assert b"made by a test" in path.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_no_frames_make_no_file(tmp_path):
    for kind in MOVING:
        with pytest.raises(DataError, match="at least one frame"):
            save_animation(iter(()), needs_ffmpeg(tmp_path / f"a{kind}"))
    assert list(tmp_path.iterdir()) == []


def test_grey_and_transparent_animations(tmp_path):
    frames = [Image.new("RGBA", (9, 7), (255, 0, 0, a)) for a in (0, 255)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=40)
    again, film = read(tmp_path / "a.webp")
    assert film.fps == 25
    assert (again[0] > 250).all()  # on white
    assert np.abs(again[1].mean(axis=(0, 1)) - (255, 0, 0)).max() < 9
    assert read(tmp_path / "a.webp", channels=1)[0].shape == (2, 7, 9, 1)


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_frames_that_are_shown_for_longer_come_more_often(tmp_path, kind):
    frames = [Image.new("RGB", (8, 8), (0, 0, 80 * i)) for i in range(4)]
    how = {"save_all": True, "append_images": frames[1:], "duration": [50, 200, 50, 100]}
    frames[0].save(tmp_path / f"a.{kind}", **how)
    again, film = read(tmp_path / f"a.{kind}")
    assert (film.fps, film.count) == (20, 8)
    assert np.abs(again[:, 0, 0, 2] - 80.0 * np.array([0, 1, 1, 1, 1, 2, 3, 3])).max() < 9


@pytest.mark.parametrize(
    ("start", "video"),
    [
        (b"\0\0\0\x20ftypisom\0\0", True),
        (b"\0\0\0\x14ftypqt  ", True),
        (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0", True),
        (b"RIFF\x24\0\0\0AVI LIST", True),
        (b"RIFF\x24\0\0\0WEBPVP8 ", False),
        (b"\0\0\0\x20ftypavif\0\0", False),
        (b"#EXTM3U\n/etc/passwd", False),
        (b"ffconcat version 1.0\nfile /etc/passwd", False),
        (b"", False),
    ],
)
def test_only_videos_are_given_to_ffmpeg(tmp_path, start, video):
    """A playlist named .mp4 would have it open other files."""
    (tmp_path / "a.mp4").write_bytes(start)
    assert is_video(tmp_path / "a.mp4") == video
    pytest.importorskip("imageio_ffmpeg")
    with pytest.raises(DataError, match=r"a\.mp4: (damaged|expected a video)"):
        read(tmp_path / "a.mp4")


@pytest.mark.parametrize("kind", MOVING)
def test_damaged_films_are_read_as_far_as_they_go_or_refused(tmp_path, kind):
    whole, path = needs_ffmpeg(tmp_path / f"whole{kind}"), tmp_path / f"a{kind}"
    save_animation(pan(landscape(48), 32)[0], whole)
    refused = []
    for seed in range(200 if os.environ.get("TINYGAN_LONG") else 8):
        rng, data = random.Random(seed), bytearray(whole.read_bytes())
        at, most = rng.randrange(len(data)), rng.choice([1, 4, 40, 400])
        part = data[at : at + most]
        damage = [part[::-1], bytes(len(part)), b"", rng.randbytes(most) + part]
        data[at : at + most] = rng.choice(damage)
        path.write_bytes(data[:at] if rng.random() < 0.3 else data)
        try:
            frames, _ = read(path)
            assert frames.dtype == np.uint8
        except DataError as error:
            refused.append(str(error))
    assert refused
    assert all(path.name in line and "\n" not in line for line in refused)


def test_a_video_that_cannot_be_written_leaves_nothing(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), np.uint8)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        with pytest.raises(OSError, match="ffmpeg cannot write this video"):
            save_animation(iter(noise), tmp_path / "a.mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


# --- the commands ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MOVING)
def test_a_folder_of_frames_becomes_a_film(run, folder, tmp_path, kind, capsys):
    out = needs_ffmpeg(tmp_path / "made" / f"a{kind}")
    assert translate(run, "--input", folder, "--out", out) == 0
    assert "12 frames, AtoB by" in capsys.readouterr().out
    made, film = read(out)
    assert film.fps == pytest.approx(25, abs=0.1)
    opened = load(run, backend="numpy")
    frames, _ = pan(landscape(), 26)  # in the order of their numbers
    wide = np.pad(frames, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    expected = (opened.translate(wide, "AtoB")[:, 1:-1, 1:-1] + 1) * 127.5
    assert made.shape == expected.shape
    assert np.abs(made - expected).mean() < 12
    note = f"made with tinygan {tinygan.__version__} (cyclegan, step 2)".encode()
    assert note in out.read_bytes()
    words = ["--input", folder, "--out", out, "--force", "--no-metadata"]
    assert translate(run, *words) == 0
    assert b"made with" not in out.read_bytes()


@pytest.mark.parametrize("source", ["a.mp4", "a.gif"])
def test_a_film_becomes_a_film(run, tmp_path, source):
    source, out = needs_ffmpeg(tmp_path / source), tmp_path / "b.webp"
    save_animation(pan(landscape(), 32)[0], source, 8)
    assert translate(run, "--input", source, "--out", out, "--direction", "BtoA") == 0
    made, film = read(out)
    assert made.shape == (12, 32, 32, 3)
    assert film.fps == pytest.approx(8, rel=0.05)  # GIF counts hundredths of a second
    words = ["--force", "--pairs", "--size", 16, "--fps", 20, "--smooth"]
    assert translate(run, "--input", source, "--out", out, *words) == 0
    made, film = read(out)
    assert made.shape == (12, 16, 16 + 4 + 16, 3)
    assert film.fps == pytest.approx(20, rel=0.01)


def test_sound_and_turn_are_kept(run, tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()

    def call(*words):
        done = subprocess.run([ffmpeg, "-v", "error", *words], capture_output=True, cwd=tmp_path)
        return done.returncode == 0

    sources = ["-f", "lavfi", "-i", "testsrc=s=48x32:d=1:r=5", "-f", "lavfi", "-i", "sine=d=1"]
    assert call(*sources, "a.mp4")
    copied = ["-i", "a.mp4", "-c", "copy"]
    turned = call("-display_rotation", "90", *copied, "turned.mp4")
    assert turned or call(*copied, "-metadata:s:v:0", "rotate=90", "turned.mp4")  # before ffmpeg 6
    for name in ("b.mp4", "b.webm"):
        out = tmp_path / name
        assert translate(run, "--input", tmp_path / "turned.mp4", "--out", out) == 0
        made, film = read(out)
        assert film.sound
        assert made.shape == (5, 48, 32, 3)
    assert translate(run, "--input", tmp_path / "a.mp4", "--out", out, "--force", "--fps", 9) == 0
    assert not read(out)[1].sound  # it would not fit any more


def test_a_film_in_the_folder_of_its_frames_is_no_frame(run, folder):
    for _ in range(2):
        words = ["--input", folder, "--out", folder / "a.gif", "--force"]
        assert translate(run, *words) == 0
        assert len(read(folder / "a.gif")[0]) == 12


def test_a_damaged_frame_is_left_out_and_named(run, folder, tmp_path, capsys):
    (folder / "f3.png").write_bytes(b"no picture")
    assert translate(run, "--input", folder, "--out", tmp_path / "a.gif") == 1
    streams = capsys.readouterr()
    assert "f3.png: cannot be read" in streams.err
    assert "11 frames" in streams.out
    assert len(read(tmp_path / "a.gif")[0]) == 11


def test_what_is_there_stays(run, folder, tmp_path, capsys):
    out = tmp_path / "a.gif"
    out.write_bytes(b"mine")
    words = [run, "--input", folder, "--out", out]
    assert translate(*words) == 2
    assert "a.gif: is there already; --force replaces it" in capsys.readouterr().err
    assert translate(*words, "--skip-existing") == 0
    assert "is there already" in capsys.readouterr().out
    assert out.read_bytes() == b"mine"
    assert translate(*words, "--force") == 0
    assert len(read(out)[0]) == 12
    before = out.read_bytes()
    assert translate(run, "--input", out, "--out", out, "--force") == 2
    assert "this is --input itself" in capsys.readouterr().err
    assert out.read_bytes() == before


def bad_films(place, folder):
    shutil.copytree(folder, place / "frames2")
    Image.new("RGB", (30, 26)).save(place / "frames2" / "f5.png")
    (place / "empty").mkdir()
    (place / "text.mp4").write_text("text")
    (place / "still.png").write_bytes((folder / "f1.png").read_bytes())
    save_animation(pan(landscape(), 32)[0], place / "a.gif", 8)
    (place / "cut.gif").write_bytes((place / "a.gif").read_bytes()[:-400])
    (place / "garbage.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(range(256)) * 9)
    (place / "run").mkdir()


@pytest.mark.parametrize(
    ("source", "out", "message"),
    [
        ("missing.mp4", "o.gif", "no such file or folder"),
        ("empty", "new/o.gif", "no pictures in this folder"),
        ("cut.gif", "new/o.gif", "cut.gif: expected a video"),
        ("text.mp4", "o.gif", "text.mp4: expected a video, an animation or a folder of frames"),
        ("still.png", "o.gif", "expected a video, an animation or a folder of frames, got a pic"),
        ("empty", "o.gif", "no pictures in this folder"),
        ("cut.gif", "o.gif", "cut.gif: expected a video, an animation or a folder of frames"),
        ("frames2", "o.gif", "f5.png: expected a frame of 26 × 26 pixels like"),
        ("garbage.mp4", "o.gif", "garbage.mp4: damaged, or no video that ffmpeg can read"),
        ("garbage.mp4", "folder", "--input is a video, expected a file ending in .mp4"),
        ("a.gif", "folder --smooth", "--smooth, --fps: of films"),
        ("a.gif", "o.gif --smooth 1", "--smooth"),
        ("a.gif", "o.gif --smooth nan", "--smooth"),
        ("a.gif", "o.gif --fps 0", "--fps"),
    ],
)  # fmt: skip
def test_bad_films_are_one_clear_line(run, folder, tmp_path, capsys, source, out, message):
    if source == "garbage.mp4":
        pytest.importorskip("imageio_ffmpeg")
    place = tmp_path / "here"
    place.mkdir()
    bad_films(place, folder)
    before = sorted(place.rglob("*"))
    out, *more = out.split()
    assert translate(run, "--input", place / source, "--out", place / out, *more) == 2
    [line] = [x for x in capsys.readouterr().err.splitlines() if "frame/s" not in x]
    assert message in line
    assert sorted(place.rglob("*")) == before


def test_a_video_that_is_cut_short_is_translated_as_far_as_it_goes(run, tmp_path, capsys):
    pytest.importorskip("imageio_ffmpeg")
    whole, cut = tmp_path / "a.webm", tmp_path / "cut.webm"
    save_animation(pan(landscape(), 32, 40)[0], whole, 10)
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    assert translate(run, "--input", cut, "--out", tmp_path / "o.gif") == 1
    assert "of about 40 frames can be read: it is damaged" in capsys.readouterr().err
    assert 1 <= len(read(tmp_path / "o.gif")[0]) < 40


def test_without_the_extra_it_is_named_before_anything_is_done(
    run, folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert translate(run, "--input", folder, "--out", tmp_path / "a.mp4") == 2
    assert "pip install 'tinygan[video]'" in capsys.readouterr().err
    assert generate(["nowhere", "--out", str(tmp_path / "a.webm")]) == 2
    assert "pip install 'tinygan[video]'" in capsys.readouterr().err
    assert translate(run, "--input", folder, "--out", tmp_path / "a.gif") == 0


def test_a_walk_becomes_a_video(shared_run, tmp_path, monkeypatch):
    pytest.importorskip("imageio_ffmpeg")

    def draw(self, z):  # of one colour each, which shows where in z it is
        return np.broadcast_to(z[:, None, None, :3], (len(z), 16, 16, 3))

    monkeypatch.setattr(DCGAN, "draw", draw)
    words = ["--count", "3", "--columns", "3", "--frames", "8", "--scale", "2"]
    for name in ("walk.mp4", "walk.webp"):
        out = str(tmp_path / name)
        assert generate([str(shared_run), *words, "--out", out, "--backend", "numpy"]) == 0
    video, film = read(tmp_path / "walk.mp4")
    animation, _ = read(tmp_path / "walk.webp")
    assert film.fps == 20
    assert video.shape == animation.shape == (8, 36, 3 * 34 + 2, 3)
    assert np.abs(video.astype(int) - animation).mean() < 12


# --- flicker and smoothing ------------------------------------------------------------------------


def test_flicker_is_what_changes_beside_the_motion():
    frames, places = pan(landscape(60), 40)
    assert np.ptp(places, axis=0).min() > 10
    assert flicker(frames, places) == 0
    assert flicker(frames, np.zeros_like(places)) > 0.05
    unsteady = to_float(frames) + 0.1 * (np.arange(12) % 2)[:, None, None, None]
    assert flicker(unsteady, places) == pytest.approx(0.1, rel=1e-4)
    for wrong in ((frames[:1], places[:1]), (frames, places[:-1]), (frames[0], places)):
        with pytest.raises(ValueError, match="expected frames"):
            flicker(*wrong)
    with pytest.raises(ValueError, match="share no pixel"):
        flicker(frames, places * 10)


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (0, -2), (5, 7), (-9, 4), (12, -12)])
@pytest.mark.parametrize("size", [(48, 48), (40, 57), (33, 34)])
def test_the_shift_of_a_picture_is_found(shift, size):
    rng = np.random.default_rng(0)
    large = to_float(landscape(100, number=3))
    i, j = 40, 26
    before, now = (
        large[a : a + size[0], b : b + size[1]] for a, b in ((i, j), (i - shift[0], j - shift[1]))
    )
    now = now + 0.03 * rng.standard_normal(now.shape)
    assert estimate_shift(before, now) == shift


def test_of_two_pictures_that_have_nothing_in_common_no_shift_helps():
    a, b = np.full((2, 16, 16, 3), [[[[0.5]]], [[[-0.5]]]], np.float32)
    assert estimate_shift(a, b) == (0, 0)


def flickering(frames, rng):
    return to_float(frames) + 0.15 * rng.standard_normal((*frames.shape[:3], 1)).astype(np.float32)


def smooth(x, y, strength):
    return np.stack([s for _, s in smoothed(zip(x, y, strict=True), strength)])


@pytest.mark.parametrize("number", [0, 1, 2])
def test_smoothing_takes_flicker_away_and_comes_nearer_to_the_truth(number):
    x, places = pan(landscape(56, number=number), 48, 60)
    truth, _ = pan(landscape(56, "winter", number), 48, 60)
    x, truth, y = to_float(x), to_float(truth), flickering(truth, np.random.default_rng(number))
    np.testing.assert_array_equal(smooth(x, y, 0), y)
    out = smooth(x, y, 0.8)
    assert out.dtype == np.float32
    assert flicker(out, places) < 0.35 * flicker(y, places)
    assert np.abs(out - truth).mean() < 0.6 * np.abs(y - truth).mean()


def test_what_moves_by_itself_leaves_no_ghost():
    x = np.repeat(to_float(landscape(48))[None], 10, axis=0)
    y = -x
    for t in range(10):
        x[t, 20:30, 3 * t : 3 * t + 10] = 1
        y[t, 20:30, 3 * t : 3 * t + 10] = -1
    out = smooth(x, y, 0.9)
    assert np.abs(out - y).mean() < 0.01
    behind = (slice(None), slice(21, 29), slice(0, 2))  # what the square uncovers and leaves
    assert np.abs(out - y)[2:][behind].max() < 0.1


def test_a_film_that_stands_still_is_left_alone():
    x = np.repeat(to_float(landscape(32))[None], 4, axis=0)
    np.testing.assert_allclose(smooth(x, -x, 0.9), -x, atol=1e-6)
