"""``python -m tinygan.data split`` and ``draw``."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinygan.data import BAG_CATEGORIES, DRAWN_SETS, ImageFolder, bags, faces, load_image
from tinygan.data.__main__ import main
from tinygan.data.split import LINKS


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGAN_CACHE", str(tmp_path / "cache"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def raw(place):
    """Two folders, of 9 and 7 pictures, the first with folders in it."""
    for domain, count in (("bags", 9), ("packs", 7)):
        for i in range(count):
            path = place / domain / ("deep" if i % 2 else ".") / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (i, len(domain), 0)).save(path)
    (place / "bags" / "notes.txt").write_text("not a picture")
    return place


def tree(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


def split(*more, out="out", test=("3", "2")):
    return main(["split", "bags", "packs", "--out", out, "--test", *test, *more])


def test_split_makes_the_published_layout(raw, capsys):
    before = {name: (raw / name).read_bytes() for name in tree(raw)}
    assert split() == 0
    assert capsys.readouterr().out == "out: trainA 6, trainB 5, testA 3, testB 2\n"
    out = raw / "out"
    assert sorted(os.listdir(out)) == ["split.json", "testA", "testB", "trainA", "trainB"]
    for domain, folder in (("A", "bags"), ("B", "packs")):
        train, test = tree(out / f"train{domain}"), tree(out / f"test{domain}")
        pictures = [name for name in tree(raw / folder) if name.endswith(".png")]
        assert sorted(train + test) == pictures
        for part, names in (("train", train), ("test", test)):
            for name in names:
                copied = out / f"{part}{domain}" / name
                assert copied.read_bytes() == (raw / folder / name).read_bytes()
                assert not copied.is_symlink()
    for name, data in before.items():  # nothing was moved
        assert (raw / name).read_bytes() == data


def test_split_is_a_function_of_the_seed_and_the_names(raw):
    choices = set()
    for seed in range(8):
        assert split("--seed", str(seed), out=f"a{seed}") == 0
        assert split("--seed", str(seed), out=f"b{seed}") == 0
        assert tree(raw / f"a{seed}") == tree(raw / f"b{seed}")
        choices.add(tuple(tree(raw / f"a{seed}" / "testA")))
    assert len(choices) > 4


def test_split_by_links(raw):
    assert split("--link", out="soft") == 0
    assert split("--link", "hard", out="hard") == 0
    assert split("--copy", out="copy") == 0
    assert tree(raw / "soft") == tree(raw / "hard") == tree(raw / "copy")
    for name in tree(raw / "soft" / "trainA"):
        original = raw / "bags" / name
        assert (raw / "soft" / "trainA" / name).is_symlink()
        assert (raw / "soft" / "trainA" / name).samefile(original)
        hard = raw / "hard" / "trainA" / name
        assert not hard.is_symlink()
        assert hard.samefile(original)
        assert not (raw / "copy" / "trainA" / name).samefile(original)
    assert len(ImageFolder(raw / "soft" / "trainA", 8)) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bags", "packs", "--out", "full", "--test", "1", "1"], "not empty"),
        (["bags", "packs", "--out", "bags/new", "--test", "1", "1"], "cannot be inside of"),
        (["bags", "packs", "--out", "out", "--test", "9", "1"], "expected 0 to 8"),
        (["bags", "packs", "--out", "out", "--test", "1", "-1"], "expected 0 to 6"),
        (["bags", "gone", "--out", "out", "--test", "1", "1"], "no such folder"),
        (["bags", "full/x.txt", "--out", "out", "--test", "1", "1"], "got a file"),
        (["bags", "full", "--out", "out", "--test", "1", "1"], "no pictures"),
        (["bags", "packs", "--out", "out", "--test", "1", "1", "--seed", "-1"], "seed"),
    ],
)
def test_split_mistakes(raw, capsys, arguments, message):
    (raw / "full").mkdir()
    (raw / "full" / "x.txt").write_text("mine")
    before = tree(raw)
    assert main(["split", *arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n")) == ("", 1)
    assert tree(raw) == before
    assert not (raw / "out").exists()


def test_split_leaves_nothing_when_copying_fails(raw, capsys, monkeypatch):
    def fail(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(LINKS, "copy", fail)
    before = tree(raw)
    assert split() == 2
    assert "No space left on device" in capsys.readouterr().err
    assert tree(raw) == before
    assert sorted(os.listdir(raw)) == ["bags", "packs"]


def test_json_and_nothing_else_on_standard_output(raw, capsys):
    assert split("--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pictures"] == sum(found["parts"].values()) == len(tree(Path("out"))) - 1
    assert main(["draw", "bags", "--count", "2", "--test", "0", "--out", "drawn", "--json"]) == 0
    expected = {"path": "drawn", "pictures": 4, "parts": {"trainA": 2, "trainB": 2}}
    assert json.loads(capsys.readouterr().out) == expected


def test_draw_faces(place, capsys):
    assert (
        main(["draw", "faces", "--count", "4", "--out", "f", "--image-size", "16", "--seed", "3"])
        == 0
    )
    assert capsys.readouterr().out == "f: 4 pictures\n"
    drawn = faces(4, 16, seed=3)
    np.testing.assert_array_equal(ImageFolder(place / "f", 16).images, drawn.images)
    with open(place / "f" / "attributes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [f"{i:06}.png" for i in range(4)]
    for i, row in enumerate(rows):
        assert (
            row["hair_style"] == drawn.categories["hair_style"][drawn.attributes["hair_style"][i]]
        )
        assert float(row["tilt"]) == pytest.approx(drawn.attributes["tilt"][i], abs=1e-4)


def test_draw_bags_unpaired_for_training_and_paired_for_testing(place):
    assert (
        main(["draw", "bags", "--count", "5", "--test", "3", "--out", "b", "--image-size", "16"])
        == 0
    )
    assert {p: len(tree(place / "b" / p)) - 1 for p in sorted(os.listdir(place / "b"))} == {
        "testA": 3,
        "testB": 3,
        "trainA": 5,
        "trainB": 5,
    }
    assert tree(place / "b" / "testA") == tree(place / "b" / "testB")
    numbers = [set(tree(place / "b" / part)) for part in ("trainA", "trainB", "testA")]
    assert numbers[0] & numbers[1] == numbers[1] & numbers[2] == {"attributes.csv"}
    pair = bags(1, 16, domain="backpack", start=10)
    np.testing.assert_array_equal(load_image(place / "b" / "testB" / "000010.png"), pair.images[0])
    with open(place / "b" / "testB" / "attributes.csv", newline="") as file:
        row = next(csv.DictReader(file))
    assert row["pattern"] == BAG_CATEGORIES["pattern"][pair.attributes["pattern"][0]]


@pytest.mark.parametrize("name", ["seasons", "lenses"])
def test_every_set_of_two_domains_is_drawn(place, name):
    words = ["draw", name, "--count", "2", "--test", "3", "--out", "b", "--image-size", "16"]
    assert main(words) == 0
    for part, draw in zip("AB", DRAWN_SETS[name], strict=True):
        images = draw(3, 16, seed=0, start=4).images
        np.testing.assert_array_equal(ImageFolder(place / "b" / f"test{part}", 16).images, images)


def test_draw_mistakes(place, capsys):
    (place / "f").mkdir()
    (place / "f" / "x").write_text("mine")
    for arguments in (
        ["--out", "f"],
        ["--out", "g", "--count", "0"],
        ["--out", "g", "--image-size", "2"],
    ):
        assert main(["draw", "faces", *arguments]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert tree(place) == ["f/x"]
    assert main(["draw", "cats", "--out", "g"]) == 2


@pytest.mark.parametrize(
    "words",
    [
        ("faces", "--count", 10**12),
        ("bags", "--count", 10**12),
        ("bags", "--test", 10**12),
        ("faces", "--count", 10**30),
        ("faces", "--image-size", 100_000),
        ("faces", "--image-size", 10**12),
        ("faces", "--count", 0),
        ("faces", "--count", -1),
        ("bags", "--test", -1),
        ("faces", "--seed", -1),
        ("faces", "--image-size", 7),
    ],
)
def test_absurd_numbers_are_refused_before_they_are_tried(tmp_path, capsys, words):
    assert main(["draw", *map(str, words), "--out", str(tmp_path / "new" / "out")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_what_is_drawn_in_parts_is_the_same(tmp_path, monkeypatch):
    words = ["draw", "bags", "--count", "7", "--test", "5", "--image-size", "16", "--out"]
    assert main([*words, str(tmp_path / "whole")]) == 0
    monkeypatch.setattr("tinygan.data.__main__._AT_ONCE", 3)
    assert main([*words, str(tmp_path / "parts")]) == 0
    files = sorted(p.relative_to(tmp_path / "whole") for p in (tmp_path / "whole").rglob("*.*"))
    assert len(files) == 7 + 7 + 5 + 5 + 4
    for name in files:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
