"""The first paper's three experiments, and what is trained when nothing was asked for."""

from __future__ import annotations

from tinygan.train.presets import Preset

__all__ = ["PRESETS"]

_OPEN = {  # what the paper leaves open in all three experiments
    "noise": "uniform",
    "channels": 3,
    "width": 64,
    "negative_slope": 0.2,
    "generator_loss": "non_saturating",
    "crop": None,
}
_OPEN_NOTES = {
    "generator_loss": "the paper gives both, section II.C",
    "negative_slope": "a leak α is named but no value",
}
_GENERAL = {  # section II.A, of all experiments
    "image_size": 64,
    "channels": 3,
    "noise_size": 200,
    "noise": "uniform",
}
_FIRST = {"batch_size": 128, "beta1": 0.5, "label_smoothing": 0.9}


def _open(**further) -> dict:
    left = {name: value for name, value in _OPEN.items() if name not in _GENERAL}
    return {**left, **further}


PRESETS = {
    "celebrity-relu": Preset(
        "experiment 1 (section III.A): Celebrity-100k with ReLU; the paper saw it collapse",
        stated={**_GENERAL, **_FIRST, "lr": 1e-4, "activation": "relu", "epochs": 30},
        assumed=_open(),
        notes=_OPEN_NOTES,
    ),
    "celebrity-leaky": Preset(
        "experiment 2 (section III.A): Celebrity-100k with leaky ReLU; varied faces",
        stated={**_GENERAL, "lr": 2e-4, "activation": "leaky_relu"},
        assumed=_open(**_FIRST, epochs=30),
        notes=_OPEN_NOTES
        | {name: "as in experiment 1, which it varies" for name in (*_FIRST, "epochs")}
        | {"lr": 'the text calls 0.001 "the initial value", experiment 1 used 0.0001'},
    ),
    "celeba": Preset(
        "experiment 3 (section III.B): CelebA with leaky ReLU",
        stated={**_GENERAL, **_FIRST, "lr": 1e-4, "activation": "leaky_relu", "epochs": 10},
        assumed=_open(crop=108 / 178),
        notes=_OPEN_NOTES
        | {"crop": '"we crop all images to center them around the face", by how much is open'},
    ),
    "quick": Preset(
        "without --data: the drawn faces, small enough to be done within five minutes on two cores",
        assumed={
            "dataset": "faces",
            "image_size": 32,
            "width": 32,
            "batch_size": 64,
            "activation": "leaky_relu",
            "lr": 5e-4,
            "instance_noise": 0.1,
            "steps": 1800,
            "sample_every": 100,
        },
    ),
}
