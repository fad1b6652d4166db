"""``python -m tinygan.translate --demo``: drawn bags through networks that come with tinygan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tinygan.commands import check_file, say
from tinygan.data import bags, save_grid, to_float
from tinygan.data.mark import made_with
from tinygan.metrics import translation_error
from tinygan.runs.run import load
from tinygan.systems.draws import FRESH

__all__ = ["show_demo"]

_COUNT = 8
_DOMAINS = {"AtoB": ("handbag", "backpack"), "BtoA": ("backpack", "handbag")}


def show_demo(arguments: Any) -> int:
    """Write a sheet of bags that were not trained on, their translations, and the true ones."""
    out = Path(arguments.out or "translated.png")
    check_file(out, arguments.force, [".png"])
    run = load(arguments.run, raw=arguments.raw, backend=arguments.backend)
    direction = run.direction(arguments.direction)
    size = run.options.image_size
    real, true = (
        bags(_COUNT, size, domain=domain, start=FRESH).images for domain in _DOMAINS[direction]
    )
    translated = run.translate(real, direction)
    error, alone = (translation_error(x, true).absolute.mean() for x in (translated, real))
    rows = np.concatenate([to_float(real), translated, to_float(true)])
    note = None if arguments.no_metadata else made_with(run.system.name, run.step)
    save_grid(rows, out, columns=_COUNT, note=note)
    say(
        f"{out}: drawn {_DOMAINS[direction][0]}s, their translations, and the true ones; "
        f"the mean distance is {error:.3f}, {alone:.3f} if left alone"
    )
    return 0
