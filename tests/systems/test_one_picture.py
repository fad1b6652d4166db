"""One picture is enough to train on: the usual check that a network can learn it by heart."""

import pytest
from PIL import Image
from training import rows, train

from tinygan.data import faces


@pytest.mark.parametrize("kind", ["faces", "folder"])
def test_dcgan(tmp_path, kind):
    Image.fromarray(faces(1, 16).images[0]).save(tmp_path / "a.png")
    data = ["--dataset-size", 1] if kind == "faces" else ["--data", tmp_path]
    words = [*data, "--batch-size", 1, "--sample-every", 1, "--checkpoint-every", 1]
    assert train(*words, "--steps", 3, "--out", tmp_path / "run") == 0
    assert len(rows(tmp_path / "run")) == 3
    assert train("--resume", tmp_path / "run", "--steps", 4, tiny=False) == 0
    assert len(rows(tmp_path / "run")) == 4


@pytest.mark.parametrize("kind", ["bags", "folder"])
def test_cyclegan(tmp_path, kind):
    for part in ("trainA", "trainB"):
        (tmp_path / part).mkdir()
        Image.new("RGB", (20, 20), "red").save(tmp_path / part / "a.png")
    data = ["--dataset-size", 1] if kind == "bags" else ["--data", tmp_path]
    words = ["cyclegan", *data, "--image-size", 16, "--load-size", 16, "--width", 4]
    words += ["--batch-size", 1, "--sample-every", 1, "--steps", 2, "--backend", "numpy"]
    assert train(*words, "--out", tmp_path / "run", tiny=False) == 0
    assert len(rows(tmp_path / "run")) == 2
