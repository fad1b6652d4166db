"""Your functions as layers that tinygan can put together.  Nothing is to be written here.

Each class calls the functions of one exercise; `Adam` calls yours for every parameter.
"""

import numpy as np
from adam import adam_step
from batch_norm import batch_norm, batch_norm_backward
from conv import conv2d, conv2d_backward
from conv_transpose import conv_transpose2d, conv_transpose2d_backward
from leaky_relu import leaky_relu, leaky_relu_backward
from relu import relu, relu_backward
from sigmoid_tanh import tanh, tanh_backward

from tinygan import Layer, Parameter


class ReLU(Layer):
    def forward(self, x):
        return relu(x)

    def backward(self, dy, cache):
        return relu_backward(dy, cache)


class LeakyReLU(Layer):
    def __init__(self, negative_slope=0.2):
        self.negative_slope = negative_slope

    def forward(self, x):
        return leaky_relu(x, self.negative_slope)

    def backward(self, dy, cache):
        return leaky_relu_backward(dy, cache)


class Tanh(Layer):
    def forward(self, x):
        return tanh(x)

    def backward(self, dy, cache):
        return tanh_backward(dy, cache)


class _Convolution(Layer):
    def __init__(self, shape, channels, stride, padding, rng):
        self.weight = Parameter(np.float32(0.05) * rng.standard_normal(shape, np.float32))
        self.bias = Parameter(np.zeros(channels, np.float32))
        self.stride, self.padding = stride, padding

    def _add(self, dw, db):
        self.weight.grad += dw
        self.bias.grad += db


class Conv2d(_Convolution):
    def __init__(self, in_channels, out_channels, kernel_size, stride, padding, rng):
        shape = (kernel_size, kernel_size, in_channels, out_channels)
        super().__init__(shape, out_channels, stride, padding, rng)

    def forward(self, x):
        return conv2d(x, self.weight.data, self.bias.data, self.stride, self.padding)

    def backward(self, dy, cache):
        dx, dw, db = conv2d_backward(dy, cache)
        self._add(dw, db)
        return dx


class ConvTranspose2d(_Convolution):
    def __init__(self, in_channels, out_channels, kernel_size, stride, padding, rng):
        shape = (kernel_size, kernel_size, out_channels, in_channels)
        super().__init__(shape, out_channels, stride, padding, rng)

    def forward(self, x):
        return conv_transpose2d(x, self.weight.data, self.bias.data, self.stride, self.padding)

    def backward(self, dy, cache):
        dx, dw, db = conv_transpose2d_backward(dy, cache)
        self._add(dw, db)
        return dx


class BatchNorm2d(Layer):
    def __init__(self, channels):
        self.weight = Parameter(np.ones(channels, np.float32))
        self.bias = Parameter(np.zeros(channels, np.float32))

    def forward(self, x):
        return batch_norm(x, self.weight.data, self.bias.data)

    def backward(self, dy, cache):
        dx, dgamma, dbeta = batch_norm_backward(dy, cache)
        self.weight.grad += dgamma
        self.bias.grad += dbeta
        return dx


class Adam:
    def __init__(self, parameters, lr=1e-3):
        self.parameters, self.lr, self.t = list(parameters), lr, 0
        self.moments = [(0 * p.data, 0 * p.data) for p in self.parameters]

    def zero_grad(self):
        for parameter in self.parameters:
            parameter.zero_grad()

    def step(self):
        self.t += 1
        for i, parameter in enumerate(self.parameters):
            parameter.data[...], *moments = adam_step(
                parameter.data, parameter.grad, *self.moments[i], self.t, lr=self.lr
            )
            self.moments[i] = tuple(moments)
