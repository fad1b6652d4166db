"""What PyTorch does in the benchmarks: the tasks of `benchmarks.work_tinygan`, the same updates.

It is used as well as we know how: gradients set to None, the fused Adam, no gradients for weights
whose gradients nobody wants (D's in G's step), no gradient for pictures, each path back-propagated
as soon as its loss is known, and inference in ``eval`` and ``inference_mode``.
"""

from __future__ import annotations

import os

import torch
from torch import nn
from torch.nn import functional

NOISE_SIZE = 200
LEARNING_RATE, BETAS = 2e-4, (0.5, 0.999)


class Torch:
    """The contestant.

    Parameters
    ----------
    backend : {"numpy", "cupy"}
        The CPU, or the GPU.
    threads : int
        0 for all cores.
    channels_last : bool
        Keep weights and images in PyTorch's ``channels_last`` memory format.
    compile : bool
        Put every network through ``torch.compile``.
    """

    def __init__(self, backend, threads, channels_last=False, compile=False):
        self.device = "cpu" if backend == "numpy" else "cuda"
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.compile = compile
        if threads:
            torch.set_num_threads(threads)
        if self.device == "cuda":
            torch.backends.cudnn.benchmark = True
            tf32 = os.environ.get("CUPY_TF32") == "1"  # for both or for neither
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.manual_seed(0)

    def prepare(self, task: dict):
        """Return the function that does `task` once."""
        task = dict(task)
        return getattr(self, "_" + task.pop("task"))(**task)

    def _images(self, *shape):
        drawn = torch.rand(shape, device=self.device) * 2 - 1
        return drawn.to(memory_format=self.format)

    def _place(self, network):
        return network.to(self.device).to(memory_format=self.format)

    def _ready(self, network):
        return torch.compile(network, dynamic=False) if self.compile else network

    def _adam(self, *networks):
        parameters = [p for network in networks for p in network.parameters()]
        return torch.optim.Adam(parameters, LEARNING_RATE, BETAS, fused=True)

    def _convolution(self, backward=True, input_gradient=True, **shape):
        options = [shape[k] for k in ("in_channels", "out_channels", "kernel_size", "stride")]
        options += [shape["padding"]]
        if shape["transposed"]:
            layer = nn.ConvTranspose2d(*options, shape["output_padding"], bias=False)
        else:
            layer = nn.Conv2d(*options, bias=False)
        layer = self._ready(self._place(layer))
        x = self._images(shape["batch"], shape["in_channels"], shape["size"], shape["size"])
        with torch.no_grad():
            dy = torch.rand_like(layer(x))

        def job():
            if not backward:
                with torch.inference_mode():
                    return layer(x)
            layer.zero_grad(set_to_none=True)
            source = x.detach().requires_grad_(input_gradient)
            y = layer(source)
            y.backward(dy)
            return y

        return job

    def _dcgan_step(self, image_size=64, batch=128, width=64):
        raw_G = self._place(dcgan_generator(image_size, width))
        raw_D = self._place(dcgan_discriminator(image_size, width))
        adam_G, adam_D = self._adam(raw_G), self._adam(raw_D)
        G, D = self._ready(raw_G), self._ready(raw_D)
        x = self._images(batch, 3, image_size, image_size)
        z = torch.rand(batch, NOISE_SIZE, 1, 1, device=self.device) * 2 - 1
        loss = functional.binary_cross_entropy_with_logits
        real, one, zero = (torch.full((batch,), v, device=self.device) for v in (0.9, 1.0, 0.0))

        def job():
            fake = G(z)
            adam_D.zero_grad(set_to_none=True)
            loss(D(x).flatten(), real).backward()
            loss(D(fake.detach()).flatten(), zero).backward()
            adam_D.step()
            adam_G.zero_grad(set_to_none=True)
            raw_D.requires_grad_(False)
            loss(D(fake).flatten(), one).backward()
            raw_D.requires_grad_(True)
            adam_G.step()

        return job

    def _dcgan_predict(self, image_size=64, batch=128, width=64):
        G = self._ready(self._place(dcgan_generator(image_size, width)).eval())
        z = torch.rand(batch, NOISE_SIZE, 1, 1, device=self.device) * 2 - 1
        return _inference(G, z)

    def _cyclegan_step(self, image_size=128, batch=1, residual_blocks=6, width=64):
        raw = [self._place(cyclegan_generator(residual_blocks, width)) for _ in range(2)]
        raw += [self._place(patch_discriminator(width)) for _ in range(2)]
        adam_G, adam_D_X, adam_D_Y = self._adam(*raw[:2]), self._adam(raw[2]), self._adam(raw[3])
        G, F, D_X, D_Y = map(self._ready, raw)
        x, y = (self._images(batch, 3, image_size, image_size) for _ in range(2))
        l1 = functional.l1_loss

        def squared(score, target):
            return (score - target).square().mean()

        def cycle(G, F, D, x):
            fake = G(x)
            (squared(D(fake), 1.0) + 10.0 * l1(F(fake), x)).backward()
            return fake.detach()

        def learn(D, adam, real, fake):
            adam.zero_grad(set_to_none=True)
            (0.5 * squared(D(real), 1.0)).backward()
            (0.5 * squared(D(fake), 0.0)).backward()
            adam.step()

        def job():
            adam_G.zero_grad(set_to_none=True)
            for D in raw[2:]:
                D.requires_grad_(False)
            (5.0 * l1(G(y), y)).backward()
            (5.0 * l1(F(x), x)).backward()
            fake_y = cycle(G, F, D_Y, x)
            fake_x = cycle(F, G, D_X, y)
            adam_G.step()
            for D in raw[2:]:
                D.requires_grad_(True)
            learn(D_X, adam_D_X, x, fake_x)
            learn(D_Y, adam_D_Y, y, fake_y)

        return job

    def _cyclegan_predict(self, image_size=128, batch=1, residual_blocks=6, width=64):
        G = self._ready(self._place(cyclegan_generator(residual_blocks, width)).eval())
        return _inference(G, self._images(batch, 3, image_size, image_size))

    def _product(self, size=2048):
        a, b, out = (torch.rand(size, size, device=self.device) for _ in range(3))
        return lambda: torch.matmul(a, b, out=out)


def _inference(network, x):
    def job():
        with torch.inference_mode():
            return network(x)

    return job


def dcgan_generator(image_size, width):
    """Return PyTorch's counterpart of `tinygan.models.dcgan.generator`."""
    wide = width * image_size // 8
    layers = [
        nn.ConvTranspose2d(NOISE_SIZE, wide, 4, bias=False),
        nn.BatchNorm2d(wide),
        nn.ReLU(True),
    ]
    while wide > width:
        layers += [
            nn.ConvTranspose2d(wide, wide // 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(wide // 2),
            nn.ReLU(True),
        ]
        wide //= 2
    layers += [nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh()]
    return _initialize(nn.Sequential(*layers))


def dcgan_discriminator(image_size, width):
    """Return PyTorch's counterpart of `tinygan.models.dcgan.discriminator`."""
    layers = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    wide, size = width, image_size // 2
    while size > 4:
        layers += [
            nn.Conv2d(wide, 2 * wide, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * wide),
            nn.LeakyReLU(0.2, True),
        ]
        wide, size = 2 * wide, size // 2
    return _initialize(nn.Sequential(*layers, nn.Conv2d(wide, 1, 4, bias=False)))


class _Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x):
        return x + self.block(x)


def cyclegan_generator(residual_blocks, width):
    """Return PyTorch's counterpart of `tinygan.models.cyclegan.generator`."""
    w = width
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7), nn.InstanceNorm2d(w), nn.ReLU(True)]
    for _ in range(2):
        layers += [nn.Conv2d(w, 2 * w, 3, 2, 1), nn.InstanceNorm2d(2 * w), nn.ReLU(True)]
        w *= 2
    layers += [_Residual(w) for _ in range(residual_blocks)]
    for _ in range(2):
        layers += [nn.ConvTranspose2d(w, w // 2, 3, 2, 1, 1)]
        layers += [nn.InstanceNorm2d(w // 2), nn.ReLU(True)]
        w //= 2
    layers += [nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh()]
    return _initialize(nn.Sequential(*layers))


def patch_discriminator(width):
    """Return PyTorch's counterpart of `tinygan.models.cyclegan.patch_discriminator`."""
    layers = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
    for stride in (2, 2, 1):
        layers += [
            nn.Conv2d(width, 2 * width, 4, stride, 1),
            nn.InstanceNorm2d(2 * width),
            nn.LeakyReLU(0.2, True),
        ]
        width *= 2
    return _initialize(nn.Sequential(*layers, nn.Conv2d(width, 1, 4, 1, 1)))


def _initialize(network):
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network
