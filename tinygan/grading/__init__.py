"""Grading: a pytest plugin that runs one set of tests on any submission and keeps the score.

`plugin` holds the options, markers and fixtures, `session` the graded run, `remote` and `process`
a submission in a process of its own, `worker` that process, `gradescope` what autograders read.
"""

__all__ = ["readable"]


def readable(text: str, kept: str = "\n\t") -> str:
    """Return a text without what no file, page or terminal can hold, but for what is `kept`."""
    return "".join(c if c.isprintable() or c in kept else "\N{REPLACEMENT CHARACTER}" for c in text)
