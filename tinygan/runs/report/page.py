"""The page: gathers what is in a run's folder and fills the template with it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from tinygan.files import read_json, write_text
from tinygan.metrics.table import ROWS, cell
from tinygan.runs.metrics import curve, read_metrics
from tinygan.runs.report.curves import Curve, chart
from tinygan.runs.report.pictures import data_uri, sample_files
from tinygan.runs.report.words import duration, panels, score_panel
from tinygan.runs.watched import read_watch
from tinygan.systems.system import Panel

__all__ = ["write_report"]

FRAMES, FRAME_SIDE = 24, 720  # pictures under the slider: how many, and their longest side
REFRESH_SECONDS = 15


def write_report(
    run: Path,
    rows: Sequence[dict] | None = None,
    state: str | None = None,
    error: str = "",
    given_panels: Sequence[Panel] | None = None,
) -> Path:
    """Write ``report.html`` into a run's folder, in one go; return its path.

    Parameters
    ----------
    run : Path
    rows : sequence of dict, optional
        The run's metrics, where they are at hand; else they are read.
    state : {"training", "finished", "stopped"}, optional
        While "training" the page reloads itself.  By default, judged by the number of steps.
    error : str
        Why it stopped.
    given_panels : sequence of Panel, optional
        The system's charts; else those of the system that the run names, if it is tinygan's own.
    """
    if rows is None:
        rows = read_metrics(run / "metrics.jsonl") if (run / "metrics.jsonl").exists() else []
    config = read_json(run / "config.json")
    if state is None:
        state = "finished" if len(rows) >= config.get("total_steps", 0) else "stopped"
    text = _template().render(_content(run, config, rows, state, error, given_panels))
    path = run / "report.html"
    write_text(path, text)
    return path


def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("tinygan.runs.report", "."),
        autoescape=True,  # folders and files have any name
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.jinja")


def _content(
    run: Path,
    config: dict[str, Any],
    rows: Sequence[dict],
    state: str,
    error: str,
    given_panels: Sequence[Panel] | None,
) -> dict[str, Any]:
    watched = read_watch(run / "watch.jsonl")
    frames = [
        {"step": step, "uri": found[0], "width": found[1], "height": found[2]}
        for step, path in sample_files(run / "samples", FRAMES)
        if (found := data_uri(path, FRAME_SIDE))
    ]
    samples = sample_files(run / "samples", 2)
    return {
        "name": os.path.basename(os.path.realpath(run)),
        "state": state,
        "error": error,
        "written": time.strftime("%Y-%m-%d %H:%M:%S"),
        "written_ms": int(time.time() * 1000),
        "refresh_ms": REFRESH_SECONDS * 1000 if state == "training" else 0,
        "facts": _facts(config, rows),
        "warnings": [line for line in watched if "warning" in line],
        "panels": _panels(config, rows, given_panels) + _scores(config, watched),
        "diversity": _diversity(watched),
        "frames": frames,
        "last": data_uri(samples[-1][1]) if samples else None,
        "last_step": samples[-1][0] if samples else 0,
        "measures": _measures(run),
        "options": _flat(config.get("options", {})),
        "setting": _flat({k: v for k, v in config.items() if k not in ("options", "format")}),
    }


def _facts(config: dict[str, Any], rows: Sequence[dict]) -> list[tuple[str, str]]:
    total = config.get("total_steps", 0)
    facts = [("system", config.get("system", "?")), ("steps", f"{len(rows):,} of {total:,}")]
    if not rows:
        return facts
    _, seconds = curve(rows, "seconds")
    each = float(np.median(seconds[-200:]))
    batch = config.get("options", {}).get("batch_size", 1)
    facts += [
        ("epoch", f"{rows[-1]['epoch']:,}"),
        ("speed", f"{batch / max(each, 1e-9):,.3g} images/s, {each:.3g} s a step"),
        ("time spent", duration(float(seconds.sum()))),
    ]
    if len(rows) < total:
        facts.append(("time left", duration((total - len(rows)) * each)))
    return facts


def _panels(
    config: dict[str, Any], rows: Sequence[dict], given: Sequence[Panel] | None
) -> list[dict]:
    names = [
        name for name in (rows[-1] if rows else {}) if name not in ("step", "epoch", "seconds")
    ]
    return [_drawn(panel, rows) for panel in panels(config.get("system", ""), names, given)]


def _scores(config: dict[str, Any], watched: list[dict]) -> list[dict]:
    """Return the chart of the distances that were measured, if any were."""
    scored = [line for line in watched if "score" in line]
    return [_drawn(score_panel(config.get("system")), scored)] if scored else []


def _drawn(panel: Panel, rows: Sequence[dict]) -> dict[str, Any]:
    curves = [Curve(label, *curve(rows, name)) for label, name in panel.lines.items()]
    return {
        "title": panel.title,
        "labels": list(panel.lines),
        "text": panel.text,
        "svg": chart(curves, panel.references, panel.limits, panel.title),
    }


def _diversity(watched: list[dict]) -> dict | None:
    seen = [line for line in watched if "diversity" in line]
    if not seen:
        return None
    steps = [line["step"] for line in seen]
    labels = {"difference of pairs": "diversity", "difference to the most alike": "nearest"}
    curves = [
        Curve(label, steps, [line[name] / (line["data_" + name] or 1) for line in seen])
        for label, name in labels.items()
    ]
    high = max(1.15, *(min(v, 2) for curve in curves for v in curve.values))
    return {
        "labels": list(labels),
        "svg": chart(curves, {"as the data": 1.0}, (0, high), "diversity"),
    }


def _measures(run: Path) -> dict | None:
    try:
        found = read_json(run / "measures.json")
        results = [
            {
                "title": result["title"],
                "pictures": result["pictures"],
                "features": result["features"],
                "sets": list(result["sets"]),
                "rows": [
                    (title, [cell(values, name) for values in result["sets"].values()], good)
                    for name, (title, good) in ROWS.items()
                    if any(cell(values, name) != "–" for values in result["sets"].values())
                ],
                **{
                    sheet: data_uri(run / Path(result[sheet]).name) if sheet in result else None
                    for sheet in ("neighbours", "maps", "curves")
                },
            }
            for result in found["results"]
        ]
        return {"step": found["step"], "data": found["data"], "results": results}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # none, or not ours
        return None


def _flat(value: dict, prefix: str = "") -> list[tuple[str, str]]:
    """Return nested options as ``(dotted name, value)``."""
    pairs = []
    for name, inner in value.items():
        if isinstance(inner, dict):
            pairs += _flat(inner, f"{prefix}{name}.")
        elif inner is not None:
            pairs.append((f"{prefix}{name}", str(inner)))
    return pairs
