"""How fast tinygan is, beside PyTorch where that is installed: ``python -m benchmarks``."""
