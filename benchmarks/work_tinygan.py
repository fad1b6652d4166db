"""What tinygan does in the benchmarks: each task as a function of no arguments.

Tasks are dicts whose ``task`` is one of

- ``convolution``: the fields of `benchmarks.shapes.Shape`, and ``backward``;
- ``dcgan_step``, ``dcgan_predict``: ``image_size``, ``batch``;
- ``cyclegan_step``, ``cyclegan_predict``: ``image_size``, ``batch``, ``residual_blocks``;
- ``product``: a square matrix product of ``size``;
- ``kernel``: one kernel by its ``name``, on a GPU, see `benchmarks.work_kernels`.

`benchmarks.work_torch` does the same with PyTorch.
"""

from __future__ import annotations

import argparse

import numpy as np

from tinygan import Adam, Conv2d, ConvTranspose2d, asarray
from tinygan.convolution import using_algorithm
from tinygan.convolution.tally import counting
from tinygan.fast.cuda.module import counting_traffic
from tinygan.machine.parallel import set_num_threads

NOISE_SIZE = 200
LEARNING_RATE, BETAS = 2e-4, (0.5, 0.999)


def step_parser(name: str, description: str, steps: int = 3) -> argparse.ArgumentParser:
    """Return the parser of ``python -m benchmarks.NAME``, which looks into a system's steps."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("system", choices=("dcgan", "cyclegan"))
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--steps", type=int, default=steps, help="default: %(default)s")
    return parser


def step_task(chosen: argparse.Namespace) -> dict:
    """Return the task of what was chosen: the step of a system."""
    sizes = {name: getattr(chosen, name) for name in ("image_size", "batch")}
    return {"task": f"{chosen.system}_step"} | {k: v for k, v in sizes.items() if v}


class Tinygan:
    """The contestant.

    Parameters
    ----------
    backend : {"numpy", "cupy"}
    threads : int
        0 for all cores.
    algorithm : str
        Of the convolutions, see `tinygan.convolution`.
    """

    def __init__(self, backend: str, threads: int, algorithm: str = "auto"):
        self.backend, self.algorithm = backend, algorithm
        if threads:
            set_num_threads(threads)

    def prepare(self, task: dict):
        """Return the function that does `task` once."""
        task = dict(task)
        job = getattr(self, "_" + task.pop("task"))(**task)

        def run():
            with using_algorithm(self.algorithm):
                return job()

        run.bytes = getattr(job, "bytes", None)
        return run

    def count(self, job) -> int:
        """Return the multiply–adds of one run's convolutions, by the definition."""
        with counting() as counts:
            job()
        return sum(counts)

    def traffic(self, job) -> int:
        """Return the bytes of all arrays that one run's kernels read and write."""
        with counting_traffic() as counts:
            job()
        return sum(counts)

    def _draw(self, *shape):
        drawn = np.random.default_rng(0).random(shape, np.float32) * 2 - 1
        return asarray(drawn, self.backend)

    def _convolution(self, backward=True, input_gradient=True, **shape):
        options = [shape[k] for k in ("in_channels", "out_channels", "kernel_size", "stride")]
        options += [shape["padding"]]
        if shape["transposed"]:
            layer = ConvTranspose2d(*options, shape["output_padding"], bias=False, rng=0)
        else:
            layer = Conv2d(*options, bias=False, rng=0)
        layer.to(self.backend)
        x = self._draw(shape["batch"], shape["size"], shape["size"], shape["in_channels"])
        dy = self._draw(*layer.predict(x).shape)

        def job():
            y, way_back = layer(x)
            if backward:
                way_back(dy, input_gradient=input_gradient)
            return y

        return job

    def _dcgan_step(self, image_size=64, batch=128, width=64):
        from tinygan.models import dcgan

        G = dcgan.generator(image_size, width=width, noise_size=NOISE_SIZE, rng=0)
        D = dcgan.discriminator(image_size, width=width, rng=1)
        G.to(self.backend), D.to(self.backend)
        adam_G, adam_D = (Adam(n.parameters(), LEARNING_RATE, BETAS) for n in (G, D))
        x, z = self._draw(batch, image_size, image_size, 3), self._draw(batch, NOISE_SIZE)
        return lambda: dcgan.train_step(G, D, adam_G, adam_D, x, z)

    def _dcgan_predict(self, image_size=64, batch=128, width=64):
        from tinygan.models import dcgan

        G = dcgan.generator(image_size, width=width, noise_size=NOISE_SIZE, rng=0).to(self.backend)
        z = self._draw(batch, NOISE_SIZE)
        return lambda: G.predict(z)

    def _cyclegan_step(self, image_size=128, batch=1, residual_blocks=6, width=64):
        from tinygan.models import cyclegan

        G, F = (cyclegan.generator(3, width, 2, residual_blocks, rng=i) for i in (0, 1))
        D_X, D_Y = (cyclegan.patch_discriminator(3, width, rng=i) for i in (2, 3))
        for network in (G, F, D_X, D_Y):
            network.to(self.backend)
        adams = [
            Adam(parameters, LEARNING_RATE, BETAS)
            for parameters in (G.parameters() + F.parameters(), D_X.parameters(), D_Y.parameters())
        ]
        x, y = (self._draw(batch, image_size, image_size, 3) for _ in range(2))
        return lambda: cyclegan.train_step(G, F, D_X, D_Y, *adams, x, y)

    def _cyclegan_predict(self, image_size=128, batch=1, residual_blocks=6, width=64):
        from tinygan.models import cyclegan

        G = cyclegan.generator(3, width, 2, residual_blocks, rng=0).to(self.backend)
        x = self._draw(batch, image_size, image_size, 3)
        return lambda: G.predict(x)

    def _product(self, size=2048):
        a, b = self._draw(size, size), self._draw(size, size)
        out = a @ b
        return lambda: a.__matmul__(b) if self.backend != "numpy" else np.matmul(a, b, out=out)

    def _kernel(self, name, batch, size, channels):
        from benchmarks.work_kernels import prepare_kernel

        kernel, moved = prepare_kernel(self.backend, name, batch, size, channels)

        def job():
            return kernel()

        job.bytes = moved
        return job
