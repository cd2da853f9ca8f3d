"""The kinds of options that only the log knows."""

from __future__ import annotations

from dataclasses import dataclass

from corn.logs.levels import LEVELS, parse_levels


@dataclass(frozen=True, slots=True)
class Levels:
    """A level, and perhaps others for parts, kept as it was written, in lower case."""

    metavar: str = "|".join(LEVELS)

    def parse(self, raw: object) -> str:
        text = raw.lower().replace(" ", "") if isinstance(raw, str) else ""
        parse_levels(text)
        return text

    def show(self, value: str) -> str:
        return value
