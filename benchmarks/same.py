"""Does tinygan train as PyTorch does?  Equal networks, start, batches and budget, side by side.

    python -m benchmarks.same

1. float64, both systems, 200 steps: how far the losses of the two are apart, and how far those of
   two runs of tinygan are of which one began with one weight changed in its last bit.
2. float32, a DCGAN with five seeds: Fréchet distance of 1,000 pictures to the drawn faces.

Needs PyTorch.  Writes ``results/same.json`` and ``plots/same.png`` and prints both tables.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from tinygan import Adam
from tinygan.data import Prefetcher, UnpairedPrefetcher, bags, faces
from tinygan.metrics import RandomFeatures, frechet_distance
from tinygan.models import cyclegan, dcgan
from tinygan.models.dcgan import draw_noise

HERE = Path(__file__).parent
LR, BETAS, WIDTH, NOISE, BATCH = 2e-4, (0.5, 0.999), 8, 200, 16
SIZE = {"DCGAN": 16, "CycleGAN": 32}
Step = Callable[[Any, Any], dict[str, float]]


def batches(system: str, seed: int, dtype: type) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield what a step is given: images and noise, or images of two domains."""
    size, rng = SIZE[system], np.random.default_rng(seed)
    if system == "DCGAN":
        source: Any = Prefetcher(faces(2000, size, seed=1).images, BATCH, seed)
    else:
        both = [
            bags(200, size, domain=d, start=s).images
            for d, s in (("handbag", 0), ("backpack", 200))
        ]
        source = UnpairedPrefetcher(*both, 1, size, size, seed=seed)
    with closing(source):
        for batch in source:
            if system == "DCGAN":
                batch = batch, draw_noise(BATCH, NOISE, rng)
            yield batch[0].astype(dtype), batch[1].astype(dtype)


def networks(system: str, seed: int, dtype: type) -> list:
    """Return tinygan's networks with weights drawn from `seed`."""
    rng = np.random.default_rng(seed)
    if system == "DCGAN":
        shape = {"width": WIDTH, "rng": rng}
        made = [
            dcgan.generator(SIZE[system], noise_size=NOISE, **shape),
            dcgan.discriminator(SIZE[system], **shape),
        ]
    else:
        made = [cyclegan.generator(width=WIDTH, residual_blocks=2, rng=rng) for _ in "GF"]
        made += [cyclegan.patch_discriminator(width=WIDTH, rng=rng) for _ in "XY"]
    return [network.to(dtype=dtype) for network in made]


def tinygan_step(system: str, made: list) -> Step:
    """Return one step of tinygan's."""
    if system == "DCGAN":
        adams = [Adam(network.parameters(), LR, BETAS) for network in made]
        train_step: Any = dcgan.train_step
    else:
        adams = [Adam(made[0].parameters() + made[1].parameters(), LR, BETAS)]
        adams += [Adam(network.parameters(), LR, BETAS) for network in made[2:]]
        train_step = cyclegan.train_step
    return lambda a, b: {k: float(v) for k, v in train_step(*made, *adams, a, b).items()}


def torch_step(system: str, made: list, dtype: type) -> tuple[Step, list]:
    """Return one step of PyTorch's, its networks given the weights of `made`."""
    import torch
    from torch import nn
    from torch.nn import functional

    from benchmarks import work_torch as peer

    torch.set_num_threads(1)
    if system == "DCGAN":
        theirs = [
            make(SIZE[system], WIDTH) for make in (peer.dcgan_generator, peer.dcgan_discriminator)
        ]
    else:
        theirs = [peer.cyclegan_generator(2, WIDTH) for _ in "GF"]
        theirs += [peer.patch_discriminator(WIDTH) for _ in "XY"]
    kind = torch.float64 if dtype is np.float64 else torch.float32
    for ours, network in zip(made, theirs, strict=True):
        network.to(kind)
        for mine, own in zip(ours.parameters(), network.parameters(), strict=True):
            value = np.asarray(mine.data)
            value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
            own.data[...] = torch.tensor(np.ascontiguousarray(value))
    adam = lambda *some: torch.optim.Adam([p for n in some for p in n.parameters()], LR, BETAS)  # noqa: E731

    def tensor(x: np.ndarray) -> torch.Tensor:
        if x.ndim == 2:
            return torch.tensor(x)[:, :, None, None]
        return torch.tensor(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))

    def learn(optimizer: Any, loss: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    if system == "DCGAN":
        G, D = theirs
        adam_G, adam_D = adam(G), adam(D)
        bce = functional.binary_cross_entropy_with_logits

        def step(x: np.ndarray, z: np.ndarray) -> dict[str, float]:
            real, fake = D(tensor(x)), G(tensor(z))
            loss_real = bce(real, torch.full_like(real, 0.9))
            judged = D(fake.detach())
            loss_fake = bce(judged, torch.zeros_like(judged))
            learn(adam_D, loss_real + loss_fake)
            score = D(fake)
            loss_G = bce(score, torch.ones_like(score))
            learn(adam_G, loss_G)
            return {
                "loss_D": float((loss_real + loss_fake).detach()),
                "loss_G": float(loss_G.detach()),
            }

    else:
        G, F, D_X, D_Y = theirs
        adam_G, adam_X, adam_Y = adam(G, F), adam(D_X), adam(D_Y)
        l1, mse = nn.L1Loss(), nn.MSELoss()
        against = lambda score, target: mse(score, torch.full_like(score, target))  # noqa: E731

        def step(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
            x_, y_ = tensor(x), tensor(y)
            fake_y, fake_x = G(x_), F(y_)
            L_identity = l1(G(y_), y_) + l1(F(x_), x_)
            L_cyc = l1(F(fake_y), x_) + l1(G(fake_x), y_)
            L_GAN = against(D_Y(fake_y), 1.0) + against(D_X(fake_x), 1.0)
            L_G = L_GAN + 5 * L_identity + 10 * L_cyc
            learn(adam_G, L_G)
            losses = {"L_G": L_G, "L_GAN": L_GAN, "L_identity": L_identity, "L_cyc": L_cyc}
            for name, D, optimizer, real, fake in (
                ("L_D_X", D_X, adam_X, x_, fake_x),
                ("L_D_Y", D_Y, adam_Y, y_, fake_y),
            ):
                losses[name] = against(D(real), 1.0) + against(D(fake.detach()), 0.0)
                learn(optimizer, 0.5 * losses[name])
            return {k: float(v.detach()) for k, v in losses.items()}

    return step, theirs


def losses_apart(system: str, steps: int, dtype: type = np.float64) -> dict[str, list[float]]:
    """Return, for each step, the largest relative difference of a loss."""
    made = [networks(system, 0, dtype) for _ in range(2)]
    other = made[1][0].parameters()[0].data
    other.flat[0] = np.nextafter(other.flat[0], np.inf)
    ours, nudged = (tinygan_step(system, one) for one in made)
    theirs, _ = torch_step(system, networks(system, 0, dtype), dtype)
    apart: dict[str, list[float]] = {"PyTorch": [], "a weight's last bit changed": []}
    with closing(batches(system, 0, dtype)) as source:
        for _ in range(steps):
            a, b = next(source)
            mine = ours(a, b)
            for name, step in zip(apart, (theirs, nudged), strict=True):
                found = step(a, b)
                losses = [k for k in mine.keys() & found.keys() if k.startswith(("L_", "loss"))]
                apart[name].append(float(f"{max(abs(mine[k] / found[k] - 1) for k in losses):.2e}"))
    return apart


def distances(seed: int, steps: int) -> dict[str, float]:
    """Return the Fréchet distance of a DCGAN of each, in float32, after `steps`."""
    import torch

    made = networks("DCGAN", seed, np.float32)
    ours = tinygan_step("DCGAN", made)
    theirs, (G, _) = torch_step("DCGAN", networks("DCGAN", seed, np.float32), np.float32)
    with closing(batches("DCGAN", seed, np.float32)) as source:
        for _ in range(steps):
            a, b = next(source)
            ours(a, b)
            theirs(a, b)
    size, z = SIZE["DCGAN"], draw_noise(1000, NOISE, np.random.default_rng((seed, 1)))
    features = RandomFeatures(size)
    reference = features(faces(1000, size, seed=1, start=10_000).images)
    G.eval()
    with torch.inference_mode():
        images = G(torch.tensor(z)[:, :, None, None]).numpy().transpose(0, 2, 3, 1)
    return {
        "tinygan": frechet_distance(reference, features(made[0].predict(z))),
        "PyTorch": frechet_distance(reference, features(np.ascontiguousarray(images))),
    }


def draw(found: dict, path: Path) -> None:
    """Plot how the differences grow."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    for ax, (system, apart) in zip(figure.subplots(1, 2, sharey=True), found.items(), strict=True):
        for name, values in apart.items():
            ax.semilogy(np.arange(1, len(values) + 1), np.maximum(values, 1e-17), label=name)
        ax.axhline(1e-8, color="#999999", lw=0.8, ls="--")
        ax.set(title=f"{system}, float64", xlabel="step")
        ax.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("largest relative difference of a loss")
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


def table(result: dict) -> str:
    """Return both tables in Markdown."""
    lines = ["| float64 losses, largest relative difference | step 1 | steps 1–50 | steps 1–200 |"]
    lines += ["|---|---:|---:|---:|"]
    for system, apart in result["apart"].items():
        for name, values in apart.items():
            cells = [f"{max(values[:n]):.1e}" for n in (1, 50, 200)]
            lines.append(f"| {system}: tinygan and {name} | {' | '.join(cells)} |")
    lines += [
        "",
        f"| float32, Fréchet distance after {result['steps']} steps | seeds | mean ± deviation |",
    ]
    lines += ["|---|---|---:|"]
    for name in ("tinygan", "PyTorch"):
        values = [row[name] for row in result["frechet"].values()]
        each = ", ".join(f"{v:.0f}" for v in values)
        lines.append(f"| {name} | {each} | {np.mean(values):.0f} ± {np.std(values, ddof=1):.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400, help="of the float32 runs")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "same.json")
    chosen = parser.parse_args()
    result: dict[str, Any] = {"apart": {}, "frechet": {}, "steps": chosen.steps}
    if chosen.out.exists():  # goes on where it was interrupted
        before = json.loads(chosen.out.read_text())
        result = before if before["steps"] == chosen.steps else result
    jobs = [("apart", system, lambda s=system: losses_apart(s, 200)) for system in SIZE]
    seeds = range(chosen.seeds)
    jobs += [("frechet", str(s), lambda s=s: distances(s, chosen.steps)) for s in seeds]
    for part, name, job in jobs:
        if name not in result[part]:
            begun = time.perf_counter()
            result[part][name] = job()
            result["about"] = {k: v for k, v in describe("numpy").items() if k != "command"}
            chosen.out.write_text(json.dumps(result) + "\n")
            print(f"{part} {name}: {time.perf_counter() - begun:.0f} s", flush=True)
    print(table(result))
    draw(result["apart"], HERE / "plots" / "same.png")


if __name__ == "__main__":
    main()
