"""The layers: one concept a file, the function pair on top, the thin layer below."""

from tinygan.layers.activation import LeakyReLU, PReLU, ReLU, Sigmoid, Tanh
from tinygan.layers.augment import RandomColor, RandomCutout, RandomTranslation
from tinygan.layers.conv import Conv2d, ConvTranspose2d
from tinygan.layers.dropout import Dropout
from tinygan.layers.group_norm import GroupNorm
from tinygan.layers.linear import Linear
from tinygan.layers.noise import GaussianNoise
from tinygan.layers.norm import BatchNorm2d, InstanceNorm2d
from tinygan.layers.pool import AvgPool2d, MaxPool2d
from tinygan.layers.sequential import Residual, Sequential
from tinygan.layers.shape import Flatten, PixelShuffle, ReflectionPad2d, Reshape, Upsample

__all__ = [
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "GroupNorm",
    "InstanceNorm2d",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "PReLU",
    "PixelShuffle",
    "RandomColor",
    "RandomCutout",
    "RandomTranslation",
    "ReLU",
    "ReflectionPad2d",
    "Reshape",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "Upsample",
]
