"""The notebooks that the site offers: outputs of the page below the cells, nothing raw."""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinygan

EXTENSIONS = Path(__file__).resolve().parents[2] / "docs" / "_ext"

PAGE = """
Title
=====

.. GENERATED FROM PYTHON SOURCE LINES 1-3

.. code-block:: Python


    print("one")
    print("    two")


.. rst-class:: sphx-glr-script-out

 .. code-block:: none

    one
        two



.. GENERATED FROM PYTHON SOURCE LINES 4-5

Text between.

.. GENERATED FROM PYTHON SOURCE LINES 6-9

.. code-block:: Python


    plt.show()



.. image-sg:: /images/still.png
   :alt: A curve
   :srcset: /images/still.png
   :class: sphx-glr-single-img



.. image:: /images/film.webp
   :alt: A film
   :class: no-scaled-link tg-film frames-4 film-of-film-film kilobytes-1



.. GENERATED FROM PYTHON SOURCE LINES 10-11

.. code-block:: Python


    x = 1
"""


@pytest.fixture(scope="module")
def outputs():
    sys.path.insert(0, str(EXTENSIONS))
    try:
        import outputs
    finally:
        sys.path.pop(0)
    return outputs


@pytest.fixture
def source(tmp_path):
    (tmp_path / "images").mkdir()
    frame = np.full((6, 5, 3), 180, np.uint8)
    Image.fromarray(frame).save(tmp_path / "images" / "still.png")
    Image.fromarray(frame).save(tmp_path / "images" / "film.webp", lossless=True)
    return tmp_path


def cell(kind):
    more = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": [], **more}


def test_a_notebook_shows_what_its_page_shows(outputs, source):
    kinds = ("code", "markdown", "code", "markdown", "code", "code")
    filled = outputs.fill({"cells": [cell(k) for k in kinds]}, outputs.outputs_of(PAGE, source))
    first, printed, drawn, silent = [c for c in filled["cells"] if c["cell_type"] == "code"]
    assert first["outputs"][0]["text"] == f"tinygan {tinygan.__version__}\n"
    assert printed["outputs"] == [
        {"name": "stdout", "output_type": "stream", "text": "one\n    two\n"}
    ]
    assert [o["data"]["text/plain"] for o in drawn["outputs"]] == ["A curve", "A film"]
    data = base64.b64decode(drawn["outputs"][1]["data"]["image/png"])
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (5, 6)
        assert picture.format == "PNG"
        assert np.asarray(picture).min() == 180
    assert silent["outputs"] == []
    assert [c["execution_count"] for c in (first, printed, drawn, silent)] == [1, 2, 3, 4]


def test_a_notebook_of_another_page_is_refused(outputs, source):
    with pytest.raises(ValueError, match=r"shorter|longer"):
        outputs.fill({"cells": [cell("code")]}, outputs.outputs_of(PAGE, source))


def test_heavy_figures_become_light_ones_and_light_ones_stay(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    lighter = pytest.importorskip("lighter")

    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "sphx_glr_a_001.png")
    Image.fromarray(noise[:9, :9]).save(tmp_path / "sphx_glr_a_002.png")
    page = tmp_path / "a.rst"
    line = ".. image-sg:: /tutorials/images/sphx_glr_a_00{}.{}\n"
    page.write_text(line.format(1, "png") + line.format(2, "png"), "utf-8")
    for _ in range(2):
        lighter.lighten(page, tmp_path)
        assert page.read_text("utf-8") == line.format(1, "webp") + line.format(2, "png")
    with Image.open(tmp_path / "sphx_glr_a_001.webp") as picture:
        assert picture.size == (200, 200)


def test_of_a_stylesheet_what_no_page_uses_is_left_out(monkeypatch):
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    lighter = pytest.importorskip("lighter")
    css = """@charset "UTF-8"; /* .none { } */ :root{--a:1} .here,.gone:hover{b:2} #gone .here{c:3}
    a[href=".gone"]:not(.gone){d:4} @media (x){.gone{e:5}.here{f:6}} @media (y){.gone{g:7}}
    @keyframes k{0%{h:8}100%{h:9}} .at\\:here{i:10}"""
    kept = "".join(lighter.used(css, {"here"}).split())
    assert kept == (
        '@charset"UTF-8";:root{--a:1}.here{b:2}a[href=".gone"]:not(.gone){d:4}'
        "@media(x){.here{f:6}}@keyframesk{0%{h:8}100%{h:9}}"
    )
