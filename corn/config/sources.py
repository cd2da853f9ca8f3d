"""Sources of option values: command line, environment, configuration file, default; the first one that sets it wins.

Each source yields a layer of parsed values, and all layers are checked: overridden values must be valid too. HUP
resolves the options again, with the same command line.

Unknown names are refused in every source, because a misspelt option would have no effect. The exception are variables
of Kubernetes: for a Service called `corn` (or `corn-api`) it sets CORN_SERVICE_HOST, CORN_PORT=tcp://10.0.0.1:80,
CORN_PORT_80_TCP_ADDR and others in every container of the namespace. An empty variable counts as unset.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from corn.config.options import DEV, SERVE
from corn.config.schema import OPTIONS, Config
from corn.config.suggestions import describe_unknown, did_you_mean
from corn.config.types import ListOf, Mode, Nullable, OptionType
from corn.config.validation import check_extras, check_files, check_tls, select_address_option
from corn.config.values import BY_NAME, Layer, OptionValue, parse_value
from corn.errors import ConfigError
from corn.frozen import frozen
from corn.system.file_content import read_content

COMMAND_LINE = "command line"
CALL = "call"
DEFAULT = "default"
PREFIX = "CORN_"
CONFIG_VARIABLE = "CORN_CONFIG"
PLATFORM_PORT = "PORT"

_SERVICE_NAME = re.compile(
    r"CORN_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?)"
)
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://\S+")
CORN_TOML = "corn.toml"
PYPROJECT = "pyproject.toml"
# Options that `corn dev` only takes from the command line and from [dev], or does not use.
_PRODUCTION = frozenset({"host", "bind", "uds", "fd", "redirect_bind", "workers"}) | {
    each.name for each in OPTIONS if each.command == SERVE
}


@frozen
class Resolved:
    """A configuration and its sources.

    `origins` is "command line", the variable, the file ("corn.toml", "pyproject.toml [tool.corn]") or "default" for
    each option. `file` is the configuration file that was read, if any. `left_out` are the values that `corn dev`
    ignores.
    """

    config: Config
    origins: dict[str, str]
    file: Path | None
    left_out: tuple[OptionValue, ...] = ()


def resolve(
    command_line: Mapping[str, object], environ: Mapping[str, str], directory: Path, config_file: str | None
) -> Resolved:
    """Read all sources and merge them; paths are relative to `directory`.

    `command_line` holds only the options given there, by name, as text or as a TOML file would hold them.
    `config_file` is the file named there. Raises ConfigError, in one line that names the place and the remedy.
    """
    file = find_file(directory, config_file or environ.get(CONFIG_VARIABLE) or None)
    return _merge([_read_command_line(command_line), read_environment(environ), _read(file)], file, directory)


def resolve_development(
    command_line: Mapping[str, object], environ: Mapping[str, str], directory: Path, config_file: str | None
) -> Resolved:
    """As `resolve`, for `corn dev`: the file's table [dev] overrides the rest of the file.

    Addresses and the number of workers are only taken from the command line and [dev]: variables and other parts of the
    file are meant for production, and their addresses could expose error pages with source code to the network.
    """
    file = find_file(directory, config_file or environ.get(CONFIG_VARIABLE) or None)
    production = [read_environment(environ), _read(file)]
    kept = [{name: given for name, given in layer.items() if name not in _PRODUCTION} for layer in production]
    development = read_development(file) if file else {}
    resolved = _merge([_read_command_line(command_line), kept[0], development, kept[1]], file, directory)
    left_out = {name: given for layer in reversed(production) for name, given in layer.items() if name in _PRODUCTION}
    return replace(resolved, left_out=tuple(left_out.values()))


def resolve_call(options: Mapping[str, object], directory: Path, config_file: str | None) -> Resolved:
    """Resolve the keyword arguments of a call; a file is only read if it is named, and the environment is ignored.

    Raises ConfigError, as `resolve` does.
    """
    file = find_file(directory, config_file) if config_file else None
    return _merge([_read_call(options), _read(file)], file, directory)


def _read(file: ConfigFile | None) -> Layer:
    return read_file(file) if file else {}


def _merge(layers: list[Layer], file: ConfigFile | None, directory: Path) -> Resolved:
    """Merge `layers`, highest precedence first."""
    chosen = {name: given for layer in reversed(select_address_option(layers)) for name, given in layer.items()}
    check_tls(chosen)
    check_extras(chosen)
    check_files(chosen, directory / chosen["chdir"].value if "chdir" in chosen else directory)
    return Resolved(
        Config(**{name: given.value for name, given in chosen.items()}),
        {each.name: chosen[each.name].origin if each.name in chosen else DEFAULT for each in OPTIONS},
        file.path if file else None,
    )


def _read_command_line(command_line: Mapping[str, object]) -> Layer:
    layer: Layer = {}
    for name, raw in command_line.items():
        if name not in BY_NAME:
            raise ConfigError(f"unknown option '{name}'" + did_you_mean(name, BY_NAME))
        layer[name] = parse_value(name, raw, COMMAND_LINE, BY_NAME[name].flag)
    return layer


def _read_call(options: Mapping[str, object]) -> Layer:
    layer: Layer = {}
    for name, raw in options.items():
        if name not in BY_NAME:
            raise ConfigError(f"unknown option '{name}'" + did_you_mean(name, BY_NAME))
        kind = BY_NAME[name].kind
        if raw is None and isinstance(kind, Nullable):
            layer[name] = OptionValue(None, CALL, name)
        else:
            layer[name] = parse_value(name, _as_text(raw, kind), CALL, name)
    return layer


def _as_text(raw: object, kind: OptionType) -> object:
    """Convert Python values to those of a TOML file: paths, file modes, one item in place of a list."""
    if isinstance(kind, Nullable):
        return _as_text(raw, kind.item)
    if isinstance(raw, os.PathLike):
        raw = os.fspath(raw)
    if isinstance(kind, ListOf):
        return _as_list(raw, kind)
    return f"{raw:03o}" if isinstance(kind, Mode) and isinstance(raw, int) else raw


def _as_list(raw: object, kind: ListOf) -> object:
    """Convert one text to a list: of one item if valid, such as a header with a comma; else split, as in a variable."""
    if not isinstance(raw, str):
        return tuple(_as_text(each, kind.item) for each in raw) if isinstance(raw, Iterable) else raw
    try:
        kind.item.parse(raw)
    except ValueError:
        return raw
    return (raw,)


def read_environment(environ: Mapping[str, str]) -> Layer:
    """Read the options that variables set; raises ConfigError for an unknown CORN_ variable or an invalid value."""
    present = {name: text for name, text in environ.items() if text and not _made_by_kubernetes(name, text)}
    _refuse_unknown(present)
    layer: Layer = {}
    for option in OPTIONS:
        for variable in (option.variable, *option.variables):
            if variable in present and option.name not in layer:
                layer[option.name] = parse_value(option.name, present[variable], variable, variable)
    return _without_platform_port(layer)


def _without_platform_port(layer: Layer) -> Layer:
    """Read PORT, which platforms set for the process that listens; a CORN_ variable overrides it."""
    if "port" in layer and layer["port"].spelling == PLATFORM_PORT and layer.keys() & {"bind", "uds", "fd"}:
        del layer["port"]
    return layer


def _made_by_kubernetes(name: str, text: str) -> bool:
    is_port = name == PLATFORM_PORT or (name.startswith(PREFIX) and name.endswith("_PORT"))
    if is_port and _SERVICE_URL.fullmatch(text):
        return True
    return _SERVICE_NAME.fullmatch(name) is not None


def _refuse_unknown(present: Mapping[str, str]) -> None:
    known = {CONFIG_VARIABLE, *(option.variable for option in OPTIONS)}
    unknown = [name for name in sorted(present) if name.startswith(PREFIX) and name not in known]
    if unknown:
        names = [name.removeprefix(PREFIX) for name in unknown]
        options = [each.removeprefix(PREFIX) for each in known]
        raise ConfigError(describe_unknown("variable", names, options, prefix=PREFIX))


@frozen
class ConfigFile:
    """Configuration file that was read. `origin` names it in `corn config` and in errors."""

    path: Path
    origin: str
    table: Mapping[str, object]


def find_file(directory: Path, named: str | None) -> ConfigFile | None:
    """Find the file `named`, else corn.toml in `directory`, else pyproject.toml there if it has a table [tool.corn].

    Raises ConfigError if the file cannot be read, is not TOML, or was named and has no table for corn.
    """
    if named is not None:
        file = _open(directory, named)
        if file is None:
            raise ConfigError(f"{named}: has no table [tool.corn]")
        return file
    found = next((name for name in (CORN_TOML, PYPROJECT) if _exists(directory / name)), None)
    return _open(directory, found) if found else None


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ConfigError(f"{path}: cannot be accessed: {error.strerror}") from None
    return True


def read_file(file: ConfigFile) -> Layer:
    """Read the options that a file sets; raises ConfigError for an unknown key or an invalid value."""
    read_development(file)
    return _read_table(file, {key: raw for key, raw in file.table.items() if key != DEV or not isinstance(raw, dict)})


def read_development(file: ConfigFile) -> Layer:
    """Read the options that the table [dev] of a file sets for `corn dev`; raises as `read_file`."""
    table = file.table.get(DEV, {})
    if not isinstance(table, dict):
        return {}
    inner = f"{file.origin} [dev]" if file.origin == file.path.name else file.origin.replace("]", f".{DEV}]")
    layer = _read_table(replace(file, origin=inner), table)
    for name, given in layer.items():
        if BY_NAME[name].command == SERVE:
            raise ConfigError(f"{given.label} is an option of 'corn serve'")
    return layer


def _read_table(file: ConfigFile, table: Mapping[str, object]) -> Layer:
    layer: Layer = {}
    _refuse_unknown_keys(file.origin, table)
    for key, raw in table.items():
        name = key.replace("-", "_")
        if name in layer:
            raise ConfigError(
                f"{file.origin}: '{layer[name].spelling}' and '{key}' are the same option; keep one of them"
            )
        layer[name] = parse_value(name, raw, file.origin, key, f"{file.origin}: ")
    return layer


def _refuse_unknown_keys(origin: str, table: Mapping[str, object]) -> None:
    unknown = [key for key in table if key.replace("-", "_") not in BY_NAME]
    inner = next((key for key in unknown if isinstance(table[key], dict)), None)
    if inner is not None:
        raise ConfigError(f"{origin}: unknown table [{inner}]; options belong at the top level or in [dev]")
    if unknown:
        raise ConfigError(f"{origin}: {describe_unknown('option', unknown, BY_NAME)}")


def _open(directory: Path, name: str) -> ConfigFile | None:
    """Read one file; a pyproject.toml counts only if it has a table [tool.corn]."""
    path = directory / name
    table = read_toml(name, path)
    if path.name != PYPROJECT:
        return ConfigFile(path, name, table)
    tool = table.get("tool")
    own = tool.get("corn") if isinstance(tool, dict) else None
    return ConfigFile(path, f"{name} [tool.corn]", own) if isinstance(own, dict) else None


def read_toml(name: str, path: Path) -> dict[str, Any]:
    """Read a TOML file, which errors call `name`; raises ConfigError where it cannot be read or understood."""
    return _parse(name, _read_text(name, path))


def _read_text(name: str, path: Path) -> str:
    try:
        data = read_content(path)
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
    """Move the position from the end of tomllib's message to its start."""
    match = re.fullmatch(r"(.*) \(at (?:(line \d+, column \d+)|end of document)\)", message, re.DOTALL)
    if match is None:
        return f"{name}: {message}"
    return f"{name}, {match[2] or 'last line'}: {match[1]}"
