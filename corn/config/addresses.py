"""Parser of the addresses that `--bind` accepts."""

from __future__ import annotations

import re

from corn.frozen import frozen

DEFAULT_PORT = 8000

_EXPECTED = "expected host:port, [::1]:port, unix:path, unix:@name, fd://N or fd://NAME"
_HOST_AND_PORT = re.compile(r"(?:\[([0-9a-fA-F:.]+(?:%\w+)?)\]|([^\s:/\[\]]*))(?::([0-9]{1,5}))?")


@frozen
class TcpAddress:
    """Host name or IP address (IPv6 without brackets) and port; port 0 picks a free one."""

    host: str
    port: int


@frozen
class UnixAddress:
    """Path of a Unix socket; one that begins with @ is a name in the abstract namespace (unix(7))."""

    path: str

    @property
    def is_abstract(self) -> bool:
        return self.path.startswith("@")


@frozen
class InheritedAddress:
    """File descriptor inherited from the process that started corn."""

    fd: int


@frozen
class NamedAddress:
    """Sockets that a service manager passes under a name (systemd: FileDescriptorName=)."""

    name: str


def parse_address(text: str) -> TcpAddress | UnixAddress | InheritedAddress | NamedAddress:
    """Parse an address; raises ValueError that says what was expected.

    `:port` is that port on all IPv4 addresses, and a host alone has port 8000. A number alone is refused, because
    getaddrinfo(3) would interpret 8080 as the address 0.0.31.144.
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
