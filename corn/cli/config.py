"""`corn config`: every value, and where it came from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from corn.cli.discovery import ApplicationFinder
from corn.cli.options import SettingsCommand
from corn.cli.resolve import check_loads, resolver
from corn.config.env_file import read_env_file
from corn.config.options import Option
from corn.config.schema import OPTIONS
from corn.config.sections.tls import Secret
from corn.config.sources import DEFAULT, Resolved
from corn.config.types import Mode, Nullable
from corn.logs import wants_color

_UNSET = "-"


@click.command(cls=SettingsCommand, short_help="Show every option and where its value comes from.")
@click.option("--check", is_flag=True, help="Check the options and that the application loads, then exit.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def config(*, config_file: str | None, check: bool, as_json: bool, **values: Any) -> int:
    """Show every option that 'corn serve' would use, and where its value comes from. Defaults stand in [brackets]."""
    resolved = resolver(values, config_file)()
    if check:
        resolved = ApplicationFinder().complete(resolved)
        check_loads(resolved)
    if as_json:
        click.echo(_as_json(resolved))
    elif check:
        click.echo(f"The configuration is good, and {resolved.config.app} loads.")
    else:
        click.echo(_as_columns(resolved, color=wants_color("auto", fd=1)))
    return 0


def _as_columns(resolved: Resolved, *, color: bool) -> str:
    rows = [
        (each.name, each.kind.show(getattr(resolved.config, each.name)) or _UNSET, resolved.origins[each.name])
        for each in OPTIONS
    ]
    name_width, value_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [(f"{name:<{name_width}}  {value:<{value_width}}  {origin}", origin) for name, value, origin in rows]
    shown = [click.style(line, dim=True) if color and origin == DEFAULT else line for line, origin in lines]
    variables = _variables(resolved)
    width = max(map(len, variables), default=0)
    return "\n".join([*shown, *(f"${name:<{width}}  {words}" for name, words in variables.items())])


def _variables(resolved: Resolved) -> dict[str, str]:
    """Origin of each variable of the env files; values are left out, because many are secrets."""
    found: dict[str, str] = {}
    for file in resolved.config.env_file:
        for name in read_env_file(Path(file), os.environ):
            found[name] = f"from the environment, which wins over {file}" if name in os.environ else f"from {file}"
    return found


def _as_json(resolved: Resolved) -> str:
    options = {
        each.name: {"value": _plain(each, getattr(resolved.config, each.name)), "origin": resolved.origins[each.name]}
        for each in OPTIONS
    }
    file = str(resolved.file) if resolved.file else None
    return json.dumps({"file": file, "options": options, "variables": _variables(resolved)}, indent=2)


def _plain(option: Option, value: Any) -> Any:
    """The value as a TOML file would hold it."""
    kind = option.kind.item if isinstance(option.kind, Nullable) else option.kind
    return kind.show(value) if isinstance(kind, (Mode, Secret)) and value is not None else value
