"""Group of corn's commands. Each is only imported if it is used, because `corn serve` becomes the master."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from corn.config.suggestions import did_you_mean
from corn.system.collector import paused_collector
from corn.version import __version__

_MODULES = {
    "serve": "corn.cli.serve:serve",
    "dev": "corn.cli.dev:dev",
    "config": "corn.cli.config:config",
    "status": "corn.cli.control.status:status",
    "top": "corn.cli.top.command:top",
    "list": "corn.cli.control.status:list_instances",
    "requests": "corn.cli.control.diagnostics:requests",
    "stacks": "corn.cli.control.diagnostics:stacks",
    "log-level": "corn.cli.control.diagnostics:log_level",
    "reopen-logs": "corn.cli.control.diagnostics:reopen_logs",
    "reload": "corn.cli.control.commands:reload_code",
    "rollback": "corn.cli.control.commands:rollback",
    "scale": "corn.cli.control.commands:scale",
    "restart": "corn.cli.control.commands:restart",
    "drain": "corn.cli.control.commands:drain",
    "upgrade": "corn.cli.control.commands:upgrade",
    "stop": "corn.cli.control.commands:stop",
    "init": "corn.cli.init:init",
    "import": "corn.cli.migrate:import_config",
    "completion": "corn.cli.completion:completion",
}
_RENAMED = {"ps": "requests", "logs": "log-level"}  # former names, to be dropped after one release
# Commands that other programs have.
_ELSEWHERE = {
    "run": "corn serve",
    "start": "corn serve",
    "kill": "corn stop",
    "help": "corn --help",
    "version": "corn --version",
}
# Titles in `corn --help`, by the first command of each group.
_GROUPS = {"serve": "Serve", "status": "Inspect", "reload": "Control", "init": "More"}
_EXAMPLES = """\b
Examples:
  corn dev main:app                      while you write it
  corn serve main:app --workers auto     in production
  corn reload --wait                     new code; fails if it is refused
  corn config                            every option and its source
"""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        module, _, name = _MODULES[cmd_name].partition(":")
        with paused_collector():
            command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        rows: list[tuple[str, str]] = []
        width = max(map(len, _MODULES))
        for name in _MODULES:
            command = self.get_command(ctx, name)
            rows = groups.setdefault(_GROUPS[name], []) if name in _GROUPS else rows
            rows.append((f"{name:<{width}}", command.get_short_help_str(limit=60) if command else ""))
        for title, each in groups.items():
            with formatter.section(title):
                formatter.write_dl(each)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args[0] in _RENAMED and not ctx.resilient_parsing:
            click.echo(f"corn: 'corn {args[0]}' is deprecated; use 'corn {_RENAMED[args[0]]}'", err=True)
        name = _RENAMED.get(args[0], args[0])
        if name not in _MODULES:
            raise click.UsageError(f"unknown command '{name}'{_hint(name)}", ctx)
        return super().resolve_command(ctx, [name, *args[1:]])


def _hint(word: str) -> str:
    if ":" in word:
        return f"; did you mean 'corn serve {word}'?"
    return f"; did you mean '{_ELSEWHERE[word]}'?" if word in _ELSEWHERE else did_you_mean(word, _MODULES)


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGUMENTS]",
    options_metavar="",
    epilog=_EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="corn %(version)s", help="Show the version and exit.")
@click.pass_context
def corn(ctx: click.Context) -> int:
    """Serve Python web applications from supervised worker processes."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        return 2
    return 0
