"""How good are the pictures?  Distances between sets of images, diversity, memory, known answers.

=========================  ==================================================================
`frechet_distance`         between two sets of features, as if both were Gaussian
`kernel_distance`          between two sets of features, without that assumption and unbiased
`two_sample_test`          can a classifier tell two sets of features apart?
`area_under_roc`           how well scores tell two sets apart, with a confidence interval
`sliced_wasserstein`       between the details of pictures, size after size
`diversity`                how like one another the pictures of one set are
`nearest_neighbours`       is a picture new, or a training picture again?
`AttributeProbe`           on drawn sets: which kinds of everything are made, and how often
`translation_error`        on drawn pairs: how far from the true translation
`flicker`                  on drawn films: how much changes beside the motion
=========================  ==================================================================

Features are pluggable: any function from images to an array ``(N, D)``.  `RandomFeatures` is
built in and needs no download; `OnnxFeatures` runs a network of the user's.

Everything is computed on the host in float64 where it matters; pictures are ``(N, H, W, C)``,
uint8 or float in [−1, 1].
"""

from tinygan.metrics.attributes import AttributeProbe, Coverage
from tinygan.metrics.detection import (
    Interval,
    TwoSample,
    accuracy,
    area_under_roc,
    roc,
    two_sample_test,
)
from tinygan.metrics.features import RandomFeatures
from tinygan.metrics.frechet import frechet_distance, gaussian_distance
from tinygan.metrics.kernel import kernel_distance
from tinygan.metrics.neighbours import Neighbours, memorised, nearest_neighbours
from tinygan.metrics.onnx_features import OnnxFeatures
from tinygan.metrics.similarity import diversity, ms_ssim, ssim
from tinygan.metrics.subsets import Estimate, over_halves
from tinygan.metrics.translation import TranslationError, flicker, translation_error
from tinygan.metrics.wasserstein import sliced_wasserstein, sliced_wasserstein_points

__all__ = [
    "AttributeProbe",
    "Coverage",
    "Estimate",
    "Interval",
    "Neighbours",
    "OnnxFeatures",
    "RandomFeatures",
    "TranslationError",
    "TwoSample",
    "accuracy",
    "area_under_roc",
    "diversity",
    "flicker",
    "frechet_distance",
    "gaussian_distance",
    "kernel_distance",
    "memorised",
    "ms_ssim",
    "nearest_neighbours",
    "over_halves",
    "roc",
    "sliced_wasserstein",
    "sliced_wasserstein_points",
    "ssim",
    "translation_error",
    "two_sample_test",
]
