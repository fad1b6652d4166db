"""Two ranks on two GPUs, over NCCL: what one process computes."""

import json
import subprocess
import sys

import numpy as np
import pytest
from kill_training import launcher
from training import TINY

pytestmark = pytest.mark.gpu


def test_two_ranks_on_two_gpus_are_one_process(gpu, tmp_path):
    if gpu.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("there is one GPU")
    start = launcher(2)
    if start is None:
        pytest.skip("there is no mpiexec, or no mpi4py")
    words = [sys.executable, "-m", "tinygan.train", *TINY, "--backend", "cupy", "--steps", "9"]
    for name, first in (("one", []), ("two", start[0])):
        more = ["--distributed"] if first else []
        command = [*first, *words, *more, "--out", str(tmp_path / name)]
        done = subprocess.run(command, env=start[1], capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
    one, two = (
        [json.loads(line) for line in (tmp_path / n / "metrics.jsonl").read_text().splitlines()]
        for n in ("one", "two")
    )
    for row, other in zip(one, two, strict=True):
        for name in ("loss_D", "loss_G"):
            np.testing.assert_allclose(row[name], other[name], rtol=5e-3)
