"""Differentiable augmentation: the layers, and the options --augment, --lr-d, --flip and --fit."""

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from training import TINY, timeless, train

from tinygan import RandomColor, RandomCutout, RandomTranslation, asarray, asnumpy
from tinygan.layers.sequential import Sequential
from tinygan.options.resolving import load_options, stored
from tinygan.systems.augmenting import AUGMENTATIONS, augmentations
from tinygan.systems.cyclegan import CycleGAN, CycleGANOptions
from tinygan.systems.dcgan import DCGAN, DCGANOptions

SMALL = {"image_size": 16, "width": 2, "backend": "numpy", "dataset_size": 8}
MAKERS = list(AUGMENTATIONS.values())


def images(n=4, size=16, channels=3, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, size, size, channels))


# --- the layers (their gradients are checked with all others) -------------------------------------


def test_color_by_its_definition():
    x, layer = images(), RandomColor(rng=3)
    _, (b, s, k) = layer.forward(x)
    for value, low, high in ((b, -0.5, 0.5), (s, 0, 2), (k, 0.5, 1.5)):
        assert value.shape == (4, 1, 1, 1)
        assert ((low <= value) & (value < high)).all()
    y = RandomColor(rng=3)(x)[0]
    for i in range(4):
        bright = x[i] + b[i]
        grey = bright.mean(axis=2, keepdims=True)
        saturated = grey + s[i] * (bright - grey)
        np.testing.assert_allclose(y[i], (saturated - saturated.mean()) * k[i] + saturated.mean())


def test_translation_by_its_definition():
    x = images(64)
    y, (u, v) = RandomTranslation(rng=3).forward(x)
    assert set(u.tolist()) == set(v.tolist()) == {-2, -1, 0, 1, 2}  # an eighth of 16
    padded = np.pad(x, [(0, 0), (2, 2), (2, 2), (0, 0)])
    for i in range(64):
        top, left = 2 - u[i], 2 - v[i]
        np.testing.assert_array_equal(y[i], padded[i, top : top + 16, left : left + 16])


def test_cutout_by_its_definition():
    x = images(200)
    y, _ = RandomCutout(rng=3)(x)
    sizes = set()
    for before, after in zip(x, y, strict=True):
        gone = (after == 0).all(axis=2)
        np.testing.assert_array_equal(after[~gone], before[~gone])
        rows, columns = np.flatnonzero(gone.any(axis=1)), np.flatnonzero(gone.any(axis=0))
        assert gone.sum() == len(rows) * len(columns)  # a whole rectangle
        sizes.add((len(rows), len(columns)))
    assert {max(sides) for sides in zip(*sizes, strict=True)} == {8}
    assert min(min(pair) for pair in sizes) == 4


@pytest.mark.parametrize("make", MAKERS)
def test_each_image_and_each_call_is_changed_otherwise_and_at_inference_none_is(make):
    x = np.repeat(images(1), 8, axis=0)
    layer = make(rng=1)
    first, second = layer(x)[0], layer(x)[0]
    assert len({image.tobytes() for image in (*first, *second)}) > 8
    assert layer.predict(x) is x
    np.testing.assert_array_equal(make(rng=1)(x)[0], first)


@pytest.mark.parametrize("make", MAKERS)
def test_the_gradient_is_the_transpose(make):
    """⟨A x − A 0, dy⟩ = ⟨x, Aᵀ dy⟩, of both dtypes."""
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-5)):
        x, dy = images().astype(dtype), images(seed=1).astype(dtype)
        y, backward = make(rng=2)(x)
        dx = backward(dy)
        assert y.dtype == dx.dtype == dtype
        zero = make(rng=2)(np.zeros_like(x))[0]
        assert float(((y - zero) * dy).sum()) == pytest.approx(float((x * dx).sum()), rel=tolerance)


@pytest.mark.parametrize("make", MAKERS)
def test_on_cupy_the_same(make, strict_cupy):
    x = images().astype(np.float32)
    expected, backward = make(rng=1)(x)
    y, on_gpu = make(rng=1)(asarray(x, "cupy"))
    np.testing.assert_allclose(asnumpy(y), expected, atol=1e-6)
    np.testing.assert_allclose(asnumpy(on_gpu(asarray(x, "cupy"))), backward(x), atol=1e-6)


@pytest.mark.parametrize("make", [RandomTranslation, RandomCutout])
def test_a_share_is_between_0_and_1(make):
    x = images()
    np.testing.assert_array_equal(make(share=0.0)(x)[0], x)
    with pytest.raises(ValueError, match=r"share: expected a number in \[0, 1\], got 1.5"):
        make(share=1.5)


# --- --augment ------------------------------------------------------------------------------------


def test_each_step_draws_its_own_and_each_layer_too():
    x = images()
    y = [Sequential(*augmentations("cutout,color", (0, 104, step)))(x)[0] for step in (0, 1, 0)]
    np.testing.assert_array_equal(y[0], y[2])
    assert (y[0] != y[1]).any()
    assert [type(a).__name__ for a in augmentations("cutout,color", (1,))] == [
        "RandomColor",
        "RandomCutout",
    ]
    assert augmentations(None, (1,)) == []


@pytest.mark.parametrize("system", ["dcgan", "cyclegan"])
def test_d_sees_all_images_augmented_then_with_noise(system, monkeypatch):
    """The training step gets one layer: what is named, and the noise last."""
    more = {"augment": "color,translation,cutout"}
    if system == "dcgan":
        trained = DCGAN(DCGANOptions(**SMALL, **more, batch_size=4, instance_noise=0.1, steps=1))
    else:
        small = {"discriminator_width": 2, "residual_blocks": 0, "batch_size": 2}
        trained = CycleGAN(CycleGANOptions(**SMALL, **small, **more, steps=1))
    trained.start()
    found = []
    module = f"tinygan.models.{system}.train_step"
    monkeypatch.setattr(
        module,
        lambda *_, augment, **__: found.append(augment) or {n: 0.0 for n in trained.metric_names},
    )
    with trained.batches(0) as batches:
        trained.step(next(batches), 0)
    names = [type(layer).__name__ for layer in found[0]]
    noise = ["GaussianNoise"] if system == "dcgan" else []
    assert names == ["RandomColor", "RandomTranslation", "RandomCutout", *noise]


def test_an_augmented_run_is_resumed_to_the_bit_and_differs_from_a_plain_one(tmp_path):
    words = ["--augment", "translation,color", "--flip", "--lr-d", 1e-3]
    for name, steps in (("whole", 4), ("resumed", 2)):
        assert train(*words, "--steps", steps, "--out", tmp_path / name) == 0
    assert train("--resume", tmp_path / "resumed", "--steps", 4, tiny=False) == 0
    assert train("--steps", 4, "--out", tmp_path / "plain") == 0
    whole, resumed, plain = (timeless(tmp_path / n) for n in ("whole", "resumed", "plain"))
    assert whole == resumed != plain
    a, b = (load_file(tmp_path / n / "checkpoints" / "step-000004.safetensors")
            for n in ("whole", "resumed"))  # fmt: skip
    assert all((a[name] == b[name]).all() for name in a)


@pytest.mark.parametrize("words", ["colour", "color,", "color,color", "color cutout"])
def test_an_unknown_augmentation_is_one_line(words, capsys):
    assert train("--augment", words, "--steps", 1) == 2
    told = capsys.readouterr().err
    assert (
        f"expected one or more of color, translation, cutout, separated by commas, got {words!r}"
        in told
    )


# --- --lr-d, --flip, --fit ------------------------------------------------------------------------


def test_d_may_learn_at_another_rate():
    for lr_d, expected in ((None, 2e-4), (4e-4, 4e-4), (0.0, 0.0)):
        trained = DCGAN(DCGANOptions(**SMALL, batch_size=4, lr_d=lr_d, steps=1))
        trained.start()
        assert {n: a.lr for n, a in trained.optimizers.items()} == {
            "adam_G": 2e-4,
            "adam_D": expected,
        }


def test_both_rates_of_a_cyclegan_fall_alike():
    small = {"discriminator_width": 2, "residual_blocks": 0, "batch_size": 4}
    trained = CycleGAN(CycleGANOptions(**SMALL, **small, epochs=4, decay_from=0, lr_d=4e-4))
    trained.start()
    step = 2 * trained.steps_per_epoch
    with trained.batches(step) as batches:
        trained.step(next(batches), step)
    rates = {name: optimizer.lr for name, optimizer in trained.optimizers.items()}
    assert rates == pytest.approx({"adam_G": 1e-4, "adam_D_X": 2e-4, "adam_D_Y": 2e-4})


def test_flip_mirrors_about_half_of_the_pictures():
    batches = {}
    for flip in (False, True):
        trained = DCGAN(DCGANOptions(**SMALL, batch_size=8, flip=flip, steps=1))
        trained.start()
        with trained.batches(0) as found:
            batches[flip] = [next(found) for _ in range(8)]
    mirrored = total = 0
    for plain, flipped in zip(batches[False], batches[True], strict=True):
        for a, b in zip(plain, flipped, strict=True):
            same = (a == b).all()
            assert same or (a[:, ::-1] == b).all()
            mirrored, total = mirrored + (not same), total + 1
    assert 0.25 * total < mirrored < 0.75 * total


def test_fit_says_what_becomes_of_pictures_that_are_not_square(tmp_path):
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:, :10] = 255
    for i in range(8):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
    made = {}
    for fit in ("crop", "pad", "stretch"):
        trained = DCGAN(DCGANOptions(**SMALL, data=str(tmp_path), batch_size=4, fit=fit, steps=1))
        trained.start()
        made[fit] = trained.images[0].astype(int)
    assert made["crop"][2:-2, 2:-2].max() < 64  # the middle, black
    assert made["pad"][:3].min() > 250 > 64 > made["pad"][8, 8:].max()
    assert made["stretch"][:, :3].min() > 200 > 64 > made["stretch"][:, 6:].max()


@pytest.mark.parametrize("cls", [DCGANOptions, CycleGANOptions])
def test_older_runs_did_without(cls):
    values = {n: v for n, v in stored(cls()).items() if n not in ("augment", "lr_d", "ema")}
    if cls is DCGANOptions:
        values = {n: v for n, v in values.items() if n not in ("flip", "fit")}
    options = load_options(cls, values, "x")
    assert (options.augment, options.lr_d, options.ema) == (None, None, 0)
    if cls is DCGANOptions:
        assert (options.flip, options.fit) == (False, "crop")


def test_the_tiny_words_are_a_dcgans():
    assert train(*TINY, "--fit", "tile", "--steps", 1, tiny=False) == 2
