"""What can be trained, as everything else sees it.

A system is one GAN: its options, networks, optimizers, data, step, samples, curves, and what to
advise.  The training loop, run folders, checkpoints, report and every command ask the system, and
never its name.  To make another GAN trainable, subclass `System`, or `Draws`, `Translates` or
`Detects` which say what it can do, in a file of your own:
``python -m tinygan.train my_gan.py:MyGAN``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from tinygan.averages import Average
from tinygan.data import DrawnImages
from tinygan.distributed.shared import own_count, own_rows, together
from tinygan.errors import UserError
from tinygan.layer import Layer
from tinygan.machine import memory
from tinygan.machine.arrays import asarray, asnumpy, backend_of, resolve_backend
from tinygan.machine.upload import Uploader
from tinygan.optim import Optimizer
from tinygan.options.base import Options
from tinygan.summary import summarize
from tinygan.systems import contract

__all__ = ["Batches", "Material", "Panel", "System", "SystemFile", "refuse_above"]

WEIGHTS = 100  # what a random number is for: (seed, purpose, step); the data's are small numbers


@dataclass(frozen=True)
class Panel:
    """One chart of metrics and how to read it.

    Attributes
    ----------
    title : str
    lines : dict of str to str
        What a curve is called → metric.
    text : tuple of str
        Paragraphs, for the report.
    references : dict of str to float
        Lines that a reader can compare with.
    limits : (float, float) or None
    """

    title: str
    lines: dict[str, str]
    text: tuple[str, ...] = ()
    references: dict[str, float] = field(default_factory=dict)
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class SystemFile:
    """The file of a user's own system: its place, its text, and the system's class in it."""

    path: Path
    text: bytes
    sha256: str
    cls: str

    def described(self) -> dict[str, str]:
        """Return what a run notes of it."""
        return {"name": self.path.name, "class": self.cls, "sha256": self.sha256}


@dataclass(frozen=True)
class Material:
    """Images that a system's own are measured against; bytes ``(N, H, W, C)``.

    Attributes
    ----------
    title : str
    real : ndarray
        What should be made, not trained on where that is possible.
    training : ndarray
        What was trained on.
    drawn : callable or None
        From ``(count, start)`` to drawn images with their attributes, for drawn data.
    direction : str
    inputs, truth : ndarray or None
        To translate in this direction, and the true translation of each where it is known.
    """

    title: str
    real: np.ndarray
    training: np.ndarray
    drawn: Callable[[int, int], DrawnImages] | None = None
    direction: str = ""
    inputs: np.ndarray | None = None
    truth: np.ndarray | None = None


class Batches(Protocol):
    """What `System.batches` returns: an endless iterator; `tinygan.data` has such."""

    waited_seconds: float

    @property
    def steps_per_epoch(self) -> int: ...
    def __next__(self) -> Any: ...
    def __iter__(self) -> Iterator: ...
    def close(self) -> None: ...


class System:
    """Networks that are trained together, their data, and one step of training.

    ``MyGAN(options)`` has networks, on the host, with the weights that a run starts from.  `start`
    adds what only training needs.  A subclass writes `build_networks`, `build_optimizers`,
    `load_data`, `batches` and `step`, and whatever else it wants to say better than is said here.

    A step must be a function of the networks, the optimizers, the extra arrays and its number:
    draw every random number from ``self.random(purpose, step)``.  Then a run that was resumed
    continues bit for bit.

    Attributes
    ----------
    name, title : str
        As in the command, ``"dcgan"``; and for the help, "a DCGAN: pictures from noise".
    Options : type
        The dataclass of its options.
    metric_names : tuple of str
        The keys of what `step` returns, in the order in which they stand in ``metrics.jsonl``.
    later_metrics : tuple of str
        Those of them that runs lack which are older than the metric.
    labels : dict of str to str
        The metrics that are shown while training, and what they are called there.
    panels : tuple of Panel
        The charts of ``losses.png`` and the report.
    score_panel : Panel
        The chart of `score` and `score_references`, for the report.
    advice : dict of str to str
        What to try against the warnings "D is winning", "D has lost" and "mode collapse".
    sure : float
        The mean answer to generated images under which D is taken to be winning.
    smaller : str
        Which flags make the networks smaller.
    file : SystemFile or None
        Where the class is from, if it is a user's file.
    options : Options
    networks : dict of str to Layer
    averages : dict of str to Average
        Running averages of `averaged` networks while training, by the networks' names.
    optimizers : dict of str to Optimizer
    steps_per_epoch : int
    data : dict
        What the data is: kind, place, how many images, a checksum.  It is noted in
        ``config.json``, and a run is not resumed on other data.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = "a system of your own"
    Options: ClassVar[type[Options]] = Options
    metric_names: ClassVar[tuple[str, ...]] = ()
    later_metrics: ClassVar[tuple[str, ...]] = ()
    labels: ClassVar[dict[str, str]] = {}
    panels: ClassVar[tuple[Panel, ...]] = ()
    score_panel: ClassVar[Panel] = Panel(
        "Distance to the data",
        {"distance": "score"},
        (
            "Measured at each checkpoint, with few pictures; lower is better. The checkpoint with "
            "the lowest is kept, and --best uses it. python -m tinygan.evaluate measures more.",
        ),
    )
    advice: ClassVar[dict[str, str]] = {}
    sure: ClassVar[float] = 0.02
    smaller: ClassVar[str] = "--width"
    file: ClassVar[SystemFile | None] = None

    options: Any
    networks: dict[str, Layer]
    averages: dict[str, Average]
    optimizers: dict[str, Optimizer]
    steps_per_epoch: int
    data: dict[str, Any]

    def __init_subclass__(cls, **words: Any) -> None:
        super().__init_subclass__(**words)
        if "name" not in vars(cls):  # never that of the system it is made of
            cls.name = cls.__name__.lower()
        contract.check_class(cls)

    def __init__(self, options: Any):
        self.options = replace(options, backend=resolve_backend(options.backend))
        self.data = {}
        bits = self.random(WEIGHTS).bit_generator
        networks = self.build_networks(_Sparing(bits, self.smaller))
        self.networks = contract.networks_of(self, networks)
        self.averages = {}

    def start(self) -> None:
        """Load the data and make the optimizers: all that training needs beside the networks."""
        self.data = contract.data_of(self, self.load_data())
        with closing(
            contract.batches_of(self, self.batches(0))
        ) as batches:  # says so if the data cannot fill a batch
            self.steps_per_epoch = batches.steps_per_epoch
        self.to(self.options.backend)
        self.optimizers = contract.optimizers_of(self, self.build_optimizers())
        self.start_averages()
        self._uploader = Uploader(self.options.backend)

    def start_averages(self) -> None:
        """Begin the averages at the networks as they are."""
        if self.options.ema:
            decay = self.options.ema
            self.averages = {name: Average(self.networks[name], decay) for name in self.averaged}

    # --- what a system writes -----------------------------------------------------------------

    def build_networks(self, rng: np.random.Generator) -> dict[str, Layer]:
        """Return the networks by name, on the host, with initial weights drawn from `rng`."""
        raise contract.undefined(self, "build_networks(rng)")

    def build_optimizers(self) -> dict[str, Optimizer]:
        """Return the optimizers by name, over the parameters of the networks."""
        raise contract.undefined(self, "build_optimizers()")

    def load_data(self) -> dict[str, Any]:
        """Load what `batches` needs and return what it is, see `data`.

        In a run that is taken up, or opened, `data` is what the run noted then: the ``"scale"`` of
        pictures of more than 8 bits has to be used again.
        """
        raise contract.undefined(self, "load_data()")

    def batches(self, start_step: int) -> Batches:
        """Return an iterator over batches from `start_step` (from 0) on; any object is a batch."""
        raise contract.undefined(self, "batches(start_step)")

    def step(self, batch: Any, step: int) -> dict[str, Any]:
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
        raise contract.undefined(self, "step(batch, step)")

    # --- what it may write --------------------------------------------------------------------

    @property
    def averaged(self) -> tuple[str, ...]:
        """The networks that make images: ``--ema`` averages their weights."""
        return ()

    def rate_text(self) -> str:
        """Return how the learning rate changes while training, in words; "" if it does not."""
        return ""

    def learning_rate(self, step: int) -> float | None:
        """Return the learning rate of a step, from 0, if it changes while training."""
        return None

    def older_checksum(self) -> int | None:
        """Return the data's checksum as runs noted it that are older than ``data.checksum``."""
        return None

    def save_samples(self, path: Path) -> np.ndarray | None:
        """Draw what the networks make now into a PNG; from the same noise or inputs each time.

        Returns
        -------
        ndarray or None
            The images, on the host, if they should differ from one another as much as
            `real_images` do; None if there is nothing to learn from that.
        """
        return None

    def real_images(self, count: int) -> np.ndarray | None:
        """Return `count` images of the data that `save_samples` should look like, if any."""
        return None

    def scores(self, metrics: dict[str, float]) -> tuple[float, float] | None:
        """Return the mean probabilities that D gave real and generated images in a step.

        `metrics` are the step's, as numbers.  None if D gives no probabilities.
        """
        return None

    def score(self) -> float | None:
        """Return how far the networks' images are from the data (lower is better), or None.

        It is asked for at each checkpoint, and the checkpoint with the lowest is kept for good.
        """
        return None

    def score_references(self) -> dict[str, float]:
        """Return what a reader can compare the score with, by the names in `score_panel`."""
        return {}

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

    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of one sample that goes into each network, for the memory forecast."""
        return {}

    def step_bytes(self) -> int:
        """Return a forecast of the memory that a step takes, beyond what is held already."""
        held, batch = 0, own_count(self.options.batch_size)
        for name, shape in self.input_shapes().items():
            network = summarize(self.networks[name], shape)
            held += network.bytes_fixed + batch * network.bytes_per_sample
            # beside what backward passes remember: the gradients of the largest output and input,
            # and a few batches of inputs (drawn, made, their gradients, prepared ahead)
            largest = max(math.prod(row.shape) for row in network.rows)
            held += 4 * batch * (largest + 3 * math.prod(shape))
            if self.options.backend == "numpy":  # gradients, moments: fresh zeros are no memory yet
                held += network.bytes_state * 3 // 4
        return held

    # --- what every system can do -------------------------------------------------------------

    def train(self, batch: Any, step: int) -> dict[str, Any]:
        """Take a `step`, and what the networks are after it into the `averages`."""
        metrics = contract.metrics_of(self, together(self.step, batch, step))
        for average in self.averages.values():
            average.update(step)
        return metrics

    def upload(self, *arrays: np.ndarray) -> tuple[Any, ...]:
        """Return arrays of the whole batch on the backend: this process's rows of each."""
        return self._uploader(*own_rows(*arrays))

    def random(self, *purpose: int) -> np.random.Generator:
        """Return random numbers for a purpose, ``(a number of your own from 110 on, step)``."""
        return np.random.default_rng((self.options.seed, *purpose))

    def to(self, backend: str) -> System:
        """Move the networks to ``"numpy"`` or ``"cupy"``; return the system."""
        for network in self.networks.values():
            network.to(backend)
        return self

    def predict(self, name: str, x: np.ndarray, at_once: int = 64) -> np.ndarray:
        """Return what the network `name` makes of `x`, a few at a time; from host to host.

        Its average does, where there is one.
        """
        network = self.at_inference(name)
        some = network.parameters()[0].data
        backend = backend_of(some)
        if x.dtype.kind == "f":
            x = x.astype(some.dtype, copy=False)
        parts = (x[i : i + at_once] for i in range(0, max(len(x), 1), at_once))
        return np.concatenate([asnumpy(network.predict(asarray(part, backend))) for part in parts])

    def at_inference(self, name: str) -> Layer:
        """Return the network `name` as it is after training: its average, where there is one."""
        average = self.averages.get(name)
        return self.networks[name] if average is None else average.network

    def updated(self, optimizer: str) -> list[str]:
        """Return the names, ``G.3.weight``, of the parameters that an optimizer updates, in order.

        Raises
        ------
        ValueError
            If one of them is in no network: it would be missing from checkpoints.
        """
        names = {
            id(parameter): f"{network}.{name}"
            for network, layer in self.networks.items()
            for name, parameter in layer.named_parameters().items()
        }
        found = [names.get(id(p)) for p in self.optimizers[optimizer].parameters]
        if None in found:
            raise ValueError(
                f"{self.name}: optimizers[{optimizer!r}]: its parameter {found.index(None)} is in "
                f"none of the networks {', '.join(self.networks)}"
            )
        return [name for name in found if name is not None]


def refuse_above(needed: float, what: str, advice: str) -> None:
    """Raise a UserError if `needed` bytes of `what` are more than the memory that is available."""
    free = memory.available_bytes("numpy")
    if free is not None and needed > free:
        raise UserError(
            f"{what} alone would take about {memory.size_text(needed)}, "
            f"{memory.size_text(free)} are available: lower {advice}"
        )


class _Sparing(np.random.Generator):
    """Draws weights, but refuses before networks are drawn that cannot fit into memory."""

    def __init__(self, bits: np.random.BitGenerator, advice: str):
        super().__init__(bits)
        self.drawn, self.advice = 0, advice

    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        self.drawn += math.prod(np.atleast_1d(size)) if size is not None else 1
        # 16 bytes each: weight, gradient, and Adam's two moments
        refuse_above(16 * self.drawn, "the networks and Adam's moments", self.advice)
        return super().standard_normal(size, dtype, out)
