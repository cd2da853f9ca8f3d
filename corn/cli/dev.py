"""Command `corn dev`: this process becomes a master that reloads the application when its files change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from corn.cli.discovery import ApplicationFinder
from corn.cli.options import SettingsCommand
from corn.cli.resolve import resolver
from corn.config import Config
from corn.config.options import DEV
from corn.config.sources import DEFAULT, Resolved
from corn.errors import ConfigError
from corn.system.collector import paused_collector

_GRACE = 1.0  # seconds, for requests in flight and for the lifespan shutdown
# Options that do not apply to development, and are ignored even if a file or a variable sets them.
_OVERRIDDEN: dict[str, Any] = {
    "soak": 0.0,
    "rollback_window": 0.0,
    "health_path": None,
    "daemon": False,
    "user": None,
    "group": None,
}


@click.command(cls=SettingsCommand, command=DEV, short_help="Serve an application, and reload it when it changes.")
@click.option(
    "--explain-reload", metavar="PATH", help="Show whether a change to PATH triggers a reload, and why, then exit."
)
def dev(*, config_file: str | None, explain_reload: str | None, **values: Any) -> int:
    """Serve the application APP, and reload it when its files change. Defaults are shown in [brackets].

    Without APP, corn searches modules such as main.py, app.py, asgi.py and wsgi.py, here, in src and in packages.
    """
    read = resolver(values, config_file, development=True)
    resolved = _for_development(read())
    if explain_reload is not None:
        return _explain(resolved, explain_reload)
    finder = ApplicationFinder()
    resolved = finder.complete(resolved)
    if resolved.config.tls:
        authority = Path(resolved.config.ssl_certfile[0]).with_name("authority.pem")
        click.echo(
            f"To trust the certificate, import {authority} into the browser as a certificate authority.", err=True
        )
    if resolved.left_out:
        click.echo(_ignored_options(resolved), err=True)
    with paused_collector():
        from corn.supervisor.master import run_development

    return run_development(resolved, lambda: finder.complete(_for_development(read())))


def _for_development(resolved: Resolved) -> Resolved:
    config = resolved.config
    if config.preload == "app":
        raise ConfigError("corn dev does not support --preload app; use auto, deps or none")
    for name in config.reload_dir:
        if not Path(name).is_dir():
            raise ConfigError(f"--reload-dir: there is no directory '{name}'")
    config = replace(_with_short_timeouts(config, resolved), **_OVERRIDDEN)
    return replace(resolved, config=_with_certificate(config) if config.tls else config)


def _ignored_options(resolved: Resolved) -> str:
    """Log line that names the ignored options of production."""
    by_origin: dict[str, list[str]] = {}
    for each in resolved.left_out:
        by_origin.setdefault("" if each.origin == each.spelling else f" of {each.origin}", []).append(each.spelling)
    named = " and ".join(f"{', '.join(words)}{origin}" for origin, words in by_origin.items())
    return f"corn dev ignores {named}; set values for development in [dev] or on the command line"


def _with_certificate(config: Config) -> Config:
    """Add the user's own certificate for localhost; raises ConfigError if options name another one."""
    from corn.cli.dev_certificate import local_certificate

    if config.ssl_certfile:
        raise ConfigError("--tls and --ssl-certfile cannot be combined; remove one")
    made = local_certificate()
    return replace(config, ssl_certfile=(str(made.certfile),), ssl_keyfile=(str(made.keyfile),))


def _with_short_timeouts(config: Config, resolved: Resolved) -> Config:
    is_set = resolved.origins["timeout_worker"] != DEFAULT
    return replace(
        config,
        timeout_graceful_shutdown=min(config.timeout_graceful_shutdown, _GRACE),
        timeout_lifespan_shutdown=min(config.timeout_lifespan_shutdown, _GRACE),
        timeout_worker=config.timeout_worker if is_set else 0.0,  # a debugger blocks the event loop
    )


def _explain(resolved: Resolved, path: str) -> int:
    from corn.reload.watch_config import rules_of

    named = Path(path)
    result = rules_of(resolved.config, str(resolved.file or "")).classify(str(named.parent.resolve() / named.name))
    click.echo(f"{path}: {_MEANINGS[result.effect]}: {result.why}")
    return 0 if result.counts else 1


_MEANINGS = {
    "reload": "watched, reloads the application",
    "cold": "watched, starts the application in a new environment",
    "asset": "watched, refreshes browsers only",
    "": "not watched",
}
