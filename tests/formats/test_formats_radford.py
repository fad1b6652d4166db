"""Radford's weights of 2015; TINYGAN_RADFORD names the folder of his arrays, where they are."""

import os
from pathlib import Path

import numpy as np
import pytest

from tinygan.errors import UserError
from tinygan.formats import radford
from tinygan.models.dcgan import draw_noise

FOLDER = Path(os.environ.get("TINYGAN_RADFORD", "nowhere"))
there = pytest.mark.skipif(not FOLDER.is_dir(), reason="TINYGAN_RADFORD names no folder")


def test_the_kernels_convolve_as_theanos_did():
    signal = pytest.importorskip("scipy.signal")
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((2, 3, 5, 5)).astype(np.float32)  # (O, C, KH, KW)
    x = rng.standard_normal((1, 8, 8, 3)).astype(np.float32)
    y = radford._down(kernel).predict(x)
    for o in range(2):  # convolve2d turns the kernel, as convolution in mathematics does
        full = sum(signal.convolve2d(x[0, :, :, c], kernel[o, c], "same") for c in range(3))
        np.testing.assert_allclose(y[0, :, :, o], full[::2, ::2], atol=1e-4)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    back = radford._up(kernel).predict(dy)  # the adjoint: <y, dy> = <x, back>
    np.testing.assert_allclose((y * dy).sum(), (x * back).sum(), rtol=1e-4)


@there
def test_his_generator_draws_what_his_discriminator_takes_for_house_numbers():
    G, D = radford.generator(FOLDER), radford.discriminator(FOLDER)
    images, _ = G(draw_noise(128, 100, 0))
    assert images.shape == (128, 32, 32, 3)
    assert 0.2 < images.std() < 0.6
    turned = radford.generator(FOLDER)
    for layer in turned:
        if isinstance(layer, radford.ConvTranspose2d):
            layer.weight.data[...] = layer.weight.data[::-1, ::-1].copy()
    blots, _ = turned(draw_noise(128, 100, 0))
    score, blot_score = (D(x)[0].mean() for x in (images, blots))
    assert score > blot_score + 3


def test_files_that_are_not_there_are_named(tmp_path):
    with pytest.raises(UserError, match=r"expected 200_gen_params\.jl_01\.npy to _10\.npy"):
        radford.generator(tmp_path)
