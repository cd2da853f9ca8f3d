"""Which files belong to libraries: those in the standard library and in the site-packages of this interpreter.

What is neither is the project's own, editable installs included, because their files lie where they are worked on.
"""

from __future__ import annotations

import functools
import os
import site
import sysconfig
from pathlib import Path

_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


@functools.lru_cache(maxsize=1)
def library_roots() -> tuple[str, ...]:
    """The directories of libraries, resolved, each with a separator at its end."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    roots = {sysconfig.get_path(name) for name in names} | set(site.getsitepackages()) | {site.getusersitepackages()}
    return tuple(os.path.realpath(root) + os.sep for root in roots if root)


def is_library_file(path: str) -> bool:
    """Whether the file at `path` belongs to a library; packages of another environment on the path are some too."""
    real = os.path.realpath(path)
    return real.startswith(library_roots()) or any(part in real for part in _PACKAGES)


def package_directories() -> list[str]:
    """Where packages are installed: an installer adds and removes entries there."""
    found = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}
    return sorted(each for each in found if each and Path(each).is_dir())
