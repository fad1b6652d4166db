"""The demo page: the interpreter of tinygan's layers by Node, and the page in a real browser."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from browser import answer_of, needs_chromium

import tinygan
import tinygan.data
from tinygan.cases import LAYERS as CASES
from tinygan.convert.__main__ import main as convert
from tinygan.data import to_uint8
from tinygan.demo.__main__ import main
from tinygan.errors import UserError
from tinygan.formats.demo import describe, page
from tinygan.formats.demo.describe import LAYERS
from tinygan.formats.names import to_published
from tinygan.formats.torch_file import write_weights
from tinygan.models import cyclegan_networks, dcgan
from tinygan.runs.run import load
from tinygan.translate.pictures import translate_picture

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="there is no Node")
INTERPRETER = Path(tinygan.__file__).parent / "formats" / "demo" / "interpreter.js"

RUN = """
const tinygan = require(process.argv[1]), fs = require("fs");
const [folder, half] = process.argv.slice(2);
const read = (name) => new Uint8Array(fs.readFileSync(`${folder}/${name}`)).buffer;
const {network, shape} = JSON.parse(fs.readFileSync(`${folder}/network.json`));
tinygan.load(network, read("weights"), half === "true");
const x = new Float32Array(read("x")), size = shape.reduce((a, b) => a * b, 1), out = [];
let result;
for (let i = 0; i < x.length; i += size) {
  result = tinygan.predict(network, x.subarray(i, i + size), shape);
  out.push(Buffer.from(result.data.buffer, result.data.byteOffset, result.data.byteLength));
}
fs.writeFileSync(`${folder}/y`, Buffer.concat(out));
console.log(JSON.stringify(result.shape));
"""


def run_by_node(network, x, folder, half=False):
    """Return what interpreter.js makes of a batch."""
    described, weights = describe(network, half)
    text = json.dumps({"network": described, "shape": x.shape[1:]})
    (folder / "network.json").write_text(text, encoding="utf-8")
    (folder / "weights").write_bytes(weights)
    (folder / "x").write_bytes(x.astype("<f4").tobytes())
    words = [NODE, "-e", RUN, str(INTERPRETER), str(folder), str(half).lower()]
    shape = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
    return np.frombuffer((folder / "y").read_bytes(), "<f4").reshape(len(x), *shape)


@needs_node
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_interpreter_agrees_with_every_layer(case, tmp_path):
    layer, x = case.make(), case.x(np.float32)
    if {type(inner) for _, inner in layer.walk()} - set(LAYERS):
        pytest.skip("a layer that is not in the table is refused by its name")
    for _, inner in layer.walk():
        if isinstance(inner, tinygan.BatchNorm2d):
            inner.running_mean += 0.3
            inner.running_var *= 1.7
    expected = layer.predict(x)
    found = run_by_node(layer, x, tmp_path)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)


@needs_node
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: dcgan.generator(32, width=16), (2, 200)),
        (lambda: cyclegan_networks.generator(width=8, residual_blocks=3), (1, 32, 40, 3)),
    ],
)
def test_the_interpreter_agrees_with_networks(make, shape, half, tmp_path):
    x = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    network = make()
    found = run_by_node(network, x, tmp_path, half)
    np.testing.assert_allclose(found, network.predict(x), atol=2e-3 if half else 1e-5)


def test_the_interpreter_knows_every_layer_of_the_table_and_is_short():
    text = INTERPRETER.read_text(encoding="utf-8")
    assert [kind.__name__ for kind in LAYERS if f"\n    {kind.__name__}: " not in text] == []
    assert len(text.splitlines()) <= 400
    assert max(map(len, text.splitlines())) <= 104


def test_a_layer_of_ones_own_is_refused():
    class Mine(tinygan.ReLU):
        pass

    with pytest.raises(UserError, match="Mine: a page cannot run this layer"):
        describe(Mine())


# --- the page ---------------------------------------------------------------------------------


@pytest.fixture
def run(shared_run):
    return shared_run


def translator(tmp_path):
    """Return a page of a small translator, and the translator."""
    network = cyclegan_networks.generator(width=8, residual_blocks=1, rng=1)
    write_weights(tmp_path / "G.pth", to_published(network, "model"))
    convert([str(tmp_path / "G.pth"), str(tmp_path / "run")])
    assert main([str(tmp_path / "run"), "--out", str(tmp_path / "demo.html")]) == 0
    return (tmp_path / "demo.html").read_text(encoding="utf-8"), load(tmp_path / "run").system


@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_draws_what_generate_draws(run, tmp_path, width):
    assert main([str(run), "--out", str(tmp_path / "demo.html")]) == 0
    page = (tmp_path / "demo.html").read_text(encoding="utf-8")
    opened = load(run)
    z = opened.noise(3, seed=5)
    script = f"""(async () => {{
      const made = [];
      find("another").click();  // nothing is drawn yet: an empty picture is not kept
      await demo.ready;
      for (const z of {z.tolist()}) made.push([...(await demo.draw(Float32Array.from(z))).data]);
      find("another").click();
      find("walk").click();
      await new Promise((resolve) => setTimeout(resolve, 500));
      find("walk").click();
      answer(JSON.stringify({{made, wide: document.documentElement.scrollWidth,
        earlier: find("strip").children.length, status: find("status").textContent}}));
    }})()"""
    found = json.loads(answer_of(page, script, tmp_path / "profile", width))
    pixels = np.array(found["made"]).reshape(3, 16, 16, 4)
    assert (pixels[..., 3] == 255).all()
    expected = to_uint8(np.asarray(opened.generate(3, seed=5)))
    assert np.abs(pixels[..., :3] - expected.astype(int)).max() <= 1
    assert (pixels[..., :3] == expected).mean() > 0.999
    assert found["wide"] <= max(width, 500)  # headless Chromium is no narrower than this
    assert (found["earlier"], found["status"]) == (1, "")


@needs_chromium
@pytest.mark.parametrize("size", [(24, 32), (21, 30), (3, 2)])
def test_the_page_translates_as_translate_does(size, tmp_path):
    page, system = translator(tmp_path)
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    rgba = np.dstack([picture, np.full(size, 255, np.uint8)])
    script = f"""(async () => {{
      const data = Uint8ClampedArray.from({rgba.ravel().tolist()});
      let layers = 0;
      const y = await demo.translate({{data, width: {size[1]}, height: {size[0]}}}, () => layers++);
      answer(JSON.stringify({{made: [...y.data], part: layers / about.layers}}));
    }})()"""
    found = json.loads(answer_of(page, script, tmp_path / "profile"))
    made = np.array(found["made"]).reshape(*size, 4)[..., :3]
    expected = translate_picture(system, picture, "AtoB")
    assert np.abs(made - expected.astype(int)).max() <= 1
    assert found["part"] == 1


@needs_chromium
def test_a_picture_that_is_chosen_is_shown_before_and_after(tmp_path):
    page, _ = translator(tmp_path)
    script = """(async () => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [200, 100];
      canvas.getContext("2d").fillRect(50, 20, 60, 60);
      find("size").value = 64;
      demo.take([await new Promise((resolve) => canvas.toBlob(resolve))]);
      const done = () => !find("result").hidden && find("progress").hidden;
      while (!done()) await new Promise((resolve) => setTimeout(resolve, 20));
      const colours = (id) => {
        const canvas = find(id), context = canvas.getContext("2d");
        const {data, width, height} = context.getImageData(0, 0, canvas.width, canvas.height);
        return {size: [width, height], count: new Set(data).size};
      };
      demo.take([new Blob(["no picture"])]);
      while (!find("status").textContent.startsWith("This file")) await new Promise(
        (resolve) => setTimeout(resolve, 20));
      answer(JSON.stringify([colours("before"), colours("after"), find("save").disabled]));
    })()"""
    before, after, closed = json.loads(answer_of(page, script, tmp_path / "profile"))
    assert closed  # a file that is no picture leaves nothing to save
    assert before["size"] == after["size"] == [128, 64]
    assert after["count"] > 2


def test_directions_of_attributes_change_them():
    """On a generator whose first two numbers are the skin's and the background's colour."""
    from tinygan.formats.demo import directions

    class Painter:
        options = SimpleNamespace(image_size=16, channels=3, seed=0)
        faces = tinygan.data.faces(400, 16, seed=3)

        def noise(self, count, rng):
            return rng.uniform(-1, 1, (count, 8)).astype(np.float32)

        def draw(self, z):  # the drawn face whose background is the kind that z's first number says
            kinds = self.faces.attributes["background"]
            wanted = np.where(z[:, 0] < 0, 0, 1)
            own = [np.flatnonzero(kinds == kind) for kind in (0, 1)]
            chosen = [
                own[k][int(1e6 * abs(v)) % len(own[k])]
                for k, v in zip(wanted, z[:, 1], strict=True)
            ]
            return tinygan.data.to_float(self.faces.images[chosen])

    found = dict(directions.attribute_directions(Painter(), "faces"))
    names = tinygan.data.FACE_CATEGORIES["background"]
    [(label, direction)] = [(k, d) for k, d in found.items() if k.startswith("background: ")]
    a, b = label.removeprefix("background: ").split(" to ")
    assert {a, b} == set(names[:2])
    assert abs(direction[0]) > 0.98
    assert (direction[0] > 0) == (b == names[1])
    assert directions.attribute_directions(Painter(), "bags") == []
    assert directions.attribute_directions(Painter(), "") == []


@needs_chromium
def test_sliders_are_named_where_attributes_are_known(run, tmp_path):
    opened, known = load(run), [["glasses: none to round", [0.0] * 7 + [1.0]]]
    html = page(opened)
    html = re.sub(
        r'"directions":\[.*?\]([,}])', f'"directions":{json.dumps(known)}\\1', html, count=1
    )
    script = """(async () => {
      await demo.ready;
      const label = find("sliders").querySelector("label"), places = [], draw = demo.draw;
      demo.draw = (z) => { places.push([...z]); return draw(z); };
      for (const at of [0, 1]) { label.lastChild.value = at; await label.lastChild.oninput(); }
      answer(JSON.stringify([label.textContent, find("sliders").children.length, places]));
    })()"""
    name, count, places = json.loads(answer_of(html, script, tmp_path / "profile"))
    assert (name, count) == ("glasses: none to round", 1)
    moved = np.subtract(places[1], places[0])
    expected = min(8**0.5 * 0.08, 1 - places[0][7])  # it stays in the cube that z is drawn from
    np.testing.assert_allclose(moved, [0] * 7 + [expected], atol=1e-6)


def test_a_page_is_one_file_that_asks_for_nothing(run, tmp_path, capsys):
    words = [str(run), "--out", str(tmp_path / "demo.html")]
    assert main(words) == 0
    text = (tmp_path / "demo.html").read_text(encoding="utf-8")
    assert [word for word in ("http:", "https:", "src=", "<link", "import(") if word in text] == []
    assert main(words) == 2
    assert "is there already; --force replaces it" in capsys.readouterr().err
    assert main([*words, "--force", "--half"]) == 0
    assert len((tmp_path / "demo.html").read_text(encoding="utf-8")) < len(text)
    assert main([str(run), "--out", str(tmp_path / "demo.png")]) == 2


def test_options_cannot_break_out_of_the_page(run):
    opened = load(run)
    opened.options.noise = "</script><script>alert(1)"
    opened.system.data = {}  # nothing is drawn, then
    html = page(opened)
    assert "<script>alert" not in html
