"""Options of static files."""

from __future__ import annotations

import re

from corn.config.options import option, section
from corn.config.types import ListOf, Seconds, url_path
from corn.frozen import frozen


@frozen
class Mount:
    """URL prefix and directory of a static mount, `/assets=./public`, kept as written."""

    metavar: str = "PATH=DIRECTORY"
    annotation: str = "str"

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
    """Split a mount into its path, without a trailing slash ("" for all paths), and its directory."""
    path, _, directory = value.partition("=")
    return path.rstrip("/"), directory


STATIC = "Static files"


@section
class StaticOptions:
    static: tuple[str, ...] = option(
        (),
        ListOf(Mount()),
        "Serve files of DIRECTORY under PATH; requests that match no file fall through to the application. "
        "May be repeated.",
        STATIC,
    )
    static_max_age: float = option(
        60.0, Seconds(), "Time for which clients may cache a static file (Cache-Control: max-age).", STATIC
    )
    static_immutable: tuple[str, ...] = option(
        (),
        ListOf(url_path("PATTERN")),
        "Path patterns such as /assets/* of files that never change; clients may cache them for a year. May "
        "be repeated. A file name with a hash in it (eight or more hexadecimal digits) counts by itself.",
        STATIC,
    )
