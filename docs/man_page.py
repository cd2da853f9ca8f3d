"""Manual page corn(1), made from the commands and the declarations of the options.

python docs/man_page.py > corn.1
"""

from __future__ import annotations

import re
from pathlib import Path

import click

from corn.cli.group import corn

_HEAD = """\
.\\" Made by docs/man_page.py. Do not edit.
.TH CORN 1
.SH NAME
corn \\- serve Python web applications from supervised workers
.SH SYNOPSIS
.B corn
.I COMMAND
.RI [ OPTIONS ]
.SH DESCRIPTION
corn is an ASGI and WSGI server and the supervisor of its worker processes, for production (corn serve) and for
development (corn dev). Options are read from the command line, CORN_* environment variables and corn.toml.
.SH COMMANDS
"""


def page() -> str:
    """The whole page, in the man macros of roff(7)."""
    context = click.Context(corn, info_name="corn")
    parts = [_HEAD]
    for name in corn.list_commands(context):
        command = corn.get_command(context, name)
        if command is not None and not command.hidden:
            parts.append(_command(name, command, context))
    parts.append(".SH EXIT STATUS\n")
    parts.extend(f".TP\n.B {code}\n{_text(meaning)}\n" for code, meaning in _exit_codes())
    return "".join(parts)


def _exit_codes() -> list[tuple[str, str]]:
    table = Path(__file__).with_name("reference") / "exit-codes.md"
    return re.findall(r"^\| (\d+) \| `\w+` \| (.*) \|$", table.read_text(encoding="utf-8"), re.MULTILINE)


def _command(name: str, command: click.Command, parent: click.Context) -> str:
    context = click.Context(command, info_name=name, parent=parent)
    described = _text((command.help or command.short_help or "").partition("\f")[0])
    rows = [row for each in command.get_params(context) if (row := each.get_help_record(context))]
    options = "".join(f".TP\n.B {_text(left)}\n{_text(right) or '.br'}\n" for left, right in rows)
    return f".SS corn {name}\n{described}\n{options}"


def _text(text: str) -> str:
    """`text` as roff takes it: one paragraph, no line that begins with a control character."""
    flat = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{flat}" if flat.startswith((".", "'")) else flat


if __name__ == "__main__":
    print(page(), end="")
