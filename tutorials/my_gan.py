"""A GAN of your own, in one file: a Wasserstein GAN.

    python -m tinygan.train my_gan.py:WGAN
    python -m tinygan.generate runs/wgan-... --system my_gan.py:WGAN

The critic D scores images without an upper end.  It learns to make the gap between its mean scores
of real and of generated images as wide as it can, while all its weights stay in [-c, c], which
keeps its slope bounded.  The gap is then, up to a factor, the distance that a heap of generated
images would have to be moved to become the heap of real ones; and G learns to close it:

    D:  maximise  mean D(x) - mean D(G(z))        G:  maximise  mean D(G(z))

Arjovsky, Chintala, Bottou, *Wasserstein GAN*, 2017, Algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from tinygan import Conv2d, LeakyReLU, Reshape, Sequential, frozen, get_xp
from tinygan.data import Prefetcher
from tinygan.models.dcgan import generator
from tinygan.optim import RMSprop
from tinygan.options.base import inherit, option
from tinygan.options.kinds import choice, number, whole
from tinygan.options.presets import Preset
from tinygan.systems.draws import Draws, DrawsOptions
from tinygan.systems.system import Panel

NOISE = 110  # what a random number is for: each purpose has a number, from 110 on


@dataclass
class WGANOptions(DrawsOptions):
    """Each option is a flag, a default, a line of help, and a check of what is given."""

    presets = {
        "quick": Preset(
            "without --data: drawn faces, some minutes on two cores",
            assumed={"image_size": 32, "width": 16, "dataset": "faces", "steps": 1000, "lr": 5e-4},
        )
    }

    image_size: int = inherit(DrawsOptions, "image_size", 32, kind=choice(16, 32, 64))
    batch_size: int = inherit(DrawsOptions, "batch_size", 64)
    lr: float = inherit(DrawsOptions, "lr", 5e-5, help="RMSprop's rate")
    width: int = option(32, whole(1), "channels next to the picture", group="networks")
    clip: float = option(0.01, number(0), "largest weight of the critic", group="objective")
    critic_steps: int = option(
        5, whole(1, 100), "steps of the critic for one of G", group="objective"
    )


class WGAN(Draws):
    """What differs from other GANs that draw images: networks, optimizers, batches, the step."""

    title = "a Wasserstein GAN: pictures from noise"
    Options = WGANOptions
    metric_names = ("distance", "loss_G")
    labels = {"distance": "D(x) - D(G(z))", "loss_G": "loss G"}
    panels = (
        Panel(
            "The critic's distance",
            {"D(x) - D(G(z))": "distance"},
            ("Unlike the losses of other GANs it should fall, as the pictures become better.",),
        ),
        Panel("Loss of the generator", {"G": "loss_G"}),
    )

    def build_networks(self, rng):
        o = self.options
        G = generator(o.image_size, o.channels, o.noise_size, o.width, rng=rng)
        layers, before, wide, size = [], o.channels, o.width, o.image_size
        while size > 4:
            layers += [Conv2d(before, wide, 4, stride=2, padding=1, rng=rng), LeakyReLU(0.2)]
            before, wide, size = wide, 2 * wide, size // 2
        D = Sequential(*layers, Conv2d(before, 1, 4, rng=rng), Reshape())  # scores (N,)
        return {"G": G, "D": D}

    def build_optimizers(self):
        lr = self.options.lr
        return {name: RMSprop(net.parameters(), lr) for name, net in self.networks.items()}

    def batches(self, start_step):
        """Return batches that hold as many images as all the critic's steps need."""
        o = self.options
        count = o.batch_size * o.critic_steps
        return Prefetcher(self.images, count, o.seed, start_step, flip=o.flip)

    def step(self, batch, step):
        o, n = self.options, self.options.batch_size
        noise = self.noise(len(batch), self.random(NOISE, step))
        G, D = self.networks["G"], self.networks["D"]

        for i in range(0, len(batch), n):
            x, z = self.upload(batch[i : i + n], noise[i : i + n])
            xp, share = get_xp(x), 1 / len(x)
            fake, _ = G(z)
            self.optimizers["D"].zero_grad()
            real_score, backward = D(x)
            backward(xp.full_like(real_score, -share), input_gradient=False)
            fake_score, backward = D(fake)
            backward(xp.full_like(fake_score, share), input_gradient=False)
            self.optimizers["D"].step()
            for parameter in D.parameters():
                xp.clip(parameter.data, -o.clip, o.clip, out=parameter.data)

        self.optimizers["G"].zero_grad()
        fake, fake_backward = G(z)
        with frozen(D):
            score, backward = D(fake)
        fake_backward(backward(xp.full_like(score, -share)), input_gradient=False)
        self.optimizers["G"].step()
        return {"distance": real_score.mean() - fake_score.mean(), "loss_G": -score.mean()}
