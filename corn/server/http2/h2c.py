"""From HTTP/1.1 to HTTP/2: by the preface of a client that knows, or by `Upgrade: h2c` (RFC 9113, 3.3; RFC 7540, 3.2).

The upgrade is obsolete, but curl asks for it. It is taken where it is asked for in full, by a request without a body,
on a plain connection; everybody else is served what was asked for in HTTP/1.1, as RFC 9110, 7.8 has it. A request that
names a client behind a proxy is never upgraded: a proxy that passed these fields on would be blind from then on to what
its clients ask for ("h2c smuggling").
"""

from __future__ import annotations

import base64
import binascii

from corn.server.http.head import RequestHead
from corn.server.http2.frames import HTTP2ConnectionError, read_settings

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: h2c\r\n\r\n"
PRIOR_KNOWLEDGE = b"PRI * HTTP/2.0"  # the head that the preface looks like


def upgrade_settings(head: RequestHead) -> bytes | None:
    """The settings with which a request asks for HTTP/2; None where it does not."""
    values = [value for name, value in head.headers if name == b"http2-settings"]
    options = {b"upgrade", b"http2-settings"}
    if head.upgrade != b"h2c" or len(values) != 1 or not options <= head.options or not head.minor:
        return None
    if head.length or head.chunked or head.forwarded:
        return None
    try:
        settings = base64.b64decode(values[0] + b"=" * (-len(values[0]) % 4), altchars=b"-_", validate=True)
        read_settings(settings)
    except (binascii.Error, HTTP2ConnectionError):
        return None
    return settings


def without_upgrade(head: RequestHead) -> RequestHead:
    """The head as a request of HTTP/2 has it."""
    of_connection = (b"connection", b"upgrade", b"http2-settings", *head.options)
    head.headers[:] = [field for field in head.headers if field[0] not in of_connection]
    head.version, head.upgrade, head.accepts_trailers = "2", b"", True
    return head
