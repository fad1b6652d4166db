"""A page that holds a trained network and runs it: ``python -m tinygan.demo``."""
