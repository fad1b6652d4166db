"""Whole layers: what goes wrong with parameters and with state."""

import numpy as np

from mutants.specimen import Collection, off_kinks
from tinygan import BatchNorm2d, Conv2d, Dropout, Layer, LeakyReLU, Parameter, ReLU

SPECIMENS = Collection("layer", lambda rng: (off_kinks(rng, 3, 5, 4, 2),))
layer = SPECIMENS.layer


@layer(name="scale and shift")
class Scale(Layer):
    """y = a x + b, channel by channel."""

    def __init__(self, channels=2):
        self.scale = Parameter(np.ones(channels, np.float32))
        self.shift = Parameter(np.zeros(channels, np.float32))

    def forward(self, x):
        return x * self.scale.data + self.shift.data, x

    def backward(self, dy, x):
        self.scale.grad += (dy * x).sum(axis=(0, 1, 2))
        self.shift.grad += dy.sum(axis=(0, 1, 2))
        return dy * self.scale.data


@layer(name="parameters' gradients replaced, but added")
class Replaced(Scale):
    def backward(self, dy, x):
        self.scale.grad = self.scale.grad + np.einsum("nhwc,nhwc->c", dy, x)
        self.shift.grad = self.shift.grad + dy.sum(axis=(0, 1, 2))
        return dy * self.scale.data


@layer("assigned", name="gradient assigned")
class Assigned(Scale):
    def backward(self, dy, x):
        self.scale.grad = (dy * x).sum(axis=(0, 1, 2))
        self.shift.grad += dy.sum(axis=(0, 1, 2))
        return dy * self.scale.data


@layer("assigned", name="bias gradient assigned in place")
class AssignedInPlace(Conv2d):
    def __init__(self):
        super().__init__(2, 3, 3, padding=1, rng=0)

    def backward(self, dy, cache, input_gradient=True):
        dx = super().backward(dy, cache, input_gradient)
        self.bias.grad[...] = dy.sum(axis=(0, 1, 2))
        return dx


@layer("assigned", name="γ's gradient assigned")
class AssignedNorm(BatchNorm2d):
    def __init__(self):
        super().__init__(2)

    def backward(self, dy, cache, input_gradient=True):
        self.weight.grad.fill(0)
        return super().backward(dy, cache, input_gradient)


@layer("missing gradient", name="bias forgotten")
class NoBias(Scale):
    def backward(self, dy, x):
        self.scale.grad += (dy * x).sum(axis=(0, 1, 2))
        return dy * self.scale.data


@layer("constant factor", name="gradient added twice")
class Twice(Scale):
    def backward(self, dy, x):
        self.shift.grad += dy.sum(axis=(0, 1, 2))
        return super().backward(dy, x)


@layer("wrong shape", name="shift summed over the batch only")
class OverBatch(Scale):
    def backward(self, dy, x):
        self.scale.grad += (dy * x).sum(axis=(0, 1, 2))
        self.shift.grad += dy.sum(axis=0)
        return dy * self.scale.data


@layer("wrong axis", name="shift summed over everything")
class OverEverything(Scale):
    def backward(self, dy, x):
        self.scale.grad += (dy * x).sum(axis=(0, 1, 2))
        self.shift.grad += dy.sum()
        return dy * self.scale.data


@layer("missing term", name="scale's gradient without x")
class WithoutX(Scale):
    def backward(self, dy, x):
        self.scale.grad += dy.sum(axis=(0, 1, 2))
        self.shift.grad += dy.sum(axis=(0, 1, 2))
        return dy * self.scale.data


@layer("missing term", name="scale forgotten in dx")
class WithoutScale(Scale):
    def backward(self, dy, x):
        super().backward(dy, x)
        return dy.copy()


@layer("shared cache", name="x on self")
class OnSelf(Scale):
    def forward(self, x):
        self.x = x
        return x * self.scale.data + self.shift.data, None

    def backward(self, dy, cache):
        return super().backward(dy, self.x)


@layer("shared cache", name="a stack on self")
class Stack(Scale):
    def forward(self, x):
        self.stack = [*getattr(self, "stack", []), x]
        return x * self.scale.data + self.shift.data, None

    def backward(self, dy, cache):
        return super().backward(dy, self.stack.pop())


@layer("shared cache", name="mask on self")
class MaskOnSelf(ReLU):
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask, None

    def backward(self, dy, cache):
        return dy * self.mask


@layer("shared cache", name="dropout's mask on self")
class DropoutOnSelf(Dropout):
    def __init__(self):
        super().__init__(0.5, rng=0)

    def forward(self, x):
        y, self.cache = super().forward(x)
        return y, None

    def backward(self, dy, cache):
        return super().backward(dy, self.cache)


@layer("input overwritten", name="x scaled in place")
class InPlace(Scale):
    def forward(self, x):
        before = x.copy()
        x *= self.scale.data
        x += self.shift.data
        return x, before


@layer("input overwritten", name="parameter overwritten")
class Clipped(Scale):
    def forward(self, x):
        np.clip(self.scale.data, -0.6, 0.6, out=self.scale.data)
        return super().forward(x)


@layer("upstream overwritten", name="dy scaled in place")
class UpstreamInPlace(Scale):
    def backward(self, dy, x):
        super().backward(dy, x)
        dy *= self.scale.data
        return dy


@layer("float32", name="output in float32")
class Float32(Scale):
    def forward(self, x):
        y = np.empty(x.shape, np.float32)
        y[...] = x * self.scale.data + self.shift.data
        return y, x


@layer("float32", name="gradient through float32")
class Float32Gradient(Scale):
    def backward(self, dy, x):
        return super().backward(dy.astype(np.float32), x.astype(np.float32))


@layer(name="upcast and back")
class Upcast(Scale):
    def forward(self, x):
        wide = x.astype(np.float64)
        y = wide * self.scale.data.astype(np.float64) + self.shift.data
        return y.astype(x.dtype), wide

    def backward(self, dy, x):
        return super().backward(dy.astype(np.float64), x).astype(dy.dtype)


@layer(name="relu and leaky relu in one", negative_slope=0.1)
class InHalves(LeakyReLU):
    def forward(self, x):
        y = np.maximum(x, 0) - self.negative_slope * np.maximum(-x, 0)
        return y, np.signbit(x)

    def backward(self, dy, negative):
        dx = dy.copy()
        dx[negative] *= self.negative_slope
        return dx


class ConvRelu(Conv2d):
    def __init__(self):
        super().__init__(2, 3, 3, rng=0)

    def forward(self, x):
        y, cache = super().forward(x)
        return np.maximum(y, 0), (y, cache)

    def mask(self, dy, y):
        return y > 0

    def backward(self, dy, cache, input_gradient=True):
        y, cache = cache
        return super().backward(dy * self.mask(dy, y), cache, input_gradient)


SPECIMENS.add("convolution and relu", ConvRelu)


@layer("wrong mask", name="convolution and relu: mask from dy")
class MaskFromUpstream(ConvRelu):
    def mask(self, dy, y):
        return dy > 0


@layer("wrong mask", name="convolution and relu: mask inverted")
class MaskInverted(ConvRelu):
    def mask(self, dy, y):
        return y < 0


@layer("wrong mask", name="convolution and relu: no mask")
class NoMask(ConvRelu):
    def mask(self, dy, y):
        return np.ones_like(y)


@layer("wrong mask", name="dropout: new mask in backward")
class NewMask(Dropout):
    def __init__(self):
        super().__init__(0.5, rng=0)

    def backward(self, dy, cache):
        keep = np.random.default_rng(5).random(dy.shape) < 0.5
        return dy * keep * 2.0


@layer("constant factor", name="dropout: not scaled")
class NotScaled(Dropout):
    def __init__(self):
        super().__init__(0.5, rng=0)

    def backward(self, dy, cache):
        return super().backward(dy, cache) * 0.5
