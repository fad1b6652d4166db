"""Presets: named sets of options, each value marked as stated by the paper or assumed."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Preset", "describe_presets"]


@dataclass(frozen=True)
class Preset:
    """Options under a name.

    Attributes
    ----------
    title : str
        What it is.
    stated : dict
        Option → value, as the paper states them.
    assumed : dict
        Option → value, where the paper states none.
    notes : dict
        Option → a remark on its value.
    """

    title: str
    stated: dict = field(default_factory=dict)
    assumed: dict = field(default_factory=dict)
    notes: dict = field(default_factory=dict)

    @property
    def values(self) -> dict:
        return self.assumed | self.stated


def describe_presets(presets: dict[str, Preset]) -> str:
    """Return all presets as text: each value, whether the paper states it, and the remarks."""
    lines = []
    for name, preset in presets.items():
        lines += [f"--preset {name}", f"    {preset.title}"]
        for option, value in (preset.stated | preset.assumed).items():
            origin = "stated" if option in preset.stated else "assumed"
            note = f"; {preset.notes[option]}" if option in preset.notes else ""
            flag = "--" + option.replace("_", "-")
            lines.append(f"    {flag:<20} {value!s:<16} {origin}{note}")
        lines.append("")
    lines.append("stated: by the paper; assumed: the paper states none. Flags override presets.")
    return "\n".join(lines)
