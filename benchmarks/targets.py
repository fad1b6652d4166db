"""What is aimed at on each kind of processor, and what was reached."""

from __future__ import annotations

import re
from typing import NamedTuple

LARGE = {  # by the vendor of the processor: PyTorch's best / tinygan
    "intel": {
        "step, DCGAN-64, batch 128": 1.5,
        "step, CycleGAN-128": 1.4,
        "step, CycleGAN-256": 1.7,
        "inference, DCGAN-64, batch 128": 1.5,
        "inference, CycleGAN-256, batch 1": 1.5,
    },
    "amd": {
        "step, DCGAN-64, batch 128": 1.7,
        "step, CycleGAN-128": 1.8,
        "step, CycleGAN-256": 2.2,
        "inference, DCGAN-64, batch 128": 1.8,
        "inference, CycleGAN-256, batch 1": 1.8,
    },
}
EVEN, SMALL, COLD, MEMORY = 1.0, 0.85, 4.0, 0.75


class Row(NamedTuple):
    """One comparison with PyTorch."""

    what: str
    value: float
    aim: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        return self.value <= self.aim if self.at_most else self.value >= self.aim

    def __str__(self) -> str:
        sign = "≤" if self.at_most else "≥"
        verdict = "yes" if self.met else "missed"
        return f"| {self.what} | {sign} {self.aim:g} | **{self.value:.2f}** | {verdict} |"


def ratio(results: list[dict], key: str = "median") -> float | None:
    """Return tinygan's advantage over the best of PyTorch: their ratio, above 1 if better."""
    ours = next(r for r in results if r["name"] == "tinygan")
    theirs = [r[key] for r in results if r["name"].startswith("PyTorch") and r.get(key)]
    return min(theirs) / ours[key] if theirs and ours.get(key) else None


def rows(kind: str, results: dict[str, dict]) -> list[Row]:
    """Return every comparison with PyTorch that was measured on a kind of processor's cores."""
    large, found = LARGE.get(kind.split("-")[0], {}), []
    for section in ("steps", "inference", "scaling", "cold"):
        for row in results.get(f"{section}-numpy", {"rows": []})["rows"]:
            what, speed = _name(section, row), ratio(row["results"])
            if speed is not None:
                aim = COLD if section == "cold" else large.get(what, _least(what))
                found.append(Row(f"{what}: PyTorch's best / tinygan", speed, aim))
            memory = ratio(row["results"], "peak_bytes") if section == "steps" else None
            if memory is not None:
                what = f"peak memory, {row['system']}: tinygan / PyTorch's least"
                found.append(Row(what, 1 / memory, MEMORY, at_most=True))
    return found


def table(kind: str, results: dict[str, dict], missed_only: bool = False) -> str:
    """Return the comparisons as a table, all of them or those under their targets."""
    shown = [row for row in rows(kind, results) if not (missed_only and row.met)]
    return "\n".join(
        [f"| {kind} | aimed at | reached | |", "|---|---:|---:|---|", *map(str, shown)]
    )


def _name(section: str, row: dict) -> str:
    if section == "scaling":
        ends = {"batch": ", batch {}", "image_size": "-{}", "threads": ", threads: {}"}
        return f"scaling, {row['system']}{ends[row['along']].format(row['value'])}"
    what = {"steps": "step", "cold": "cold start"}.get(section, section)
    return f"{what}, {row['system']}"


def _least(what: str) -> float:
    """Return the target of a row that is not one of the large ones."""
    pixels = re.search(r"CycleGAN-(\d+)", what)
    if pixels:
        return EVEN if int(pixels[1]) >= 64 else SMALL
    batch = re.search(r"batch (\d+)", what)
    return EVEN if batch and int(batch[1]) >= 16 else SMALL
