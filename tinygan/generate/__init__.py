"""Pictures from a trained DCGAN: the command ``python -m tinygan.generate``."""
