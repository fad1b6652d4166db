"""``python -m tinygan.generate RUN --out grid.png``: make pictures with a trained DCGAN."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tinygan.data import save_grid
from tinygan.errors import UserError
from tinygan.machine.arrays import BackendError, asarray, asnumpy, resolve_backend
from tinygan.runs.checkpoint import load_network
from tinygan.runs.load import open_run
from tinygan.train.command import Parser, natural, positive_int
from tinygan.train.dcgan_system import build_generator, noise

_AT_ONCE = 64  # pictures: what is in memory beside the result


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.generate") -> int:
    """Make the pictures that `argv` asks for, and return the exit status."""
    try:
        arguments = _parser(prog).parse_args(argv)
        out = Path(arguments.out)
        _check_out(out, arguments.force)
        run = open_run(Path(arguments.run), "dcgan", arguments.best)
        options, checkpoint = run.options, run.checkpoint.path
        try:
            G = build_generator(options)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{checkpoint}: its options are damaged ({error!r})") from None
        load_network(checkpoint, G, "G")
        G.to(resolve_backend(arguments.backend))
        z = draw(options, arguments.count, arguments.columns, arguments.seed, arguments.interpolate)
        try:
            save_grid(generate(G, z), out, arguments.columns)
        except OSError as error:
            raise UserError(f"--out {out}: cannot be written: {error.strerror or error}") from None
    except (UserError, BackendError) as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return 130
    print(f"{len(z)} pictures of {checkpoint} are in {out}")
    return 0


def draw(options: dict, count: int, columns: int, seed: int, interpolate: bool) -> np.ndarray:
    """Return z for `count` pictures: drawn one by one, or walking in each row from one to another.

    Parameters
    ----------
    options : dict
        Of the run.
    count, columns : int
        Pictures in all, and in a row.
    seed : int
    interpolate : bool

    Returns
    -------
    ndarray
        ``(count, noise_size)``, float32.

    Notes
    -----
    The way between two z is straight where they are uniform: all of it lies in the cube they are
    drawn from.  Normal z of many dimensions lie near a sphere, which a straight way would leave;
    there it is an arc.
    """
    if not interpolate:
        return noise(options, count, seed)
    rows = -(-count // columns)
    a, b = noise(options, 2 * rows, seed).reshape(rows, 2, 1, -1).swapaxes(0, 1)
    t = np.linspace(0, 1, columns, dtype=np.float32)[:, None]
    if options["noise"] == "normal":
        cosine = (a * b).sum(-1, keepdims=True) / (
            np.linalg.norm(a, axis=-1, keepdims=True) * np.linalg.norm(b, axis=-1, keepdims=True)
        )
        angle = np.arccos(np.clip(cosine, -1 + 1e-6, 1 - 1e-6))
        z = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
    else:
        z = (1 - t) * a + t * b
    return z.reshape(rows * columns, -1)[:count].astype(np.float32)


def generate(G, z: np.ndarray) -> np.ndarray:
    """Return G(z) on the host, made a few pictures at a time."""
    backend = "numpy" if isinstance(G.parameters()[0].data, np.ndarray) else "cupy"
    parts = (z[i : i + _AT_ONCE] for i in range(0, len(z), _AT_ONCE))
    return np.concatenate([asnumpy(G.predict(asarray(part, backend))) for part in parts])


def _check_out(out: Path, force: bool) -> None:
    if out.suffix.lower() != ".png":
        raise UserError(f"--out {out}: expected the name of a .png file")
    if out.exists() and (out.is_dir() or not force):
        raise UserError(f"--out {out}: is there already; --force replaces it")


def _parser(prog: str) -> Parser:
    parser = Parser(prog=prog, description="Make pictures with a trained DCGAN.")
    parser.add_argument("run", metavar="RUN", help="a run folder, or one of its checkpoints")
    parser.add_argument(
        "--best",
        action="store_true",
        help="use the checkpoint whose pictures were nearest to the data, not the newest one",
    )
    parser.add_argument("--out", default="generated.png", metavar="FILE", help="a .png file")
    parser.add_argument("--count", type=positive_int, default=64, metavar="N", help="default: 64")
    parser.add_argument(
        "--columns", type=positive_int, default=8, metavar="N", help="pictures in a row"
    )
    parser.add_argument(
        "--seed", type=natural, default=0, metavar="N", help="for other pictures; default: 0"
    )
    parser.add_argument(
        "--interpolate", action="store_true", help="each row walks from one picture to another"
    )
    parser.add_argument("--backend", choices=["numpy", "cupy", "auto"], default="auto")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
