"""Option log_config: the logging module set up by a file, as uvicorn takes it.

It happens in a template, before the application is loaded: what the application sets up itself comes after, and workers
are forked with it. Of the file's handlers, those that own a thread or a connection keep a template from being forked
(see audit.py), so that `--preload auto` steps down. The master is not set up: a file may name classes of the
application's, which the master never imports.

The access log becomes records of the logger `corn.access`, with uvicorn's arguments: client, method, path with query,
HTTP version, status. So what formats uvicorn's access log formats corn's.
"""

from __future__ import annotations

import json
import logging
import logging.config
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corn import logs
from corn.errors import ConfigError
from corn.worker.head import Head
from corn.worker.refusal import Refusal
from corn.worker.requestid import request_id
from corn.worker.scope import Address

if TYPE_CHECKING:
    from corn.worker.cycle import Cycle

_LINE = '%s - "%s %s HTTP/%s" %d'
_access = logging.getLogger("corn.access")


def apply_log_config(path: str) -> None:
    """Set the logging module up; raises ConfigError, naming the file, where that fails."""
    logs.hand_over()
    try:
        _apply(Path(path))
    except ConfigError:
        raise
    except Exception as error:
        why = " ".join(str(each) for each in (error, error.__cause__) if each is not None)
        raise ConfigError(f"--log-config: {path} cannot be used: {why}") from error
    logs.logger.disabled = _access.disabled = False


def _apply(path: Path) -> None:
    kind = path.suffix.lower()
    if kind in (".toml", ".json", ".yaml", ".yml"):
        logging.config.dictConfig(_READERS[kind](path.read_text(encoding="utf-8")))
    else:
        logging.config.fileConfig(path, disable_existing_loggers=False)


def _toml(text: str) -> Any:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)


def _yaml(text: str) -> Any:
    try:
        import yaml  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise ConfigError("--log-config: a YAML file needs PyYAML: pip install pyyaml") from None
    return yaml.safe_load(text)


_READERS: dict[str, Callable[[str], Any]] = {".toml": _toml, ".json": json.loads, ".yaml": _yaml, ".yml": _yaml}


class LoggedAccess:
    """The access log as records; what corn.worker.access.AccessLog is without log_config."""

    def log(self, cycle: Cycle, status: int, took: float) -> None:
        """Log a request that is done, in `took` seconds."""
        name = request_id(cycle.scope).decode("latin-1")
        ms = _milliseconds(took)
        _write(cycle.scope["client"], cycle.head, status, bytes=cycle.sent, ms=ms, request_id=name)

    def accepted(self, cycle: Cycle) -> None:
        """Log a WebSocket that is open now."""
        ms = _milliseconds(time.monotonic() - cycle.started_at)
        _write(cycle.scope["client"], cycle.head, 101, bytes=0, ms=ms, request_id="")

    def closed(self, cycle: Cycle, code: int) -> None:
        """A WebSocket has one record, for its beginning."""

    def refused(self, client: Address, refusal: Refusal, head: Head | None = None) -> None:
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


def _write(client: Address, head: Head | None, status: int, **extra: object) -> None:
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
