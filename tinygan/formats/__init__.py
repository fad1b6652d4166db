"""Weights in the formats of other tools: PyTorch's files, ONNX, and a page to play with."""
