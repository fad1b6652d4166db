"""N ranks are one process: losses, weights, moments, averages and pools, in float64.

``python tests/distributed/test_equality.py`` prints the table.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tinygan.distributed import joined, on_threads
from tinygan.runs.checkpoint import state_arrays
from tinygan.systems import find

STEPS = 50
LONG = bool(os.environ.get("TINYGAN_LONG"))
MY_GAN = f"{Path(__file__).parents[2] / 'tutorials' / 'my_gan.py'}:WGAN"

TINY = {"dataset_size": 20, "image_size": 16, "backend": "numpy", "steps": STEPS, "epochs": None}
DRAWS = TINY | {"dataset": "faces", "width": 2, "noise_size": 4, "batch_size": 7, "flip": True}
CYCLE = TINY | {
    **{"width": 2, "residual_blocks": 1, "discriminator_width": 2, "discriminator_layers": 2},
    **{"batch_size": 5, "pool_size": 7, "dataset_size": 10, "downsamplings": 1},
}
SUPER = TINY | {"width": 2, "residual_blocks": 1, "discriminator_width": 2, "batch_size": 5}
SUPER |= {"dataset_size": 10, "lambda_features": 0.0, "lambda_gan": 0.1, "augment": "translation"}
CASES = {
    "dcgan": ("dcgan", DRAWS | {"ema": 0.9}),
    "dcgan, noise and augmentation": (
        "dcgan",
        DRAWS | {"instance_noise": 0.1, "augment": "color,translation,cutout", "lr": 2e-3},
    ),
    "cyclegan": ("cyclegan", CYCLE),
    "cyclegan, batch norm, dropout, augmentation": (
        "cyclegan",
        CYCLE | {"norm": "batch", "dropout": 0.4, "augment": "color,translation"},
    ),
    "srgan": ("srgan", SUPER),
    "a system of one's own": (MY_GAN, DRAWS | {"critic_steps": 2}),
}


def in_float64(system):
    """Let a system compute in float64: options have no such word."""
    for network in system.networks.values():
        network.to(dtype="float64")
    system.optimizers = system.build_optimizers()
    system.start_averages()
    upload = system.upload
    system.upload = lambda *arrays: tuple(x.astype(np.float64) for x in upload(*arrays))
    return system


@cache
def trained(name, size):
    """Return the metrics of `STEPS` steps, ``(steps, metrics)``, and the state of all ranks."""
    which, words = CASES[name]
    cls = find(which)

    def work(ranks):
        system = cls(cls.Options(**words))
        system.start()
        in_float64(system)
        rows = []
        with joined(ranks), system.batches(0) as batches:
            for step in range(STEPS):
                metrics = system.train(next(batches), step)
                rows.append([float(metrics[name]) for name in system.metric_names])
        return np.array(rows), state_arrays(system)

    return on_threads(size, work, timeout=280)


def apart(name, size):
    """Return the largest difference to one process, of the metrics and of each part of the state.

    A bias in front of an instance normalisation has a gradient of exactly zero, and what Adam makes
    of its rounding errors changes nothing: it is left out.
    """
    (one, state), *_ = trained(name, 1)
    (several, other), *_ = trained(name, size)
    found = {"metrics": abs(several - one).max()}
    idle = _idle(name)
    for key, array in state.items():
        if array.size and not any(key.endswith(end) for end in idle):
            difference = abs(array.astype(float) - other[key].astype(float)).max()
            part = key.partition("/")[0]
            found[part] = max(found.get(part, 0.0), difference)
    return found


def _idle(name):
    return ("bias", "bias/m", "bias/v") if name == "cyclegan" else ()


def sizes(name):
    return (2, 3, 4) if LONG or "cyclegan" not in name else (3,)


@pytest.mark.parametrize(("name", "size"), [(n, s) for n in CASES for s in sizes(n)])
def test_n_ranks_are_one_process(name, size):
    ranks = trained(name, size)
    for metrics, state in ranks[1:]:  # to the bit among themselves
        np.testing.assert_array_equal(metrics, ranks[0][0])
        for key, array in ranks[0][1].items():
            np.testing.assert_array_equal(state[key], array, err_msg=key)
    for part, difference in apart(name, size).items():
        assert difference < 1e-10, part


@pytest.mark.parametrize("name", ["dcgan", "cyclegan"])
def test_the_comparison_is_of_runs_that_learn(name):
    metrics = trained(name, 1)[0][0]
    assert abs(metrics[-1] - metrics[0]).max() > 1e-2


if __name__ == "__main__":
    for case in CASES:
        for count in (2, 3, 4):
            parts = ", ".join(f"{part} {value:.1e}" for part, value in apart(case, count).items())
            print(f"{case:45} {count} ranks: {parts}", flush=True)
