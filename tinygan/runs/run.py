"""A trained run in Python: ``run = tinygan.load(RUN)``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinygan.commands import complain
from tinygan.data import save_grid
from tinygan.errors import UserError
from tinygan.layer import Layer
from tinygan.options.base import Options
from tinygan.options.resolving import load_options
from tinygan.runs.checkpoint import load_network
from tinygan.runs.folder import read_config
from tinygan.runs.header import Checkpoint
from tinygan.runs.load import open_run
from tinygan.runs.metrics import read_metrics
from tinygan.systems import find_of_run
from tinygan.systems.detects import Detects
from tinygan.systems.draws import Draws
from tinygan.systems.system import System
from tinygan.systems.translates import Translates

__all__ = ["Images", "Run", "load"]


_STOPS = 4  # of a walk


class Images(np.ndarray):
    """An array of images ``(N, H, W, C)`` in [−1, 1] that notebooks show as a grid."""

    def _repr_png_(self) -> bytes | None:
        if self.ndim != 4 or self.shape[-1] not in (1, 3):
            return None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "grid.png"
            save_grid(np.asarray(self), path, columns=8)
            return path.read_bytes()


class Run:
    """A run that was trained.

    Attributes
    ----------
    path : Path or None
        The run's folder; None where one checkpoint stands by itself.
    checkpoint : Path
        The file that the weights are from.
    system : System
        With the checkpoint's weights.
    """

    def __init__(self, path: Path | None, checkpoint: Checkpoint, system: System):
        self.path, self.system = path, system
        self.checkpoint, self.step = checkpoint.path, checkpoint.step

    @property
    def options(self) -> Options:
        """The run's options."""
        return self.system.options

    @property
    def networks(self) -> dict[str, Layer]:
        """The networks by name, with the checkpoint's weights."""
        return self.system.networks

    @property
    def history(self) -> list[dict[str, Any]]:
        """The metrics of each step, as in ``metrics.jsonl``."""
        file = self.path / "metrics.jsonl" if self.path else None
        return list(read_metrics(file)) if file is not None and file.exists() else []

    def generate(
        self,
        count: int = 64,
        seed: int = 0,
        interpolate: bool = False,
        columns: int = 8,
        truncation: float | None = None,
    ) -> Images:
        """Draw images; with `interpolate` each row of `columns` goes from one to another.

        `truncation` keeps the numbers of z within ±truncation, see `tinygan.systems.draws`.
        """
        z = self.noise(count, seed, interpolate, columns, truncation)
        return self.drawing().draw(z).view(Images)

    def noise(
        self,
        count: int,
        seed: int = 0,
        interpolate: bool = False,
        columns: int = 8,
        truncation: float | None = None,
    ) -> np.ndarray:
        """Return the z, ``(count, noise_size)``, that `generate` draws images of."""
        system = self.drawing()
        if not interpolate:
            return system.noise(count, seed, truncation)
        rows = -(-count // columns)
        ends = system.noise(2 * rows, seed, truncation)
        a, b = ends.reshape(rows, 2, 1, -1).swapaxes(0, 1)
        t = np.linspace(0, 1, columns, dtype=np.float32)[:, None]
        z = system.between(a, b, t)
        return z.reshape(rows * columns, -1)[:count].astype(np.float32)

    def walk(
        self,
        count: int = 64,
        frames: int = 60,
        seed: int = 0,
        truncation: float | None = None,
    ) -> np.ndarray:
        """Return z, ``(frames, count, noise_size)``: `count` ways in a circle of `frames` steps.

        Each begins at the z of `generate` with that seed and comes by three others.
        """
        system = self.drawing()
        stops = system.noise(_STOPS * count, seed, truncation).reshape(_STOPS, count, -1)
        z = []
        for i in range(frames):
            leg, t = divmod(i * _STOPS / frames, 1)
            a, b = stops[int(leg)], stops[(int(leg) + 1) % _STOPS]
            z.append(system.between(a, b, np.array(t, np.float32)))
        return np.stack(z).astype(np.float32)

    def translate(self, images: np.ndarray, direction: str | None = None) -> Images:
        """Translate images ``(N, H, W, C)``, bytes or in [−1, 1]."""
        system = self.translating()
        return system.translate(images, self.direction(direction)).view(Images)

    def check_out(self, out: str | Path) -> None:
        """Raise a UserError if `out` is among the run's own data: it would be trained on."""
        data = self.options.data
        if data and os.path.realpath(out).startswith(os.path.realpath(data) + os.sep):
            raise UserError(
                f"--out {out}: expected a place outside of {data}, the run's own data, "
                "or its next session would train on what it made"
            )

    def direction(self, name: str | None) -> str:
        """Return the direction of a name, or the usual one; raise a UserError if there is none."""
        known = self.translating().directions
        if name is not None and name not in known:
            raise UserError(f"--direction: expected one of {', '.join(known)}, got {name!r}")
        return name or next(iter(known))

    def drawing(self) -> Draws:
        """Return the system if it draws images; a UserError if it does not."""
        if isinstance(self.system, Draws):
            return self.system
        raise UserError(f"{self.checkpoint}: a {self.system.name} does not draw images{self._can}")

    def translating(self) -> Translates:
        """Return the system if it translates images; a UserError if it does not."""
        if isinstance(self.system, Translates):
            return self.system
        raise UserError(
            f"{self.checkpoint}: a {self.system.name} does not translate images{self._can}"
        )

    @property
    def _can(self) -> str:
        if isinstance(self.system, Draws):
            return "; it draws them: use python -m tinygan.generate"
        if isinstance(self.system, Translates):
            return "; it translates them: use python -m tinygan.translate"
        if isinstance(self.system, Detects):
            return "; it tells generated ones from real ones: use python -m tinygan.evaluate"
        return ""

    def __repr__(self) -> str:
        return f"<Run of a {self.system.name}, {self.step} steps: {self.path or self.checkpoint}>"


def load(
    path: str | Path,
    *,
    system: str | type[System] | None = None,
    best: bool = False,
    raw: bool = False,
    backend: str = "auto",
    say: Callable[[str], None] = complain,
) -> Run:
    """Open a run folder, or one of its checkpoints.

    Parameters
    ----------
    path : str or Path
        Or ``"demo-faces"``, ``"demo-bags"``: runs that come with tinygan, if there is no such path.
    system : str or type, optional
        ``"my_gan.py:MyGAN"``, given again, or the class, for a run of your own system: its code is
        run only if you name it.
    best : bool
        Use the checkpoint whose images were nearest to the data, not the newest.
    raw : bool
        Use the generators' weights after the last step, not their average.
    backend : {"auto", "numpy", "cupy"}
    say : callable
        Told warnings.

    Raises
    ------
    UserError
        If there is no such run, or it is damaged.

    Examples
    --------
    >>> run = load("runs/dcgan-faces-20260131-142500")  # doctest: +SKIP
    >>> run.generate(64).shape                          # doctest: +SKIP
    (64, 32, 32, 3)
    """
    opened = open_run(Path(path), best=best, say=say)
    found = opened.checkpoint
    noted = {"system": found.system, "system_file": found.system_file}
    cls = find_of_run(noted, system, found.path, say)
    options = load_options(cls.Options, found.options, found.path)
    options.backend = backend
    trained = cls(options)
    if opened.folder is not None and (opened.folder / "config.json").is_file():
        data = read_config(opened.folder).get("data")
        trained.data = data if isinstance(data, dict) else {}
    for name, network in trained.networks.items():
        load_network(found.path, network, name, raw)
    return Run(opened.folder, found, trained.to(trained.options.backend))
