"""Generator of the pages and the module made from the option declarations and the table of other servers' options.

These are docs/reference/settings.md, corn/config/keywords.py, and the tables in docs/how-to/from-*.md.

python -m corn.config.reference            writes them
python -m corn.config.reference --check    fails if one of them is out of date
"""

from __future__ import annotations

import re
import sys
from itertools import chain
from pathlib import Path
from typing import Any

from corn.config.options import DEV, Option
from corn.config.peers import tables
from corn.config.schema import OPTIONS
from corn.config.types import Flag, ListOf

PAGE = Path("docs/reference/settings.md")
KEYWORDS = Path("corn/config/keywords.py")
MIGRATIONS = Path("docs/how-to")

_PREFACE = """\
# Settings

<!-- Made by `python -m corn.config.reference` from corn/config/sections/. Do not edit. -->

Every option can be given on the command line, as an environment variable, or in a TOML file. The first source that
sets an option wins; `corn config` shows every value and its source.

1. the command line (repeat an option for further list items, or separate items that contain no comma by commas)
2. the environment (an empty variable counts as unset; list items are separated by commas)
3. the file: the one named by `--config` or `CORN_CONFIG`, else `corn.toml`, else the table `[tool.corn]` of
   `pyproject.toml`, in the directory in which corn is started
4. the default

In TOML, options are top-level keys, written with `_` or with `-`. The table `[dev]` (`[tool.corn.dev]`) overrides
options for `corn dev`, which takes addresses and the number of workers only from this table and the command line.

Unknown keys, unknown `CORN_` variables and invalid values are errors. Variables that Kubernetes sets for a Service
named `corn` are ignored. Sizes take units (`64KiB`, `512MB`), times are in seconds, relative paths start in the
directory in which corn is started.

`--bind`, `--host` with `--port`, `--uds` and `--fd` are alternatives. One source may use one of them; if several
sources do, the one of highest precedence wins.

The line below the meaning of an option shows its value, its variables, its TOML key, and whether a reload changes it
(`corn reload`, signal HUP).
"""


def page() -> str:
    """Render the page."""
    sections: dict[str, list[Option]] = {}
    for each in OPTIONS:
        sections.setdefault(each.section, []).append(each)
    return _PREFACE + "".join(f"\n## {name}\n{''.join(map(_entry, each))}" for name, each in sections.items())


def _entry(option: Option) -> str:
    first, *others = _flags(option)
    default = f", default `{option.kind.show(option.default)}`" if option.default not in (None, (), "") else ""
    facts = (
        *([f"Also {_code(*others)}."] if others else []),
        f"Value: {_type(option)}{default}.",
        f"Variable{'s' if option.variables else ''}: {_code(option.variable, *option.variables)}.",
        f"TOML: `{option.name}`.",
        "Changed by a reload." if option.reloadable else "Not changed by a reload.",
    )
    return f"\n### `{first}`\n\n{_markdown(option.help)}\n\n{' '.join(facts)}\n"


def _code(*names: str) -> str:
    return ", ".join(f"`{each}`" for each in names)


def _markdown(text: str) -> str:
    """Return a help text as Markdown, with its options in code."""
    return re.sub(r"(?<![\w-])--[a-z][a-z-]*", r"`\g<0>`", re.sub(r"[*<]", r"\\\g<0>", text))


def _flags(option: Option) -> tuple[str, ...]:
    long = (option.flag, *option.aliases)
    if isinstance(option.kind, Flag):
        return tuple(chain.from_iterable((flag, flag.replace("--", "--no-", 1)) for flag in long))
    return (*long, f"-{option.short}") if option.short else long


def _type(option: Option) -> str:
    if isinstance(option.kind, Flag):
        return "`true|false`"
    return f"{'list of ' if isinstance(option.kind, ListOf) else ''}`{option.kind.metavar}`"


_KEYWORDS = '''\
"""Keyword arguments of `corn.serve`, `corn.Server` and `corn.run`, for type checkers.

Made by `python -m corn.config.reference` from corn/config/sections/. Do not edit.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

StrPath = str | os.PathLike[str]


class EmbeddedOptions(TypedDict, total=False):
    """Options of an application that is served from the calling process."""

{embedded}

class ServiceOptions(EmbeddedOptions, total=False):
    """Options of a service with a master and worker processes, which takes the application by name."""

{service}'''


def keywords() -> str:
    """Render the module of keyword arguments."""
    served = [each for each in OPTIONS if each.command != DEV and not each.argument]
    return _KEYWORDS.format(
        embedded="".join(_keyword(each) for each in served if not each.needs_master),
        service="".join(_keyword(each) for each in served if each.needs_master),
    )


def _keyword(option: Option) -> str:
    return f"    {option.name}: {option.kind.annotation}\n"


def migration_page(peer: str, text: str) -> str:
    """Replace the table of a page on moving from another server."""
    about = tables()[peer]
    head = f"| {about['title']} | corn | remark |\n|---|---|---|\n"
    before, found, rest = text.partition(head)
    rows = "".join(_migration_row(row) for row in about["options"])
    return before + head + rows + _TABLE_ROWS.sub("", rest, count=1) if found else text


_TABLE_ROWS = re.compile(r"\A(?:\|.*\n)*")


def _migration_row(row: dict[str, Any]) -> str:
    theirs = [each.split("/") for each in row["theirs"]]
    if len(theirs) > 1 and row["corn"] == [each[-1] for each in theirs]:
        ours = "the same"
    else:
        ours = ", ".join(f"`{each}`" for each in row["corn"]) or "not there"
    names = ", ".join(f"`{spelling}`" for each in theirs for spelling in each)
    cells = (names, ours, row.get("remark", ""))
    return "".join(f"| {cell}".rstrip() + " " for cell in (each.replace("|", r"\|") for each in cells)) + "|\n"


def _made() -> dict[Path, str]:
    made = {PAGE: page(), KEYWORDS: keywords()}
    for peer in tables():
        path = MIGRATIONS / f"from-{peer}.md"
        if path.exists():
            made[path] = migration_page(peer, path.read_text(encoding="utf-8"))
    return made


def main(arguments: list[str]) -> int:
    """Write the files, or check them if `arguments` is ["--check"]; returns the exit code."""
    made = _made()
    if arguments != ["--check"]:
        for path, text in made.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return 0
    stale = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path} is out of date; run: python -m corn.config.reference", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
