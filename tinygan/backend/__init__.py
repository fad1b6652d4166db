"""``python -m tinygan.backend``: what was found of NumPy and CuPy."""
