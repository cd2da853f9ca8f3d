"""`corn config`: every option with its value and source, of this directory or of a running instance."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from corn.cli.control.formatting import columns
from corn.cli.discovery import ApplicationFinder
from corn.cli.options import SettingsCommand, given
from corn.cli.resolve import check_loads, resolver
from corn.config.env_file import read_env_file
from corn.config.presentation import plain, text
from corn.config.schema import OPTIONS
from corn.config.sources import Resolved
from corn.config.values import BY_NAME
from corn.errors import ConfigError


@click.command(cls=SettingsCommand, short_help="Show every option and its source.")
@click.option("--check", is_flag=True, help="Check the configuration, load the application, then exit.")
@click.option(
    "--running",
    is_flag=False,
    flag_value="",
    metavar="[INSTANCE]",
    help="Show the options of a running instance, named by its process id, address, pidfile or configuration file "
    "if there are several.",
)
@click.option(
    "--diff",
    is_flag=True,
    help="Show what a reload would change in a running instance. Exit code 0 for nothing, 1 for changes, 2 if it "
    "would be refused.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def config(
    *, config_file: str | None, check: bool, running: str | None, diff: bool, as_json: bool, **values: Any
) -> int:
    """Show every option that 'corn serve' would use, and where its value comes from. Defaults stand in [brackets].

    With --running or --diff, show those of a running instance.
    """
    if running is not None or diff:
        from corn.cli.control.running_config import show_running

        _refuse_more(values, check=check)
        return show_running(running or config_file or "", diff=diff, as_json=as_json)
    resolved = resolver(values, config_file)()
    if check:
        resolved = ApplicationFinder().complete(resolved)
        check_loads(resolved)
    if as_json:
        click.echo(_as_json(resolved))
    elif check:
        click.echo(f"The configuration is valid, and {resolved.config.app} loads.")
    else:
        click.echo(_as_columns(resolved))
    return 0


def _refuse_more(values: dict[str, Any], *, check: bool) -> None:
    """Raise ConfigError for options that mean another configuration than that of a running instance."""
    more = [BY_NAME[name].flag for name in given(values)] + (["--check"] if check else [])
    if more:
        raise ConfigError(f"a running instance has its own options; leave out {', '.join(more)}")


def _as_columns(resolved: Resolved) -> str:
    shown = columns(
        [(each.name, text(each, getattr(resolved.config, each.name)), resolved.origins[each.name]) for each in OPTIONS]
    )
    variables = _variables(resolved)
    width = max(map(len, variables), default=0)
    return "\n".join([shown, *(f"${name:<{width}}  {words}" for name, words in variables.items())])


def _variables(resolved: Resolved) -> dict[str, str]:
    """Origin of each variable of the env files; values are left out, because many are secrets."""
    found: dict[str, str] = {}
    for file in resolved.config.env_file:
        for name in read_env_file(Path(file), os.environ):
            found[name] = f"from the environment, which wins over {file}" if name in os.environ else f"from {file}"
    return found


def _as_json(resolved: Resolved) -> str:
    options = {
        each.name: {"value": plain(each, getattr(resolved.config, each.name)), "origin": resolved.origins[each.name]}
        for each in OPTIONS
    }
    file = str(resolved.file) if resolved.file else None
    return json.dumps({"file": file, "options": options, "variables": _variables(resolved)}, indent=2)
