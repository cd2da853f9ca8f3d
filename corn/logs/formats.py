"""Log formats: text for people, JSON for machines, and both with a priority for the journal and for syslog.

A record is one line of JSON, or one line of text followed by the lines of its traceback. If standard error is a stream
to systemd's journal (JOURNAL_STREAM, systemd.exec(5)), each line of text begins with its priority (sd-daemon(3))
instead of the time and the level, which the journal records itself.
"""

from __future__ import annotations

import json
import logging
import os
import textwrap
import time
import traceback
from enum import Enum

from corn.frozen import frozen
from corn.logs.local_time import format_local

_COLORS = {"DEBUG": "\x1b[2m", "INFO": "\x1b[32m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31m"}
_RESET = "\x1b[0m"
_DIM = "\x1b[2m"
DATE, SHORT_DATE = "%Y-%m-%d %H:%M:%S", "%H:%M:%S"
_WIDE = 130  # columns in which most lines fit
_TRACEBACK = "Traceback (most recent call last)"

Formatter = logging.Formatter


class Receiver(Enum):
    """Reader of a log: anything that takes lines, systemd's journal, or a syslog daemon."""

    LINES = 1
    JOURNAL = 2
    SYSLOG = 3


@frozen
class Source:
    """Source of a line: a part of corn, the slot of a worker, and the generation of the code that it runs."""

    part: str
    worker: int | None = None
    generation: int | None = None

    def __str__(self) -> str:
        words = [self.part, *([] if self.worker is None else [str(self.worker)])]
        return " ".join([*words, *([] if self.generation is None else [f"g{self.generation}"])])

    def fields(self) -> dict[str, object]:
        """Fields of a JSON line, the process id included."""
        found: dict[str, object] = {"source": self.part}
        if self.worker is not None:
            found["worker"] = self.worker
        if self.generation is not None:
            found["generation"] = self.generation
        return {**found, "pid": os.getpid()}


class TextFormatter(logging.Formatter):
    """`2026-11-21 07:54:24.123 INFO    worker 2 g1 [4711] the message`, with colour where it is wanted.

    In a narrow terminal, of `columns` (0 for a wide one), the date and the process id are left out, and lines are
    broken at words. The journal and syslog record the time and the level themselves, and syslog the process.
    """

    def __init__(self, source: Source, *, color: bool, receiver: Receiver = Receiver.LINES, columns: int = 0) -> None:
        super().__init__()
        self._source = str(source) if receiver is Receiver.SYSLOG or columns else f"{source} [{os.getpid()}]"
        self._date = SHORT_DATE if columns else DATE
        self._columns = columns
        self._color = color
        self._receiver = receiver

    def format(self, record: logging.LogRecord) -> str:
        message = _message(record)
        if self._receiver is not Receiver.LINES:
            return prefixed(record.levelno, f"{self._source} {message}", self._receiver)
        when = format_local(self._date, record.created)
        stamp, level, who = f"{when}.{int(record.msecs):03d}", f"{record.levelname:<7}", self._source
        if self._columns:
            message = _wrapped(message, len(stamp) + len(level) + len(who) + 3, self._columns)
        if self._color:
            color = _COLORS.get(record.levelname, "")
            stamp, level, who = _DIM + stamp + _RESET, color + level + _RESET, _DIM + who + _RESET
        return f"{stamp} {level} {who} {message}"


class JSONFormatter(logging.Formatter):
    """One object a line: time (UTC, RFC 3339), level, source, worker, generation, pid, logger, message, traceback.

    What follows the first line of a message is its `detail`, or its `traceback` if it is one.
    """

    def __init__(self, source: Source, *, receiver: Receiver = Receiver.LINES) -> None:
        super().__init__()
        self._fields = source.fields()
        self._receiver = receiver

    def format(self, record: logging.LogRecord) -> str:
        message, _, detail = _text(record).partition("\n")
        values: dict[str, object] = {"time": format_utc(record.created), "level": record.levelname.lower()}
        values.update(self._fields, logger=record.name, message=message)
        if record.exc_info and record.exc_info[0] is not None:
            values["traceback"] = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        if detail:
            values["traceback" if _TRACEBACK in detail else "detail"] = detail.rstrip()
        line = json.dumps(values, ensure_ascii=False)
        return line if self._receiver is Receiver.LINES else prefixed(record.levelno, line, self._receiver)


def format_utc(timestamp: float) -> str:
    """Format a time since the epoch in UTC, to the millisecond (RFC 3339)."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(timestamp))}.{int(timestamp % 1 * 1000):03d}Z"


def prefixed(level: int, text: str, receiver: Receiver) -> str:
    """Prefix each line of the text with the level's priority (sd-daemon(3)); for syslog, make it one line."""
    priority = f"<{priority_of(level)}>"
    return priority + text.replace("\n", "#012" if receiver is Receiver.SYSLOG else "\n" + priority)


def priority_of(level: int) -> int:
    """Syslog priority of a level of the logging module (syslog(3))."""
    return 3 if level >= logging.ERROR else 4 if level >= logging.WARNING else 6 if level >= logging.INFO else 7


def is_journal(fd: int) -> bool:
    """True if a descriptor is the stream to the journal that JOURNAL_STREAM names by device and inode."""
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return named == f"{found.st_dev}:{found.st_ino}"


def wants_color(setting: str, fd: int = 2) -> bool:
    """True if output to `fd` is coloured, by the option `color` and by NO_COLOR (no-color.org)."""
    if setting == "auto":
        return os.isatty(fd) and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return setting == "always"


def narrow_columns(fd: int) -> int:
    """Columns of a terminal in which lines with a date and a process id would wrap; 0 for anything else."""
    try:
        columns = os.get_terminal_size(fd).columns
    except (OSError, ValueError):
        return 0
    return columns if columns < _WIDE else 0


def _wrapped(message: str, taken: int, columns: int) -> str:
    """Break the first line of a message at words, after a prefix of `taken` columns."""
    first, newline, rest = message.partition("\n")
    indented = textwrap.fill(
        first,
        columns,
        initial_indent=" " * taken,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return indented[taken:] + newline + rest


def _text(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # the arguments of the call do not match its message
        return f"{record.msg} {record.args}"


def _message(record: logging.LogRecord) -> str:
    """Text of a record, its traceback included; that of another logger than corn's names the logger."""
    message = _text(record)
    if record.name != "corn" and not record.name.startswith("corn."):
        message = f"{record.name}: {message}"
    if record.exc_info and record.exc_info[0] is not None:
        message += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
    return message
