"""Can people tell generated pictures from real ones?  The command ``python -m tinygan.study``."""
