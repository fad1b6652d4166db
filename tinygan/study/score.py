"""What answers are worth: shares with their confidence intervals, of one person or of many."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from tinygan.errors import UserError
from tinygan.files import read_json

__all__ = ["ANSWERS", "read_answers", "score", "score_text", "wilson"]

ANSWERS = "tinygan study answers 1"
_Z = 1.959964  # of 95 %


def wilson(right: int, count: int) -> tuple[float, float]:
    r"""Return the 95 % confidence interval of a share, by Wilson's formula.

    Parameters
    ----------
    right, count : int
        Successes, and trials.

    Notes
    -----
    With :math:`p = k/n` and z = 1.96 the ends are

    .. math:: \frac{p + z^2/2n \pm z\sqrt{p(1-p)/n + z^2/4n^2}}{1 + z^2/n}.

    Unlike :math:`p \pm z\sqrt{p(1-p)/n}` it stays within 0 and 1 and holds for few answers too.

    References
    ----------
    E. B. Wilson, *Probable inference, the law of succession, and statistical inference*, 1927.

    Examples
    --------
    >>> low, high = wilson(20, 40)
    >>> round(low, 3), round(high, 3)
    (0.352, 0.648)
    """
    if not 0 <= right <= count or count < 1:
        raise ValueError(f"wilson: expected 0 to {count} successes of 1 or more, got {right}")
    share, squared = right / count, _Z * _Z / count
    half = _Z * math.sqrt(share * (1 - share) / count + squared / (4 * count))
    middle = share + squared / 2
    return max(0.0, (middle - half) / (1 + squared)), min(1.0, (middle + half) / (1 + squared))


def read_answers(path: Path) -> dict:
    """Return one person's answers; a UserError says what is wrong with the file."""
    try:
        found = read_json(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    if not isinstance(found, dict) or found.get("format") != ANSWERS:
        raise UserError(f"{path}: not answers that a study's page has saved")
    answers = found.get("answers")
    whole = isinstance(answers, list) and all(
        isinstance(a, dict) and isinstance(a.get("right"), bool) and isinstance(a.get("kind"), str)
        for a in answers
    )
    if not whole or not answers or not isinstance(found.get("study"), str):
        raise UserError(f"{path}: these answers are damaged, or there are none")
    return found


def score(paths: list[Path]) -> dict[str, Any]:
    """Return what the answers of one or more people to one study come to.

    Returns
    -------
    dict
        ``study``; ``files``, ``kinds`` and ``all``: ``right`` and ``count`` of the answers, their
        ``share`` and the ``low`` and ``high`` end of its 95 % interval.

    Raises
    ------
    UserError
        If a file cannot be used, is there twice, or is of another study.
    """
    people: dict[str, Path] = {}
    rights: dict[str, list[bool]] = {}
    files, study = {}, None
    for path in paths:
        found = read_answers(path)
        study = study or found["study"]
        if found["study"] != study:
            raise UserError(
                f"{path}: answers to another study ({found['study']}) than {paths[0]} ({study})"
            )
        person = str(found.get("person"))
        if person in people:
            raise UserError(f"{path}: the same person's answers as {people[person]}")
        people[person] = path
        for answer in found["answers"]:
            rights.setdefault(answer["kind"], []).append(answer["right"])
        files[str(path)] = _share([answer["right"] for answer in found["answers"]])
    kinds = {kind: _share(some) for kind, some in rights.items()}
    everything = _share([right for some in rights.values() for right in some])
    return {"study": study, "files": files, "kinds": kinds, "all": everything}


def score_text(result: dict[str, Any]) -> str:
    """Return what `score` gives as text for people."""
    files, kinds, total = result["files"], result["kinds"], result["all"]
    lines = [(Path(path).name, share) for path, share in files.items()]
    lines += kinds.items() if len(kinds) > 1 else ()
    lines.append((f"all, {len(files)} people" if len(files) > 1 else "all", total))
    width = max(len(name) for name, _ in lines)
    table = [f"{name.ljust(width)}  {_text(share)}" for name, share in lines]
    verdict = (
        "They cannot be told to be better than a coin: the interval holds 50 %."
        if total["low"] <= 0.5 <= total["high"]
        else f"That is {'better' if total['low'] > 0.5 else 'worse'} than a coin would do."
    )
    head = f"study {result['study']}: how often the real picture was found (95 % interval)"
    note = (
        "Answers of one person are more alike than those of many: with few people the true "
        "interval is wider."
    )
    return "\n".join([head, *table, verdict, note])


def _share(rights: list[bool]) -> dict[str, Any]:
    right, count = sum(rights), len(rights)
    low, high = wilson(right, count)
    return {"right": right, "count": count, "share": right / count, "low": low, "high": high}


def _text(share: dict[str, Any]) -> str:
    right, count, part = (share[name] for name in ("right", "count", "share"))
    interval = f"{share['low']:.1%} to {share['high']:.1%}"
    return f"{right} of {count} = {part:.1%} ({interval}); fooled {1 - part:.1%}"
