"""What is trained, as the loop, the run folder and the checkpoints see it.

The DCGAN is one system, the CycleGAN another.  All that differs between them is behind this class:
their networks, their data, one step, what their pictures look like.  Everything else in
`tinygan.train` (the loop, resuming, plots, signals, the memory forecast) knows only what is here.

To make another thing trainable, subclass `System`, and write a command for it like
`tinygan.train.dcgan_command` (flags, defaults, presets); list it in ``tinygan.train.__main__``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinygan.layer import Layer
from tinygan.optim import Adam

__all__ = ["System"]


class System:
    """Networks that are trained together, their data, and one step of training.

    A step must be a function of the networks', the optimisers' and the extra arrays, and of the
    number of the step: draw every random number from a generator seeded by ``(seed, purpose,
    step)``.  Then a run that was resumed continues bit for bit.

    Attributes
    ----------
    name : str
        As in the command, ``"dcgan"``.
    metric_names : tuple of str
        The keys of what `step` returns, in the order in which they stand in ``metrics.jsonl``.
    labels : dict of str to str
        The metrics that are shown while training, and what they are called there.
    curves : dict of str to dict
        The panels of ``losses.png``: title → {label of a curve: metric}.
    options : dict
        Every option, resolved, as JSON can hold it.  A system built from the same options is the
        same system.  `seed`, `batch_size` and `backend` are among them.
    networks : dict of str to Layer
    optimisers : dict of str to Adam
    steps_per_epoch : int
    data : dict
        What the data is: kind, place, how many images, a checksum.  It is noted in
        ``config.json``, and a run is not resumed on other data.
    """

    name: str
    metric_names: tuple[str, ...]
    labels: dict[str, str]
    curves: dict[str, dict[str, str]]

    options: dict
    networks: dict[str, Layer]
    optimisers: dict[str, Adam]
    steps_per_epoch: int
    data: dict

    def batches(self, start_step: int):
        """Return an iterator over batches from `start_step` (from 0) on.

        It has ``waited_seconds``, the time its user spent waiting for it, and ``close()``.
        """
        raise NotImplementedError

    def step(self, batch, step: int) -> dict:
        """Train on one batch.

        Parameters
        ----------
        batch
            What `batches` gave for this step.
        step : int
            Its number, from 0.

        Returns
        -------
        dict
            The metrics, by `metric_names`: 0-dimensional arrays on the backend.  Nothing waits
            for the GPU here.
        """
        raise NotImplementedError

    def save_samples(self, path: Path) -> np.ndarray | None:
        """Draw what the networks make now into a PNG; from the same noise or inputs each time.

        Returns
        -------
        ndarray or None
            The pictures, on the host, if they should differ from one another as much as
            `real_pictures` do; None if there is nothing to learn from that.
        """
        raise NotImplementedError

    def real_pictures(self, count: int) -> np.ndarray | None:
        """Return `count` pictures of the data that `save_samples` should look like, if any."""
        return None

    def scores(self, metrics: dict) -> tuple[float, float] | None:
        """Return the mean probabilities that D gave real and generated pictures in a step.

        Parameters
        ----------
        metrics : dict
            Of the step, as numbers.

        Returns
        -------
        (float, float) or None
            None if the system's discriminators give no probabilities.
        """
        return None

    def extra_arrays(self) -> dict[str, np.ndarray]:
        """Return further state that a checkpoint must hold (an image pool), as NumPy arrays.

        Small whole numbers (a count, a position) go in as 0-dimensional integer arrays.
        """
        return {}

    def extra_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape that each of `extra_arrays` can have; the first axis may be shorter."""
        return {name: array.shape for name, array in self.extra_arrays().items()}

    def load_extra_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take up what `extra_arrays` returned; raise ValueError if it cannot be that."""
        if arrays:
            raise ValueError(f"unknown arrays: {', '.join(sorted(arrays))}")

    def step_bytes(self) -> int:
        """Return a forecast of the memory that a step takes, beyond what is held already."""
        raise NotImplementedError

    def score(self) -> float | None:
        """Return how far the networks' pictures are from the data (lower is better), or None.

        It is asked for at each checkpoint, and the checkpoint with the lowest is kept for good.
        """
        return None
