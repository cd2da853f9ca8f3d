"""HTTP/2 on plain-text connections: prior knowledge and `Upgrade: h2c` (RFC 9113, 3.3; RFC 7540, 3.2).

Prior knowledge, a connection that begins with the preface of HTTP/2, is what proxies use for their backends; it is
always served. The upgrade is obsolete, and off unless `--h2c-upgrade` is given: a proxy that does not know these fields
and passes them on no longer sees the requests that follow ("h2c smuggling"), so its rules for paths and headers do not
apply. nginx and HAProxy do not offer it either. If it is on, it is accepted for complete upgrade requests without a
body and without forwarding fields of a proxy; all other requests are served over HTTP/1.1 (RFC 9110, 7.8).
"""

from __future__ import annotations

import base64
import binascii

from corn.server.http.head import RequestHead
from corn.server.http2.frames import HTTP2ConnectionError, read_settings

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: h2c\r\n\r\n"
PRIOR_KNOWLEDGE = b"PRI * HTTP/2.0"  # the preface of HTTP/2, parsed as a head


def upgrade_settings(head: RequestHead) -> bytes | None:
    """Settings of a request that upgrades to HTTP/2; None for other requests."""
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
    """Convert the head to that of an HTTP/2 request."""
    of_connection = (b"connection", b"upgrade", b"http2-settings", *head.options)
    head.headers[:] = [field for field in head.headers if field[0] not in of_connection]
    head.version, head.upgrade, head.accepts_trailers = "2", b"", True
    return head
