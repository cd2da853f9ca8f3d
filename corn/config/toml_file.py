"""The configuration file: which one it is, and what it holds."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corn.config.suggestions import did_you_mean
from corn.config.values import BY_NAME, Layer, parse_value
from corn.errors import ConfigError

CORN_TOML = "corn.toml"
PYPROJECT = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file that was found and read. `origin` is what `corn config` and errors call it."""

    path: Path
    origin: str
    table: Mapping[str, object]


def find_file(directory: Path, named: str | None) -> ConfigFile | None:
    """The file `named`, else corn.toml in `directory`, else pyproject.toml there where it has a table [tool.corn].

    Raises ConfigError where the file cannot be read, is not TOML, or was named and holds nothing for corn.
    """
    if named is not None:
        file = _open(directory, named)
        if file is None:
            raise ConfigError(f"{named}: has no table [tool.corn]")
        return file
    found = next((name for name in (CORN_TOML, PYPROJECT) if (directory / name).exists()), None)
    return _open(directory, found) if found else None


def read_file(file: ConfigFile) -> Layer:
    """The options that a file gives; raises ConfigError for an unknown key or a wrong value."""
    layer: Layer = {}
    for key, raw in file.table.items():
        name = key.replace("-", "_")
        if name not in BY_NAME:
            raise ConfigError(f"{file.origin}: {_unknown(key, raw)}")
        if name in layer:
            raise ConfigError(f"{file.origin}: '{layer[name].word}' and '{key}' are the same option; keep one of them")
        layer[name] = parse_value(name, raw, file.origin, key, f"{file.origin}: ")
    return layer


def _unknown(key: str, raw: object) -> str:
    if isinstance(raw, dict):
        return f"unknown table [{key}]; options stand at the top, outside of any table"
    return f"unknown option '{key}'" + did_you_mean(key.replace("-", "_"), BY_NAME)


def _open(directory: Path, name: str) -> ConfigFile | None:
    """Read one file; a pyproject.toml is corn's only where it has a table [tool.corn]."""
    path = directory / name
    table = _parse(name, _read(name, path))
    if path.name != PYPROJECT:
        return ConfigFile(path, name, table)
    tool = table.get("tool")
    own = tool.get("corn") if isinstance(tool, dict) else None
    return ConfigFile(path, f"{name} [tool.corn]", own) if isinstance(own, dict) else None


def _read(name: str, path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}, line {line}: not UTF-8 text") from None


def _parse(name: str, text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        table: dict[str, Any] = tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(_located(name, str(error))) from None
    return table


def _located(name: str, message: str) -> str:
    """Move the position that tomllib writes at the end to where people look for it."""
    match = re.fullmatch(r"(.*) \(at (?:(line \d+, column \d+)|end of document)\)", message, re.DOTALL)
    if match is None:
        return f"{name}: {message}"
    return f"{name}, {match[2] or 'last line'}: {match[1]}"
