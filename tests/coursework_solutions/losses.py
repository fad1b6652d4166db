import numpy as np


def bce(probability, target):
    p, t = probability, target
    loss = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    return loss, (p - t) / (p * (1 - p)) / p.size


def bce_with_logits(score, target):
    loss = (np.maximum(score, 0) - score * target + np.log1p(np.exp(-np.abs(score)))).mean()
    return loss, (0.5 * (1 + np.tanh(0.5 * score)) - target) / score.size


def least_squares(score, target):
    difference = score - target
    return (difference * difference).mean(), 2 * difference / difference.size
