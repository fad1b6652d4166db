"""What ONNX Runtime does in the benchmarks: inference, with the models that tinygan exports."""

from __future__ import annotations

import numpy as np
import onnxruntime

from tinygan.formats.onnx_file import to_onnx
from tinygan.layer import Layer
from tinygan.models import cyclegan, dcgan

NOISE_SIZE = 200


class Onnx:
    """The contestant, on the CPU; `threads`: 0 for all cores."""

    def __init__(self, backend: str, threads: int):
        if backend != "numpy":
            raise ValueError("ONNX Runtime: expected the backend 'numpy', got " + repr(backend))
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads

    def prepare(self, task: dict):
        """Return the function that does `task` once."""
        task = dict(task)
        return getattr(self, "_" + task.pop("task"))(**task)

    def _dcgan_predict(self, image_size=64, batch=128, width=64):
        G = dcgan.generator(image_size, width=width, noise_size=NOISE_SIZE, rng=0)
        return self._inference(G, (NOISE_SIZE,), (batch, NOISE_SIZE))

    def _cyclegan_predict(self, image_size=128, batch=1, residual_blocks=6, width=64):
        G = cyclegan.generator(3, width, 2, residual_blocks, rng=0)
        shape = (image_size, image_size, 3)
        return self._inference(G, shape, (batch, 3, image_size, image_size))

    def _inference(self, network: Layer, sample: tuple[int, ...], shape: tuple[int, ...]):
        model = to_onnx(network, sample).SerializeToString()
        session = onnxruntime.InferenceSession(
            model, self.options, providers=["CPUExecutionProvider"]
        )
        x = np.random.default_rng(0).random(shape, np.float32) * 2 - 1
        feed = {session.get_inputs()[0].name: x}
        return lambda: session.run(None, feed)[0]
