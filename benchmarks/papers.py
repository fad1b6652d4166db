"""Both papers' experiments, run: what they claim, and what comes out here.

    python -m benchmarks.papers [--scale paper|small] [--celeba DIR] [--monet DIR] [--only NAME …]

Rows are measured once and kept in ``results/papers-SCALE.json``, numbers alone; a training
that was interrupted goes on.  A row whose data are not given, or that was not run, says so, with
its command.  `paper` is 64 pixels, width 32, 2,000 steps of 128 for the DCGAN and
5,000 steps of 1 for the CycleGAN: many hours on two cores.  `small` is 32 pixels, width 16, 400
steps of 32 and 500 of 1.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.trained import Record, command, frechet, tail, trained
from tinygan.metrics import diversity
from tinygan.runs.run import Run
from tinygan.runs.watched import read_watch

HERE = Path(__file__).parent
SCALES: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {
        "dcgan": {"image_size": 64, "width": 32, "batch_size": 128, "steps": 2000},
        "cyclegan": {
            "image_size": 64,
            "width": 32,
            "discriminator_width": 32,
            "residual_blocks": 6,
            "batch_size": 1,
            "steps": 5000,
            "norm": "instance",
            "sample_every": 500,
        },
    },
    "small": {
        "dcgan": {"image_size": 32, "width": 16, "batch_size": 32, "steps": 400},
        "cyclegan": {
            "image_size": 32,
            "width": 16,
            "discriminator_width": 16,
            "residual_blocks": 3,
            "batch_size": 1,
            "steps": 500,
        },
    },
}
_DCGAN = {"label_smoothing": 0.9, "beta1": 0.5, "noise_size": 200}
_FACES = {"crop": 108 / 178}
_BAGS = {"dataset": "bags", "dataset_size": 600, "discriminator_layers": 2, "lr": 2e-4}
_STRONG_D = {"lr": 2e-4, "lr_d": 2e-3, "activation": "relu", "dataset": "faces", **_DCGAN}


@dataclass(frozen=True)
class Experiment:
    """One row: a training, how often, and on which of the folders that may be given."""

    title: str
    system: str
    options: dict[str, Any] = field(default_factory=dict)
    data: str | None = None
    seeds: int = 3


EXPERIMENTS = {
    "relu-1e-4": Experiment(
        "[D] experiment 1: ReLU, rate 1e-4; CelebA stands in for Celebrity-100k",
        "dcgan",
        {"activation": "relu", "lr": 1e-4, **_DCGAN, **_FACES},
        "celeba",
    ),
    "leaky-2e-4": Experiment(
        "[D] experiment 2: leaky ReLU, rate 2e-4; CelebA stands in for Celebrity-100k",
        "dcgan",
        {"activation": "leaky_relu", "lr": 2e-4, **_DCGAN, **_FACES},
        "celeba",
    ),
    "leaky-1e-4": Experiment(
        "[D] experiment 3: leaky ReLU, rate 1e-4, CelebA",
        "dcgan",
        {"activation": "leaky_relu", "lr": 1e-4, **_DCGAN, **_FACES},
        "celeba",
    ),
    "relu-2e-4": Experiment(
        "not in the paper: ReLU, rate 2e-4, to tell the leak from the rate",
        "dcgan",
        {"activation": "relu", "lr": 2e-4, **_DCGAN, **_FACES},
        "celeba",
    ),
    "strong-D-minimax": Experiment(
        "[D] IV, vanishing gradients: D learns 10 times as fast, log(1 − D(G(z)))",
        "dcgan",
        {"objective": "minimax", **_STRONG_D},
    ),
    "strong-D": Experiment("… the same with −log D(G(z))", "dcgan", _STRONG_D),
    "strong-D-minimax-noise": Experiment(
        "[D] IV, noise on D's input: the first, with --instance-noise 0.3",
        "dcgan",
        {"objective": "minimax", "instance_noise": 0.3, **_STRONG_D},
    ),
    "bags": Experiment(
        "[C] 3.2 and 4.1: bags, drawn, as the paper's are not published", "cyclegan", _BAGS
    ),
    "bags-no-identity": Experiment(
        "[C] 2.2, L_identity keeps colors: the same without it",
        "cyclegan",
        {**_BAGS, "lambda_identity": 0.0},
    ),
    "paintings": Experiment(
        "[C] 3.3 and 4.2: paintings and photos; Monet stands in for Van Gogh and Ukiyo-e",
        "cyclegan",
        {"discriminator_layers": 2, "lr": 2e-4},
        "monet",
        1,
    ),
}


def measure(experiment: Experiment, run: Run) -> dict[str, Any]:
    """Return what a finished run shows."""
    watched = read_watch(run.path / "watch.jsonl") if run.path else []
    warned = {line["warning"]: line["step"] for line in reversed(watched) if "warning" in line}
    system = run.system
    system.data = system.load_data()
    found: dict[str, Any] = {"warnings": warned}
    if experiment.system == "dcgan":
        names = ("loss_D", "loss_G", "D_real", "D_fake")
        found |= {name: round(tail(run, name), 4) for name in names}
        real = system.real_images(1000)
        pictures = run.generate(1000)
        found["diversity"] = round(diversity(pictures) / diversity(real), 3)
        found["frechet"] = round(frechet(run, real), 1)
        return found
    for name in ("L_G", "L_D", "L_GAN", "L_identity", "L_cyc"):
        first = float(np.mean([row[name] for row in run.history[:50]]))
        found[name] = [round(first, 3), round(tail(run, name, 200), 3)]
    if (errors := system.translation_errors()) is not None:
        found["distance"] = [round(error, 4) for error, _ in errors]
        found["left_alone"] = round(errors[0][1], 4)
        found["colors"] = [round(value, 4) for value in _colors(run)]
    return found


def _colors(run: Run) -> list[float]:
    """Return how far the mean color of translated bags is from the true one's, each direction."""
    pairs = [images.astype(np.float32) / 127.5 - 1 for images in run.system.domains.pairs]
    found = []
    for i, direction in enumerate(("AtoB", "BtoA")):
        made, true = (
            x.mean(axis=(1, 2)) for x in (run.translate(pairs[i], direction), pairs[1 - i])
        )
        found.append(float(abs(made - true).mean()))
    return found


def table(rows: dict[str, dict], scale: str) -> str:
    """Return a line for each experiment: its seeds' numbers, or how to run it."""
    lines = []
    for name, experiment in EXPERIMENTS.items():
        lines.append(f"{name}: {experiment.title}")
        options = {**SCALES[scale][experiment.system], **experiment.options}
        if experiment.data:
            options["data"] = "DIR"
        lines.append(f"  {command(experiment.system, options)} --seed 0 …")
        seeds = [rows.get(f"{name} {seed}") for seed in range(experiment.seeds)]
        for seed, row in enumerate(seeds):
            found = ", ".join(f"{k} {v}" for k, v in row.items()) if row else "not run"
            lines.append(f"  seed {seed}: {found}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=SCALES, default="small")
    parser.add_argument("--celeba", type=Path, help="a folder of faces")
    parser.add_argument("--monet", type=Path, help="a folder with trainA/, paintings, and trainB/")
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    parser.add_argument("--seeds", type=int, default=3, help="at most so many of each")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/papers"), help="where it is trained"
    )
    parser.add_argument("--show", action="store_true", help="run nothing, show what was measured")
    chosen = parser.parse_args()
    record = Record(HERE / "results" / f"papers-{chosen.scale}.json")
    for seed in [] if chosen.show else range(chosen.seeds):
        for name in chosen.only:
            experiment = EXPERIMENTS[name]
            data = experiment.data and getattr(chosen, experiment.data)
            if seed >= experiment.seeds or (experiment.data and not data):
                continue
            options = {
                **SCALES[chosen.scale][experiment.system],
                **experiment.options,
                "seed": seed,
            }
            options |= {"data": str(data)} if data else {}

            def run_and_measure(
                experiment: Experiment = experiment,
                options: dict = options,
                seed: int = seed,
                name: str = name,
            ) -> dict:
                folder = chosen.runs / f"{chosen.scale}-{name}-{seed}"
                return measure(experiment, trained(experiment.system, options, folder))

            record.row(f"{name} {seed}", run_and_measure)
    print(table(record.rows, chosen.scale))


if __name__ == "__main__":
    main()
