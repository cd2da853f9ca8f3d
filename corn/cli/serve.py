"""`corn serve`: this process becomes the master."""

from __future__ import annotations

from typing import Any

import click

from corn.cli.discovery import ApplicationFinder
from corn.cli.options import SettingsCommand
from corn.cli.resolve import check_loads, resolver
from corn.config.options import SERVE
from corn.system.collector import paused_collector


@click.command(cls=SettingsCommand, command=SERVE, short_help="Serve an application.")
@click.option("--check-config", is_flag=True, help="Check the configuration, load the application, then exit.")
def serve(*, config_file: str | None, check_config: bool, **values: Any) -> int:
    """Serve the application APP from worker processes until a signal stops it. Defaults are shown in [brackets].

    Without APP, corn searches modules such as main.py, app.py, asgi.py and wsgi.py, here, in src and in packages.
    """
    read = resolver(values, config_file)
    finder = ApplicationFinder()
    resolved = finder.complete(read())
    if check_config:
        check_loads(resolved)
        click.echo(f"The configuration is valid, and {resolved.config.app} loads.")
        return 0
    with paused_collector():
        from corn.supervisor.master import run_master

    return run_master(resolved, lambda: finder.complete(read()))
