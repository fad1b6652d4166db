"""The second paper's three tasks, and what is trained when nothing was asked for."""

from __future__ import annotations

from tinygan.train.presets import Preset

__all__ = ["PRESETS"]

_STATED = {  # sections 2.2, 3.2 and 4, of all tasks: "we use the same settings"
    "lambda_gan": 1.0,
    "lambda_identity": 5.0,
    "lambda_cycle": 10.0,
    "lambda_discriminator": 0.5,
    "downsamplings": 2,
    "residual_blocks": 6,
    "discriminator_layers": 2,
    "epochs": 200,
    "schedule_epochs": 200,
}
_ASSUMED = {
    "decay_from": 100,
    "schedule": "paper",
    "lr": 2e-4,
    "beta1": 0.5,
    "batch_size": 1,
    "pool_size": 50,
    "image_size": 128,
    "load_size": 143,
    "width": 64,
    "discriminator_width": 64,
    "norm": "instance",
    "upsampling": "transposed",
    "dropout": 0.0,
}
_NOTES = {
    "downsamplings": '"three down sampling layers", the first 7×7 convolution counted among them',
    "discriminator_layers": '"four convolutional layers": two of stride 2, two of stride 1',
    "decay_from": "E₀ of Algorithm 1 is named but has no value; half of the epochs in Zhu et al.",
    "schedule": "Algorithm 1's formula, applied to each epoch itself",
    "lr": "the paper names an initial rate but gives no value; this is Zhu et al.'s",
    "beta1": "of Adam; the paper names no optimiser, Zhu et al. use Adam",
    "image_size": "Zhu et al. use six residual blocks for pictures of 128 pixels",
}


def _task(title: str) -> Preset:
    return Preset(title, stated=_STATED, assumed=_ASSUMED, notes=_NOTES)


PRESETS = {
    "handbag2backpack": _task(
        "section 3.2: handbags and backpacks, 660 and 801 pictures to train on, 100 and 149 to "
        "test; the paper's pictures are not published"
    ),
    "vangogh2photo": _task(
        "section 3.3: Van Gogh's paintings and photographs "
        "(python -m tinygan.data download vangogh2photo)"
    ),
    "ukiyoe2photo": _task(
        "section 3.3: Ukiyo-e prints and photographs (python -m tinygan.data download ukiyoe2photo)"
    ),
    "quick": Preset(
        "without --data: the drawn bags, small enough to be done within a few minutes on two cores",
        assumed={
            "dataset": "bags",
            "dataset_size": 500,
            "image_size": 32,
            "load_size": 32,
            "width": 16,
            "downsamplings": 2,
            "residual_blocks": 3,
            "discriminator_width": 16,
            "discriminator_layers": 2,
            "batch_size": 4,
            "lr": 1e-3,
            "epochs": 12,
            "sample_every": 125,
        },
    ),
}
