"""Logging configuration from a file (option log_config), in the formats that uvicorn takes.

It is applied before the application is loaded, which may then change it, and it may name classes of the project. In
mode app the template applies it, otherwise each worker. Handlers with a thread or a connection make a template unsafe
to fork (audit/), so that `--preload auto` steps down. The master does not apply it, because it imports no application
classes.

The access log becomes records of the logger `corn.access`, with uvicorn's arguments: client, method, path with query,
HTTP version, status. So a formatter for uvicorn's access log formats corn's.
"""

from __future__ import annotations

import json
import logging
import logging.config
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from corn import logs
from corn.config.sections.logs import is_table
from corn.errors import ConfigError


def apply_log_config(source: str | Mapping[str, Any]) -> None:
    """Configure the logging module from a file, a table, or its JSON text; raises ConfigError that names the source."""
    logs.hand_over()
    table = json.loads(source) if isinstance(source, str) and is_table(source) else source
    try:
        if isinstance(table, str):
            _apply(Path(table))
        else:
            logging.config.dictConfig(dict(table))
    except ConfigError:
        raise
    except Exception as error:
        why = " ".join(str(each) for each in (error, error.__cause__) if each is not None)
        raise ConfigError(
            f"--log-config: {table if isinstance(table, str) else 'the table'} cannot be used: {why}"
        ) from error


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
