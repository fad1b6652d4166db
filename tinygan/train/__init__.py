"""Training: the loop, run folders, checkpoints, and the command ``python -m tinygan.train``."""
