"""Log of corn: source, level, destination and format of its lines.

corn logs through `logger`, whose only handler writes to a `LineWriter`. `configure` sets both up in each process;
before that, lines go to standard error as text. The rest of the logging module is left to the application. Records of
the application without a handler, which Python would write to standard error (`logging.lastResort`), are written in the
format of corn's log (`adopt_unhandled`).

With option log_config, a file configures the logging module, and corn's handler is removed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from corn.errors import ConfigError
from corn.logs.formats import Formatter, JSONFormatter, Receiver, Source, TextFormatter, narrow_columns, wants_color
from corn.logs.levels import level_of
from corn.logs.syslog import SyslogWriter, is_syslog, parse_syslog, resolve
from corn.logs.writer import LineWriter, Writer
from corn.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corn.config import Config

__all__ = [
    "LineHandler",
    "LineWriter",
    "PeriodicFlush",
    "Source",
    "Writer",
    "access_logger",
    "adopt_unhandled",
    "announcement",
    "check_receivers",
    "configure",
    "finish",
    "flush",
    "flush_standard_streams",
    "formatter",
    "hand_over",
    "is_handed_over",
    "logger",
    "open_file",
    "open_writer",
    "receiver_error",
    "reopen",
    "set_level",
    "source",
    "wants_color",
]

_STDERR = 2
_FLUSH_INTERVAL = 0.2  # seconds


class _CornLogger(logging.Logger):
    """Logger that the application's configuration does not disable, as `disable_existing_loggers` would."""

    @property
    def disabled(self) -> bool:
        return False

    @disabled.setter
    def disabled(self, value: bool) -> None:
        del value


def _own_logger(name: str) -> logging.Logger:
    found = logging.getLogger(name)
    vars(found).pop("disabled", None)
    found.__class__ = _CornLogger
    return found


logger = _own_logger("corn")
access_logger = _own_logger("corn.access")


class LineHandler(logging.Handler):
    """Logging handler over a writer."""

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self.writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
            if self.writer.dropped:
                lost = logging.LogRecord(
                    "corn", logging.WARNING, "", 0, "log lines lost: %d", (self.writer.dropped,), None
                )
                line = f"{self.format(lost)}\n{line}"
                self.writer.dropped = 0
            self.writer.write(line.encode("utf-8", "backslashreplace") + b"\n")
        except Exception:
            self.writer.dropped += 1


class _Setup:
    """Log configuration of this process, set by `configure`."""

    handler = LineHandler(LineWriter(_STDERR))
    source = Source("corn")
    config: Config | None = None
    target: str | None = None  # file or syslog receiver that `handler` writes to, None for standard error
    is_handed_over = False
    root_level: int | None = None  # what corn has set the root logger to


def configure(source: Source, config: Config, *, strict: bool = False) -> None:
    """Configure this process's log: `source` names the process; options set level, format and destination.

    A file that cannot be opened is reported on standard error, to which the log falls back; or, if `strict`, it raises
    ConfigError.
    """
    _Setup.source, _Setup.config = source, config
    _Setup.handler.writer.abandon()  # inherited from a template
    _Setup.target = None
    _write_to(LineWriter(_STDERR))
    if _Setup.is_handed_over:
        return
    logger.handlers[:] = [_Setup.handler]
    logger.propagate = False
    set_level(config.log_level)
    if source.part == "template":
        with contextlib.suppress(ConfigError):
            check_receivers(config)
    if config.log_file is not None and source.part != "master":
        try:
            open_file(config.log_file)
        except ConfigError as error:
            if strict:
                raise
            logger.error("%s", error)


def open_file(target: str) -> None:
    """Send the log to a file or a syslog receiver from now on; raises ConfigError where a file cannot be opened."""
    absolute = target if is_syslog(target) else str(Path(target).absolute())
    _write_to(open_writer(absolute, "--log-file"))
    _Setup.target = absolute


def receiver_error() -> str:
    """Reason for which nothing reaches a syslog receiver, "" otherwise; waits for a connection for a moment."""
    writer = _Setup.handler.writer
    return writer.connection_error() if isinstance(writer, SyslogWriter) else ""


def reopen() -> str:
    """Reopen the log's file by its name after logrotate(8) has renamed it; without a file, do nothing.

    The connection to a syslog receiver is opened again. Returns the reason if the old file is kept, else "".
    """
    if _Setup.target is None:
        return ""
    before = _Setup.handler.writer
    try:
        _write_to(open_writer(_Setup.target, "--log-file"))
    except ConfigError as error:
        logger.error("cannot reopen the log, which continues in the old file: %s", error)
        return str(error)
    before.finish()
    return ""


class PeriodicFlush:
    """Part of the master's loop that flushes the log while lines wait for a slow reader, or for a connection to it."""

    def next_at(self) -> float | None:
        return time.monotonic() + _FLUSH_INTERVAL if _Setup.handler.writer.pending else None

    def tick(self, now: float) -> None:
        del now
        flush()


def flush() -> None:
    """Write the lines that wait, as far as they are taken."""
    if _Setup.handler.writer.pending:
        _Setup.handler.writer.flush()


def finish() -> None:
    """Write the last lines, before the process exits; a syslog receiver is waited for, for a second at most."""
    if _Setup.target is not None:
        before, _Setup.target = _Setup.handler.writer, None
        _write_to(LineWriter(_STDERR))
        before.finish()


def check_receivers(config: Config) -> None:
    """Look up the hosts of syslog receivers, also for forked children; raises ConfigError for an unknown one."""
    for option, target in (("--log-file", config.log_file), ("--access-log-file", config.access_log_file)):
        if target is not None and is_syslog(target):
            address = parse_syslog(target)
            try:
                resolve(address)
            except OSError:
                raise ConfigError(f"{option}: the host '{address.host}' is not known") from None


def source() -> Source:
    """Source that this process's log lines name."""
    return _Setup.source


def set_level(levels: str) -> None:
    """Set the minimum level to that of this process's part in `levels` (option log_level); the application's too."""
    logger.setLevel(level_of(levels, _Setup.source.part))
    if _Setup.root_level == logging.root.level:
        _Setup.root_level = level_of(levels, "app")
        logging.root.setLevel(_Setup.root_level)


def adopt_unhandled(config: Config) -> None:
    """Write the application's records without a handler to corn's log; called when the application is loaded."""
    if _Setup.is_handed_over:
        return
    logging.lastResort = _Setup.handler
    if logging.root.level == logging.WARNING:  # the initial level
        _Setup.root_level = level_of(config.log_level, "app")
        logging.root.setLevel(_Setup.root_level)


def hand_over() -> None:
    """Remove corn's handler, for a caller that is about to configure the whole logging module."""
    _Setup.is_handed_over = True
    logger.handlers.clear()
    logger.propagate = True
    logger.setLevel(logging.NOTSET)


def is_handed_over() -> bool:
    """True if a file has set up the logging module (option log_config)."""
    return _Setup.is_handed_over


def formatter(source: Source, config: Config, writer: Writer) -> Formatter:
    """Formatter of lines for a writer."""
    if config.log_format == "json":
        return JSONFormatter(source, receiver=writer.receiver)
    color = writer.receiver is Receiver.LINES and wants_color(config.color, writer.fd)
    return TextFormatter(source, color=color, receiver=writer.receiver, columns=narrow_columns(writer.fd))


def open_writer(target: str, option: str) -> Writer:
    """Writer to the file or the syslog receiver that an option names; raises ConfigError for a file that fails."""
    if is_syslog(target):
        return SyslogWriter(parse_syslog(target))
    return LineWriter(_open_append(target, option), owned=True)


def _open_append(path: str, option: str) -> int:
    """Open the file that an option names, to append lines; raises ConfigError where it cannot be opened.

    O_NONBLOCK is for a named pipe: without a reader it is an error, where open(2) would wait for one.
    """
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o640)
    except OSError as error:
        raise ConfigError(f"{option}: cannot open '{path}': {error.strerror}") from error


def _write_to(writer: Writer) -> None:
    handler, config = _Setup.handler, _Setup.config
    handler.writer = writer
    if config is not None:
        handler.setFormatter(formatter(_Setup.source, config, writer))


def flush_standard_streams() -> None:
    """Flush the output of print(), so that a forked child does not write it again."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def announcement(config: Config, addresses: Sequence[str], how: str) -> str:
    """Start-up line: `corn 0.2.0 serves main:app at http://127.0.0.1:8000 (4 workers, preload app)`."""
    what = config.app or "an application"
    return f"corn {__version__} serves {what} at {', '.join(addresses)} ({how})"
