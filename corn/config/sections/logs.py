"""What is told, and how."""

from __future__ import annotations

from dataclasses import dataclass

from corn.config.http_kinds import LineFormat
from corn.config.kinds import Choice, Maybe, Switch, Text
from corn.config.options import option

LOGS = "Logs"


@dataclass(frozen=True, kw_only=True)
class LogsOptions:
    log_level: str = option(
        "info", Choice(("debug", "info", "warning", "error")), "Least severity that is logged.", LOGS
    )
    access_log: bool = option(True, Switch(), "Log each request.", LOGS)
    access_log_file: str | None = option(
        None, Maybe(Text("FILE")), "Append the access log to FILE; it goes to standard output otherwise.", LOGS
    )
    access_log_format: str | None = option(
        None, Maybe(LineFormat()), "What a line of the access log holds, in gunicorn's atoms.", LOGS
    )
    log_format: str = option("text", Choice(("text", "json")), "How lines are written.", LOGS)
    color: str = option(
        "auto", Choice(("auto", "always", "never")), "Colour in the log; auto colours a terminal.", LOGS
    )
