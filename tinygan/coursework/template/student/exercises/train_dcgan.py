r"""Exercise 12: a DCGAN of your own layers learns to draw faces.

Everything you wrote comes together.  Build the two networks from the layers in my_layers.py and
train them with your step:

    python exercises/train_dcgan.py          (about a minute; writes faces.png)

The generator turns noise (N, 32) into pictures (N, 16, 16, 3) in [−1, 1]:

    Reshape(1, 1, 32)                                           from tinygan
    ConvTranspose2d  32 → 32 channels, kernel 4, stride 1, padding 0     now 4×4
    BatchNorm2d, ReLU
    ConvTranspose2d  32 → 16 channels, kernel 4, stride 2, padding 1     now 8×8
    BatchNorm2d, ReLU
    ConvTranspose2d  16 → 3 channels, kernel 4, stride 2, padding 1      now 16×16
    Tanh

The discriminator turns pictures into scores (N,):

    Conv2d  3 → 16 channels, kernel 4, stride 2, padding 1               now 8×8
    LeakyReLU
    Conv2d  16 → 32 channels, kernel 4, stride 2, padding 1              now 4×4
    BatchNorm2d, LeakyReLU
    Conv2d  32 → 1 channel, kernel 4, stride 1, padding 0                now 1×1
    Reshape()                                                   from tinygan
"""

import numpy as np
import threadpoolctl
from dcgan_step import train_step
from my_layers import Adam, BatchNorm2d, Conv2d, ConvTranspose2d, LeakyReLU, ReLU, Tanh  # noqa: F401

from tinygan import Reshape, Sequential  # noqa: F401
from tinygan.data import faces, save_grid


def generator(rng):
    """Return G, a ``Sequential`` of the layers above."""
    raise NotImplementedError("generator: Sequential(Reshape(1, 1, 32), …)")


def discriminator(rng):
    """Return D, a ``Sequential`` of the layers above."""
    raise NotImplementedError("discriminator: Sequential(Conv2d(3, 16, 4, 2, 1, rng), …)")


def train(steps=400, batch_size=32, seed=0, report=print):
    """Train on drawn faces; return G and the real pictures."""
    rng = np.random.default_rng(seed)
    pictures = real_pictures(1024)
    G, D = generator(rng), discriminator(rng)
    adam_G, adam_D = Adam(G.parameters(), lr=2e-3), Adam(D.parameters(), lr=1e-3)
    with threadpoolctl.threadpool_limits(1):  # the matrix products are too small to be shared
        for step in range(1, steps + 1):
            x = pictures[rng.integers(len(pictures), size=batch_size)]
            loss_D, loss_G = train_step(G, D, adam_G, adam_D, x, noise(rng, batch_size))
            if step % 50 == 0:
                report(f"step {step}: D {float(loss_D):.3f}, G {float(loss_G):.3f}")
    return G, pictures


def real_pictures(count):
    """Return drawn faces as float32 in [−1, 1]."""
    images = faces(count, image_size=16).images
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)


def noise(rng, count):
    return rng.uniform(-1, 1, (count, 32)).astype(np.float32)


if __name__ == "__main__":
    G, pictures = train()
    fakes, _ = G(noise(np.random.default_rng(1), 32))
    save_grid(np.concatenate([pictures[:32], fakes]), "faces.png", columns=8)
    print("faces.png: real faces above, yours below")
