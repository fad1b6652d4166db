"""Pictures from a run that draws them: the command ``python -m tinygan.generate``."""
