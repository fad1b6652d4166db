"""The CycleGAN as something that is trained."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from tinygan.data import UnpairedPrefetcher
from tinygan.layer import Layer
from tinygan.machine.arrays import asarray, asnumpy, get_xp, resolve_backend
from tinygan.machine.upload import Uploader
from tinygan.models import cyclegan
from tinygan.models.cyclegan import ImagePool
from tinygan.optim import Adam, linear_decay
from tinygan.systems.system import System
from tinygan.train.cyclegan_data import load_domains
from tinygan.train.cyclegan_memory import step_bytes
from tinygan.train.cyclegan_networks import build_discriminator, build_generator
from tinygan.train.translation_sheet import save_translation_sheet

__all__ = ["CycleGAN", "translate"]

_UNDECIDED = 300  # steps in which no verdict on the discriminators is passed
_WEIGHTS, _POOLS = 100, 101  # purposes of random numbers; the data's are small numbers
_SCHEDULE_EPOCHS = 200  # of a run whose length is given in steps
_LOSSES = ("L_G", "L_GAN", "L_identity", "L_cyc", "L_D", "L_D_X", "L_D_Y")


def translate(generator: Layer, images: np.ndarray) -> np.ndarray:
    """Return what a generator makes of pictures, one by one: bytes or [−1, 1] in, [−1, 1] out."""
    some = generator.parameters()[0].data
    backend = "numpy" if isinstance(some, np.ndarray) else "cupy"
    made = []
    for image in images:
        x = image[None].astype(np.float32) / 127.5 - 1 if image.dtype == np.uint8 else image[None]
        made.append(asnumpy(generator.predict(asarray(x, backend))))
    return np.concatenate(made)


class CycleGAN(System):
    """Two generators, two discriminators, and unpaired pictures of two domains."""

    name = "cyclegan"
    metric_names = (*_LOSSES, "lr")
    labels = {name: name for name in ("L_G", "L_GAN", "L_identity", "L_cyc", "L_D")}  # noqa: RUF012
    curves = {  # noqa: RUF012 - as in Figures 9, 10 and 11
        "(a) total loss of the generators": {"L_G": "L_G"},
        "(b) total loss of the discriminators": {"L_D": "L_D", "L_D_X": "L_D_X", "L_D_Y": "L_D_Y"},
        "(c) adversarial loss": {"L_GAN": "L_GAN"},
        "(d) identity loss": {"L_identity": "L_identity"},
        "(e) cycle-consistency loss": {"L_cyc": "L_cyc"},
    }

    def __init__(self, options: dict):
        options = {**options, "backend": resolve_backend(options["backend"])}
        if options["load_size"] is None:
            options["load_size"] = round(options["image_size"] * 286 / 256)
        self.options = options
        self.domains = load_domains(options)
        self.data = self.domains.data
        with self.batches(0) as batches:
            self.steps_per_epoch = batches.steps_per_epoch
        self._settle_schedule()
        rng = np.random.default_rng((options["seed"], _WEIGHTS))
        G, F = (build_generator(options, rng) for _ in range(2))
        D_X, D_Y = (build_discriminator(options, rng) for _ in range(2))
        self._upload = Uploader(options["backend"])
        self.networks = {"G": G, "F": F, "D_X": D_X, "D_Y": D_Y}
        for network in self.networks.values():
            network.to(options["backend"])
        self.optimisers = {
            name: Adam(parameters, options["lr"], (options["beta1"], 0.999))
            for name, parameters in (
                ("adam_G", G.parameters() + F.parameters()),
                ("adam_D_X", D_X.parameters()),
                ("adam_D_Y", D_Y.parameters()),
            )
        }
        seeds = np.random.default_rng((options["seed"], _POOLS)).integers(2**63, size=2)
        self.pools = {
            name: ImagePool(options["pool_size"], int(seed))
            for name, seed in zip(("pool_X", "pool_Y"), seeds, strict=True)
        }

    def _settle_schedule(self) -> None:
        """Fix the schedule's length when a run begins; later totals do not change it."""
        options = self.options
        epochs = options["epochs"] or -(-options["steps"] // self.steps_per_epoch)
        if options["schedule_epochs"] is None:
            options["schedule_epochs"] = options["epochs"] or max(_SCHEDULE_EPOCHS, epochs)
        for name, value in (("epochs", epochs), ("decay-from", options["decay_from"] or 0)):
            if value > options["schedule_epochs"]:
                raise ValueError(
                    f"--{name}: {value} epochs of {self.steps_per_epoch} steps, but the rate "
                    f"reaches zero after --schedule-epochs {options['schedule_epochs']}"
                )

    def batches(self, start_step: int) -> UnpairedPrefetcher:
        options = self.options
        return UnpairedPrefetcher(
            self.domains.A,
            self.domains.B,
            options["batch_size"],
            options["load_size"],
            options["image_size"],
            options["flip"],
            options["seed"],
            start_step,
        )

    def learning_rate(self, step: int) -> float:
        """Return the rate of a step, by the epoch it is in."""
        options = self.options
        epochs, decay_from = options["schedule_epochs"], options["decay_from"]
        if decay_from is None:
            decay_from = epochs // 2
        epoch = step // self.steps_per_epoch
        return linear_decay(options["lr"], epoch, epochs, decay_from, options["schedule"])

    def step(self, batch, step: int) -> dict:
        options = self.options
        lr = self.learning_rate(step)
        for optimiser in self.optimisers.values():
            optimiser.lr = lr
        x, y = self._upload(*batch)
        weights = ("lambda_gan", "lambda_identity", "lambda_cycle", "lambda_discriminator")
        losses = cyclegan.train_step(
            *self.networks.values(),
            *self.optimisers.values(),
            x,
            y,
            **{name: options[name] for name in weights},
            **self.pools,
        )
        return losses | {"lr": get_xp(x).full((), lr, x.dtype)}

    def save_samples(self, path: Path) -> None:
        domains, G, F = self.domains, self.networks["G"], self.networks["F"]
        errors, blocks = self.translation_errors(), []
        for side, title, (x_, G_, F_), there, back, images in (
            (0, "A to B", "xGF", G, F, domains.test_A),
            (1, "B to A", "yFG", F, G, domains.test_B),
        ):
            translated = translate(there, images)
            columns = [
                (f"real\n{x_}", images),
                (f"translated\n{G_}({x_})", translated),
                (f"cycled back\n{F_}({G_}({x_}))", translate(back, translated)),
                (f"identity\n{F_}({x_})", translate(back, images)),
            ]
            if errors is not None:
                error, untranslated = errors[side]
                title += (
                    f": {error:.3f} from the true translation, {untranslated:.3f} if left alone"
                )
                truth = domains.pairs[1 - side][: len(images)]
                columns.append(("the true\ntranslation", truth))
            blocks.append((title, columns))
        save_translation_sheet(path, blocks)

    def translation_errors(self) -> list[tuple[float, float]] | None:
        """Return how far translations are from the true ones, A to B and B to A; None if unknown.

        Each is ``(error, error of leaving the picture as it is)``: mean absolute differences of
        pictures in [−1, 1], over drawn pairs that are not trained on.
        """
        if self.domains.pairs is None:
            return None
        pairs = [images.astype(np.float32) / 127.5 - 1 for images in self.domains.pairs]
        left_alone = float(abs(pairs[0] - pairs[1]).mean())
        return [
            (float(abs(translate(self.networks[name], pairs[i]) - pairs[1 - i]).mean()), left_alone)
            for i, name in enumerate("GF")
        ]

    def score(self) -> float | None:
        """Return the mean error to the true translation where there is one, see `System.score`."""
        errors = self.translation_errors()
        return None if errors is None else sum(error for error, _ in errors) / 2

    def scores(self, metrics: dict) -> tuple[float, float] | None:
        """Return what the discriminators answered to real and generated patches, about.

        From L_GAN, two times (1 − D(fake))², and L_D, two times (1 − D(real))² + D(fake)², if all
        patches were given the same: exact where D is sure of everything or in doubt about
        everything, which is what is looked for.  None in the first steps, in which D has seen so
        few single pictures that it is in doubt about everything in healthy runs too.
        """
        if metrics["step"] <= _UNDECIDED:
            return None
        fake = 1 - math.sqrt(metrics["L_GAN"] / 2)
        real = 1 - math.sqrt(max(0.0, metrics["L_D"] / 2 - fake * fake))
        return real, fake

    def extra_arrays(self) -> dict[str, np.ndarray]:
        return {
            f"{name}.{key}": array
            for name, pool in self.pools.items()
            for key, array in pool.state_dict().items()
        }

    def extra_shapes(self) -> dict[str, tuple[int, ...]]:
        options = self.options
        side = options["image_size"]
        shape = options["pool_size"], side, side, options["channels"]
        shapes = {"state": (2,), "images": shape}
        return {f"{pool}.{key}": value for pool in self.pools for key, value in shapes.items()}

    def load_extra_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        parts: dict[str, dict] = {name: {} for name in self.pools}
        for key, array in arrays.items():
            name, _, key = key.partition(".")
            if name not in parts or key not in ("state", "images"):
                raise ValueError(f"unknown array: {name}.{key}")
            parts[name][key] = array
        for name, part in parts.items():
            if "state" not in part:
                raise ValueError(f"{name}.state is missing")
        for name, pool in self.pools.items():
            pool.load_state_dict(parts[name], self.options["backend"])

    def step_bytes(self) -> int:
        return step_bytes(self.options, self.networks)
