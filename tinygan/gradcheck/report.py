"""What a gradient check found, tensor by tensor, and how it says so."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["CAUSES", "Cause", "GradientError", "GradientReport", "TensorCheck"]

# fmt: off
CAUSES = (
    "constant factor", "transposed", "missing term", "extra term", "wrong axis",
    "missing gradient", "assigned", "input overwritten", "upstream overwritten",
    "output overwritten", "shared cache", "flipped kernel", "stride or padding", "wrong mask",
    "wrong tensor", "upstream ignored", "float32", "wrong shape", "empty slice", "not finite",
    "integer arithmetic", "exception", "wrong output",
)
# fmt: on
"""The kinds of mistake that a check can name."""


class GradientError(AssertionError):
    """A gradient disagrees with the differences; `report` holds what was found."""

    def __init__(self, report: GradientReport):
        super().__init__(str(report))
        self.report = report


@dataclass(frozen=True)
class Cause:
    """A mistake that explains what was seen.

    Attributes
    ----------
    kind : str
        One of `CAUSES`.
    tensor : str
        Whose gradient it spoils, or which array is concerned.
    text : str
        One sentence for the reader.
    """

    kind: str
    tensor: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind} [{self.tensor}]: {self.text}"


@dataclass(frozen=True)
class TensorCheck:
    """The verdict on one tensor's gradient.

    Attributes
    ----------
    name : str
        ``x`` for the input, else the parameter's dotted name.
    shape : tuple of int
    ok : bool
    error : float
        The worst difference between analytic and numeric, relative to the gradient's own size.
    index : tuple of int or None
        Where the worst element stands; None if only whole directions were compared.
    analytic, numeric : float
        The two numbers there (or along the worst direction).
    count : int
        How many elements or directions were compared.
    method : {"elements", "directions"}
    problem : str
        Why nothing could be compared (a wrong shape, say), or the empty string.
    kinks : int
        How many elements lie on a kink, where the slopes of both sides were accepted.
    undecided : int
        How many elements (or directions) no difference could decide: the function is not finite
        beside them, or the gradient is smaller than the rounding of the output allows to see.
    analytic_gradient, numeric_gradient : ndarray or None
        The whole gradients, where all elements were compared.
    """

    name: str
    shape: tuple[int, ...]
    ok: bool
    error: float
    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    count: int
    method: str
    problem: str = ""
    kinks: int = 0
    undecided: int = 0
    analytic_gradient: np.ndarray | None = field(default=None, repr=False, compare=False)
    numeric_gradient: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def ratio(self) -> float:
        """Analytic over numeric: a constant such as 2 or −1 here is a hint at the mistake."""
        return self.analytic / self.numeric if self.numeric else float("nan")

    def __str__(self) -> str:
        verdict = "ok   " if self.ok else "WRONG"
        if self.problem:
            return f"{verdict} {self.name} {self.shape}: {self.problem}"
        place = f"worst at {self.index}" if self.index is not None else "worst direction"
        kinks = f"; {self.kinks} on a kink, slopes of both sides accepted" if self.kinks else ""
        ratio = f"ratio {self.ratio:.6g}, " if np.isfinite(self.ratio) else ""
        if self.undecided:
            kinks += f"; {self.undecided} undecided: no difference can tell there"
        return (
            f"{verdict} {self.name} {self.shape}: "
            f"{place}: analytic {self.analytic:.9g}, numeric {self.numeric:.9g}, "
            f"{ratio}relative error {self.error:.2g} "
            f"({self.count} {self.method}{kinks})"
        )


@dataclass(frozen=True)
class GradientReport:
    """The verdicts on all tensors of one layer, loss or objective.

    Attributes
    ----------
    subject : str
        What was checked.
    checks : list of TensorCheck
    causes : list of Cause
        The mistakes that the evidence singles out, the likeliest first.  A wrong gradient that
        several mistakes would explain equally well has none.
    notes : list of str
        What else is to be said: what was not checked (weights in plain arrays, say), how a function
        was called.
    """

    subject: str
    checks: list[TensorCheck] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks) and not self.causes

    @property
    def cause(self) -> Cause | None:
        """The likeliest cause, if any is known."""
        return self.causes[0] if self.causes else None

    @property
    def worst(self) -> TensorCheck:
        """The tensor with the largest relative error; wrong ones before right ones."""
        return max(self.checks, key=lambda check: (not check.ok, check.error))

    def as_dict(self) -> dict:
        """Return verdicts, causes and notes as JSON holds them; no whole gradients."""
        left_out = ("analytic_gradient", "numeric_gradient")
        checks = [
            {name: value for name, value in vars(check).items() if name not in left_out}
            for check in self.checks
        ]
        return {
            "subject": self.subject,
            "ok": bool(self.ok),
            "checks": checks,
            "causes": [vars(cause) for cause in self.causes],
            "notes": self.notes,
        }

    def __str__(self) -> str:
        if self.ok:
            verdict = "gradients agree"
        elif all(check.ok for check in self.checks):
            broken = any(cause.kind != "wrong output" for cause in self.causes)
            what = "a rule of the protocol is broken" if broken else "the output is wrong"
            verdict = f"gradients agree, but {what}"
        else:
            verdict = "gradients disagree with differences"
        return "\n".join(
            [
                f"{self.subject}: {verdict}",
                *(f"  {check}" for check in self.checks),
                *(f"  likely cause: {cause}" for cause in self.causes),
                *(f"  {note}" for note in self.notes),
            ]
        )
