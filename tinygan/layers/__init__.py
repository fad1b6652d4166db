"""The layers: one concept a file, the function pair on top, the thin layer below."""

from tinygan.layers.activation import LeakyReLU, ReLU, Sigmoid, Tanh
from tinygan.layers.conv import Conv2d, ConvTranspose2d
from tinygan.layers.dropout import Dropout
from tinygan.layers.noise import GaussianNoise
from tinygan.layers.norm import BatchNorm2d, InstanceNorm2d
from tinygan.layers.shape import Flatten, ReflectionPad2d, Reshape, Upsample

__all__ = [
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "InstanceNorm2d",
    "LeakyReLU",
    "ReLU",
    "ReflectionPad2d",
    "Reshape",
    "Sigmoid",
    "Tanh",
    "Upsample",
]
