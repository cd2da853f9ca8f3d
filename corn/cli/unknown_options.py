"""Report of all unknown options of a command line at once, each with its counterpart.

A command line that was written for another server is refused as a whole, so that one attempt reports all its options.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from corn.config.suggestions import OF_PEER, in_one_line, is_typing_error, nearest


class UnknownOptions(click.UsageError):
    """Options that a command does not have; the message is complete."""


def refuse_unknown(command: click.Command, ctx: click.Context, arguments: Sequence[str]) -> None:
    """Raise UnknownOptions if `arguments` hold options that the command does not have."""
    takes_value = {
        flag: isinstance(each, click.Option) and not each.is_flag
        for each in command.get_params(ctx)
        for flag in (*each.opts, *each.secondary_opts)
        if flag.startswith("-")
    }
    unknown = _unknown(arguments, takes_value)
    if unknown:
        raise UnknownOptions(describe_unknown(unknown, ctx.command_path, list(takes_value)), ctx)


def _unknown(arguments: Sequence[str], takes_value: dict[str, bool]) -> list[str]:
    unknown: dict[str, None] = {}
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            break
        if not argument.startswith("-") or argument == "-":
            continue
        flag = argument.partition("=")[0] if argument.startswith("--") else argument[:2]
        if flag not in takes_value:
            unknown[flag] = None
        elif takes_value[flag] and flag == argument:
            next(rest, None)
    return list(unknown)


def describe_unknown(unknown: Sequence[str], command: str, flags: Sequence[str]) -> str:
    """Name the counterpart of each: an option of another command, one for another server's option, or a near name."""
    from corn.config.peers import counterpart, find_options

    foreign = find_options(unknown)
    described: dict[str, tuple[str, str]] = {}
    for flag in unknown:
        elsewhere, near = command_that_has(flag), nearest(flag, flags)
        if elsewhere:
            sentence = f"{flag} is an option of 'corn {elsewhere}'"
            described[flag] = (sentence, sentence.removeprefix(f"{flag} is "))
            continue
        if flag in foreign and not is_typing_error(flag, near):
            hint = f"{OF_PEER}of {foreign[flag].peer}; {counterpart(foreign[flag])}"
        else:
            hint = f"did you mean '{near}'?" if near else f"see '{command} --help'"
        described[flag] = (in_one_line("option", flag, hint), hint)
    if len(described) == 1:
        return described[unknown[0]][0]
    width = max(map(len, described))
    lines = [f"  {flag:<{width}}  {hint}" for flag, (_, hint) in described.items()]
    return "\n".join([f"{len(described)} unknown options", *lines])


def command_that_has(flag: str) -> str:
    """Command whose own option this is, "" for the options of all and for unknown ones."""
    from corn.config import OPTIONS

    plain = flag.replace("--no-", "--", 1)
    return next((each.command for each in OPTIONS if each.flag == plain), "")
