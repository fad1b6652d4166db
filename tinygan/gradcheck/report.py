"""What a gradient check found, tensor by tensor, and how it says so."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["GradientError", "GradientReport", "TensorCheck"]


class GradientError(AssertionError):
    """A gradient disagrees with the differences; `report` holds what was found."""

    def __init__(self, report: GradientReport):
        super().__init__(str(report))
        self.report = report


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

    @property
    def ratio(self) -> float:
        """Analytic over numeric: a constant such as 2 or −1 here is a hint at the mistake."""
        return self.analytic / self.numeric if self.numeric else float("nan")

    def __str__(self) -> str:
        place = f"worst at {self.index}" if self.index is not None else "worst direction"
        return (
            f"{'ok   ' if self.ok else 'WRONG'} {self.name} {self.shape}: "
            f"{place}: analytic {self.analytic:.9g}, numeric {self.numeric:.9g}, "
            f"ratio {self.ratio:.6g}, relative error {self.error:.2g} "
            f"({self.count} {self.method})"
        )


@dataclass(frozen=True)
class GradientReport:
    """The verdicts on all tensors of one layer, loss or objective.

    Attributes
    ----------
    subject : str
        What was checked.
    checks : list of TensorCheck
    """

    subject: str
    checks: list[TensorCheck] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def worst(self) -> TensorCheck:
        """The tensor with the largest relative error; wrong ones before right ones."""
        return max(self.checks, key=lambda check: (not check.ok, check.error))

    def __str__(self) -> str:
        verdict = "gradients agree" if self.ok else "gradients disagree with differences"
        return "\n".join([f"{self.subject}: {verdict}", *(f"  {check}" for check in self.checks)])
