"""Files that are served without asking the application."""

from __future__ import annotations

import re
from dataclasses import dataclass

from corn.config.options import option
from corn.config.types import ListOf, Seconds, UrlPath


@dataclass(frozen=True, slots=True)
class Mount:
    """A path of requests and the directory that answers it, `/assets=./public`; kept as it was written."""

    metavar: str = "PATH=DIRECTORY"

    def parse(self, raw: object) -> str:
        expected = "expected a path and a directory such as /assets=./public"
        if not isinstance(raw, str) or "\0" in raw:
            raise ValueError(expected)
        path, _, directory = raw.partition("=")
        if not directory or not re.fullmatch(r"/[!-~]*", path) or re.search(r"[?#%\\]|//|/\.{1,2}(/|$)", path):
            raise ValueError(expected)
        return raw

    def show(self, value: str) -> str:
        return value


def split_mount(value: str) -> tuple[str, str]:
    """The path, which ends in no slash ("" is all paths), and the directory."""
    path, _, directory = value.partition("=")
    return path.rstrip("/"), directory


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
