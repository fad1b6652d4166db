import numpy as np

AXES = (0, 1, 2)


def batch_norm(x, gamma, beta, eps=1e-5):
    centred = x - x.mean(axis=AXES)
    rstd = 1 / np.sqrt((centred * centred).mean(axis=AXES) + eps)
    xhat = centred * rstd
    return gamma * xhat + beta, (xhat, rstd, gamma)


def batch_norm_backward(dy, cache):
    xhat, rstd, gamma = cache
    dxhat = dy * gamma
    dx = rstd * (dxhat - dxhat.mean(axis=AXES) - xhat * (dxhat * xhat).mean(axis=AXES))
    return dx, (dy * xhat).sum(axis=AXES), dy.sum(axis=AXES)
