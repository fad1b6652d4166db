"""Whether a training fits into memory, told before it starts."""

from __future__ import annotations

from tinygan.convolution.gpu import WORKSPACE_BYTES
from tinygan.errors import UserError
from tinygan.machine import memory
from tinygan.systems.system import System

__all__ = ["ADVICE", "check_memory"]

ADVICE = "lower --batch-size, --width or --image-size"

_BESIDE = 40 << 20  # the threads' workspaces, and Matplotlib for the curves


def check_memory(system: System, force: bool = False) -> str:
    """Return a line that says how much memory training will take.

    Raises
    ------
    UserError
        If that is more than there is, unless `force`.
    """
    backend = system.options.backend
    needed, free = system.step_bytes(), memory.available_bytes(backend)
    if backend == "cupy":
        needed += WORKSPACE_BYTES
        line = f"training will take about {memory.size_text(needed)} more of the GPU's memory"
    else:
        needed += _BESIDE
        line = (
            f"training will take about {memory.size_text(memory.used_bytes() + needed)} of memory"
        )
    if free is None:
        return line
    line += f", {memory.size_text(free)} are free"
    if needed > free and not force:
        raise UserError(f"{line}: {ADVICE}, or try it all the same with --force")
    return line
