"""Measures as a table of text."""

from __future__ import annotations

from tinygan.metrics.detection import Interval
from tinygan.metrics.subsets import Estimate

__all__ = ["ROWS", "cell", "table"]

ROWS = {
    "frechet": ("Fréchet distance", "lower"),
    "kernel": ("kernel distance", "lower"),
    "c2st": ("told from the data, C2ST", "0.5"),
    "sliced_wasserstein": ("sliced Wasserstein distance", "lower"),
    "diversity": ("diversity, 1 − MS-SSIM", "as the data"),
    "recognised": ("recognised as drawn pictures", "higher"),
    "coverage": ("kinds of attributes covered", "higher"),
    "error": ("error to the true translation", "lower"),
    "structural_error": ("its structural error, 1 − SSIM", "lower"),
    "auc": ("area under the ROC", "higher"),
    "accuracy": ("accuracy", "higher"),
    "real_right": ("real taken for real", "higher"),
    "generated_right": ("generated found", "higher"),
    "pixels": ("memorised, by pixels", "about 1 %"),
    "features": ("memorised, by features", "about 1 %"),
}
"""Measure → what it is called, and which values are good."""

_SHARES = ("recognised", "coverage", "pixels", "features")


def cell(values: dict, name: str) -> str:
    """Return a set's measure as text; a dash where it was not taken."""
    value = values.get("memorised", {}).get(name) if name in ROWS else None
    value = values.get(name, value)
    if value is None:
        return "–"
    if name in _SHARES:
        return f"{100 * value:.1f} %"
    if isinstance(value, dict):
        return str(Interval(**value) if "low" in value else Estimate(**value))
    return f"{value:.4g}"


def table(result: dict) -> str:
    """Return the measures of one subject, a column for each set of pictures."""
    sets = result["sets"]
    rows = [["", *sets, "good is"]]
    for name, (title, good) in ROWS.items():
        cells = [cell(values, name) for values in sets.values()]
        if any(c != "–" for c in cells):
            rows.append([title, *cells, good])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    features = f"; features: {result['features']}" if result["features"] else ""
    lines = [f"{result['title']}: {result['pictures']} pictures{features}"]
    for row in rows:
        first, *middle, last = row
        parts = [first.ljust(widths[0])]
        parts += [c.rjust(w) for c, w in zip(middle, widths[1:-1], strict=True)]
        lines.append("  ".join([*parts, last]).rstrip())
    return "\n".join(lines)
