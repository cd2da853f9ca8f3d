"""Option types: each parses text or a TOML value, and formats the value for display.

An option type either returns the value or raises ValueError with the expected form. No other code parses options.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

from corn.config.addresses import parse_address
from corn.frozen import frozen


class OptionType(Protocol):
    """Type of an option: parser and formatter of its value."""

    @property
    def metavar(self) -> str:
        """Placeholder of the value in help texts, such as SECONDS."""

    @property
    def annotation(self) -> str:
        """Python type of the value as `corn.serve` and `corn.run` accept it."""

    def parse(self, raw: object) -> Any:
        """Convert text or a TOML value to the option's value; raises ValueError("expected ...")."""

    def show(self, value: Any) -> str:
        """Format the value as a user would type it."""


@frozen
class Text:
    metavar: str = "TEXT"

    @property
    def annotation(self) -> str:
        return "StrPath" if self.metavar.startswith(("FILE", "DIRECTORY", "PATH")) else "str"

    def parse(self, raw: object) -> str:
        if not isinstance(raw, str) or not raw or "\0" in raw:
            raise ValueError("expected a text that is not empty")
        return raw

    def show(self, value: str) -> str:
        return value


@frozen
class AnyText:
    """Text that may be empty, such as a root path."""

    metavar: str = "TEXT"
    annotation: str = "str"

    def parse(self, raw: object) -> str:
        if not isinstance(raw, str):
            raise ValueError("expected a text")
        return raw

    def show(self, value: str) -> str:
        return value


@frozen
class MatchedText:
    """Text that a pattern matches as a whole; `expected` describes it in the error for any other."""

    metavar: str
    pattern: str
    expected: str
    annotation: str = "str"

    def parse(self, raw: object) -> str:
        if not isinstance(raw, str) or not re.fullmatch(self.pattern, raw):
            raise ValueError(f"expected {self.expected}")
        return raw

    def show(self, value: str) -> str:
        return value


def url_path(metavar: str = "PATH") -> MatchedText:
    """Path of a request target, optionally with a query."""
    return MatchedText(metavar, r"/[!-~]*", "a path such as /health")


@frozen
class Integer:
    low: int
    high: int
    metavar: str = "N"
    annotation: str = "int"

    def parse(self, raw: object) -> int:
        expected = f"expected a whole number from {self.low} to {self.high}"
        if isinstance(raw, bool) or not isinstance(raw, (int, str)):
            raise ValueError(expected)
        if isinstance(raw, str) and not re.fullmatch(r"-?[0-9]{1,18}", raw):
            raise ValueError(expected)
        if not self.low <= int(raw) <= self.high:
            raise ValueError(expected)
        return int(raw)

    def show(self, value: int) -> str:
        return str(value)


@frozen
class IntegerOrAuto:
    """Whole number, or `auto` for a value that corn determines."""

    low: int
    high: int
    metavar: str = "N|auto"
    annotation: str = 'int | Literal["auto"]'

    def parse(self, raw: object) -> int | str:
        if isinstance(raw, str) and raw.lower() == "auto":
            return "auto"
        try:
            return Integer(self.low, self.high).parse(raw)
        except ValueError as error:
            raise ValueError(f"{error}, or auto") from None

    def show(self, value: int | str) -> str:
        return str(value)


@frozen
class NumberOrRange(IntegerOrAuto):
    """As `IntegerOrAuto`, or a range such as 2..8, within which corn chooses as it runs."""

    metavar: str = "N|N..M|auto"
    annotation: str = "int | str"

    def parse(self, raw: object) -> int | str:
        minimum, dots, maximum = raw.partition("..") if isinstance(raw, str) else ("", "", "")
        if not dots:
            try:
                return IntegerOrAuto.parse(self, raw)
            except ValueError as error:
                raise ValueError(f"{error}, or a range such as 2..8") from None
        ends = [Integer(self.low, self.high).parse(each) for each in (minimum, maximum)]
        if ends[0] > ends[1]:
            raise ValueError("expected the smaller number of a range first, as in 2..8")
        return ends[0] if ends[0] == ends[1] else f"{ends[0]}..{ends[1]}"


@frozen
class Seconds:
    """Time in seconds; `low` is the minimum."""

    low: float = 0.0
    high: float = 1e9
    metavar: str = "SECONDS"
    annotation: str = "float"

    def parse(self, raw: object) -> float:
        expected = f"expected seconds, {self.low:g} or more" if self.low else "expected seconds, 0 or more"
        if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
            raise ValueError(expected)
        if isinstance(raw, str) and not re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,9})?", raw):
            raise ValueError(expected)
        if not self.low <= float(raw) <= self.high:
            raise ValueError(expected)
        return float(raw)

    def show(self, value: float) -> str:
        return f"{value:.9f}".rstrip("0").rstrip(".")


@frozen
class ApplicationName:
    """Import string of the application: a module, a colon, and an attribute, which may be dotted."""

    metavar: str = "MODULE:ATTRIBUTE"
    annotation: str = "str"

    def parse(self, raw: object) -> str:
        if isinstance(raw, str) and _names_attribute(raw):
            return raw
        guess = _guess_application(raw) if isinstance(raw, str) else ""
        raise ValueError(f"expected {self.metavar}, " + (f"perhaps {guess}" if guess else "such as main:app"))

    def show(self, value: str) -> str:
        return value


def _names_attribute(text: str) -> bool:
    return text.count(":") == 1 and all(part.isidentifier() for part in re.split("[.:]", text))


def _guess_application(text: str) -> str:
    """Suggest an import string for `src/main.py`, `main` or `main:create_app()`, or ""."""
    module, _, attribute = text.partition(":")
    module = module.removeprefix("./").removesuffix(".py").replace("/", ".")
    usual = "application" if module.endswith(("wsgi", "asgi")) else "app"  # as in a Django project
    guess = f"{module}:{attribute.removesuffix('()') or usual}"
    return guess if _names_attribute(guess) else ""


@frozen
class Address:
    """Address to listen on, kept as written."""

    metavar: str = "ADDRESS"
    annotation: str = "str"

    def parse(self, raw: object) -> str:
        text = raw if isinstance(raw, str) else ""
        parse_address(text)
        return text

    def show(self, value: str) -> str:
        return value


_UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3}


@frozen
class Size:
    """Number of bytes with an optional unit (KB, MB, GB are powers of 1000, KiB ... of 1024)."""

    low: int = 0
    high: int = 10**18
    metavar: str = "SIZE"
    annotation: str = "int | str"

    def parse(self, raw: object) -> int:
        expected = "expected a size such as 65536, 64KiB or 512MB"
        if isinstance(raw, bool) or not isinstance(raw, (int, str)):
            raise ValueError(expected)
        match = re.fullmatch(r"([0-9]{1,15})\s*([a-zA-Z]*)", str(raw))
        if match is None or match[2].upper() not in _UNITS:
            raise ValueError(expected)
        value = int(match[1]) * _UNITS[match[2].upper()]
        if value < self.low:
            raise ValueError(f"expected a size of at least {self.show(self.low)}")
        if value > self.high:
            raise ValueError(f"expected a size of at most {self.show(self.high)}")
        return value

    def show(self, value: int) -> str:
        for unit, name in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
            if value and value % unit == 0:
                return f"{value // unit}{name}"
        return str(value)


@frozen
class Flag:
    """On or off: `--name` or `--no-name` as a flag, a boolean in TOML, true/false/1/0/yes/no/on/off in text."""

    metavar: str = ""
    annotation: str = "bool"

    def parse(self, raw: object) -> bool:
        words = {
            "true": True,
            "1": True,
            "yes": True,
            "on": True,
            "false": False,
            "0": False,
            "no": False,
            "off": False,
        }
        if isinstance(raw, bool):
            return raw
        if isinstance(raw, str) and raw.lower() in words:
            return words[raw.lower()]
        raise ValueError("expected true or false")

    def show(self, value: bool) -> str:
        return "true" if value else "false"


def literal(names: tuple[str, ...]) -> str:
    """Write the annotation that allows exactly these names."""
    quoted = (f'"{name}"' for name in names)
    return f"Literal[{', '.join(quoted)}]"


@frozen
class Choice:
    names: tuple[str, ...]

    @property
    def annotation(self) -> str:
        return literal(self.names)

    @property
    def metavar(self) -> str:
        return "|".join(self.names)

    def parse(self, raw: object) -> str:
        if isinstance(raw, str) and raw.lower() in self.names:
            return raw.lower()
        raise ValueError(f"expected one of {', '.join(self.names)}")

    def show(self, value: str) -> str:
        return value


@frozen
class HostName:
    """Host name in lower case, `.name` for its subdomains, or `*`."""

    metavar: str = "NAME"
    annotation: str = "str"

    def parse(self, raw: object) -> str:
        name = raw.lower() if isinstance(raw, str) else ""
        if name != "*" and not re.fullmatch(r"\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*", name):
            raise ValueError("expected a host name without a port, such as app.example, .example or *")
        return name

    def show(self, value: str) -> str:
        return value


@frozen
class Mode:
    """File mode in octal, as chmod(1) takes it."""

    metavar: str = "OCTAL"
    annotation: str = "int | str"

    def parse(self, raw: object) -> int:
        text = raw if isinstance(raw, str) else ""
        if not re.fullmatch(r"(0o)?[0-7]{3,4}", text):
            raise ValueError('expected permissions in octal, such as "660"')
        return int(text.removeprefix("0o"), 8)

    def show(self, value: int) -> str:
        return f"{value:03o}"


@frozen
class ListOf:
    """Repeatable option; a list in TOML, separated by commas in a variable.

    An item that is wrong as a whole may be a list, too: uvicorn and gunicorn separate by commas on the command line.
    """

    item: OptionType

    @property
    def annotation(self) -> str:
        return f"{self.item.annotation} | Sequence[{self.item.annotation}]"

    @property
    def metavar(self) -> str:
        return self.item.metavar

    def parse(self, raw: object) -> tuple[Any, ...]:
        if isinstance(raw, str):
            raw = [part.strip() for part in raw.split(",") if part.strip()]
        if not isinstance(raw, (list, tuple)):
            raise ValueError("expected a list")
        return tuple(value for part in raw for value in self._values(part))

    def _values(self, part: object) -> tuple[Any, ...]:
        try:
            return (self.item.parse(part),)
        except ValueError:
            if isinstance(part, str) and "," in part:
                return self.parse(part)
            raise

    def show(self, value: tuple[Any, ...]) -> str:
        return ", ".join(self.item.show(part) for part in value)


@frozen
class Nullable:
    """Option that is unset (None) by default; no text stands for None."""

    item: OptionType

    @property
    def annotation(self) -> str:
        return f"{self.item.annotation} | None"

    @property
    def metavar(self) -> str:
        return self.item.metavar

    def parse(self, raw: object) -> Any:
        return self.item.parse(raw)

    def show(self, value: Any) -> str:
        return "" if value is None else self.item.show(value)
