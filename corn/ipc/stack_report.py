"""A file without a name in which a worker writes what it is doing, for the master to read.

The worker is asked by a signal, so what it writes must not block and must arrive whole from a handler in C: a pipe
could fill up, a file cannot. Everything is appended (O_APPEND), whatever the reader has cut off meanwhile.
"""

from __future__ import annotations

import fcntl
import os

from corn.system.memfd import anonymous_file

# How the last line of a report begins. What follows is JSON: the requests in flight.
LAST_LINE = "requests in flight: "
_LONGEST = 1 << 22


def new_report() -> int:
    """The descriptor of a new, empty file; closed on exec unless it is passed on."""
    fd = anonymous_file("corn-report")
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    return fd


def read_report(fd: int) -> str:
    """What has been written so far."""
    return os.pread(fd, _LONGEST, 0).decode("utf-8", "backslashreplace")


def is_complete(text: str) -> bool:
    """Whether the last line is there, and whole."""
    return text.endswith("\n") and text.rstrip("\n").rpartition("\n")[2].startswith(LAST_LINE)


def clear_report(fd: int) -> None:
    os.ftruncate(fd, 0)
