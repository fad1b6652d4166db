"""The CycleGAN of the second paper: images of one domain into those of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tinygan.data import UnpairedPrefetcher, to_float
from tinygan.data.fingerprint import sampled_checksum
from tinygan.data.sheet import save_translation_sheet
from tinygan.distributed.shared import own_count
from tinygan.layer import Layer
from tinygan.layers.sequential import Sequential
from tinygan.machine.arrays import get_xp
from tinygan.models import cyclegan
from tinygan.models.cyclegan import ImagePool
from tinygan.objectives import CycleObjective
from tinygan.optim import Optimizer, linear_decay
from tinygan.summary import summarize
from tinygan.systems.augmenting import augmentations
from tinygan.systems.cyclegan.domains import Domains, load_domains, material
from tinygan.systems.cyclegan.options import CycleGANOptions
from tinygan.systems.learning import make_optimizer
from tinygan.systems.system import Material
from tinygan.systems.translates import Translates
from tinygan.systems.words import read_words

__all__ = ["CycleGAN", "CycleGANOptions"]

_POOLS, _AUGMENT = 101, 104  # what a random number is for, see `System.random`
_UNDECIDED = 300  # steps in which no verdict on the discriminators is passed
_SCHEDULE_EPOCHS = 200  # of a run whose length is given in steps
_ANSWERS = ("D_X_real", "D_X_fake", "D_Y_real", "D_Y_fake")
_LOSSES = ("L_G", "L_GAN", "L_identity", "L_cyc", "L_D", "L_D_X", "L_D_Y")
_WORDS = read_words(Path(__file__).with_name("cyclegan.toml"))


class CycleGAN(Translates):
    """Two generators, two discriminators, and unpaired images of two domains."""

    name = "cyclegan"
    title = "a CycleGAN: pictures of one domain into those of another, from unpaired examples"
    Options = CycleGANOptions
    directions = {"AtoB": "G", "BtoA": "F"}
    smaller = "--width or --discriminator-width"
    metric_names = (*_LOSSES, "lr", *_ANSWERS)
    later_metrics = _ANSWERS
    labels = {name: name for name in ("L_G", "L_GAN", "L_identity", "L_cyc", "L_D")}
    panels, score_panel, advice = _WORDS.panels, _WORDS.score_panel, _WORDS.advice
    sure = 0.1  # least squares draw answers to 0 and 1 less hard than logarithms do
    domains: Domains

    def __init__(self, options: Any):
        super().__init__(options)
        options = self.options
        if options.load_size is None:
            options.load_size = round(options.image_size * 286 / 256)
        seeds = self.random(_POOLS).integers(2**63, size=2)
        self.pools = {
            name: ImagePool(options.pool_size, int(seed))
            for name, seed in zip(("pool_X", "pool_Y"), seeds, strict=True)
        }

    def build_networks(self, rng: np.random.Generator) -> dict[str, Layer]:
        o = self.options
        networks: dict[str, Layer] = {
            name: cyclegan.generator(
                channels=o.channels,
                width=o.width,
                downsamplings=o.downsamplings,
                residual_blocks=o.residual_blocks,
                norm=o.norm,
                upsampling=o.upsampling,
                dropout=o.dropout,
                rng=rng,
            )
            for name in ("G", "F")
        }
        shape = (o.channels, o.discriminator_width, o.discriminator_layers, o.norm)
        return networks | {n: cyclegan.patch_discriminator(*shape, rng) for n in ("D_X", "D_Y")}

    def build_optimizers(self) -> dict[str, Optimizer]:
        o, networks = self.options, self.networks
        parameters = {name: networks[name].parameters() for name in ("G", "D_X", "D_Y")}
        parameters["G"] += networks["F"].parameters()
        return {
            f"{o.optimizer}_{name}": make_optimizer(o.optimizer, learnt, o.lr, o.beta1)
            for name, learnt in parameters.items()
        }

    def load_data(self) -> dict[str, Any]:
        self.domains = load_domains(self.options, self.data.get("scale"))
        return self.domains.data

    def older_checksum(self) -> int:
        return sampled_checksum(self.domains.A, self.domains.B, at_most=128)

    def input_scale(self, direction: str) -> dict[str, Any]:
        scales = super().input_scale(direction)
        return scales if self.options.range else scales.get(direction[0], {})

    def start(self) -> None:
        super().start()
        self._settle_schedule()

    def _settle_schedule(self) -> None:
        """Fix the schedule's length when a run begins; later totals alone do not change it."""
        options = self.options
        epochs = options.epochs or -(-options.steps // self.steps_per_epoch)
        if options.schedule_epochs is None:
            options.schedule_epochs = options.epochs or max(_SCHEDULE_EPOCHS, epochs)
        for name, value in (("epochs", epochs), ("decay-from", options.decay_from or 0)):
            if value > options.schedule_epochs:
                raise ValueError(
                    f"--{name}: {value} epochs of {self.steps_per_epoch} steps, but the rate "
                    f"reaches zero after --schedule-epochs {options.schedule_epochs}; say how it "
                    f"goes on: --schedule-epochs {value} or more, and --decay-from E0, the epoch "
                    "from which it falls (the same number for both: it never falls)"
                )

    def batches(self, start_step: int) -> UnpairedPrefetcher:
        o, domains = self.options, self.domains
        sizes = (o.batch_size, o.load_size, o.image_size)
        return UnpairedPrefetcher(domains.A, domains.B, *sizes, o.flip, o.seed, start_step)

    def rate_text(self) -> str:
        o = self.options
        if o.decay_from == o.schedule_epochs:
            return f"learning rate {o.lr:g} throughout"
        constant = o.schedule_epochs // 2 if o.decay_from is None else o.decay_from
        first = f"{o.lr:g} for {constant} epochs, then " if constant else f"from {o.lr:g} "
        return (
            f"learning rate {first}down to 0 after epoch {o.schedule_epochs} "
            "(--decay-from, --schedule-epochs)"
        )

    def learning_rate(self, step: int, initial: float | None = None) -> float:
        """Return the rate of a step, by the epoch it is in; `initial` is ``--lr`` by default."""
        options = self.options
        epochs, decay_from = options.schedule_epochs, options.decay_from
        if decay_from is None:
            decay_from = epochs // 2
        epoch = step // self.steps_per_epoch
        initial = options.lr if initial is None else initial
        return linear_decay(initial, epoch, epochs, decay_from, options.schedule)

    def step(self, batch: tuple[np.ndarray, np.ndarray], step: int) -> dict[str, Any]:
        lr = self.learning_rate(step)
        for name, optimizer in self.optimizers.items():
            generators = name.endswith("_G")
            optimizer.lr = lr if generators else self.learning_rate(step, self.options.lr_d)
        augment = augmentations(self.options.augment, (self.options.seed, _AUGMENT, step))
        x, y = self.upload(*batch)
        weights = ("lambda_gan", "lambda_identity", "lambda_cycle", "lambda_discriminator")
        G, F, D_X, D_Y = (self.networks[name] for name in ("G", "F", "D_X", "D_Y"))
        kind = self.options.optimizer
        optimizers = [self.optimizers[f"{kind}_{name}"] for name in ("G", "D_X", "D_Y")]
        losses = cyclegan.train_step(
            G,
            F,
            D_X,
            D_Y,
            optimizers[0],
            optimizers[1],
            optimizers[2],
            x,
            y,
            objective=CycleObjective(**{name: getattr(self.options, name) for name in weights}),
            pools=(self.pools["pool_X"], self.pools["pool_Y"]),
            augment=Sequential(*augment),
        )
        return losses | {"lr": get_xp(x).full((), lr, x.dtype)}

    def save_samples(self, path: Path) -> None:
        domains, errors, blocks = self.domains, self.translation_errors(), []
        for side, title, (x_, G_, F_), there, back, images in (
            (0, "A to B", "xGF", "AtoB", "BtoA", domains.test_A),
            (1, "B to A", "yFG", "BtoA", "AtoB", domains.test_B),
        ):
            translated = self.translate(images, there)
            columns = [
                (f"real\n{x_}", images),
                (f"translated\n{G_}({x_})", translated),
                (f"cycled back\n{F_}({G_}({x_}))", self.translate(translated, back)),
                (f"identity\n{F_}({x_})", self.translate(images, back)),
            ]
            if errors is not None:
                error, untranslated = errors[side]
                title += (
                    f": {error:.3f} from the true translation, {untranslated:.3f} if left alone"
                )
                truth = (domains.test_B, domains.test_A)[side]
                columns.append(("the true\ntranslation", truth))
            blocks.append((title, columns))
        save_translation_sheet(path, blocks)

    def translation_errors(self) -> list[tuple[float, float]] | None:
        """Return how far translations are from the true ones, A to B and B to A; None if unknown.

        Each is ``(error, error of leaving the image as it is)``: mean absolute differences of
        images in [−1, 1], over drawn pairs that are not trained on.
        """
        if self.domains.pairs is None:
            return None
        pairs = [to_float(images) for images in self.domains.pairs]
        left_alone = float(abs(pairs[0] - pairs[1]).mean())
        return [
            (float(abs(self.translate(pairs[i], direction) - pairs[1 - i]).mean()), left_alone)
            for i, direction in enumerate(self.directions)
        ]

    def score(self) -> float | None:
        """Return the mean error to the true translation where there is one, see `System.score`."""
        errors = self.translation_errors()
        return None if errors is None else sum(error for error, _ in errors) / 2

    def score_references(self) -> dict[str, float]:
        if self.domains.pairs is None:
            return {}
        x, y = (to_float(images) for images in self.domains.pairs)
        return {"left_alone": float(abs(x - y).mean())}

    def scores(self, metrics: dict[str, float]) -> tuple[float, float] | None:
        """Return what both discriminators answered to real and generated patches, the means.

        None in the first steps, in which D has seen so few single images that it is in doubt about
        everything in healthy runs too, and in steps of older runs, which did not note it.
        """
        if metrics["step"] <= _UNDECIDED or not all(name in metrics for name in _ANSWERS):
            return None
        real = (metrics["D_X_real"] + metrics["D_Y_real"]) / 2
        return real, (metrics["D_X_fake"] + metrics["D_Y_fake"]) / 2

    def extra_arrays(self) -> dict[str, np.ndarray]:
        return {
            f"{name}.{key}": array
            for name, pool in self.pools.items()
            for key, array in pool.state_dict().items()
        }

    def extra_shapes(self) -> dict[str, tuple[int, ...]]:
        o = self.options
        shapes = {"state": (2,), "images": (o.pool_size, o.image_size, o.image_size, o.channels)}
        return {f"{pool}.{key}": shape for pool in self.pools for key, shape in shapes.items()}

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
            pool.load_state_dict(parts[name], self.options.backend)

    @property
    def multiple(self) -> int:
        return 2**self.options.downsamplings

    def material(
        self, count: int, data: str | None = None, dataset: str | None = None
    ) -> list[Material]:
        return material(self.options, count, data, dataset, self.data.get("scale"))

    def step_bytes(self) -> int:
        """Return what a step holds at most: so many backward passes of generators, or one and D's.

        What a network remembers is proportional to its images' pixels, so small ones are counted.
        """
        o = self.options
        side = min(o.image_size, 64)
        samples = (o.image_size / side) ** 2 * own_count(o.batch_size)
        G, D = (summarize(self.networks[n], (side, side, o.channels)) for n in ("G", "D_X"))
        small = o.batch_size * o.channels * o.image_size**2 <= cyclegan.SMALL
        passes = 4 if small and o.backend == "numpy" else 2
        held = max(passes * G.bytes_per_sample, G.bytes_per_sample + D.bytes_per_sample)
        pools = 2 * o.pool_size * 4 * o.channels * o.image_size**2
        return 2 * G.bytes_state + 2 * D.bytes_state + round(samples * held) + pools
