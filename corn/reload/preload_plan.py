"""Preload plan of a warm template: packages that the application imports, except those that must not be shared. Pure.

A reported package may only be loaded before the application if its import has the same result there. So the worker ends
the list where the application's code has changed the environment, and this module leaves out:

- modules in a watched directory, which may change with the next save; editable installs are the project's own anyway
- modules that a template found unsafe to fork with, or that the user's project shadows
- tools that patch others at import, and all modules that were imported after the first of them
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

_PATCHERS = frozenset({"gevent", "eventlet", "ddtrace", "sitecustomize", "usercustomize", "__main__"})
_NEVER = ("corn",)


def packages_to_load(
    imported: Iterable[Sequence[str]], is_watched: Callable[[str], bool], left_out: frozenset[str]
) -> list[str]:
    """The names of the modules to load, in order, of `imported` [name, file or ""] pairs."""
    names: list[str] = []
    for name, file in imported:
        top = name.partition(".")[0]
        if top in _PATCHERS:
            break
        if top not in _NEVER and not left_out & {top, name} and not (file and is_watched(file)):
            names.append(name)
    return names


def shadowed(added: Iterable[str], packages: Iterable[str]) -> set[str]:
    """Loaded top-level packages whose name a new file or directory, given by its base name, now has."""
    tops = {each.partition(".")[0] for each in packages}
    return tops & {each.partition(".")[0] for each in added}
