"""Non-blocking writer of log lines to a descriptor.

A blocked log must not block the service. corn writes to a pipe only if poll(2) reports room for PIPE_BUF bytes, which
pipe(7) writes atomically, so that lines of several workers never mix. Another process may take that room first, so the
write itself does not wait either (RWF_NOWAIT of pwritev(2), for pipes since Linux 6.4). A terminal that nobody reads,
such as that of a stalled `docker run -t`, reports room for less than a line; it is opened once more for each write,
with O_NONBLOCK. Lines for a slow reader are kept up to a bound and then dropped; the number of dropped lines is logged
when the reader has caught up. Rejected: O_NONBLOCK for the descriptor itself, because it belongs to the open file
description, which is shared with the shell and all other processes on the terminal.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from collections import deque
from typing import Protocol

from corn.logs.formats import Receiver, is_journal

_PIPE_BUF = 4096
_MAX_KEPT_BYTES = 1 << 20
_NOWAIT = getattr(os, "RWF_NOWAIT", 0)
_CURRENT = -1  # offset that stands for the file's own position
_NO_NOWAIT = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class Writer(Protocol):
    """Destination of lines, which never blocks; `dropped` counts the lines that were lost."""

    fd: int
    receiver: Receiver
    dropped: int

    @property
    def pending(self) -> bool:
        """True if lines are kept, which `flush` may write."""
        ...

    def write(self, lines: bytes) -> None:
        """Write one or more lines, each ended by a newline, or keep them for the next call."""

    def flush(self) -> None:
        """Write the kept lines, as far as they are taken."""

    def finish(self) -> None:
        """Write the last lines, and close what was opened for this writer."""

    def abandon(self) -> None:
        """Close what was opened for this writer, in a child of the process that writes the lines kept so far."""


class LineWriter:
    """Writer of whole lines to a descriptor; `owned`: it is closed in the end."""

    def __init__(self, fd: int, *, owned: bool = False) -> None:
        self.fd = fd
        self.receiver = Receiver.JOURNAL if is_journal(fd) else Receiver.LINES
        self.dropped = 0
        self._owned = owned
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._regular = _is_regular(fd)
        self._terminal = os.isatty(fd)
        self._is_incomplete = False  # the last line was written in part: the disk was full
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)

    def write(self, lines: bytes) -> None:
        """Write one or more lines, each ended by a newline, or keep them for the next call."""
        if self._regular and not self._kept:
            self._write_regular(lines)
            return
        for chunk in _chunks(lines):
            self._kept.append(chunk)
            self._kept_bytes += len(chunk)
        self.flush()
        while self._kept_bytes > _MAX_KEPT_BYTES:
            self._drop()

    def flush(self) -> None:
        """Write the kept lines, as far as the descriptor takes them."""
        while self._kept and self._is_writable():
            try:
                written = (_write_to_terminal if self._terminal else _write_at_once)(self.fd, self._kept[0])
            except BlockingIOError:  # another process was faster
                return
            except OSError:
                self._drop()
                continue
            chunk = self._kept.popleft()
            self._kept_bytes -= written
            if written < len(chunk):
                self._kept.appendleft(chunk[written:])

    @property
    def pending(self) -> bool:
        return bool(self._kept)

    def finish(self) -> None:
        self.flush()
        self.abandon()

    def abandon(self) -> None:
        if self._owned:
            os.close(self.fd)

    def _is_writable(self) -> bool:
        return any(events & select.POLLOUT or events & select.POLLERR for _, events in self._poll.poll(0))

    def _write_regular(self, lines: bytes) -> None:
        data = b"\n" + lines if self._is_incomplete else lines
        try:
            written = os.write(self.fd, data)
        except OSError:
            written = 0
        if written:
            self._is_incomplete = data[written - 1] != 0x0A
        self.dropped += data.count(b"\n", written)

    def _drop(self) -> None:
        chunk = self._kept.popleft()
        self._kept_bytes -= len(chunk)
        self.dropped += chunk.count(b"\n")


def _write_at_once(fd: int, data: bytes) -> int:
    """Write as much as is taken without waiting; raises BlockingIOError if that is nothing."""
    if _NOWAIT:
        try:
            return os.pwritev(fd, [data], _CURRENT, _NOWAIT)
        except OSError as error:
            if error.errno not in _NO_NOWAIT:
                raise
    return os.write(fd, data)


def _write_to_terminal(fd: int, data: bytes) -> int:
    """The same for a terminal, by another open file description of it, where this user may open one."""
    try:
        own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return os.write(fd, data)
    try:
        return os.write(own, data)
    finally:
        os.close(own)


def _is_regular(fd: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:
        return False


def _chunks(lines: bytes) -> list[bytes]:
    """Split at line ends into pieces of at most PIPE_BUF bytes; a longer line is cut."""
    chunks = []
    while len(lines) > _PIPE_BUF:
        end = lines.rfind(b"\n", 0, _PIPE_BUF) + 1 or _PIPE_BUF
        chunks.append(lines[:end])
        lines = lines[end:]
    if lines:
        chunks.append(lines)
    return chunks
