"""Files that are served without asking the application."""

from __future__ import annotations

from dataclasses import dataclass

from corn.config.options import option
from corn.config.sections._static_types import Mount
from corn.config.types import ListOf, Seconds, UrlPath

STATIC = "Static files"


@dataclass(frozen=True, kw_only=True)
class StaticOptions:
    static: tuple[str, ...] = option(
        (),
        ListOf(Mount()),
        "Serve the files of DIRECTORY under PATH; what is no file there goes to the application. May be repeated.",
        STATIC,
    )
    static_max_age: float = option(
        60.0, Seconds(), "How long clients may use a static file without asking again.", STATIC
    )
    static_immutable: tuple[str, ...] = option(
        (),
        ListOf(UrlPath("PATTERN")),
        "Paths such as /assets/* of files that never change, so that clients need not ask again for a year; may be "
        "repeated. A name with a hash in it, eight or more hexadecimal digits, counts by itself.",
        STATIC,
    )
