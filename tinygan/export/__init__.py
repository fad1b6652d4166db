"""A run's networks for other tools: ``python -m tinygan.export``."""
