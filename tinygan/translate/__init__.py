"""Pictures through a run that translates them: the command ``python -m tinygan.translate``."""
