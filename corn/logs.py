"""The log: who writes a line, how it looks, and what happens when nobody takes it.

A log that blocks takes the service down with it, so nothing here waits. A pipe is written only when poll(2) says that
it takes PIPE_BUF bytes, which pipe(7) makes atomic, so lines of several workers never mix; what a slow reader does not
take is kept up to a bound and then dropped, and the number of dropped lines is logged when the log moves again.
(O_NONBLOCK was rejected: it belongs to the open file description, which is shared with the shell and with every other
process on the terminal.)
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import stat
import sys
import time
import traceback
from collections import deque

logger = logging.getLogger("corn")

_PIPE_BUF = 4096
_KEEP_BYTES = 1 << 20


class LineWriter:
    """Writes whole lines to a descriptor and never blocks; `dropped` counts the lines that were lost."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.dropped = 0
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._regular = _is_regular(fd)
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
        while self._kept_bytes > _KEEP_BYTES:
            self._drop()

    def flush(self) -> None:
        """Write what was kept, as far as the descriptor takes it."""
        while self._kept and self._takes():
            try:
                os.write(self.fd, self._kept[0])
            except OSError:
                self._drop()
                continue
            self._kept_bytes -= len(self._kept.popleft())

    def _takes(self) -> bool:
        return any(events & select.POLLOUT or events & select.POLLERR for _, events in self._poll.poll(0))

    def _write_regular(self, lines: bytes) -> None:
        try:
            written = os.write(self.fd, lines)
        except OSError:
            written = 0
        self.dropped += lines.count(b"\n", written)

    def _drop(self) -> None:
        chunk = self._kept.popleft()
        self._kept_bytes -= len(chunk)
        self.dropped += chunk.count(b"\n")


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


class LineHandler(logging.Handler):
    """A logging handler over a `LineWriter`."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self.writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
            if self.writer.dropped:
                line = f"{self.writer.dropped} log lines were lost\n{line}"
                self.writer.dropped = 0
            self.writer.write(line.encode("utf-8", "backslashreplace") + b"\n")
        except Exception:
            self.writer.dropped += 1


_COLORS = {"DEBUG": "\x1b[2m", "INFO": "\x1b[32m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31m"}
_RESET = "\x1b[0m"
_DIM = "\x1b[2m"


class TextFormatter(logging.Formatter):
    """`2026-11-21 07:54:24.123 INFO    worker 2 g1 [4711] the message`, with colour where it is wanted."""

    def __init__(self, identity: str, *, color: bool) -> None:
        super().__init__()
        self.identity = identity
        self.color = color
        self._pid = os.getpid()

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        stamp, level = f"{when}.{int(record.msecs):03d}", f"{record.levelname:<7}"
        who = f"{self.identity} [{self._pid}]"
        if self.color:
            stamp, level, who = _DIM + stamp + _RESET, _COLORS[record.levelname] + level + _RESET, _DIM + who + _RESET
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
        return f"{stamp} {level} {who} {message}"


def wants_color(setting: str, fd: int = 2) -> bool:
    """Whether to colour what goes to `fd`, by the option `color` and by NO_COLOR (no-color.org)."""
    if setting == "auto":
        return os.isatty(fd) and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return setting == "always"


def configure(identity: str, *, level: str, color: str) -> None:
    """Send corn's own log to standard error, each line saying that it comes from `identity`."""
    handler = LineHandler(LineWriter(2))
    handler.setFormatter(TextFormatter(identity, color=wants_color(color)))
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
    logging.raiseExceptions = False


def flush_standard_streams() -> None:
    """Write out what print() has buffered, so that a forked child does not write it again."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
