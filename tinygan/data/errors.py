"""The one exception that everything here raises for a mistake in the data or in how it is named."""

__all__ = ["DataError"]


class DataError(ValueError):
    """The data cannot be used as asked; the message names it, what was expected and what came."""
