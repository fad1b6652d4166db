"""Errors that a user can do something about; every command prints one as a single line.

Each message says what was expected, what came and what to do.
"""

__all__ = ["BackendError", "CheckpointError", "DataError", "DivergedError", "UserError"]


class UserError(ValueError):
    """What was asked for cannot be done; the message says why, and what to do instead."""


class BackendError(UserError):
    """The array backend that was asked for cannot be used; the message says why."""


class CheckpointError(UserError):
    """A checkpoint cannot be read, or is not one of the networks it should be loaded into."""


class DataError(UserError):
    """The data cannot be used as asked; the message names it, what was expected and what came."""


class DivergedError(RuntimeError):
    """A number became NaN or infinite while training, at the latest in step `step` (from 1)."""

    def __init__(self, message: str, step: int = 0):
        super().__init__(message)
        self.step = step
