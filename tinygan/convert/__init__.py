"""Weights of other tools into a run, and a run's weights out: ``python -m tinygan.convert``."""
