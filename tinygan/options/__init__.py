"""Typed options: one dataclass a system says flags, defaults, help, presets and validation.

`base` has what every system's options share, `kinds` what a value may be, `presets` named sets of
values, `flags` the command line of it all, and `resolving` one set of options out of flags, files,
presets and defaults.
"""
