"""The kinds of options that only static files know."""

from __future__ import annotations

import re
from dataclasses import dataclass


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
