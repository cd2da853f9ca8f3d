"""Content of a file that may be a named pipe, for a process that must not wait: the master reads options again at HUP.

open(2) of a named pipe waits for a writer, and read(2) for its data. `--env-file <(command)` passes such a pipe.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time

_LONGEST_WAIT = 5.0  # seconds, for all of it


def read_content(path: str | os.PathLike[str], *, longest_wait: float = _LONGEST_WAIT) -> bytes:
    """Read a file; raises OSError as open(2) does, and with ETIMEDOUT for a pipe that is not written in time."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        return _read_pipe(fd, longest_wait) if stat.S_ISFIFO(os.fstat(fd).st_mode) else file.read()


def _read_pipe(fd: int, longest_wait: float) -> bytes:
    read: list[bytes] = []
    deadline = time.monotonic() + longest_wait
    while select.select([fd], [], [], max(deadline - time.monotonic(), 0.0))[0]:
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            continue
        if not data:
            return b"".join(read)
        read.append(data)
    raise OSError(errno.ETIMEDOUT, "nothing is written to this pipe")
