"""Systems: what can be trained.  The one list of them, and how a user's own is found.

To add one, write a `System` in a file of your own and name it, ``my_gan.py:MyGAN``; or let a
package register one for good, as an entry point of the group ``tinygan.systems``.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tinygan.errors import UserError
from tinygan.files import read_regular

if TYPE_CHECKING:
    from tinygan.systems.system import System

__all__ = ["SYSTEMS", "find", "find_of_run", "names"]

SYSTEMS = {
    "dcgan": "tinygan.systems.dcgan:DCGAN",
    "cyclegan": "tinygan.systems.cyclegan:CycleGAN",
    "detector": "tinygan.systems.detector:Detector",
}

GROUP = "tinygan.systems"


def names() -> list[str]:
    """Return the names of all systems that tinygan and installed packages have."""
    return list(dict.fromkeys([*SYSTEMS, *(point.name for point in entry_points(group=GROUP))]))


def find(name: str) -> type[System]:
    """Return the system of a name, or of ``FILE.py:CLASS``, whose code is run.

    Raises
    ------
    UserError
        If there is none.
    """
    return _of_file(name) if ".py" in name else _listed(name)


def _listed(name: str) -> type[System]:
    if name in SYSTEMS:
        module, cls = SYSTEMS[name].split(":")
        return getattr(import_module(module), cls)
    for point in entry_points(group=GROUP):
        if point.name == name:
            return point.load()
    known = ", ".join(names()) or "none"
    raise UserError(
        f"unknown system {name[:60]!r}; choose from {known}, or name your own as FILE.py:CLASS"
    )


def find_of_run(
    noted: dict[str, Any], given: str | type[System] | None, where: Path, say: Callable[[str], Any]
) -> type[System]:
    """Return the system that a run was trained with; never run code because the run names it.

    Parameters
    ----------
    noted : dict
        The run's ``config.json``, or what is noted in its checkpoint.
    given : str, type or None
        What the user names it, ``FILE.py:CLASS``, or the class itself.
    where : Path
        For messages.
    say : callable
        Told a warning.
    """
    name, file = noted.get("system"), noted.get("system_file")
    if not isinstance(name, str) or not (file is None or isinstance(file, dict)):
        raise UserError(f"{where}: damaged: it does not say which system it is of")
    if given is None:
        if file is not None:
            raise UserError(
                f"{where}: this is a run of a system of its own, {_text(file)}; give it again, as "
                f"it runs that file's code: --system {_text(file)}"
            )
        return _listed(name)
    system = find(given) if isinstance(given, str) else given
    if system.name != name:
        raise UserError(f"{where}: expected --system of a run of {name}, got {system.name}")
    if file is not None and system.file is not None and system.file.sha256 != file.get("sha256"):
        say(f"warning: {system.file.path} has changed since this run began; the run keeps a copy")
    return system


def _text(file: dict) -> str:
    return "".join(c for c in f"{file.get('name')}:{file.get('class')}" if c.isprintable())[:200]


def _of_file(text: str) -> type[System]:
    from tinygan.systems.system import System, SystemFile

    place, _, name = text.rpartition(":") if not text.endswith(".py") else (text, "", "")
    path = Path(place)
    try:
        source = read_regular(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{text}: expected FILE.py:CLASS; {place}: {error}") from None
    digest = hashlib.sha256(source).hexdigest()
    module_name = f"tinygan_user_{path.stem}_{digest[:12]}"
    module = sys.modules.get(module_name)
    if module is None:
        module = ModuleType(module_name)
        module.__file__ = str(path)
        sys.modules[module_name] = module  # dataclasses look their module up here
        sys.path.insert(0, str(path.resolve().parent))
        try:
            exec(compile(source, str(path), "exec"), vars(module))
        except BaseException as error:
            del sys.modules[module_name]
            if not isinstance(error, Exception):
                raise
            lines = [f.lineno for f in traceback.extract_tb(error.__traceback__)
                     if f.filename == str(path)]  # fmt: skip
            line = getattr(error, "lineno", None) or (lines[-1] if lines else "?")
            raise UserError(
                f"{path}, line {line}: its code failed: {type(error).__name__}: {error}"
            ) from error
        finally:
            sys.path.remove(str(path.resolve().parent))
    own = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, System) and value.__module__ == module_name
    }
    if not name and len(own) == 1:
        [name] = own
    if name not in own:
        known = ", ".join(own) or "none; a system is a subclass of tinygan.systems.system.System"
        raise UserError(f"{text}: expected FILE.py:CLASS; the systems in this file are: {known}")
    system = own[name]
    system.file = SystemFile(path, source, digest, name)
    return system
