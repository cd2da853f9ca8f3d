"""Access log records of the logging module, for `--log-config`: logger `corn.access`, with uvicorn's arguments."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from corn.server.asgi.scope import Address
from corn.server.http.errors import HTTPError
from corn.server.http.head import RequestHead
from corn.server.request_id import request_id

if TYPE_CHECKING:
    from corn.server.asgi.cycle import RequestCycle

_LINE = '%s - "%s %s HTTP/%s" %d'
_access = logging.getLogger("corn.access")


class LoggingAccessLog:
    """The access log as records; what corn.server.access_log.log.AccessLog is without log_config."""

    def log(self, cycle: RequestCycle, status: int, took: float) -> None:
        """Log a request that is done, in `took` seconds."""
        name = request_id(cycle.scope).decode("latin-1")
        ms = _milliseconds(took)
        _write(cycle.scope["client"], cycle.head, status, bytes=cycle.sent, ms=ms, request_id=name)

    def accepted(self, cycle: RequestCycle) -> None:
        """Log a WebSocket that is open now."""
        ms = _milliseconds(time.monotonic() - cycle.started_at)
        _write(cycle.scope["client"], cycle.head, 101, bytes=0, ms=ms, request_id="")

    def closed(self, cycle: RequestCycle, code: int) -> None:
        """A WebSocket has one record, for its beginning."""

    def refused(self, client: Address, refusal: HTTPError, head: RequestHead | None = None) -> None:
        """Log a request that no application saw."""
        _write(client, head, refusal.status, bytes=0, ms=0.0, request_id="")

    def tick(self) -> None:
        """Nothing is kept."""

    def flush(self) -> None:
        """Nothing is kept."""

    def reopen(self) -> None:
        """Files are the business of their handlers, such as logging.handlers.WatchedFileHandler."""

    def close(self) -> None:
        """Nothing is kept."""

    def set_level(self, levels: str) -> None:
        """Levels are the file's business."""


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
