"""Declaration of options: each option is declared once.

`option(...)` is a dataclass field whose metadata holds everything that the command line, the environment, the TOML
file, `corn config` and docs/reference/settings.md need.
"""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from typing import Any, TypeVar

from corn.config.types import OptionType
from corn.frozen import dataclass_transform, frozen

SERVE, DEV = "serve", "dev"


@frozen
class Option:
    """A declared option.

    `name` is the field of `Config` and the TOML key; `--name-with-dashes` and `CORN_NAME` follow from it. `short` is
    the one-letter flag, `aliases` are further flags, `variables` further environment variables, read after CORN_NAME.
    `command` is the only command with the option, "" for all; other sources accept it for all commands. `argument`:
    positional on the command line. `needs_master`: refused by `corn.serve`, because it has no effect, or a harmful one,
    in a process without a master. `reloadable`: HUP may change it. `section` groups it in help and reference.
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
    needs_master: bool = False

    @property
    def flag(self) -> str:
        """Name on the command line: `--name`, or `NAME` for an argument."""
        if self.argument:
            return self.name.upper()
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return "CORN_" + self.name.upper()


@frozen
class _Declared:
    kind: OptionType
    help: str
    section: str
    extra: dict[str, Any]


Class = TypeVar("Class")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def section(cls: type[Class]) -> type[Class]:
    """Make a class one that declares options: `Config` or a base of it. dataclass() compiles no method for it."""
    cls.__doc__ = cls.__doc__ or cls.__name__  # or dataclass() would write the signature there, which takes long
    return dataclass(init=False, repr=False, eq=False, kw_only=True)(cls)


class FrozenOptions:
    """Methods of a frozen dataclass for any number of fields.

    dataclass() compiles such methods for the fields of each class, which takes 5 ms for those of `Config`.
    """

    def __init__(self, **values: Any) -> None:
        options: Any = self
        defaults = {each.name: each.default for each in fields(options)}
        if unknown := values.keys() - defaults.keys():
            raise TypeError(f"unknown options: {', '.join(sorted(unknown))}")
        vars(self).update(defaults | values)

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__qualname__}({', '.join(map('{}={!r}'.format, vars(self), vars(self).values()))})"


def option(default: Any, kind: OptionType, help: str, section: str, **extra: Any) -> Any:  # noqa: A002 - the name of the field
    """Declare a field of `Config`; `extra` holds further fields of `Option`."""
    return field(default=default, metadata={"option": _Declared(kind, help, section, extra)})


def declared(config: type) -> tuple[Option, ...]:
    """Options of a configuration dataclass, in declaration order."""
    found = []
    for each in fields(config):
        about: _Declared = each.metadata["option"]
        default = None if each.default is MISSING else each.default
        found.append(Option(each.name, about.kind, default, about.help, about.section, **about.extra))
    return tuple(found)
