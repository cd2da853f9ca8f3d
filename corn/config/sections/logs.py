"""Options of the log and the access log."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Literal

from corn.config.options import option, section
from corn.config.types import Choice, Flag, Nullable, Text
from corn.frozen import frozen
from corn.logs.levels import LEVELS, parse_levels
from corn.logs.syslog import is_syslog, parse_syslog

# One atom of gunicorn's format strings: %(h)s, or %({name}i)s for a header.
ATOM = re.compile(r"%\((?:(?P<atom>[hlutrmUqHsBbfaTMDLp])|\{(?P<name>[^{}]+)\}(?P<kind>[ioe]))\)s")


@frozen
class Levels:
    """Log level, optionally with other levels for parts, in lower case."""

    metavar: str = "|".join(LEVELS)
    annotation: str = "str"

    def parse(self, raw: object) -> str:
        text = raw.lower().replace(" ", "") if isinstance(raw, str) else ""
        parse_levels(text)
        return text

    def show(self, value: str) -> str:
        return value


@frozen
class LineFormat:
    """Format string of an access log line, in gunicorn's atoms."""

    metavar: str = "FORMAT"
    annotation: str = "str"

    def parse(self, raw: object) -> str:
        rest = ATOM.sub("", raw).replace("%%", "") if isinstance(raw, str) else "%"
        if not raw or "%" in rest or not rest.isprintable():
            raise ValueError("expected a line with atoms such as %(h)s, %(r)s, %(s)s or %({user-agent}i)s")
        return str(raw)

    def show(self, value: str) -> str:
        return value


@frozen
class AccessLogFile:
    """File to append lines to, or the URL of a syslog receiver; `-` is standard output."""

    metavar: str = "FILE|URL"
    annotation: str = "StrPath"

    def parse(self, raw: object) -> str | None:
        text = Text().parse(raw)
        if is_syslog(text):
            parse_syslog(text)
        return text

    def show(self, value: str) -> str:
        return value


@frozen
class LogFile(AccessLogFile):
    """The same; `-` is standard error, as without the option."""

    def parse(self, raw: object) -> str | None:
        text = AccessLogFile.parse(self, raw)
        return None if text == "-" else text


@frozen
class LogConfig:
    """File for the logging module, or a table for dictConfig, which is kept as JSON text."""

    metavar: str = "FILE"
    annotation: str = "StrPath | Mapping[str, Any]"

    def parse(self, raw: object) -> str:
        if not isinstance(raw, Mapping):
            return Text().parse(raw)
        try:
            return json.dumps(raw)
        except (TypeError, ValueError):
            raise ValueError("expected a file, or a table of plain values for dictConfig") from None

    def show(self, value: str) -> str:
        return "{...}" if is_table(value) else value


def is_table(log_config: str) -> bool:
    """Return whether the value of log_config is a table, not the name of a file."""
    return log_config.startswith("{")


LOGS = "Logs"


@section
class LogsOptions:
    log_level: str = option(
        "info",
        Levels(),
        "Minimum log level. Parts may differ, as in info,access=warning: master, template, worker, access "
        "(5xx is an error, 4xx a warning) and app, what the application logs (warning where info is the level of all).",
        LOGS,
    )
    log_file: str | None = option(
        None,
        Nullable(LogFile()),
        "Append the log to FILE, reopened on USR1, or send it to syslog: syslog:// for the local daemon, "
        "syslog://HOST:PORT by UDP, or syslog+tcp://HOST:PORT; ?facility=local0&tag=shop may follow. Standard error by "
        "default, or with -. The access log goes there too, unless --access-log-file is given.",
        LOGS,
        reloadable=False,
    )
    log_config: str | None = option(
        None,
        Nullable(LogConfig()),
        "Configure Python's logging in templates and workers from FILE: TOML, JSON or YAML for dictConfig, or"
        " INI. The access log then uses the logger corn.access.",
        LOGS,
    )
    request_id: bool = option(
        False,
        Flag(),
        "Give each request an X-Request-ID: a trusted proxy's, or a new one. It appears in the request, the "
        "response and the access log.",
        LOGS,
    )
    access_log: bool = option(True, Flag(), "Log each request.", LOGS)
    access_log_file: str | None = option(
        None,
        Nullable(AccessLogFile()),
        "Append the access log to FILE, or send it to syslog, as --log-file; standard output by default, or with -.",
        LOGS,
    )
    access_log_format: str | None = option(
        None, Nullable(LineFormat()), "Format of an access log line, in gunicorn's atoms.", LOGS
    )
    log_format: Literal["text", "json"] = option("text", Choice(("text", "json")), "Format of log lines.", LOGS)
    color: Literal["auto", "always", "never"] = option(
        "auto", Choice(("auto", "always", "never")), "Colour in the log; auto colours a terminal.", LOGS
    )
