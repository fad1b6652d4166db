"""Make the recorded results that the site shows, anew.

    python docs/record.py [dcgan] [cyclegan] [seasons] [lenses] [report]

Pages execute for seconds; what takes minutes is run here, once, and kept in ``docs/recorded/`` as
one picture or page, and one JSON file each: the command, the machine, the date, and every number
that is shown.  ``.. recorded:: NAME`` puts it on a page.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tinygan.data import DRAWN_SETS, faces
from tinygan.metrics import AttributeProbe, diversity, sliced_wasserstein, translation_error
from tinygan.runs.checkpoint import checkpoint_path
from tinygan.runs.report import write_report
from tinygan.runs.run import load
from tinygan.train.__main__ import main as train

OUT = Path(__file__).resolve().parent / "recorded"


def to_bytes(images):
    return np.clip(images * 127.5 + 127.5, 0, 255).astype(np.uint8)


def sheet(images, columns, scale=2):
    """Lay images out in rows, each pixel enlarged."""
    n, h, w, c = images.shape
    rows = images.reshape(n // columns, columns, h, w, c).swapaxes(1, 2)
    return rows.reshape(n // columns * h, columns * w, c).repeat(scale, 0).repeat(scale, 1)


def keep(name, picture, frames=1, **facts):
    """Write one result and where it came from."""
    OUT.mkdir(exist_ok=True)
    Image.fromarray(picture).save(OUT / f"{name}.webp", quality=58, method=6)
    if frames > 1:  # its last frame for pages, and all in motion for the README
        each = [Image.fromarray(frame) for frame in np.split(picture, frames)]
        each[-1].save(OUT / f"{name}-last.webp", quality=58, method=6)
        times = {"duration": [400] * (frames - 1) + [3000], "loop": 0}
        film = OUT / f"{name}-moving.webp"
        each[0].save(film, save_all=True, append_images=each[1:], quality=45, method=6, **times)
    note(name, frames=frames, **facts)


def note(name, **facts):
    """Write where a result came from."""
    facts |= {
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} CPU cores ({platform.machine()}), NumPy {np.__version__}",
    }
    text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
    (OUT / f"{name}.json").write_text(text, encoding="utf-8")


def dcgan(run: Path):
    """The default run: the same noise at 19 moments, and how good it is."""
    if not run.exists():
        assert train(["dcgan", "--keep", "99", "--out", str(run)]) == 0
    samples = sorted((run / "samples").glob("step-*.png"))
    frames = [np.asarray(Image.open(path).convert("RGB")) for path in samples]
    frames = [frame[:138].repeat(2, 0).repeat(2, 1) for frame in frames]
    last = int(samples[-1].stem[5:])
    made = to_bytes(load(run).generate(500, seed=5))
    held_out = faces(500, 32, seed=0, start=20000)
    probe = AttributeProbe(faces(2000, 32, seed=1), held_out)
    coverage = probe.coverage(made)
    patches = [
        np.mean(list(sliced_wasserstein(held_out.images[:250], other).values()))
        for other in (made[:250], held_out.images[250:])
    ]
    keep(
        "dcgan",
        np.concatenate(frames),
        frames=len(frames),
        command="python -m tinygan.train",
        alt="Generated faces, the same noise again and again while the default run trains",
        caption=(
            f"The default run, {last} steps, the same noise every {int(samples[0].stem[5:])} steps "
            f"(32 × 32 pixels, enlarged). Of 500 new pictures at the end {coverage.recognised:.0%} "
            f"are recognised as drawn faces, {coverage.total:.0%} of all kinds of hair, glasses, … "
            f"occur; diversity {diversity(made):.2f} (real: {diversity(held_out.images):.2f}); "
            f"patch distance {patches[0]:.3f} (real and real: {patches[1]:.3f})."
        ),
    )


DOMAINS = {
    "bags": ("handbags", "backpacks"),
    "seasons": ("summers", "winters"),
    "lenses": ("photographs by a small lens", "photographs by a large lens"),
}


def cyclegan(run: Path, dataset="bags"):
    """The default CycleGAN run: what it translates, and how far from the truth."""
    words = [] if dataset == "bags" else ["--dataset", dataset]
    if not run.exists():
        assert train(["cyclegan", *words, "--keep", "99", "--out", str(run)]) == 0
    size = json.loads((run / "config.json").read_text(encoding="utf-8"))["options"]["image_size"]
    x, y = (draw(64, size, seed=0, start=5000).images for draw in DRAWN_SETS[dataset])
    a, b = DOMAINS[dataset]
    rows, said = [x[:8]], []
    steps = sorted(int(path.stem[5:]) for path in (run / "checkpoints").glob("step-*.safetensors"))
    for step in steps:
        made = to_bytes(load(checkpoint_path(run / "checkpoints", step)).translate(x))
        said.append((step, float(translation_error(made, y).absolute.mean())))
        if step in (500, 1000, steps[-1]):
            rows.append(made[:8])
    nothing = float(translation_error(x, y).absolute.mean())
    mean = DRAWN_SETS[dataset][1](500, size, seed=0, start=500).images.mean(axis=0)
    alike = translation_error(np.broadcast_to(mean.round().astype(np.uint8), y.shape), y)
    last = translation_error(made, y)
    listed = ", ".join(f"{value:.3f} after {step}" for step, value in said if step % 250 == 0)
    keep(
        "cyclegan" if dataset == "bags" else dataset,
        sheet(np.concatenate([*rows, y[:8]]), 8),
        command=" ".join(["python -m tinygan.train cyclegan", *words]),
        alt=f"Rows of pictures: {a}, their translations during training, the true {b}",
        caption=(
            f"First row: {a} that were not trained on ({size} × {size} pixels, enlarged). "
            f"Last row: the true {b}. Between them: translations after "
            f"{', '.join(str(s) for s in steps if s in (500, 1000, steps[-1]))} steps. Mean "
            f"distance from the truth: {listed} steps; of not translating at all: {nothing:.3f}; "
            f"of the mean of all {b}: {alike.absolute.mean():.3f}. By structure (1 − SSIM): "
            f"{last.structural.mean():.3f} at the end, {alike.structural.mean():.3f} of that mean."
        ),
        steps=said,
        nothing=nothing,
    )


def seasons(run: Path):
    cyclegan(run, "seasons")


def lenses(run: Path):
    cyclegan(run, "lenses")


def report(run: Path):
    """The report that the default run leaves in its folder."""
    if not run.exists():
        assert train(["dcgan", "--out", str(run)]) == 0
    shutil.copy(write_report(run), OUT / "report.html")
    note("report", command="python -m tinygan.train")


def main() -> int:
    kept = os.environ.get("RECORD_RUNS")  # runs that are there already, by name
    for name in sys.argv[1:] or ["dcgan", "cyclegan", "seasons", "lenses", "report"]:
        with tempfile.TemporaryDirectory() as folder:
            globals()[name](Path(kept or folder) / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
