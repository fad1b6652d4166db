import numpy as np


def leaky_relu(x, negative_slope):
    return np.where(x > 0, x, negative_slope * x), (x > 0, negative_slope)


def leaky_relu_backward(dy, cache):
    positive, negative_slope = cache
    return np.where(positive, dy, negative_slope * dy)
