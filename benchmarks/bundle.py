"""The runs that come with tinygan: train them, and put them into the package.

    python -m benchmarks.bundle faces [--runs DIR]
    python -m benchmarks.bundle bags [--runs DIR]

They are the runs of the two default commands: the first trains the generator of ``tinygan generate
--demo``, the second both of ``tinygan translate --demo``.  A run that was interrupted goes on.  The
averaged weights are kept, in half precision, and the discriminators with them, so that what comes
with tinygan is a checkpoint as any other: ``--init-from`` takes it.  Beside it a JSON file notes
the command, the versions, the machine and how far the pictures are from the truth.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

import tinygan
from benchmarks.machine import describe
from benchmarks.trained import command, trained
from tinygan.files import replaced
from tinygan.runs.header import read_checkpoint
from tinygan.runs.load import open_run
from tinygan.runs.run import load

BUNDLED = Path(tinygan.__file__).parent / "bundled"
RUNS: dict[str, tuple[str, dict[str, Any]]] = {"faces": ("dcgan", {}), "bags": ("cyclegan", {})}


def pack(folder: Path, out: Path) -> None:
    """Write the newest checkpoint's averages, or networks without one, in half precision."""
    checkpoint = open_run(folder).checkpoint
    arrays = {}
    with safe_open(checkpoint.path, framework="numpy") as file:
        text = json.loads(file.metadata()["tinygan"])
        for name in sorted(checkpoint.shapes):
            section, _, own = name.partition("/")
            if section in ("networks", "averages"):  # averages come first: they stay
                arrays.setdefault(f"networks/{own}", _half(file.get_tensor(name)))
    kept = {key: text[key] for key in ("version", "system", "step", "options", "data")}
    metadata = {"format": "tinygan checkpoint 2", "tinygan": json.dumps(kept)}
    out.parent.mkdir(parents=True, exist_ok=True)
    with replaced(out) as beside:
        save_file(arrays, beside, metadata)


def _half(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float16) if array.dtype.kind == "f" else array


def distance(run) -> float:
    """Return the run's own measure: from the data, or from the true translation."""
    run.system.load_data()
    return run.system.score()


def note(name: str, folder: Path, out: Path) -> None:
    """Write what the weights come from."""
    run = load(out)
    about = describe("numpy")
    seconds = sum(row["seconds"] for row in load(folder).history)
    noted = {
        "command": command(*RUNS[name]),
        "steps": run.step,
        "seconds": round(seconds),
        "distance": round(distance(run), 4),
        "distance_is": {
            "faces": "sliced Wasserstein distance to the drawn faces, 128 pictures",
            "bags": "mean absolute difference to the true translation, both directions, of 32 "
            "drawn pairs that were not trained on; numbers in [-1, 1]",
        }[name],
        "bytes": out.stat().st_size,
        "tinygan": tinygan.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": {name: about[name] for name in ("machine", "cores", "memory_gb", "system")},
        "date": time.strftime("%Y-%m-%d"),
    }
    out.with_suffix(".json").write_text(json.dumps(noted, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=RUNS)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where it is trained")
    parser.add_argument("--out", type=Path, default=BUNDLED, help="where the weights are put")
    parser.add_argument("--pack-only", action="store_true", help="of what was trained so far")
    chosen = parser.parse_args()
    folder, out = chosen.runs / f"bundle-{chosen.name}", chosen.out / f"demo-{chosen.name}"
    out = out.with_suffix(".safetensors")
    if not chosen.pack_only:
        trained(*RUNS[chosen.name], folder)
    pack(folder, out)
    note(chosen.name, folder, out)
    checkpoint = read_checkpoint(out)
    print(f"{out}: step {checkpoint.step}, {out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
