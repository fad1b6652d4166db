"""The SRGAN that the first paper leaves for the future: small images into sharp ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from tinygan.data import checksum, to_float, to_uint8
from tinygan.data.images import bicubic, enlarge
from tinygan.data.sheet import save_translation_sheet
from tinygan.errors import UserError
from tinygan.layer import Layer
from tinygan.layers import Conv2d, Sequential
from tinygan.models import srgan
from tinygan.optim import Adam, Optimizer
from tinygan.options.base import Options, inherit, option
from tinygan.options.kinds import choice, number, text, whole
from tinygan.options.presets import Preset
from tinygan.systems.augmenting import augment_option, augmentations, lr_d_option
from tinygan.systems.one_kind import OneKind, OneKindOptions, some
from tinygan.systems.system import Material
from tinygan.systems.translates import Translates
from tinygan.systems.words import read_words

__all__ = ["SRGAN", "SRGANOptions"]

_AUGMENT, _MEASURED = 104, 110  # what a random number is for, see `System.random`
_SHOWN, _SCORED = 6, 32  # images

PRESETS = {
    "quick": Preset(
        "without --data: the drawn faces, from 16 to 64 pixels, done within a few minutes on two "
        "cores",
        assumed={
            "dataset": "faces",
            "dataset_size": 2000,
            "image_size": 64,
            "width": 24,
            "residual_blocks": 4,
            "discriminator_width": 16,
            "batch_size": 8,
            "lr": 1e-3,
            "steps": 600,
            "sample_every": 100,
        },
    ),
}

_networks = partial(option, group="networks")
_objective = partial(option, group="objective")
_lambda = partial(_objective, kind=number(0, metavar="L"))
_content = partial(_objective, before=None)
_IMAGENET = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)


@dataclass
class SRGANOptions(OneKindOptions):
    """The SRGAN's options."""

    presets = PRESETS

    image_size: int = inherit(
        Options,
        "image_size",
        help="side in pixels of the true pictures; the small ones are reduced from them",
        kind=whole(16, 512),
    )
    factor: int = _networks(
        4, choice(*srgan.FACTORS), "how many times as high and wide a picture becomes"
    )
    width: int = _networks(64, whole(1), "channels of G's layers")
    residual_blocks: int = _networks(8, whole(0, 1000), "of G; 16 in Ledig et al.")
    discriminator_width: int = _networks(64, whole(1), "channels of D's first layer")
    lambda_pixel: float = _lambda(1.0, help="of the squared error of the pixels")
    lambda_features: float = _lambda(
        0.1,
        help="of the squared error of the responses of fixed filters; 0 saves their time",
    )
    lambda_gan: float = _lambda(1e-3, help="of the adversarial loss; 0: no game, D does not learn")
    feature_seed: int = _objective(
        1, whole(1), "what the random filters are drawn from; those of evaluate are of seed 0"
    )
    content: str | None = _content(
        None,
        text("FILE"),
        "an ONNX network in place of the random filters: convolutions, activations and pools in "
        "one row, as VGG's features are (pip install 'tinygan[onnx]')",
        change="on resume",
    )
    content_until: str | None = _content(
        None, text(), "the node of --content whose output is compared (default: the last one)"
    )
    content_colors: str = _content(
        "plain",
        choice("plain", "imagenet"),
        "what --content takes: plain: pictures in [-1, 1]; imagenet: in [0, 1], less the colours' "
        "mean in ImageNet and divided by their deviation, as PyTorch's published networks do",
        before="plain",
    )
    augment: str | None = augment_option()
    batch_size: int = inherit(Options, "batch_size", 16)
    beta1: float = option(0.9, number(0, below=1, metavar="B"), "Adam's first β", group="learning")
    lr_d: float | None = lr_d_option()

    def check(self) -> None:
        super().check()
        if self.image_size % self.factor:
            raise UserError(
                f"--image-size {self.image_size}: expected a multiple of --factor {self.factor}"
            )
        if not (self.lambda_pixel or self.lambda_features or self.lambda_gan):
            raise UserError(
                "expected one of --lambda-pixel, --lambda-features, --lambda-gan above 0, got none"
            )
        if self.content and not self.lambda_features:
            raise UserError("--content goes with --lambda-features above 0")
        if self.content_until and not self.content:
            raise UserError("--content-until goes with --content FILE")


_WORDS = read_words(Path(__file__).with_name("srgan.toml"))


class SRGAN(OneKind, Translates):
    """The generator, the discriminator, and images of one kind with small copies of them."""

    name = "srgan"
    title = "an SRGAN: small pictures into sharp ones of two or four times the size"
    Options = SRGANOptions
    directions = {"up": "G"}
    smaller = "--width or --discriminator-width"
    metric_names = ("L_G", "L_pixel", "L_features", "L_GAN", "L_D", "D_real", "D_fake")
    labels = {"L_G": "L_G", "L_pixel": "L_pixel", "D_real": "D(y)", "D_fake": "D(G(x))"}
    panels, score_panel, advice = _WORDS.panels, _WORDS.score_panel, _WORDS.advice
    stages: Sequence[Layer] = ()

    @property
    def factor(self) -> int:
        return self.options.factor

    def build_networks(self, rng: np.random.Generator) -> dict[str, Layer]:
        o = self.options
        G = srgan.generator(o.factor, o.channels, o.width, o.residual_blocks, rng)
        return {"G": G, "D": srgan.discriminator(o.channels, o.discriminator_width, rng)}

    def build_optimizers(self) -> dict[str, Optimizer]:
        o = self.options
        rates = {"G": o.lr, "D": o.lr if o.lr_d is None else o.lr_d}
        return {
            f"adam_{name}": Adam(network.parameters(), rates[name], (o.beta1, 0.999))
            for name, network in self.networks.items()
        }

    def start(self) -> None:
        o, noted = self.options, self.data.get("content")
        if o.content:
            network = self._content()
            mark = checksum(*(parameter.data for parameter in network.parameters()))
            if self.data and noted != mark:
                raise UserError(f"--content {o.content}: is not the network of this run any more")
            self.stages = [network.to(backend=o.backend)]
        super().start()
        if o.content:
            self.data = {**self.data, "content": mark}
        elif o.lambda_features:
            self.stages = self._features(o.feature_seed).stages

    def _content(self) -> Sequential:
        """Return the network of ``--content``, from pictures in [−1, 1] on."""
        from tinygan.formats.onnx_layers import read_onnx

        o = self.options
        network = read_onnx(Path(str(o.content)), o.content_until)
        if o.content_colors == "imagenet":
            mean, deviation = _IMAGENET
            colors = Conv2d(3, 3, 1)
            colors.weight.data = np.diag(0.5 / deviation)[None, None]
            colors.bias.data = (0.5 - mean) / deviation
            network = Sequential(colors, network)
        try:
            network.predict(np.zeros((1, o.image_size, o.image_size, 3), np.float32))
        except ValueError as error:
            raise UserError(f"--content {o.content}: {error}") from None
        return network

    def _features(self, seed: int) -> Any:
        from tinygan.metrics import RandomFeatures  # it draws and learns nothing

        return RandomFeatures(self.options.image_size, backend=self.options.backend, seed=seed)

    def step(self, batch: np.ndarray, step: int) -> dict[str, Any]:
        o = self.options
        augment = augmentations(o.augment, (o.seed, _AUGMENT, step))
        [high] = self.upload(batch)
        return srgan.train_step(
            self.networks["G"],
            self.networks["D"],
            self.optimizers["adam_G"],
            self.optimizers["adam_D"],
            srgan.reduce_area(high, o.factor),
            high,
            objective=srgan.SuperObjective(o.lambda_pixel, o.lambda_features, o.lambda_gan),
            stages=self.stages,
            augment=Sequential(*augment),
        )

    def translate(self, images: np.ndarray, direction: str) -> np.ndarray:
        return np.clip(super().translate(images, direction), -1, 1)

    def reduced(self, images: np.ndarray) -> np.ndarray:
        """Return small copies of images, bytes ``(N, H, W, C)``, as bytes."""
        return to_uint8(srgan.reduce_area(to_float(images), self.factor))

    def _held_out(self, count: int) -> np.ndarray:
        """Return drawn images that are not trained on; of a folder, some that are."""
        return some(self.images, count) if self.options.data else self.fresh(count)

    def save_samples(self, path: Path) -> None:
        from tinygan.metrics import psnr

        true = self._held_out(_SHOWN)
        small = self.reduced(true)
        columns = [("small: x", enlarge(small, self.factor))]
        for label, made in (
            ("bicubic", bicubic(small, self.factor)),
            ("made: G(x)", self.translate(small, "up")),
        ):
            columns.append((f"{label}\n{psnr(made, true).mean():.1f} dB", made))
        save_translation_sheet(path, [("", [*columns, ("true: y", true)])])

    @cached_property
    def _judged(self) -> tuple[Any, np.ndarray, np.ndarray]:
        """Features that G is not trained with, small images, and the features of the true ones."""
        true, features = self._held_out(_SCORED), self._features(0)
        return features, self.reduced(true), features(true)

    def _distance(self, images: np.ndarray) -> float:
        features, _, true = self._judged
        return float(np.sqrt(((features(images) - true) ** 2).mean()))

    def score(self) -> float:
        """Return how far the features of G's images are from those of the true ones."""
        return self._distance(self.translate(self._judged[1], "up"))

    def score_references(self) -> dict[str, float]:
        return {"bicubic": self._distance(bicubic(self._judged[1], self.factor))}

    def scores(self, metrics: dict[str, float]) -> tuple[float, float] | None:
        return (metrics["D_real"], metrics["D_fake"]) if self.options.lambda_gan else None

    def material(
        self, count: int, data: str | None = None, dataset: str | None = None
    ) -> list[Material]:
        images, _ = self.measured_with(3 * count, data, dataset)
        order = self.random(_MEASURED).permutation(len(images))
        count = min(count, len(images) // 3)  # the rest is what the set of them is compared with
        truth, real = images[order[:count]], images[order[count:]]
        title, small = f"super-resolution ×{self.factor}", self.reduced(truth)
        return [Material(title, real, self.images, None, "up", small, truth)]

    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        o = self.options
        sides = {"G": o.image_size // o.factor, "D": o.image_size}
        return {name: (side, side, o.channels) for name, side in sides.items()}
