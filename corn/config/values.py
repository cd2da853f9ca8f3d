"""Value of one option in one source, with the place that an error names."""

from __future__ import annotations

import json
from typing import Any

from corn.config.options import Option
from corn.config.schema import OPTIONS
from corn.errors import ConfigError
from corn.frozen import frozen

BY_NAME: dict[str, Option] = {each.name: each for each in OPTIONS}

_MAX_SHOWN = 60


@frozen
class OptionValue:
    """Parsed value. `origin` names its source for `corn config`.

    `spelling` is the option's name there (`--port`, `CORN_PORT`, `port`), and `place` precedes it in an error if the
    spelling alone does not identify the source (`corn.toml: `).
    """

    value: Any
    origin: str
    spelling: str
    place: str = ""

    @property
    def label(self) -> str:
        """Name of the option in an error, with its place."""
        return f"{self.place}{self.spelling}"


Layer = dict[str, OptionValue]
"""Values of one source, by option name."""


def parse_value(name: str, raw: object, origin: str, spelling: str, place: str = "") -> OptionValue:
    """Parse the raw value of option `name`; raises ConfigError with the place and the expected form."""
    try:
        value = BY_NAME[name].kind.parse(raw)
    except ValueError as error:
        raise ConfigError(f"{place}{spelling}: {_shown(raw)} is wrong; {error}") from None
    return OptionValue(value, origin, spelling, place)


def _shown(raw: object) -> str:
    if isinstance(raw, tuple):
        raw = ", ".join(map(str, raw))
    text = repr(raw) if isinstance(raw, str) else json.dumps(raw, default=str)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
