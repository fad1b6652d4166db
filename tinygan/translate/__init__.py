"""Pictures through a trained CycleGAN: the command ``python -m tinygan.translate``."""
