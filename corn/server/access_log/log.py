"""Access log: a line for each request, formatted without the logging module, written once per loop iteration.

All lines of one iteration have the time of the first of them. If the descriptor accepts no more data, lines are
dropped; requests are never delayed (see `corn.logs.Writer`).
"""

from __future__ import annotations

import asyncio
import logging
import time

from corn.config import Config
from corn.errors import ConfigError
from corn.logs import LineWriter, Writer, access_logger, logger, open_writer, source, wants_color
from corn.logs.formats import Receiver, narrow_columns
from corn.logs.levels import level_of
from corn.server.access_log.formats import AccessRecord, AtomFormat, Format, JSONFormat, TextFormat
from corn.server.asgi.scope import Address
from corn.server.http.errors import HTTPError
from corn.server.http.head import RequestHead
from corn.server.request_id import request_id

_STDOUT = 1
_LINE = '%s - "%s %s HTTP/%s" %d'
_access = access_logger


class AccessLog:
    """Buffer of access log lines, written in the event loop's next iteration."""

    __slots__ = ("_format", "_least", "_lines", "_loop", "_option", "_target", "_writer")

    def __init__(self, loop: asyncio.AbstractEventLoop, config: Config) -> None:
        self._loop = loop
        self._target = _target_of(config)
        self._option = "--log-file" if config.access_log_file is None else "--access-log-file"
        self._writer = LineWriter(_STDOUT) if self._target is None else open_writer(self._target, self._option)
        self._format = _format(config, self._writer)
        self._lines: list[str] = []
        self.set_level(config.log_level)

    def set_level(self, levels: str) -> None:
        """Set the minimum level to that of this part in `levels` (option log_level); see `level_of_status`."""
        level = level_of(levels, "access")
        self._least = 500 if level >= logging.ERROR else 400 if level >= logging.WARNING else 0

    def log(self, record: AccessRecord) -> None:
        """Add the line of a finished request."""
        if record.status >= self._least:
            self._add(record)

    def accepted(self, record: AccessRecord) -> None:
        """Add the line of a WebSocket that has been accepted, if the format has one."""
        if self._format.tells_of_opening and not self._least:
            self._add(record)

    def closed(self, record: AccessRecord) -> None:
        """Add the line of a WebSocket that has been closed."""
        if not self._least:
            self._add(record)

    def refused(self, client: Address, refusal: HTTPError, head: RequestHead | None = None) -> None:
        """Add the line of a request that corn refused itself; `head` is None where it could not be parsed."""
        if refusal.status < self._least:
            return
        self._add(AccessRecord(client, head, refusal.status, 0, 0.0, note=refusal.reason))

    def flush(self) -> None:
        """Write the buffered lines."""
        lines, self._lines = self._lines, []
        self._writer.write("".join(lines).encode("utf-8", "backslashreplace"))

    def tick(self) -> None:
        """Retry the lines that a slow reader has not taken, and log the number of lost lines."""
        self.flush()
        if self._writer.dropped:
            logger.warning("lines of the access log lost: %d", self._writer.dropped)
            self._writer.dropped = 0

    def reopen(self) -> None:
        """Reopen the file by its name after logrotate(8) has renamed it; without a file, do nothing."""
        if self._target is None:
            return
        self.flush()
        try:
            opened = open_writer(self._target, self._option)
        except ConfigError as error:
            logger.error("cannot reopen the access log, which continues in the old file: %s", error)
            return
        before, self._writer = self._writer, opened
        before.finish()

    def close(self) -> None:
        """Write the remaining lines."""
        self.flush()
        self._writer.finish()

    def _add(self, answered: AccessRecord) -> None:
        if not self._lines:
            self._format.begin(time.time())
            self._loop.call_soon(self.flush)
        self._lines.append(self._format.line(answered))


class LoggingAccessLog:
    """Access log as records of the logging module, used in place of AccessLog with log_config."""

    def log(self, record: AccessRecord) -> None:
        """Log a finished request."""
        name = "" if record.head is None else request_id(record.head.headers).decode("latin-1")
        ms = _milliseconds(record.took)
        _write(record.client, record.head, record.status, bytes=record.sent, ms=ms, request_id=name)

    def accepted(self, record: AccessRecord) -> None:
        """Log a WebSocket that has been accepted."""
        _write(record.client, record.head, record.status, bytes=0, ms=_milliseconds(record.took), request_id="")

    def closed(self, record: AccessRecord) -> None:
        """Do nothing: a WebSocket has one record, when it is accepted."""

    def refused(self, client: Address, refusal: HTTPError, head: RequestHead | None = None) -> None:
        """Log a request that corn refused itself."""
        _write(client, head, refusal.status, bytes=0, ms=0.0, request_id="")

    def tick(self) -> None:
        """Nothing is kept."""

    def flush(self) -> None:
        """Nothing is kept."""

    def reopen(self) -> None:
        """Do nothing: handlers such as logging.handlers.WatchedFileHandler reopen their files."""

    def close(self) -> None:
        """Nothing is kept."""

    def set_level(self, levels: str) -> None:
        """Do nothing: the file of log_config sets the levels."""


def _target_of(config: Config) -> str | None:
    """File to append to, or syslog receiver; None for standard output."""
    target = config.access_log_file or config.log_file
    return None if target == "-" else target


def _format(config: Config, writer: Writer) -> Format:
    if config.access_log_format is not None:
        return AtomFormat(config.access_log_format, receiver=writer.receiver)
    if config.log_format == "json":
        return JSONFormat(source(), receiver=writer.receiver, with_id=config.request_id)
    color = writer.receiver is Receiver.LINES and wants_color(config.color, writer.fd)
    return TextFormat(color=color, receiver=writer.receiver, short=narrow_columns(writer.fd) > 0)


def _write(client: Address, head: RequestHead | None, status: int, **extra: object) -> None:
    level = logging.INFO if status < 400 else logging.WARNING if status < 500 else logging.ERROR
    if not _access.isEnabledFor(level):
        return
    peer = f"{client[0]}:{client[1]}" if client else "-"
    method, target, version = "-", "-", "-"
    if head is not None:
        method, target, version = head.method, head.target.decode("latin-1"), head.version
    _access.log(level, _LINE, peer, method, target, version, status, extra={"status": status, **extra})


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
