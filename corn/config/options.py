"""How an option is declared, once.

`option(...)` is a dataclass field whose metadata holds everything that the command line, the environment, the TOML
file, `corn config` and docs/reference/settings.md need.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from corn.config.types import OptionType

SERVE, DEV = "serve", "dev"


@dataclass(frozen=True, slots=True)
class Option:
    """One declared option.

    `name` is the field of `Config` and the TOML key; `--name-with-dashes` and `CORN_NAME` follow from it. `short` is
    the one-letter flag, `aliases` are further flags, `variables` further environment variables, looked at after
    CORN_NAME. `command` is the only command that has it on its command line, "" for all; elsewhere it is accepted for
    the sake of that command. `argument`: on the command line it stands without a flag. `reloadable` says whether HUP
    may change it. `section` groups it in help and reference.
    """

    name: str
    kind: OptionType
    default: Any
    help: str
    section: str
    command: str = ""
    short: str = ""
    aliases: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    argument: bool = False
    reloadable: bool = True

    @property
    def flag(self) -> str:
        """What names it on the command line: `--name`, or `NAME` for an argument."""
        if self.argument:
            return self.name.upper()
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return "CORN_" + self.name.upper()


@dataclass(frozen=True, slots=True)
class _Declared:
    kind: OptionType
    help: str
    section: str
    extra: dict[str, Any]


def option(default: Any, kind: OptionType, help: str, section: str, **extra: Any) -> Any:  # noqa: A002 - the field's own word
    """Declare a field of `Config`; `extra` is what `Option` takes besides."""
    return field(default=default, metadata={"option": _Declared(kind, help, section, extra)})


def declared(config: type) -> tuple[Option, ...]:
    """The options of a configuration dataclass, in the order they are written."""
    found = []
    for each in fields(config):
        about: _Declared = each.metadata["option"]
        default = None if each.default is MISSING else each.default
        found.append(Option(each.name, about.kind, default, about.help, about.section, **about.extra))
    return tuple(found)
