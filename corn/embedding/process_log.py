"""Log of the embedded servers of one process, which share the logger `corn`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from corn import logs
from corn.config import Config
from corn.errors import ConfigError

_OPTIONS = ("log_level", "log_file", "log_format", "color", "log_config")
_FORM = ("log_file", "log_format", "color")

_users: list[Config] = []


@contextlib.contextmanager
def process_log(config: Config, given: Mapping[str, Any]) -> Iterator[None]:
    """Within the block, log as `config` says; then leave the logger as it was.

    Raises ConfigError for a given option that cannot be honoured: another server of the process logs differently, or
    the program has configured the logger `corn` itself.
    """
    _refuse(config, given)
    before = (logs.logger.handlers[:], logs.logger.propagate, logs.logger.level, logging.raiseExceptions)
    if not _users:
        _configure(config, given)
    _users.append(config)
    try:
        yield
    finally:
        _users.remove(config)
        if not _users and not logs.is_handed_over():
            logs.logger.handlers[:], logs.logger.propagate, level, logging.raiseExceptions = before
            logs.logger.setLevel(level)


def _refuse(config: Config, given: Mapping[str, Any]) -> None:
    for name in _OPTIONS:
        if name not in given:
            continue
        if _users and getattr(config, name) != getattr(_users[0], name):
            raise ConfigError(f"{name} applies to the whole process, where another corn server logs differently")
        if not _users and name in _FORM and _is_configured():
            raise ConfigError(f"{name}: this program has configured the logger 'corn' itself; leave one of them out")


def _is_configured() -> bool:
    return bool(logs.logger.handlers) or logs.is_handed_over()


def _configure(config: Config, given: Mapping[str, Any]) -> None:
    if config.log_config is not None:
        from corn.worker.logging_config import apply_log_config

        table = given.get("log_config")
        apply_log_config(table if isinstance(table, Mapping) else config.log_config)
    elif not _is_configured():
        logs.configure(logs.Source("corn"), config)
    elif "log_level" in given:
        logs.set_level(config.log_level)
