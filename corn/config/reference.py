"""Generator of docs/reference/settings.md from the option declarations.

python -m corn.config.reference            writes the page
python -m corn.config.reference --check    fails if the page is out of date
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

Every option can be given on the command line, as an environment variable, or in a TOML file. The first source that
sets an option wins; `corn config` shows every value and its source.

1. the command line
2. the environment (an empty variable counts as unset; list items are separated by commas)
3. the file: the one named by `--config` or `CORN_CONFIG`, else `corn.toml`, else the table `[tool.corn]` of
   `pyproject.toml`, in the directory in which corn is started
4. the default

In TOML, options are top-level keys, written with `_` or with `-`. Unknown keys, unknown `CORN_` variables and invalid
values are errors. Variables that Kubernetes sets for a Service named `corn` are ignored. Sizes take units (`64KiB`,
`512MB`), times are in seconds, relative paths start in the directory in which corn is started.

`--bind`, `--host` with `--port`, `--uds` and `--fd` are alternatives. One source may use one of them; if several
sources do, the one of highest precedence wins.

"HUP" says whether a reload by the signal HUP may change the option; other options need a restart.
"""

_HEAD = """\
| option | variable | TOML key | type | default | HUP | meaning |
|---|---|---|---|---|---|---|
"""


def page() -> str:
    """Render the page."""
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
    """Write the page, or check it if `arguments` is ["--check"]; returns the exit code."""
    if arguments == ["--check"]:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page():
            return 0
        print(f"{PAGE} is out of date; run: python -m corn.config.reference", file=sys.stderr)
        return 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
