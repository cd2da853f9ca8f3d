"""Stack report: an unnamed file in which a worker writes its stacks and in-flight requests for the master.

A signal handler in C writes it, so the write must not block and must be complete: a pipe may be full, a file cannot.
The file is opened with O_APPEND, because the reader may truncate it meanwhile.
"""

from __future__ import annotations

import fcntl
import os

from corn.system.memfd import anonymous_file

# Prefix of the last line of a report. JSON of the in-flight requests follows.
LAST_LINE = "requests in flight: "
_MAX_REPORT = 1 << 22


def new_report() -> int:
    """Create an empty report; returns its descriptor, which is closed on exec unless it is passed on."""
    fd = anonymous_file("corn-report")
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    return fd


def read_report(fd: int) -> str:
    """Text written so far."""
    return os.pread(fd, _MAX_REPORT, 0).decode("utf-8", "backslashreplace")


def is_complete(text: str) -> bool:
    """True if the report has its last line, and in full."""
    return text.endswith("\n") and text.rstrip("\n").rpartition("\n")[2].startswith(LAST_LINE)


def clear_report(fd: int) -> None:
    os.ftruncate(fd, 0)
