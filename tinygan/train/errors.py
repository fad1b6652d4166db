"""Errors that a user can do something about; the commands print them as one line."""

__all__ = ["CheckpointError", "DivergedError", "UserError"]


class UserError(ValueError):
    """What was asked for cannot be done; the message says why, and what to do instead."""


class CheckpointError(UserError):
    """A checkpoint cannot be read, or is not one of the networks it should be loaded into."""


class DivergedError(RuntimeError):
    """A number became NaN or infinite while training, at the latest in step `step` (from 1)."""

    def __init__(self, message: str, step: int = 0):
        super().__init__(message)
        self.step = step
