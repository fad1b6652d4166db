"""Are the alarms right?  Counts them on training runs that were made to fail and on healthy ones.

    python benchmarks/alarms.py [--seeds 1 2] [--out benchmarks/alarms.md]

Each recipe below trains a small DCGAN on drawn faces of 16 pixels (one of 32), or a small CycleGAN
on drawn bags of 16, of which D's alarms are counted.  What a DCGAN's recipe leads to was looked at
in its pictures and scores, with seed 0, and stands beside it; the thresholds of
`tinygan.train.alarms` were chosen on those runs.  The counts are of other seeds.

A *true* alarm is of the kind that the recipe leads to, a *false* one of any other kind (any at all
on a healthy run), a *missed* one did not come.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from tinygan import Adam
from tinygan.data import Prefetcher, faces
from tinygan.models import dcgan
from tinygan.objectives import OBJECTIVES
from tinygan.options.resolving import resolve
from tinygan.systems.cyclegan import CycleGAN, CycleGANOptions
from tinygan.train.alarms import Alarms, Variety, variety

COLLAPSE, WON, LOST = "mode collapse", "D is winning", "D has lost"
DEFAULTS = {
    "image_size": 16,
    "width": 8,
    "width_D": 8,
    "noise_size": 64,
    "lr_G": 5e-4,
    "lr_D": 5e-4,
    "beta1": 0.5,
    "label_smoothing": 0.9,
    "activation": "relu",
    "objective": "non_saturating",
    "instance_noise": 0.0,
    "batch_size": 16,
    "images": 2000,
    "steps": 650,
    "D_until": None,
}
RECIPES = {
    # healthy
    "as it comes": ((), {}),
    "lr of the paper": ((), {"lr_G": 2e-4, "lr_D": 2e-4}),
    "lr 0.002": ((), {"lr_G": 2e-3, "lr_D": 2e-3}),
    "lr 0.01 for both": ((), {"lr_G": 1e-2, "lr_D": 1e-2}),
    "leaky ReLU": ((), {"activation": "leaky_relu"}),
    "no label smoothing": ((), {"label_smoothing": 1.0}),
    "instance noise 0.1": ((), {"instance_noise": 0.1}),
    "minimax": ((), {"objective": "minimax"}),
    "wider": ((), {"width": 16, "width_D": 16}),
    "32 pixels": ((), {"image_size": 32}),
    # G makes one picture, or a few; a G that runs far ahead of D deceives it at the same time
    "noise of one number": ((COLLAPSE,), {"noise_size": 1}),
    "noise of one number, lr 0.002": ((COLLAPSE,), {"noise_size": 1, "lr_G": 2e-3, "lr_D": 2e-3}),
    "G's lr 0.02": ((COLLAPSE, LOST), {"lr_G": 2e-2, "lr_D": 2e-4}),
    "G's lr 0.01, beta1 0.9": ((COLLAPSE, LOST), {"lr_G": 1e-2, "lr_D": 2e-4, "beta1": 0.9}),
    "G 100 times faster than D": ((COLLAPSE, LOST), {"lr_G": 2e-3, "lr_D": 2e-5}),
    "D stops to learn at step 150": ((COLLAPSE, LOST), {"D_until": 150, "lr_G": 2e-3}),
    "D does not learn": ((COLLAPSE, LOST), {"lr_D": 1e-7}),
    # D knows everything, or nothing
    "D 100 times faster than G": ((WON,), {"lr_D": 2e-3, "lr_G": 2e-5}),
    "G does not learn": ((WON,), {"lr_G": 0.0}),
    "wide D, narrow G, minimax": (
        (WON,),
        {"width": 4, "width_D": 32, "lr_D": 2e-3, "objective": "minimax"},
    ),
    "minimax, D 10 times faster": (
        (WON,),
        {"objective": "minimax", "lr_D": 2e-3, "lr_G": 2e-4},
    ),
    "instance noise 3": ((LOST,), {"instance_noise": 3.0}),
    "instance noise 5, lr of the paper": (
        (LOST, COLLAPSE),
        {"instance_noise": 5.0, "lr_G": 2e-4, "lr_D": 2e-4},
    ),
}
LOOK_EVERY = 50
CYCLEGAN = {
    "dataset": "bags",
    "dataset_size": 500,
    "image_size": 16,
    "load_size": 16,
    "width": 8,
    "downsamplings": 1,
    "residual_blocks": 1,
    "discriminator_width": 8,
    "discriminator_layers": 1,
    "batch_size": 4,
    "lr": 1e-3,
    "ema": 0.0,
    "steps": 800,
}
CYCLEGAN_RECIPES = {
    "CycleGAN as it comes": ((), {}),
    "CycleGAN, lr of the paper": ((), {"lr": 2e-4}),
    "CycleGAN, no pool": ((), {"pool_size": 0}),
    "CycleGAN, batch 1": ((), {"batch_size": 1, "lr": 2e-4}),
    # G and F never try to pass for real, or cannot
    "CycleGAN, lambda-gan 0, wide D": ((WON,), {"lambda_gan": 0.0, "discriminator_width": 32}),
    "CycleGAN, wide D, 100 times faster": (
        (WON,),
        {"lr": 2e-5, "lr_d": 2e-3, "discriminator_width": 32},
    ),
    # D_X and D_Y do not learn
    "CycleGAN, D does not learn": ((LOST,), {"lr_d": 0.0}),
    "CycleGAN, D 1000 times slower": ((LOST,), {"lr_d": 1e-6}),
}


def train(options: dict, seed: int):
    """Yield ``(step, metrics, samples or None)`` of a training run."""
    o = {**DEFAULTS, **options}
    images = faces(o["images"], o["image_size"], seed=1).images
    rng = np.random.default_rng(seed)
    G = dcgan.generator(
        o["image_size"],
        noise_size=o["noise_size"],
        width=o["width"],
        activation=o["activation"],
        rng=rng,
    )
    D = dcgan.discriminator(o["image_size"], width=o["width_D"], rng=rng)
    adam_G = Adam(G.parameters(), o["lr_G"], (o["beta1"], 0.999))
    adam_D = Adam(D.parameters(), o["lr_D"], (o["beta1"], 0.999))
    fixed = dcgan.draw_noise(64, o["noise_size"], rng)
    with Prefetcher(images, o["batch_size"], seed) as batches:
        for step in range(1, o["steps"] + 1):
            if step == o["D_until"]:
                adam_D.lr = 0.0
            x = next(batches)
            z = dcgan.draw_noise(len(x), o["noise_size"], rng)
            noise = rng.standard_normal((2, *x.shape), np.float32) * np.float32(o["instance_noise"])
            metrics = dcgan.train_step(
                G,
                D,
                adam_G,
                adam_D,
                x,
                z,
                objective=OBJECTIVES[o["objective"]](o["label_smoothing"]),
                augment=_adding(noise),
            )
            yield step, metrics, G.predict(fixed) if step % LOOK_EVERY == 0 else None


def alarms_of_cyclegan(options: dict, seed: int) -> list:
    """Return the warnings that a CycleGAN's run gives."""
    system = CycleGAN(resolve(CycleGANOptions, {**CYCLEGAN, **options, "seed": seed}))
    system.start()
    alarms, warned = Alarms(Variety(1.0, 1.0), sure=CycleGAN.sure), []
    with closing(system.batches(0)) as batches:
        for step in range(system.options.steps):
            metrics = {name: float(v) for name, v in system.train(next(batches), step).items()}
            scores = system.scores({**metrics, "step": step + 1})
            if scores is not None:
                warned.append(alarms.observe(step + 1, *scores))
    return [w for w in warned if w]


def _adding(noise):
    """Return an augmentation that adds one array after the other: the real images', the fakes'."""
    arrays = iter(noise)
    return lambda images: (images + next(arrays), lambda dy: dy)


def alarms_of(options: dict, seed: int) -> list:
    """Return the warnings that a run gives."""
    o = {**DEFAULTS, **options}
    images = faces(o["images"], o["image_size"], seed=1).images
    some = np.linspace(0, len(images) - 1, 64).astype(int)
    alarms, warned = Alarms(variety(images[some])), []
    for step, metrics, samples in train(options, seed):
        warned.append(alarms.observe(step, float(metrics["D_real"]), float(metrics["D_fake"])))
        if samples is not None:
            warned.append(alarms.look(step, variety(samples)))
    return [w for w in warned if w]


def main() -> None:
    parser = argparse.ArgumentParser(description="Count true, false and missed alarms.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, help="write the table here as well")
    parser.add_argument("--only", nargs="+", help="these recipes only")
    arguments = parser.parse_args()
    counts = {"true": 0, "false": 0, "missed": 0}
    runs = {"healthy": 0, "failing": 0}
    lines = ["| recipe | leads to | alarms (step) |", "| --- | --- | --- |"]
    for name, (truth, options) in {**RECIPES, **CYCLEGAN_RECIPES}.items():
        if arguments.only and name not in arguments.only:
            continue
        cells = []
        for seed in arguments.seeds:
            begun = time.perf_counter()
            find = alarms_of_cyclegan if name in CYCLEGAN_RECIPES else alarms_of
            warned = find(options, seed)
            kinds = {w.kind for w in warned}
            counts["true"] += len(kinds & set(truth))
            counts["false"] += len(kinds - set(truth))
            counts["missed"] += len(set(truth) - kinds)
            runs["failing" if truth else "healthy"] += 1
            cells.append(", ".join(f"{w.kind} ({w.step})" for w in warned) or "none")
            spent = time.perf_counter() - begun
            print(f"{name}, seed {seed}: {cells[-1]}  [{spent:.0f} s]", file=sys.stderr, flush=True)
        lines.append(f"| {name} | {' and '.join(truth) or 'a healthy game'} | {'; '.join(cells)} |")
    summary = (
        f"{runs['failing']} runs made to fail, {runs['healthy']} healthy ones, seeds "
        f"{', '.join(map(str, arguments.seeds))}: {counts['true']} true alarms, "
        f"{counts['missed']} missed, {counts['false']} false."
    )
    text = "\n".join([summary, "", *lines]) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
