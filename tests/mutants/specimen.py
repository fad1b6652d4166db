"""One implementation, what it is called with, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tinygan import check_gradients


@dataclass(frozen=True)
class Specimen:
    """One implementation.

    Attributes
    ----------
    id : str
    subject : callable
        Returns the layer, or the pair of functions.
    arguments : callable
        ``arguments(rng)`` returns what it is called with.
    cause : str
        The kind of mistake; the empty string for a right one.
    also : tuple of str
        Other names that would be as right.
    """

    id: str
    subject: Callable
    arguments: Callable
    cause: str = ""
    also: tuple[str, ...] = field(default=())

    def check(self, seed):
        arguments = self.arguments(np.random.default_rng(seed))
        return check_gradients(self.subject(), *arguments, seed=seed, raises=False)


class Collection(list):
    """Specimens of one file, gathered by decorators."""

    def __init__(self, prefix, arguments):
        super().__init__()
        self.prefix, self.arguments = prefix, arguments

    def add(self, name, subject, cause="", arguments=None, also=()):
        arguments = self.arguments if arguments is None else arguments
        self.append(Specimen(f"{self.prefix}: {name}", subject, arguments, cause, tuple(also)))

    def pair(self, name, forward, backward, cause="", arguments=None, also=()):
        self.add(name, lambda: (forward, backward), cause, arguments, also)

    def layer(self, cause="", arguments=None, name=None, also=(), **options):
        """Decorate a Layer class."""

        def decorate(cls):
            self.add(name or cls.__doc__.strip(), lambda: cls(**options), cause, arguments, also)
            return cls

        return decorate

    def backward(self, forward, cause="", arguments=None, also=()):
        """Decorate the backward function of `forward`; its docstring names the specimen."""

        def decorate(function):
            self.pair(function.__doc__.strip(), forward, function, cause, arguments, also)
            return function

        return decorate


def off_kinks(rng, *shape):
    """Return normal numbers, none within 0.05 of zero."""
    x = rng.standard_normal(shape)
    return x + 0.05 * np.sign(x)
