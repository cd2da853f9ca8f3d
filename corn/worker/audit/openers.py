"""Modules that may have opened a descriptor or started a native thread: those whose code ran between two imports.

Most descriptors belong to an object that a module holds (`ImportMonitor.module_of`). Others do not: the connection in a
thread-local, as Django's, or in the memory of a C library, as DuckDB's; nor do threads of C code. For these the process
is checked at each import: a new descriptor or thread is attributed to the module that was imported last, and to those
that were importing it. The project's own modules among them are named, because their calls caused it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import FrameType

from corn.system.paths import is_library_file, library_roots
from corn.worker.audit.descriptors import numbers

_THREADS = "/proc/self/task"


class Openers:
    """A finder that finds nothing, from `begin` to `end`."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._free = -1
        self._last: list[str] = []  # the module that was imported last, and those that were importing it
        self._modules: dict[int, list[str]] = {}  # by descriptor
        self._threads: dict[str, list[str]] = {}  # by thread id
        self._count = 0  # links of the directory of threads

    def begin(self) -> None:
        library_roots()  # to find them, sysconfig imports a module; a check at that import would call sysconfig again
        self._known, self._free = _open_numbers(), _lowest_free()
        self._count, self._threads = _thread_links(), {each: [] for each in _thread_ids()}
        sys.meta_path.insert(0, self)

    def end(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        self._check([])

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Detect new descriptors and threads."""
        del path, target
        running = list(_running(sys._getframe(1)))
        self._check(running)
        self._last = [name, *running]

    def of(self, fd: int) -> str:
        """The modules that may have opened a descriptor, as text; "" where none is known."""
        return " or ".join(self._modules.get(fd, ()))

    def of_threads(self) -> str:
        """The modules that may have started one of the threads that run now, as text."""
        return next((" or ".join(names) for each in _thread_ids() if (names := self._threads.get(each))), "")

    def _check(self, running: list[str]) -> None:
        """Attribute new descriptors, detected at the lowest free number (open(2)), and threads."""
        if _thread_links() != self._count:
            self._count = _thread_links()
            for each in _thread_ids():
                self._threads.setdefault(each, self._candidates(running))
        if _lowest_free() == self._free:
            return
        found = _open_numbers()
        for fd in found - self._known:
            self._modules[fd] = self._candidates(running)
        self._known, self._free = found, _lowest_free()

    def _candidates(self, running: list[str]) -> list[str]:
        """Modules whose code ran since the last import: that module, and those that were importing it."""
        ended = self._last[: len(self._last) - len(running) + 1] if running else self._last
        own = [name for name in ended if not _is_library(name)]
        return own or ended[:1]


def _running(frame: FrameType | None) -> Iterator[str]:
    """The modules whose code is being executed, innermost first."""
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            yield str(frame.f_globals.get("__name__", ""))
        frame = frame.f_back


def _is_library(name: str) -> bool:
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is None or is_library_file(file)


def _open_numbers() -> set[int]:
    return {fd for fd in numbers() if _is_open(fd)}  # without that of the directory that was listed


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _thread_links() -> int:
    """A number that changes with that of the threads: each is a directory of proc(5), and so a link."""
    try:
        return os.stat(_THREADS).st_nlink  # noqa: PTH116 - at each import
    except OSError:
        return 0


def _thread_ids() -> list[str]:
    try:
        return os.listdir(_THREADS)  # noqa: PTH208
    except OSError:
        return []


def _lowest_free() -> int:
    fd = os.dup(2)
    os.close(fd)
    return fd
