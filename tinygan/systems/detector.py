"""The detector that the first paper leaves for the future: generated images against real ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinygan.data import UnpairedPrefetcher, to_float, to_uint8
from tinygan.data.degrade import DEGRADATIONS, LEVELS, degrade
from tinygan.data.sheet import save_translation_sheet
from tinygan.errors import UserError
from tinygan.layer import Layer
from tinygan.layers import Conv2d, GroupNorm, LeakyReLU, Reshape, Sequential
from tinygan.losses import bce_with_logits
from tinygan.models.dcgan import IMAGE_SIZES
from tinygan.optim import Adam, Optimizer
from tinygan.options.base import inherit, option
from tinygan.options.kinds import choice, some_of, whole
from tinygan.options.presets import Preset
from tinygan.systems.augmenting import augment_option, augmentations
from tinygan.systems.detects import Detects, DetectsOptions, part_of
from tinygan.systems.one_kind import FRESH, some
from tinygan.systems.words import read_words

__all__ = ["Detector", "DetectorOptions", "classifier"]

_AUGMENT, _DEGRADE = 104, 105  # what a random number is for, see `System.random`
_VALIDATED, _SHOWN = 500, 8
_WORDS = read_words(Path(__file__).with_name("detector.toml"))


@dataclass
class DetectorOptions(DetectsOptions):
    """The detector's options."""

    presets = {
        "quick": Preset(
            "without --data and --generated: the faces of the generator that comes with tinygan, "
            "against drawn ones; some minutes on two cores",
            assumed={
                "generated": "demo-faces",
                "dataset": "faces",
                "dataset_size": 2000,
                "image_size": 32,
                "width": 16,
                "batch_size": 32,
                "lr": 5e-4,
                "steps": 300,
                "sample_every": 100,
                "checkpoint_every": 100,
            },
        )
    }

    image_size: int = inherit(DetectsOptions, "image_size", kind=choice(*IMAGE_SIZES))
    batch_size: int = inherit(
        DetectsOptions, "batch_size", 64, help="real pictures, and as many generated ones"
    )
    width: int = option(32, whole(1), "channels next to the picture", group="networks")
    augment: str | None = augment_option()
    degrade: str | None = option(
        None,
        some_of(*DEGRADATIONS),
        f"in every second picture of both kinds, at random, one of {', '.join(DEGRADATIONS)}: "
        "so that it learns no trace that these wipe out",
        group="objective",
    )
    epochs: int | None = inherit(DetectsOptions, "epochs", 10)


def classifier(image_size: int, channels: int, width: int, rng: Any = None) -> Sequential:
    """Build D, from images ``(N, H, W, C)`` in [−1, 1] to scores ``(N,)``.

    The DCGAN's discriminator without batch normalization: a score must depend on one image alone,
    and its gradient too.  Each layer is normalized over all its channels instead.
    """
    conv = partial(Conv2d, kernel_size=4, stride=2, padding=1, rng=rng)
    layers: list[Layer] = [conv(channels, width), LeakyReLU(0.2)]
    wide, size = width, image_size // 2
    while size > 4:
        layers += [conv(wide, 2 * wide), GroupNorm(1, 2 * wide), LeakyReLU(0.2)]
        wide, size = 2 * wide, size // 2
    return Sequential(*layers, Conv2d(wide, 1, 4, rng=rng), Reshape())


class Detector(Detects):
    """One network, real images and generated ones."""

    name = "detector"
    title = "a detector: generated pictures against real ones"
    Options = DetectorOptions
    metric_names = ("loss", "accuracy")
    labels = {"loss": "loss", "accuracy": "accuracy"}
    panels, score_panel = _WORDS.panels, _WORDS.score_panel

    def build_networks(self, rng: np.random.Generator) -> dict[str, Layer]:
        o = self.options
        return {"D": classifier(o.image_size, o.channels, o.width, rng)}

    def build_optimizers(self) -> dict[str, Optimizer]:
        return {"adam": Adam(self.networks["D"].parameters(), self.options.lr)}

    def load_data(self) -> dict[str, Any]:
        """Load real images and have generated ones made: to learn from, and to judge it by."""
        noted, made = super().load_data(), self.made
        if made is None:
            raise UserError("--generated: was not opened; start this system by tinygan.fit")
        if self.options.data:
            real, checked = (part_of(self.images, part) for part in ("training", "validation"))
        else:
            name = self.options.dataset or self.options.drawn
            real, checked = self.images, self._drawn(name)(_VALIDATED, start=2 * FRESH).images
        self.real, self.fake = real, made.draw(len(real), "training")
        self.checked = some(checked, _VALIDATED), made.draw(_VALIDATED, "validation")
        counts = (len(self.real), len(self.fake), *map(len, self.checked))
        if min(counts) < 1:
            raise UserError(
                f"too few pictures: expected 10 or more real and generated ones; to learn from "
                f"there are {counts[0]} and {counts[1]}, to judge it by {counts[2]} and {counts[3]}"
            )
        return {
            **noted,
            "checksum": f"{noted['checksum']} {made.mark}",
            "generated": made.name,
            "generated_images": len(self.fake),
        }

    def batches(self, start_step: int) -> Any:
        o = self.options
        sizes = (o.batch_size, o.image_size, o.image_size)
        return UnpairedPrefetcher(self.real, self.fake, *sizes, o.flip, o.seed, start_step)

    def step(self, batch: tuple[np.ndarray, np.ndarray], step: int) -> dict[str, Any]:
        o, D, adam = self.options, self.networks["D"], self.optimizers["adam"]
        augment = Sequential(*augmentations(o.augment, (o.seed, _AUGMENT, step)))
        both = (self._degraded(images, step, i) for i, images in enumerate(batch))
        losses, right = [], []
        adam.zero_grad()
        for images, generated in zip(self.upload(*both), (0.0, 1.0), strict=True):
            score, backward = D(augment(images)[0])
            loss, dscore = bce_with_logits(score, generated)
            backward(0.5 * dscore, input_gradient=False)
            losses.append(loss)
            right.append(((score > 0) == bool(generated)).astype(score.dtype).mean())
        adam.step()
        return {"loss": 0.5 * (losses[0] + losses[1]), "accuracy": 0.5 * (right[0] + right[1])}

    def _degraded(self, images: np.ndarray, step: int, which: int) -> np.ndarray:
        """Return a batch of which every second image, by chance, went through the world."""
        if not self.options.degrade:
            return images
        kinds, rng = self.options.degrade.split(","), self.random(_DEGRADE, step, which)
        images = to_uint8(images)
        for i in np.flatnonzero(rng.random(len(images)) < 0.5):
            kind = kinds[rng.integers(len(kinds))]
            level = rng.uniform(min(LEVELS[kind]), max(LEVELS[kind]))
            images[i] = degrade(images[i : i + 1], kind, level)[0]
        return to_float(images)

    def score(self) -> float:
        """Return the loss on images that were not trained on."""
        scores = (self.detect(images) for images in self.checked)
        losses = [bce_with_logits(s, float(i))[0] for i, s in enumerate(scores)]
        return float(losses[0] + losses[1]) / 2

    def score_references(self) -> dict[str, float]:
        return {"coin": float(np.log(2))}

    def save_samples(self, path: Path) -> None:
        """Show images that were not trained on: those that it is surest of, and its mistakes."""
        blocks = []
        for images, title, sign in zip(self.checked, ("real", "generated"), (1, -1), strict=True):
            order = np.argsort(sign * self.detect(images))
            worst = order[: -_SHOWN - 1 : -1]
            columns = [("most like\nreal", images[order[:_SHOWN] if sign > 0 else worst])]
            columns.append(("most like\ngenerated", images[worst if sign > 0 else order[:_SHOWN]]))
            blocks.append((title, columns))
        save_translation_sheet(path, blocks)

    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        o = self.options
        return {"D": (o.image_size, o.image_size, o.channels)}
