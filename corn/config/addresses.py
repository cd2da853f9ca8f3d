"""The addresses that `--bind` takes: what may be written, and what it means."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_PORT = 8000

_EXPECTED = "expected host:port, [::1]:port, unix:path, fd://N or fd://NAME"
_HOST_AND_PORT = re.compile(r"(?:\[([0-9a-fA-F:.]+(?:%\w+)?)\]|([^\s:/\[\]]*))(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host name or an IP address (IPv6 without its brackets) and a port; port 0 picks a free one."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class UnixAddress:
    path: str


@dataclass(frozen=True, slots=True)
class InheritedAddress:
    """A descriptor that whoever started corn has left open for it."""

    fd: int


@dataclass(frozen=True, slots=True)
class NamedAddress:
    """The sockets that a service manager passes under a name (systemd: FileDescriptorName=)."""

    name: str


def parse_address(text: str) -> TcpAddress | UnixAddress | InheritedAddress | NamedAddress:
    """Read an address; raises ValueError, with what was expected, where it is none.

    `:port` is that port on all IPv4 addresses, and a host alone is that host's port 8000. A number alone is refused:
    getaddrinfo(3) would take 8080 for the address 0.0.31.144.
    """
    if text.startswith("unix:") and len(text) > len("unix:"):
        return UnixAddress(text.removeprefix("unix:"))
    if match := re.fullmatch(r"fd://([0-9]{1,5})", text):
        return InheritedAddress(int(match[1]))
    if match := re.fullmatch(r"fd://([\w.@-]{1,255})", text, re.ASCII):
        return NamedAddress(match[1])
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None or not text or int(match[3] or 0) > 65535 or text.isdigit():
        raise ValueError(_EXPECTED)
    return TcpAddress(match[1] or match[2] or "0.0.0.0", int(match[3] or DEFAULT_PORT))
