"""A course: exercises with holes, tests with points, and all that a teacher needs to grade them."""

from tinygan.coursework.create import create

__all__ = ["create"]
