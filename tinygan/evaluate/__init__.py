"""Measures of a trained run: the command ``python -m tinygan.evaluate``."""
