"""Connection to a listener of `--redirect-bind`: redirects one plain-text request to HTTPS, and closes.

The status is 308 (RFC 9110, 15.4.9), which keeps the method and the body. The host is that of the request, the port
that of the first TLS listener. Headers such as Strict-Transport-Security are left to the application.
"""

from __future__ import annotations

import re

from corn.server.asgi.scope import Endpoints
from corn.server.context import ServerContext
from corn.server.http.errors import HTTPError, error_response
from corn.server.http.head import RequestHead
from corn.server.http.response_fields import encode_fields, status_line
from corn.server.http.target import GOOD, origin_form
from corn.server.http1.parser import parse_head
from corn.server.lingering_close import close_lingering
from corn.server.opening_connection import OpeningConnection


class HTTPSRedirect(OpeningConnection):
    """Protocol that reads one head, responds with the redirect, and closes."""

    __slots__ = ("_data", "_ends", "_port")

    def __init__(self, service: ServerContext, ends: Endpoints, port: int | None) -> None:
        super().__init__(service, service.header_deadline)
        self._ends = ends
        self._port = port
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self.extend()
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        try:
            if (len(self._data) if end < 0 else end) > self.service.limit_header_size:
                raise HTTPError(431, "the header fields are too large")
            if end >= 0:
                self._redirect(parse_head(self._data[:end], self.service.limit_header_count))
        except HTTPError as refusal:
            self._answer(refusal, error_response(refusal, self.service.defaults))

    def _redirect(self, head: RequestHead) -> None:
        headers = [(b"location", location(head, self._port)), (b"content-length", b"0")]
        fields = encode_fields(headers)[0] + self.service.defaults + b"connection: close\r\n\r\n"
        self._answer(HTTPError(308, "redirected to HTTPS"), status_line(308) + fields, head)

    def _answer(self, refusal: HTTPError, answer: bytes, head: RequestHead | None = None) -> None:
        if self.service.access is not None:
            self.service.access.refused(self._ends.client, refusal, head)
        self.transport.write(answer)
        self.service.connections.discard(self)
        close_lingering(self.service, self.transport)


def location(head: RequestHead, port: int | None) -> bytes:
    """URL of the same resource at `port`, over HTTPS; raises `HTTPError` for a target or host that cannot be used."""
    target, authority = head.target, head.host
    if target[:1] != b"/" or target.translate(None, GOOD):
        target, named = origin_form(head.method, target)
        authority = named or authority
    if not authority:
        raise HTTPError(400, "no host to redirect to")
    host = authority if authority.endswith(b"]") else re.sub(rb":[0-9]*$", b"", authority)
    suffix = b"" if port in (None, 443) else b":%d" % port
    return b"https://" + host + suffix + (b"/" if target == b"*" else target)
