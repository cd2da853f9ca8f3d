"""One option's value as one source gives it, and how an error names the place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from corn.config.options import Option
from corn.config.schema import OPTIONS
from corn.errors import ConfigError

BY_NAME: dict[str, Option] = {each.name: each for each in OPTIONS}

_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class OptionValue:
    """A parsed value. `origin` names its source for `corn config`.

    `word` is what the option is called there (`--port`, `CORN_PORT`, `port`), and `place` goes before it in an error
    where the word alone does not tell the source (`corn.toml: `).
    """

    value: Any
    origin: str
    word: str
    place: str = ""


Layer = dict[str, OptionValue]
"""What one source gives, by option name."""


def parse_value(name: str, raw: object, origin: str, word: str, place: str = "") -> OptionValue:
    """Parse what a source holds for the option `name`; raises ConfigError with the place and what was expected."""
    try:
        value = BY_NAME[name].kind.parse(raw)
    except ValueError as error:
        raise ConfigError(f"{place}{word}: {_shown(raw)} is wrong; {error}") from None
    return OptionValue(value, origin, word, place)


def _shown(raw: object) -> str:
    if isinstance(raw, tuple):
        raw = ", ".join(map(str, raw))
    text = repr(raw) if isinstance(raw, str) else json.dumps(raw, default=str)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."
