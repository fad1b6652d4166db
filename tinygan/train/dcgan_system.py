"""The DCGAN as something that is trained."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from tinygan.data import ImageFolder, Prefetcher, faces, save_grid
from tinygan.layer import Layer
from tinygan.machine.arrays import asarray, asnumpy, resolve_backend
from tinygan.machine.upload import Uploader
from tinygan.models import dcgan
from tinygan.optim import Adam
from tinygan.summary import summarize
from tinygan.systems.system import System

__all__ = ["DCGAN", "build_generator", "load_images", "noise"]

# What a random number is for: each purpose has its own stream, (seed, purpose, step).  The data's
# purposes are small numbers.
_WEIGHTS, _NOISE, _SAMPLES, _INSTANCE_NOISE = range(100, 104)
_SAMPLE_COUNT = 64
_SCORED = 128  # pictures that a checkpoint is judged by


def build_generator(options: dict, rng=None) -> Layer:
    """Return the generator of a run with these options, on the host."""
    return dcgan.generator(
        options["image_size"],
        options["channels"],
        options["noise_size"],
        options["width"],
        options["activation"],
        options["negative_slope"],
        rng,
    )


def noise(options: dict, count: int, rng) -> np.ndarray:
    """Draw z as a run with these options does."""
    return dcgan.draw_noise(count, options["noise_size"], rng, options["noise"])


class DCGAN(System):
    """The generator, the discriminator, and pictures of one kind."""

    name = "dcgan"
    metric_names = ("loss_D", "loss_D_real", "loss_D_fake", "loss_G", "D_real", "D_fake")
    labels = {  # noqa: RUF012
        "loss_D": "loss D",
        "loss_G": "loss G",
        "D_real": "D(x)",
        "D_fake": "D(G(z))",
    }
    curves = {  # noqa: RUF012
        "Discriminator and generator": {"D": "loss_D", "G": "loss_G"},
    }

    def __init__(self, options: dict):
        backend = resolve_backend(options["backend"])
        self.options = {**options, "backend": backend}
        self.images, self.data = load_images(options)
        self.batches(0).close()  # says so if the data cannot fill a batch
        self.steps_per_epoch = len(self.images) // options["batch_size"]
        rng = self._random(_WEIGHTS)
        G = build_generator(options, rng)
        D = dcgan.discriminator(
            options["image_size"],
            options["channels"],
            options["width"],
            options["negative_slope"],
            rng,
        )
        self.networks = {"G": G.to(backend), "D": D.to(backend)}
        self.optimisers = {
            f"adam_{name}": Adam(network.parameters(), options["lr"], (options["beta1"], 0.999))
            for name, network in self.networks.items()
        }
        self._upload = Uploader(backend)
        z = noise(options, _SAMPLE_COUNT, self._random(_SAMPLES))
        self._sample_noise = asarray(z, backend)

    def _random(self, *purpose: int) -> np.random.Generator:
        return np.random.default_rng((self.options["seed"], *purpose))

    def batches(self, start_step: int) -> Prefetcher:
        return Prefetcher(
            self.images, self.options["batch_size"], self.options["seed"], start_step=start_step
        )

    def step(self, batch, step: int) -> dict:
        options = self.options
        arrays = [batch, noise(options, len(batch), self._random(_NOISE, step))]
        if options["instance_noise"]:
            drawn = self._random(_INSTANCE_NOISE, step).standard_normal(
                (2, *batch.shape), np.float32
            )
            drawn *= np.float32(options["instance_noise"])
            arrays.extend(drawn)
        x, z, *instance_noise = self._upload(*arrays)
        return dcgan.train_step(
            self.networks["G"],
            self.networks["D"],
            self.optimisers["adam_G"],
            self.optimisers["adam_D"],
            x,
            z,
            label_smoothing=options["label_smoothing"],
            generator_loss=options["generator_loss"],
            instance_noise=instance_noise or None,
        )

    def save_samples(self, path: Path) -> np.ndarray:
        images = asnumpy(self.networks["G"].predict(self._sample_noise))
        save_grid(images, path, columns=8)
        return images

    def real_pictures(self, count: int) -> np.ndarray:
        some = np.linspace(0, len(self.images) - 1, min(count, len(self.images))).astype(int)
        return self.images[some]

    def scores(self, metrics: dict) -> tuple[float, float]:
        return metrics["D_real"], metrics["D_fake"]

    def score(self) -> float:
        """Return the sliced Wasserstein distance to the data, meaned over sizes of detail."""
        from tinygan.metrics import sliced_wasserstein  # only needed every few hundred steps

        some = np.linspace(0, len(self.images) - 1, min(len(self.images), _SCORED)).astype(int)
        real = self.images[some].astype(np.float32) / np.float32(127.5) - np.float32(1)
        z = noise(self.options, len(some), self._random(_SAMPLES))
        fake = asnumpy(self.networks["G"].predict(asarray(z, self.options["backend"])))
        distances = sliced_wasserstein(real, fake)
        return float(np.mean(list(distances.values())))

    def step_bytes(self) -> int:
        options = self.options
        side, batch = options["image_size"], options["batch_size"]
        G = summarize(self.networks["G"], (options["noise_size"],))
        D = summarize(self.networks["D"], (side, side, options["channels"]))
        remembered = sum(n.bytes_fixed + batch * n.bytes_per_sample for n in (G, D))
        # beside what the ways back remember: the gradients of the widest layer's input and
        # output, and a few batches of pictures (drawn, made, their gradients, prepared ahead)
        widest = 4 * batch * (side // 2) ** 2 * options["width"]
        pictures = 4 * batch * side**2 * options["channels"]
        held = remembered + 2 * widest + 6 * pictures
        if options["backend"] == "numpy":  # gradients and moments: fresh zeros are no memory yet
            held += (G.bytes_state + D.bytes_state) * 3 // 4
        return held


def load_images(options) -> tuple[np.ndarray, dict]:
    """Return the images, and what they are."""
    size, channels = options["image_size"], options["channels"]
    if options["data"]:
        folder = ImageFolder(
            options["data"], size, channels, crop=options["crop"], cache=options["cache"]
        )
        images, skipped = folder.images, len(folder.skipped)
        source = {"folder": options["data"], "skipped": skipped}
    else:
        images = faces(options["dataset_size"], size, options["seed"], channels).images
        source = {"dataset": "faces"}
    some = np.linspace(0, len(images) - 1, min(len(images), 256)).astype(int)
    checksum = 0
    for i in some:
        checksum = zlib.crc32(np.ascontiguousarray(images[i]), checksum)
    return images, {**source, "images": len(images), "checksum": checksum}
