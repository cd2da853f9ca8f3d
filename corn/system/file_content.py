"""Content of a file that may be a named pipe or a terminal, for a process that must not wait.

The master reads the files of options again at HUP. open(2) of a named pipe waits for a writer, and read(2) for its
data. `--env-file <(command)` passes such a pipe.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from corn.system.readiness import readable

_TIMEOUT = 5.0  # seconds, for all of it


def read_content(path: str | os.PathLike[str], *, timeout: float = _TIMEOUT) -> bytes:
    """Read a file to its end; raises OSError as open(2) does.

    The error is ETIMEDOUT for a pipe or terminal whose end does not arrive in time.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        return file.read() if stat.S_ISREG(os.fstat(fd).st_mode) else _read_stream(fd, timeout)


def _read_stream(fd: int, timeout: float) -> bytes:
    read: list[bytes] = []
    deadline = time.monotonic() + timeout
    while (left := deadline - time.monotonic()) > 0 and readable(fd, timeout=left):
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            continue
        if not data:
            return b"".join(read)
        read.append(data)
    raise OSError(errno.ETIMEDOUT, "its end was not written in time")
