"""The click options, derived from the declarations in corn/config/sections/.

click only splits the command line. It returns values as text and has no defaults, so that an option that is set can be
distinguished from one with its default, and the same code parses the values of all sources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from corn.cli.unknown_options import refuse_unknown
from corn.config.options import Option
from corn.config.schema import OPTIONS
from corn.config.types import Flag, ListOf

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

CONFIGURATION = "Configuration"


class SettingOption(click.Option):
    """The flags of one declared option."""

    def __init__(self, option: Option) -> None:
        flags = [option.flag, *option.aliases]
        if isinstance(option.kind, Flag):
            flags = [f"{flag}/--no-{flag.removeprefix('--')}" for flag in flags]
        short = ["-" + option.short] if option.short else []
        super().__init__(
            [option.name, *short, *flags], default=None, multiple=isinstance(option.kind, ListOf), help=option.help
        )
        self.option = option

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from corn.cli.completion import values_of

        return values_of(self.option.kind, incomplete)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        option = self.option
        flag = option.flag.replace("--", "--[no-]", 1) if isinstance(option.kind, Flag) else option.flag
        short = f"-{option.short}, " if option.short else ""
        return f"{short}{flag} {option.kind.metavar}".rstrip(), option.help + _default(option)


class FileOption(click.Option):
    """Option that names a file and is not a setting."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


class SettingArgument(click.Argument):
    """Declared option that is a positional argument."""

    def __init__(self, option: Option) -> None:
        super().__init__([option.name], metavar=f"[{option.flag}]", required=False)
        self.option = option

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        return self.option.flag, self.option.help


class SettingsCommand(click.Command):
    """A command that takes corn's options, listed by section, and `--config`.

    `command` is the command whose options it takes in addition to the common ones; "" for all options.
    """

    def __init__(self, *, command: str = "", **attributes: Any) -> None:
        config = FileOption(
            ["config_file", "-c", "--config"],
            metavar="FILE",
            help="Read options from FILE instead of corn.toml or [tool.corn] in pyproject.toml.",
        )
        own = [each for each in OPTIONS if not command or each.command in ("", command)]
        settings = [SettingArgument(each) if each.argument else SettingOption(each) for each in own]
        super().__init__(**attributes | {"params": [*settings, config, *attributes["params"]]})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing and "--help" not in args and "-h" not in args:
            refuse_unknown(self, ctx, args)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for each in self.get_params(ctx):
            record = each.get_help_record(ctx)
            if record is not None:
                sections.setdefault(_section(each), []).append(record)
        for section, records in sections.items():
            with formatter.section(section):
                formatter.write_dl(records)


def given(values: dict[str, Any]) -> dict[str, object]:
    """The options that are set on the command line, of all that click passes to a command."""
    return {name: value for name, value in values.items() if value is not None and value != ()}


def _section(param: click.Parameter) -> str:
    return param.option.section if isinstance(param, (SettingOption, SettingArgument)) else CONFIGURATION


def _default(option: Option) -> str:
    """The default in brackets, protected from line wrapping."""
    if option.default in (None, (), "", False):
        return ""
    return f" [{'on' if option.default is True else option.kind.show(option.default)}]"
