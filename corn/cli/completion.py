"""`corn completion`: scripts for shell completion of commands, options and values."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem, get_completion_class

from corn.config.types import Choice, IntegerOrAuto, ListOf, Nullable, OptionType

_VARIABLE = "_CORN_COMPLETE"  # the name that click looks for


_HELP = """\
Print the script that has SHELL complete corn's commands, options and values.

\b
bash  eval "$(corn completion bash)"    in ~/.bashrc
zsh   eval "$(corn completion zsh)"     in ~/.zshrc, after compinit
fish  corn completion fish > ~/.config/fish/completions/corn.fish
"""


@click.command(short_help="Print the script that completes corn in a shell.", help=_HELP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print the script for shell completion of corn's commands, options and values."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "corn", _VARIABLE).source())
    return 0


def values_of(kind: OptionType, incomplete: str) -> list[CompletionItem]:
    """Return the completions of a value of this type; for a path, a request that the shell completes it."""
    while isinstance(kind, (ListOf, Nullable)):
        kind = kind.item
    if isinstance(kind, Choice):
        return [CompletionItem(name) for name in kind.names if name.startswith(incomplete)]
    if isinstance(kind, IntegerOrAuto):
        return [CompletionItem("auto")] if "auto".startswith(incomplete) else []
    if kind.metavar == "DIRECTORY":
        return [CompletionItem(incomplete, type="dir")]
    if kind.metavar.startswith(("FILE", "PATH")):
        return [CompletionItem(incomplete, type="file")]
    return []
