"""Error reports on standard error: one line that says what to do, and an exit code."""

from __future__ import annotations

import sys

import click

from corn.cli.unknown_options import UnknownOptions, command_that_has
from corn.config.suggestions import did_you_mean
from corn.errors import CornError, ExitCode


def report(error: CornError) -> int:
    """Print an error, with the user's own frames if there are any; returns its exit code."""
    _print(str(error))
    if error.detail:
        print(error.detail.rstrip(), file=sys.stderr)
    return int(error.exit_code)


def report_refusal(reason: str, detail: str) -> None:
    """Print why a running instance refused a request."""
    _print(reason)
    if detail:
        print(detail.rstrip(), file=sys.stderr)


def report_usage(error: click.UsageError) -> int:
    """Print click's usage error in corn's words; returns the exit code for usage."""
    _print(_sentence(error) or "wrong usage")
    return int(ExitCode.USAGE)


def _print(message: str) -> None:
    from corn.logs import wants_color

    label = "\x1b[31merror:\x1b[0m " if wants_color("auto") else ""
    print(f"corn: {label}{message}", file=sys.stderr)


def _sentence(error: click.UsageError) -> str:
    message = error.message.rstrip(".")
    message = message[:1].lower() + message[1:]
    hint = ""
    if isinstance(error, UnknownOptions):
        return error.message
    if isinstance(error, click.MissingParameter) and error.param is not None:
        message = f"missing argument {error.param.human_readable_name}"
    if isinstance(error, click.NoSuchOption):
        elsewhere = command_that_has(error.option_name)
        if elsewhere:
            return f"{error.option_name} is an option of 'corn {elsewhere}'"
        message = f"unknown option '{error.option_name}'"
        hint = did_you_mean(error.option_name, _flags(error.ctx))
    if hint or "did you mean" in message:
        return message + hint
    return f"{message}; see '{error.ctx.command_path} --help'" if error.ctx else message


def _flags(ctx: click.Context | None) -> list[str]:
    if ctx is None:
        return []
    return [
        flag for each in ctx.command.get_params(ctx) for flag in (*each.opts, *each.secondary_opts) if flag[0] == "-"
    ]
