"""What ps(1), top(1) and htop(1) show of a process's command line, rewritten to say what the process is.

The kernel reads a command line from the process's own memory, between two addresses in /proc/self/stat. That memory is
overwritten here through /proc/self/mem, after it was read back and found to hold the command line as the kernel shows
it: so nothing else can be hit, and where a sandbox answers otherwise the title is simply not changed. No more than the
command line's own length is used. Behind it lies the environment, which C libraries go on reading (setproctitle moves
it elsewhere; that cannot be done from Python). Templates are executed with a small program on their command line, so
there is room, and workers inherit it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PROC = Path("/proc/self")
_ARG_START, _ARG_END = 45, 46  # proc_pid_stat(5) numbers them 48 and 49; two fields are cut off with the name
_LONGEST = 1 << 17


def show_title(title: str) -> bool:
    """Show `title`, cut to the room there is, as this process's command line; False where it cannot be (not on Linux).

    Children inherit it through fork, and lose it when they execute a program.
    """
    if sys.platform != "linux":
        return False
    try:
        return _overwrite(title.encode())
    except (OSError, ValueError, IndexError):
        return False


def _overwrite(title: bytes) -> bool:
    start, size = _command_line_area()
    memory = os.open(_PROC / "mem", os.O_RDWR | os.O_CLOEXEC)
    try:
        if os.pread(memory, size, start) != (_PROC / "cmdline").read_bytes():
            return False
        # The last byte stays NUL: otherwise the kernel takes what follows, the environment, for a part of it.
        return os.pwrite(memory, title[: size - 1].ljust(size, b"\0"), start) == size
    finally:
        os.close(memory)


def _command_line_area() -> tuple[int, int]:
    """Where the command line begins and how many bytes it has; raises ValueError where that cannot be."""
    fields = (_PROC / "stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    if not (start > 0 and 1 < end - start < _LONGEST):
        raise ValueError("no command line in memory")
    return start, end - start
