"""Working and starting directory of the process, and the library directories of its interpreter.

The starting directory is the working directory before option chdir.

Library files are those in the standard library and in the site-packages of this interpreter. All other files belong to
the project, including editable installs, whose files are in their source directories.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import os
import site
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

from corn.errors import ConfigError

# A directory that may be entered need not be readable (open(2)).
_OPEN_FLAGS = getattr(os, "O_PATH", os.O_RDONLY)

_start: Path | None = None
_entered: Path | None = None


def enter_directory(start: Path, chdir: str) -> None:
    """Change to the directory of option chdir, relative to `start` (chdir(2)); raises ConfigError where it cannot.

    Called before each generation, so that a symbolic link that a deployment has changed leads to the new release.
    """
    global _start, _entered
    directory = start / chdir
    try:
        os.chdir(directory)
    except OSError as error:
        raise ConfigError(f"the directory {directory} cannot be entered: {error.strerror}") from None
    _start, _entered = start, directory


def start_directory() -> str:
    """Directory in which corn was started, before option chdir."""
    return working_directory() if _start is None else str(_start)


def working_directory() -> str:
    """Working directory by its name, also when it was removed (getcwd(3) fails then)."""
    try:
        return str(Path.cwd())
    except OSError:
        return str(_entered or os.environ.get("PWD", os.sep))


@contextlib.contextmanager
def in_start_directory() -> Iterator[None]:
    """Within the block, work in the starting directory, so that an executed program finds the same files as corn.

    Raises OSError if it can no longer be entered.
    """
    with _saved_directory() as here:
        try:
            if _start is not None:
                os.chdir(_start)
            yield
        finally:
            _enter(here)


@contextlib.contextmanager
def working_directory_restored_on_failure() -> Iterator[None]:
    """Return to the current working directory if the block raises.

    Raises OSError, before the block, if no descriptor is left.
    """
    with _saved_directory() as here:
        try:
            yield
        except BaseException:
            _enter(here)
            raise


@contextlib.contextmanager
def working_directory_restored() -> Iterator[None]:
    """Return to the current working directory after the block, and to the starting directory that is known now.

    Raises OSError, before the block, if no descriptor is left.
    """
    global _start, _entered
    known = _start, _entered
    with _saved_directory() as here:
        try:
            yield
        finally:
            _enter(here)
            _start, _entered = known


@contextlib.contextmanager
def _saved_directory() -> Iterator[int]:
    """Working directory, as a descriptor."""
    here = os.open(".", _OPEN_FLAGS | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield here
    finally:
        os.close(here)


def _enter(directory: int) -> None:
    with contextlib.suppress(OSError):  # its permissions may have changed
        os.fchdir(directory)


_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


@functools.lru_cache(maxsize=1)
def library_roots() -> tuple[str, ...]:
    """Directories of libraries, resolved, each with a separator at its end.

    The first call imports `_sysconfigdata_*`. It must be made before the import recorder of `corn dev` is active, which
    would take that module for a library of the application (see worker/in_development.py), and before a finder that
    calls this function: within that import, sysconfig lacks some of its variables (Python 3.13).
    """
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    roots = {sysconfig.get_path(name) for name in names} | set(site.getsitepackages()) | {site.getusersitepackages()}
    return tuple(os.path.realpath(root) + os.sep for root in roots if root)


def is_library_file(path: str) -> bool:
    """True if the file at `path` belongs to a library, also in packages of another environment on the path."""
    real = os.path.realpath(path)
    return real.startswith(library_roots()) or any(part in real for part in _PACKAGES)


def package_directories() -> list[str]:
    """Directories of installed packages, in which an installer adds and removes entries."""
    found = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}
    return sorted(each for each in found if each and Path(each).is_dir())


def module_file(name: str, directories: Sequence[str]) -> str | None:
    """File of a module, by its name alone, in `directories` or among the libraries; None where there is none."""
    relative = name.replace(".", os.sep)
    for directory in (*directories, *library_roots()):
        base = os.path.join(os.path.realpath(directory), relative)  # noqa: PTH118
        for path in (f"{base}.py", os.path.join(base, "__init__.py"), *glob.glob(f"{glob.escape(base)}.*.so")):  # noqa: PTH118, PTH207
            if os.path.isfile(path):  # noqa: PTH113 - false also where it cannot be looked up
                return path
    return None
