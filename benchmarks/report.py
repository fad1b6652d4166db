"""Tables in Markdown from the JSON files, put between the markers of the README."""

from __future__ import annotations

import json
import re
from pathlib import Path

from benchmarks.gpu import bandwidth_table, launches_table
from benchmarks.machine import in_words
from benchmarks.sections import exponent


def load(folder: Path) -> dict[str, dict]:
    """Return the results in a folder by the names of their files, ``steps-numpy`` and so on."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def refresh(readme: Path, results: dict[str, dict]) -> None:
    """Replace what stands between each pair of markers by the table of its results.

    Markers are ``<!-- steps-numpy -->`` and ``<!-- /steps-numpy -->``.
    """
    text = readme.read_text()
    tables = {}
    for name, result in results.items():
        tables[name] = table(result)
        if (readme.parent / "plots" / f"{name}.png").exists():
            tables[name] += f"\n\n![{_PICTURES[result['section']]}](plots/{name}.png)"
    tables["targets"] = targets(results)
    for name, lines in tables.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        body = "\n" + lines + "\n\n"
        text = pattern.sub(lambda found, body=body: found[1] + body + found[2], text)
    readme.write_text(text)


def targets(results: dict[str, dict]) -> str:
    """Return the table of what was aimed at and what was reached, on the CPU."""
    found = {}
    rows = {
        section: {row["system"]: row for row in results[f"{section}-numpy"]["rows"]}
        for section in ("steps", "inference", "cold", "limit")
        if f"{section}-numpy" in results
    }
    for section, per_system in rows.items():
        for system, row in per_system.items():
            if section == "limit":
                share = row["results"][0]["median"] / row["roofline_seconds"]
                if system.startswith("DCGAN"):
                    found[f"step of {system} / its direct roofline"] = (share, "≤ 1")
                continue
            what, aim = {
                "steps": ("a step", "≥ 2"),
                "inference": ("inference", "≥ 2"),
                "cold": ("cold start", "≥ 4"),
            }[section]
            found[f"{what}, {system}: PyTorch's best / tinygan"] = (ratio(row["results"]), aim)
            if section == "steps":
                memory = ratio(row["results"], "peak_bytes")
                share = 1 / memory if memory else None
                found[f"peak memory, {system}: tinygan / PyTorch's least"] = (share, "≤ 0.75")
    if "scaling-numpy" in results:
        threads = [r for r in results["scaling-numpy"]["rows"] if r["along"] == "threads"]
        for system in dict.fromkeys(row["system"] for row in threads):
            one, two = (
                next(r["results"][0]["median"] for r in threads if (r["system"], r["value"]) == key)
                for key in ((system, 1), (system, 2))
            )
            found[f"{system}: one thread / two threads"] = (one / two, "≥ 1.8")
    lines = ["| | aimed at | reached | |", "|---|---:|---:|---|"]
    for what, (value, aim) in found.items():
        if value is None:
            continue
        bound = float(aim[2:])
        met = value >= bound if aim[0] == "≥" else value <= bound
        lines.append(f"| {what} | {aim} | **{value:.2f}** | {'yes' if met else 'missed'} |")
    return "\n".join(lines)


def table(result: dict) -> str:
    """Return the table of one section's results, with its machine, date and versions below."""
    lines = _TABLES[result["section"]](result["rows"])
    about = in_words(result["about"])
    rounds = result["rounds"]
    return "\n".join([*lines, "", f"Medians of at most {rounds} alternating rounds. {about}"])


def ratio(results: list[dict], key: str = "median") -> float | None:
    """Return tinygan's advantage over the best of PyTorch: their ratio, above 1 if better."""
    ours = next(r for r in results if r["name"] == "tinygan")
    theirs = [r[key] for r in results if r["name"].startswith("PyTorch") and r.get(key)]
    return min(theirs) / ours[key] if theirs and ours.get(key) else None


def _time(seconds: float) -> str:
    if seconds < 0.1:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s"


def _layers(rows):
    names = [r["name"] for r in rows[0]["results"]]
    lines = ["| system | layer | | " + " | ".join(names) + " | PyTorch's best / tinygan |"]
    lines += ["|---|---|---|" + "---:|" * (len(names) + 1)]
    for row in rows:
        found = {r["name"]: r["median"] for r in row["results"] if "median" in r}
        cells = [_time(found[name]) if name in found else "–" for name in names]
        gain = ratio(row["results"])
        cells.append(f"**{gain:.2f}**" if gain else "–")
        layer = f"{row['layer']}: {row['shape']}"
        lines.append(f"| {row['system']} | {layer} | {row['face']} | " + " | ".join(cells) + " |")
    return lines


def _contest(rows, extra=None):
    """One line a contestant; `extra` is a heading and a function from a result to its cell."""
    heading = f" {extra[0]} |" if extra else ""
    lines = [f"| | | median | least | times tinygan's | processor |{heading} peak memory |"]
    lines += ["|---|---|---:|---:|---:|---:|" + ("---:|" if extra else "") + "---:|"]
    for row in rows:
        ours = next(r for r in row["results"] if r["name"] == "tinygan").get("median")
        for r in row["results"]:
            if "median" not in r:
                lines.append(f"| {row['system']} | {r['name']} | {r['error']} |")
                continue
            cells = [_time(r["median"]), _time(r["least"])]
            cells.append(f"{r['median'] / ours:.2f}" if ours else "–")
            cells.append(_time(r["processor_median"]) if "processor_median" in r else "–")
            if extra:
                cells.append(extra[1](r))
            peak = r.get("peak_bytes")
            cells.append(f"{peak / 1e6:,.0f} MB" if peak else "–")
            lines.append(f"| {row['system']} | {r['name']} | " + " | ".join(cells) + " |")
    return lines


def _inference(rows):
    return _contest(rows, ("images/s", lambda r: f"{r['images_a_second']:.1f}"))


def _cold(rows):
    sizes = rows[0]["installed_bytes"]
    lines = _contest(rows)
    lines += ["", "| on the disk | |", "|---|---:|"]
    lines += [f"| {name} | {size / 1e6:,.0f} MB |" for name, size in sizes.items() if size]
    return lines


def _scaling(rows):
    names = [r["name"] for r in rows[0]["results"]]
    lines = ["| system | along | value | " + " | ".join(names) + " |"]
    lines += ["|---|---|---:|" + "---:|" * len(names)]
    for row in rows:
        cells = [_time(r["median"]) if "median" in r else "–" for r in row["results"]]
        label = f"| {row['system']} | {row['along']} | {row['value']} | "
        lines.append(label + " | ".join(cells) + " |")
    groups: dict[tuple, list] = {}
    for row in rows:
        groups.setdefault((row["system"], row["along"]), []).append(row)
    lines += ["", "| system | | " + " | ".join(names) + " |", "|---|---|" + "---:|" * len(names)]
    for (system, along), group in groups.items():
        values = [row["value"] for row in group]
        cells = []
        for i in range(len(names)):
            medians = [row["results"][i].get("median") for row in group]
            if None in medians:
                cells.append("–")
            elif along == "threads":
                cells.append(f"{medians[0] / medians[-1]:.2f} ×")
            else:
                cells.append(f"{exponent(values, medians):.2f}")
        what = "2 threads against 1" if along == "threads" else f"exponent along {along}"
        lines.append(f"| {system} | {what} | " + " | ".join(cells) + " |")
    return lines


def _limit(rows):
    lines = [
        "| system | multiply–adds | matrix product | moved by kernels | direct roofline "
        "| tinygan's step | step / roofline |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        step, moved = row["results"][0]["median"], "–"
        if "bytes" in row:
            moved = f"{row['bytes'] / 1e9:.3f} GB at {row['bandwidth'] / 1e9:,.0f} GB/s"
        lines.append(
            f"| {row['system']} | {row['multiply_adds'] / 1e9:,.1f} · 10⁹ "
            f"| {row['product_flops'] / 1e9:,.0f} GFLOP/s | {moved} "
            f"| {_time(row['roofline_seconds'])} "
            f"| {_time(step)} | **{step / row['roofline_seconds']:.2f}** |"
        )
    return lines


_PICTURES = {  # what the plot of a section shows, for those who do not see it
    "layers": "Bars: the time of each layer, by each contestant",
    "steps": "Bars: the time of a whole training step, by each contestant",
    "inference": "Bars: the time of making pictures, by each contestant",
    "cold": "Bars: the time from the start of Python to the end of the first step",
    "scaling": "Lines: the time of a step against threads, batch and size of picture",
    "limit": "Bars: the time of a step beside the direct roofline",
}

_TABLES = {
    "layers": _layers,
    "steps": _contest,
    "inference": _inference,
    "cold": _cold,
    "scaling": _scaling,
    "limit": _limit,
    "bandwidth": bandwidth_table,
    "launches": launches_table,
}
