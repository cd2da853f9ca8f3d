"""The kinds of options that only HTTP knows: header fields, networks, and the access log's format."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_FIELD = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")

# One atom of gunicorn's format strings: %(h)s, or %({name}i)s for a header.
ATOM = re.compile(r"%\((?:(?P<atom>[hlutrmUqHsBbfaTMDLp])|\{(?P<name>[^{}]+)\}(?P<kind>[ioe]))\)s")


@dataclass(frozen=True, slots=True)
class HeaderField:
    """A response header, `Name: value`."""

    metavar: str = "NAME:VALUE"

    def parse(self, raw: object) -> str:
        match = _FIELD.fullmatch(raw.strip()) if isinstance(raw, str) else None
        if match is None:
            raise ValueError("expected a header such as 'X-Frame-Options: DENY'")
        return f"{match[1]}: {match[2].strip()}"

    def show(self, value: str) -> str:
        return value


@dataclass(frozen=True, slots=True)
class Network:
    """An address, a network in CIDR notation, or `*` for everyone."""

    metavar: str = "NETWORK"

    def parse(self, raw: object) -> str:
        if raw == "*":
            return "*"
        try:
            return str(ipaddress.ip_network(str(raw), strict=False))
        except ValueError:
            raise ValueError("expected an address, a network such as 10.0.0.0/8, or *") from None

    def show(self, value: str) -> str:
        return value


@dataclass(frozen=True, slots=True)
class LineFormat:
    """A line of the access log, with gunicorn's atoms in it."""

    metavar: str = "FORMAT"

    def parse(self, raw: object) -> str:
        rest = ATOM.sub("", raw).replace("%%", "") if isinstance(raw, str) else "%"
        if not raw or "%" in rest or not rest.isprintable():
            raise ValueError("expected a line with atoms such as %(h)s, %(r)s, %(s)s or %({user-agent}i)s")
        return str(raw)

    def show(self, value: str) -> str:
        return value
