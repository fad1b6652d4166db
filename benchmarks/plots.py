"""The plots of the README, from the JSON files."""

from __future__ import annotations

from pathlib import Path

import matplotlib

OURS, THEIRS, RUNGS = "#2a6f97", ["#c9ada7", "#9a8c98", "#6d6875", "#4a4e69"], "#a9d6e5"


def draw(results: dict[str, dict], folder: Path) -> list[Path]:
    """Draw every plot that one kind's `results` have the numbers for; return the files."""
    matplotlib.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, result in results.items():
        function = _PLOTS.get(result["section"])
        if function is not None:
            figure = function(result)
            path = folder / f"{name}.png"
            figure.savefig(path, dpi=110)
            made.append(path)
    return made


def _figure(width, height, columns=1):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _note(figure, result):
    about = result["about"]
    place = about["gpu"] or f"{about['machine']}, {about['cores']} cores"
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    figure.supxlabel(f"{place}; {versions}; {about['date']}", fontsize=7, color="#555555")


def _bars(ax, row, unit, key="median", factor=1.0):
    found = [r for r in row["results"] if key in r][::-1]
    theirs = [r["name"] for r in row["results"] if r["name"].startswith("PyTorch")]

    def colour(name):
        if name in theirs:
            return THEIRS[theirs.index(name) % len(THEIRS)]
        return OURS if name == "tinygan" else RUNGS

    colours = [colour(r["name"]) for r in found]
    values = [r[key] * factor for r in found]
    bars = ax.barh([r["name"] for r in found], values, color=colours)
    ax.bar_label(bars, fmt="%.3g", padding=3, fontsize=8)
    ax.set_title(row["system"], fontsize=10)
    ax.set_xlabel(unit, fontsize=8)
    ax.tick_params(labelsize=8)
    ax.margins(x=0.15)


def _panels(result, unit, key="median"):
    rows = result["rows"]
    figure, axes = _figure(max(6.5, 4.6 * len(rows)), 2.6, len(rows))
    for ax, row in zip(axes, rows, strict=True):
        _bars(ax, row, unit, key)
        if ax is not axes[0] and len(row["results"]) == len(rows[0]["results"]):
            ax.set_yticklabels([])
    _note(figure, result)
    return figure


def _steps(result):
    return _panels(result, "seconds a step (less is better)")


def _inference(result):
    return _panels(result, "images a second (more is better)", "images_a_second")


def _cold(result):
    return _panels(result, "seconds from `python` to the first step done (less is better)")


def _layers(result):
    rows = result["rows"]
    faces = sorted({row["face"] for row in rows})
    figure, axes = _figure(12, 0.3 * len(rows) / len(faces) + 1.6, len(faces))
    for ax, face in zip(axes, faces, strict=True):
        chosen = [row for row in rows if row["face"] == face][::-1]
        labels = [f"{row['system']}  {row['layer']}" for row in chosen]
        for name, marker, colour in (
            ("tinygan, loops", "s", "#dddddd"),
            ("tinygan, im2col", "o", RUNGS),
            ("PyTorch", "|", THEIRS[1]),
            ("PyTorch, channels_last", "|", THEIRS[3]),
            ("tinygan", "o", OURS),
        ):
            found = [
                (r["median"] * 1e3, y)
                for y, row in enumerate(chosen)
                for r in row["results"]
                if r["name"] == name and "median" in r
            ]
            if found:
                ax.scatter(*zip(*found, strict=True), marker=marker, color=colour, label=name, s=45)
        ax.set_xscale("log")
        ax.set_yticks(range(len(chosen)), labels, fontsize=7)
        ax.grid(axis="y", color="#eeeeee")
        ax.set_axisbelow(True)
        ax.set_title(face, fontsize=10)
        ax.set_xlabel("milliseconds (less is better)", fontsize=8)
        if ax is not axes[0]:
            ax.set_yticklabels([])
    axes[0].legend(fontsize=7, loc="best")
    _note(figure, result)
    return figure


def _scaling(result):
    groups: dict[tuple, list] = {}
    for row in result["rows"]:
        if row["along"] != "threads":
            groups.setdefault((row["system"], row["along"]), []).append(row)
    figure, axes = _figure(5 * len(groups), 3.4, len(groups))
    for ax, ((system, along), rows) in zip(axes, groups.items(), strict=True):
        for i, first in enumerate(rows[0]["results"]):
            found = [
                (row["value"], row["results"][i]["median"])
                for row in rows
                if "median" in row["results"][i]
            ]
            ours = first["name"] == "tinygan"
            colour = OURS if ours else THEIRS[i % len(THEIRS)]
            ax.plot(*zip(*found, strict=True), "o-", color=colour, label=first["name"])
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_xlabel({"batch": "batch", "image_size": "image size (pixels)"}[along], fontsize=8)
        ax.set_ylabel("seconds a step", fontsize=8)
        ax.set_title(system, fontsize=10)
        ax.legend(fontsize=7)
    _note(figure, result)
    return figure


def _limit(result):
    figure, (ax,) = _figure(6.5, 2.8)
    rows = result["rows"]
    for y, row in enumerate(rows[::-1]):
        roof = row["roofline_seconds"]
        share = row["results"][0]["median"] / roof
        ax.barh(y, share, color=OURS, height=0.5)
        text = {"va": "center", "ha": "right", "fontsize": 8, "color": "white"}
        ax.text(share - 0.02, y, f"{share:.2f}", **text)
    ax.axvline(1, color="#9b2226", linewidth=1)
    ax.text(1.01, len(rows) - 0.55, "direct-convolution roofline", fontsize=7, color="#9b2226")
    ax.set_yticks(range(len(rows)), [row["system"] for row in rows[::-1]], fontsize=8)
    ax.set_xlabel("time of a whole step / time of its direct convolutions at peak", fontsize=8)
    _note(figure, result)
    return figure


_PLOTS = {
    "layers": _layers,
    "steps": _steps,
    "inference": _inference,
    "cold": _cold,
    "scaling": _scaling,
    "limit": _limit,
}
