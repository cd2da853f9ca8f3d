"""docs/reference/settings.md, made from the declarations of the options.

python -m corn.config.reference            writes it
python -m corn.config.reference --check    fails where it is not what it would be written as
"""

from __future__ import annotations

import sys
from itertools import chain
from pathlib import Path

from corn.config.options import Option
from corn.config.schema import OPTIONS
from corn.config.types import Flag, ListOf

PAGE = Path("docs/reference/settings.md")

_PREFACE = """\
# Settings

<!-- Made by `python -m corn.config.reference` from corn/config/sections/. Do not edit. -->

Every option can be given on the command line, as an environment variable, or in a TOML file. The first of these that
has a value decides; `corn config` shows every value and where it comes from.

1. the command line
2. the environment (a variable that is empty counts as not set; a list is separated by commas)
3. the file: the one named by `--config` or `CORN_CONFIG`, else `corn.toml`, else the table `[tool.corn]` of
   `pyproject.toml`, in the directory where corn is started
4. the default

In TOML, options stand at the top of the file; a key may be written with `_` or with `-`. An unknown key, an unknown
`CORN_` variable and a value that does not fit are refused. Variables that Kubernetes makes for a Service named `corn`
are left alone. Sizes take units (`64KiB`, `512MB`), times are seconds, relative paths begin where corn is started.

`--bind`, `--host` with `--port`, `--uds` and `--fd` each say where to listen. One source may use one of them; where
several sources do, the highest decides.

"HUP" says whether a reload by the signal HUP may change the option; what it may not change needs a restart.
"""

_HEAD = """\
| option | variable | TOML key | type | default | HUP | meaning |
|---|---|---|---|---|---|---|
"""


def page() -> str:
    """The whole page, as it should be in the repository."""
    sections: dict[str, list[Option]] = {}
    for each in OPTIONS:
        sections.setdefault(each.section, []).append(each)
    return _PREFACE + "".join(f"\n## {name}\n\n{_HEAD}{''.join(map(_row, each))}" for name, each in sections.items())


def _row(option: Option) -> str:
    cells = (
        ", ".join(f"`{flag}`" for flag in _flags(option)),
        ", ".join(f"`{variable}`" for variable in (option.variable, *option.variables)),
        f"`{option.name}`",
        _type(option).replace("|", r"\|"),
        f"`{option.kind.show(option.default)}`" if option.default not in (None, (), "") else "",
        "yes" if option.reloadable else "no",
        option.help.replace("|", r"\|"),
    )
    return f"| {' | '.join(cells)} |\n"


def _flags(option: Option) -> tuple[str, ...]:
    long = (option.flag, *option.aliases)
    if isinstance(option.kind, Flag):
        return tuple(chain.from_iterable((flag, flag.replace("--", "--no-", 1)) for flag in long))
    return (f"-{option.short}", *long) if option.short else long


def _type(option: Option) -> str:
    if isinstance(option.kind, Flag):
        return "true|false"
    return f"list of {option.kind.metavar}" if isinstance(option.kind, ListOf) else option.kind.metavar


def main(arguments: list[str]) -> int:
    """Write the page, or check it where `arguments` is ["--check"]; returns the exit code."""
    if arguments == ["--check"]:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page():
            return 0
        print(f"{PAGE} is not current; run: python -m corn.config.reference", file=sys.stderr)
        return 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
