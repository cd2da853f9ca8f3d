"""Log of the embedded servers of one process, which share the logger `corn`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from corn import logs
from corn.config import Config
from corn.errors import ConfigError

_OPTIONS = ("log_level", "log_file", "log_format", "color", "log_config")
_FORMAT_OPTIONS = ("log_file", "log_format", "color")

_configs: list[Config] = []
_undo = contextlib.ExitStack()


@contextlib.contextmanager
def process_log(config: Config, given: Mapping[str, Any]) -> Iterator[None]:
    """Within the block, log as configured; then restore the logger.

    Raises ConfigError for a given option that cannot be honoured: another server of the process logs differently, or
    the program has configured the logger `corn` itself.
    """
    _refuse(config, given)
    if not _configs:
        _undo.callback(_configure(config, given))
    _configs.append(config)
    try:
        yield
    finally:
        _configs.remove(config)
        if not _configs:
            _undo.close()


def _refuse(config: Config, given: Mapping[str, Any]) -> None:
    for name in _OPTIONS:
        if name not in given:
            continue
        if _configs and getattr(config, name) != getattr(_configs[0], name):
            raise ConfigError(f"{name} applies to the whole process, where another corn server logs differently")
        if not _configs and name in _FORMAT_OPTIONS and _is_configured():
            raise ConfigError(
                f"{name}: the program has configured the logger 'corn' itself; leave the option or that out"
            )


def _is_configured() -> bool:
    return bool(logs.logger.handlers) or logs.is_handed_over()


def _configure(config: Config, given: Mapping[str, Any]) -> Callable[[], None]:
    """Set up the logger; returns the function that restores it."""
    logger = logs.logger
    handlers, propagate, level = logger.handlers[:], logger.propagate, logger.level

    def restore_level() -> None:
        logger.setLevel(level)

    def restore_all() -> None:
        logs.finish()
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)

    def keep() -> None:
        """Do nothing: a table has configured the logging module for the whole process."""

    if config.log_config is not None:
        from corn.worker.logging_config import apply_log_config

        table = given.get("log_config")
        apply_log_config(table if isinstance(table, Mapping) else config.log_config)
        return keep
    if not _is_configured():
        try:
            logs.configure(logs.Source("corn"), config, strict=True)
        except ConfigError:
            restore_all()
            raise
        return restore_all
    if "log_level" in given:
        logs.set_level(config.log_level)
    return restore_level
