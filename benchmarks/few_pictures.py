"""Few pictures of one's own: which options help, on real faces?

    python -m benchmarks.few_pictures --data FOLDER [--runs DIR] [--image-size 32] [--steps 600]

Trains a small DCGAN on the first 500 and on the first 7,000 pictures of a folder (CelebA) with one
option changed at a time, three seeds each, and measures the Fréchet distance to the folder's last
1,000.  It goes on where it was interrupted; `results/few_pictures.json` keeps numbers alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.trained import Record, command, frechet, trained
from tinygan.data import ImageFolder

HERE = Path(__file__).parent
CROP, SET_ASIDE = 108 / 178, 1000
COMMON = {
    "crop": CROP,
    "width": 16,
    "batch_size": 32,
    "activation": "leaky_relu",
    "lr": 5e-4,
}
CHANGES: dict[str, dict] = {
    "nothing": {},
    "--flip": {"flip": True},
    "--augment color,translation,cutout": {"augment": "color,translation,cutout"},
    "--lr-d 0.00025": {"lr_d": 2.5e-4},
    "--objective least_squares": {"objective": "least_squares"},
    "--objective hinge": {"objective": "hinge"},
}


def first(data: Path, count: int, folder: Path) -> Path:
    """Return a folder of links to the first pictures of another."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        for path in sorted(data.iterdir())[:count]:
            (folder / path.name).symlink_to(path.resolve())
    return folder


def table(rows: dict[str, dict], counts: list[int]) -> str:
    """Return the means, and what each option changes with its standard error over the seeds."""
    head = " | ".join(f"{n:,} pictures | change" for n in counts)
    lines = [f"| option | {head} |", "|---|" + "---:|---:|" * len(counts)]
    for name in CHANGES:
        cells = []
        for count in counts:
            found = {s: row["frechet"] for s, row in _of(rows, name, count).items()}
            plain = {s: row["frechet"] for s, row in _of(rows, "nothing", count).items()}
            both = [np.log(found[s] / plain[s]) for s in found if s in plain]
            cells.append(f"{np.mean(list(found.values())):.0f}" if found else "not run")
            if name == "nothing" or len(both) < 2:
                cells.append("")
                continue
            error = np.std(both, ddof=1) / np.sqrt(len(both))
            cells.append(f"{np.expm1(np.mean(both)):+.0%} ± {error:.0%}")
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _of(rows: dict[str, dict], name: str, count: int) -> dict[int, dict]:
    return {r["seed"]: r for r in rows.values() if (r["change"], r["images"]) == (name, count)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder of 8,000 faces")
    parser.add_argument("--runs", type=Path, default=Path("runs/few"), help="where it is trained")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--counts", type=int, nargs="+", default=[500, 7000])
    parser.add_argument("--out", type=Path, default=HERE / "results" / "few_pictures.json")
    chosen = parser.parse_args()
    record = Record(chosen.out)
    links = first(chosen.data, 10**6, chosen.runs / "all")
    size = chosen.image_size
    real = ImageFolder(links, size, 3, CROP).images[-SET_ASIDE:]
    for seed in range(chosen.seeds):
        for count in chosen.counts:
            data = first(chosen.data, count, chosen.runs / f"first-{count}")
            for name, change in CHANGES.items():
                rare = dict.fromkeys(("sample_every", "checkpoint_every"), chosen.steps)
                options = {"image_size": size, **COMMON, **change, "steps": chosen.steps}
                options |= {**rare, "seed": seed}

                def measure(
                    options: dict = options, data: Path = data, name: str = name, count: int = count
                ) -> dict:
                    changed = "-".join(f"{k}={v}" for k, v in CHANGES[name].items()) or "nothing"
                    numbers = "-".join(str(options[k]) for k in ("image_size", "steps", "seed"))
                    folder = f"{count}-{changed}-{numbers}"
                    run = trained("dcgan", {**options, "data": str(data)}, chosen.runs / folder)
                    row = {"images": count, "change": name, "seed": options["seed"]}
                    noted = command("dcgan", {"data": "DIR", **options})
                    return {**row, "frechet": round(frechet(run, real), 2), "command": noted}

                record.row(f"{count} {name} {seed}", measure)
    print(table(record.rows, chosen.counts))


if __name__ == "__main__":
    main()
