"""Where values come from: the command line, then the environment, then a file, then the default.

Each source yields a layer of parsed values, and all of each is checked: a value that a higher source overrides must
still be right. What is resolved again on HUP goes through here too, with the same command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from corn.config.environment import CONFIG_VARIABLE, read_environment
from corn.config.schema import OPTIONS, Config
from corn.config.suggestions import did_you_mean
from corn.config.toml_file import find_file, read_file
from corn.config.validation import check_extras, check_files, check_tls, settle_addresses
from corn.config.values import BY_NAME, Layer, parse_value
from corn.errors import ConfigError

COMMAND_LINE = "command line"
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A configuration and where it came from.

    `origins` says for each option "command line", the variable, the file ("corn.toml", "pyproject.toml [tool.corn]")
    or "default". `file` is the configuration file that was read, if there was one.
    """

    config: Config
    origins: dict[str, str]
    file: Path | None


def resolve(
    command_line: Mapping[str, object], environ: Mapping[str, str], directory: Path, config_file: str | None
) -> Resolved:
    """Read all sources and settle what holds; paths are relative to `directory`.

    `command_line` holds what was given there and nothing else, by option name, as text or as a TOML file would hold
    it. `config_file` is the file named there. Raises ConfigError, in one line that says where and what to do.
    """
    file = find_file(directory, config_file or environ.get(CONFIG_VARIABLE) or None)
    layers = [_read_command_line(command_line), read_environment(environ), read_file(file) if file else {}]
    chosen = {name: given for layer in reversed(settle_addresses(layers)) for name, given in layer.items()}
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
