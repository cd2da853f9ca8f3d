"""Exit handlers (atexit, weakref.finalize) and buffered files, at the end of a template and of a worker.

A worker runs all handlers, including those that the template registered while it imported the application, because the
buffers of Sentry, a log or a tracer are in the worker's memory. Files created by the import exist only once, so only
the template removes them, when all its workers have exited. An inherited handler that removes or renames a file older
than the worker therefore gets an OSError: for example for a tempfile.TemporaryDirectory, or a file that
importlib.resources.as_file has unpacked. It may remove the worker's own files.

Handlers run in reverse order, so the first one that a worker registers runs after its other handlers and before the
inherited ones, and enables this guard. The guard is an audit hook, which cannot be removed, but the process is about to
exit.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

# The positions of the path and of its directory's descriptor in the arguments of audit events.
_REMOVALS = {"os.remove": (0, 1), "os.rmdir": (0, 1), "os.rename": (0, 2), "shutil.rmtree": (0, 1)}
_REPEAT_INTERVAL = 0.5  # seconds between two interruptions
_STATX_BTIME, _AT_FDCWD, _AT_SYMLINK_NOFOLLOW = 0x800, -100, 0x100


class InheritedFileError(OSError):
    """Raised in an inherited exit handler that would remove a file that the template removes."""


def count() -> int:
    """The number of functions that are registered with atexit."""
    return int(atexit._ncallbacks())


def file_clock() -> int:
    """Current time by the clock of file timestamps, in nanoseconds; no existing file is later.

    Not CLOCK_REALTIME_COARSE, by which the kernel dates files: since Linux 6.13 some are finer, and a tick later.
    """
    return time.time_ns()


def guard_inherited(since: int) -> None:
    """In a worker, first of all: protect files older than `since` (of `file_clock`) from inherited handlers."""
    atexit.register(_guard, since)


def run(seconds: float) -> None:
    """Run all exit handlers and flush files; TimeoutError interrupts a step that takes longer than `seconds`."""
    with _interrupted(seconds):
        try:
            atexit._run_exitfuncs()
        except TimeoutError:
            atexit._run_exitfuncs()  # the alarm was raised between two handlers
        flush_files()


def flush_files() -> None:
    """Flush open files, as the interpreter does at its exit; a forked copy must not hold unwritten buffers."""
    files = [each for each in gc.get_objects() if io._io._IOBase in type(each).__mro__]  # type: ignore[attr-defined]
    files.sort(key=lambda each: not isinstance(each, io.TextIOWrapper))  # text layers before their buffers
    for each in files:
        with contextlib.suppress(Exception):
            if type(each).__module__ in ("gzip", "bz2", "lzma"):
                each.close()  # compressed files end with a trailer
            else:
                each.flush()


@contextlib.contextmanager
def _interrupted(seconds: float) -> Iterator[None]:
    """SIGALRM (setitimer(2)) after a time, and again, for handlers that run Python code."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise TimeoutError("the exit handler took too long")

    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, _REPEAT_INTERVAL)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)


def _guard(since: int) -> None:
    report, report_finalizer = sys.unraisablehook, sys.excepthook

    def stop(event: str, arguments: tuple[Any, ...]) -> None:
        where = _REMOVALS.get(event)
        if where is not None and _is_older(arguments[where[0]], arguments[where[1] : where[1] + 1], since):
            raise InheritedFileError(f"{arguments[where[0]]!r} is removed by the template of this worker")

    def unraisable(error: Any) -> None:
        if not isinstance(error.exc_value, InheritedFileError):
            report(error)

    def uncaught(kind: Any, error: Any, traceback: Any) -> None:
        if not isinstance(error, InheritedFileError):
            report_finalizer(kind, error, traceback)

    sys.unraisablehook, sys.excepthook = unraisable, uncaught
    sys.addaudithook(stop)


def _is_older(path: Any, directory: tuple[Any, ...], since: int) -> bool:
    """True if the file at `path` was made before `since`, or may have been."""
    at = directory[0] if directory and isinstance(directory[0], int) and directory[0] >= 0 else None
    try:
        os.stat(path, dir_fd=at, follow_symlinks=False)
        created = _birth_time(os.fsencode(path), at)
    except (OSError, TypeError, ValueError):
        return False
    return created is None or created <= since


def _birth_time(path: bytes, directory: int | None) -> int | None:
    """Birth time of a file, in nanoseconds (statx(2), which Python does not offer); None where it is not recorded."""
    if sys.platform != "linux":
        return None
    import ctypes
    import struct

    statx = getattr(ctypes.CDLL(None), "statx", None)
    found = ctypes.create_string_buffer(256)
    at = _AT_FDCWD if directory is None else directory
    if statx is None or statx(at, path, _AT_SYMLINK_NOFOLLOW, _STATX_BTIME, found):
        return None
    mask, seconds, fraction = struct.unpack_from("=I76xqI", found.raw)
    return seconds * 1_000_000_000 + fraction if mask & _STATX_BTIME else None
