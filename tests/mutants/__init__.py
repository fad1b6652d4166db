"""Implementations of layers and losses, right and wrong, by many hands: what gradient checks are
measured with."""

from tests.mutants.specimen import Specimen, right, specimens, wrong

__all__ = ["Specimen", "right", "specimens", "wrong"]
