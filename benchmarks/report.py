"""Tables in Markdown from the JSON files, put between the markers of the README."""

from __future__ import annotations

import json
import re
from pathlib import Path

from benchmarks import targets
from benchmarks.gpu import bandwidth_table, launches_table
from benchmarks.machine import in_words
from benchmarks.sections import exponent
from benchmarks.targets import ratio


def load(folder: Path) -> dict[str, dict[str, dict]]:
    """Return the results by the kind of processor and the names of their files.

    ``load(folder)["amd-avx512"]["steps-numpy"]`` is ``amd-avx512/steps-numpy.json``.
    """
    records: dict[str, dict[str, dict]] = {}
    for path in sorted(folder.glob("*/*.json")):
        records.setdefault(path.parent.name, {})[path.stem] = json.loads(path.read_text())
    return records


def refresh(readme: Path, records: dict[str, dict[str, dict]]) -> None:
    """Replace what stands between each pair of markers by its tables, one a kind of processor.

    Markers are ``<!-- steps-numpy -->`` and ``<!-- /steps-numpy -->``; ``targets`` and ``summary``
    are of several sections.
    """
    text = readme.read_text()
    tables: dict[str, list[str]] = {}
    for kind, results in records.items():
        for name, result in results.items():
            shown = [f"**{kind}**, {result['about']['date'][:10]}", table(result)]
            picture = f"plots/{kind}/{name}.png"
            if (readme.parent / picture).exists():
                shown.append(f"![{_PICTURES[result['section']]}]({picture})")
            tables.setdefault(name, []).extend(shown)
        if targets.rows(kind, results):
            tables.setdefault("targets", []).append(targets.table(kind, results))
    tables["summary"] = [summary(records)]
    for name, parts in tables.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        body = "\n" + "\n\n".join(parts) + "\n\n"
        text = pattern.sub(lambda found, body=body: found[1] + body + found[2], text)
    readme.write_text(text)


def summary(records: dict[str, dict[str, dict]]) -> str:
    """Return the few lines that the front page shows: a column a kind of processor."""
    named = {"steps": "a training step", "inference": "pictures", "cold": "cold start"}
    cells: dict[str, dict[str, str]] = {}
    dates: dict[str, set[str]] = {}
    for kind, results in records.items():
        for section, what in named.items():
            result = results.get(f"{section}-numpy", {"rows": []})
            for row in result["rows"]:
                speed, memory = (ratio(row["results"], key) for key in ("median", "peak_bytes"))
                if speed and memory:
                    dates.setdefault(kind, set()).add(result["about"]["date"][:10])
                    line = cells.setdefault(f"{what}: {row['system']}", {})
                    line[kind] = f"{speed:.2f} · {1 / memory:.2f}"
    heads = [f"{kind}, {' and '.join(sorted(days))}" for kind, days in dates.items()]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for what, line in cells.items():
        lines.append(f"| {what} | " + " | ".join(line.get(kind, "–") for kind in dates) + " |")
    return "\n".join(lines)


def table(result: dict) -> str:
    """Return the table of one section's results, with its machine, date and versions below."""
    lines = _TABLES[result["section"]](result["rows"])
    about = in_words(result["about"])
    rounds = result["rounds"]
    return "\n".join([*lines, "", f"Medians of at most {rounds} alternating rounds. {about}"])


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
            else:
                cells.append(f"{exponent(values, medians):.2f}")
        what = f"exponent along {along}"
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
