"""The published networks as PyTorch modules, for tests where it is installed.

Their parameters have the published names because the modules stand in the published places.
"""

from __future__ import annotations

import json
from pathlib import Path

NAMES = json.loads(
    Path(__file__).with_name("fixtures").joinpath("published_names.json").read_text()
)


def module(title: str):
    """Return the module whose ``state_dict`` has the names of ``NAMES[title]``."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, dropout):
            super().__init__()
            layers = [nn.ReflectionPad2d(1), nn.Conv2d(256, 256, 3), nn.InstanceNorm2d(256)]
            layers += [nn.ReLU()] + ([nn.Dropout(0.5)] if dropout else [])
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(256, 256, 3), nn.InstanceNorm2d(256)]
            self.conv_block = nn.Sequential(*layers)

        def forward(self, x):
            return x + self.conv_block(x)

    class Network(nn.Module):
        def __init__(self, name, layers):
            super().__init__()
            setattr(self, name, nn.Sequential(*layers))

        def forward(self, x):
            return next(self.children())(x)

    def translator(blocks, dropout):
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, 64, 7), nn.InstanceNorm2d(64), nn.ReLU()]
        for c in (64, 128):
            layers += [nn.Conv2d(c, 2 * c, 3, 2, 1), nn.InstanceNorm2d(2 * c), nn.ReLU()]
        layers += [Block(dropout) for _ in range(blocks)]
        for c in (256, 128):
            layers += [nn.ConvTranspose2d(c, c // 2, 3, 2, 1, 1), nn.InstanceNorm2d(c // 2)]
            layers += [nn.ReLU()]
        return Network("model", [*layers, nn.ReflectionPad2d(3), nn.Conv2d(64, 3, 7), nn.Tanh()])

    def patches():
        layers = [nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2)]
        for c, stride in ((64, 2), (128, 2), (256, 1)):
            layers += [nn.Conv2d(c, 2 * c, 4, stride, 1), nn.InstanceNorm2d(2 * c)]
            layers += [nn.LeakyReLU(0.2)]
        return Network("model", [*layers, nn.Conv2d(512, 1, 4, 1, 1)])

    def generator():
        layers, c = [nn.ConvTranspose2d(100, 512, 4, bias=False)], 512
        while c > 64:
            layers += [nn.BatchNorm2d(c), nn.ReLU()]
            layers += [nn.ConvTranspose2d(c, c // 2, 4, 2, 1, bias=False)]
            c //= 2
        layers += [nn.BatchNorm2d(64), nn.ReLU()]
        return Network("main", [*layers, nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh()])

    def discriminator():
        layers = [nn.Conv2d(3, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for c in (64, 128, 256):
            layers += [nn.Conv2d(c, 2 * c, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * c)]
            layers += [nn.LeakyReLU(0.2)]
        return Network("main", [*layers, nn.Conv2d(512, 1, 4, bias=False)])

    torch.manual_seed(0)
    make = {
        "cyclegan G, 6 blocks": lambda: translator(6, False),
        "cyclegan G, 6 blocks, dropout": lambda: translator(6, True),
        "cyclegan G, 9 blocks": lambda: translator(9, False),
        "cyclegan G, 9 blocks, dropout": lambda: translator(9, True),
        "cyclegan D": patches,
        "dcgan G": generator,
        "dcgan D": discriminator,
    }[title]()
    with torch.no_grad():  # weights as trained ones are: none a zero, none a one
        for name, array in make.state_dict().items():
            if array.is_floating_point():
                array.normal_(1.0 if name.endswith("var") else 0.0, 0.02)
    return make.eval()
