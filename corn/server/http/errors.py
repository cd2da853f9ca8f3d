"""Error responses: requests that cannot be served, and the responses that close the connection."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from corn.server.http.response_fields import encode_fields, status_line


class HTTPError(Exception):
    """Refusal: corn answers the request itself with `status` and `fields`; `reason` is for the body and the log.

    The connection is always closed after it, because the bytes that follow cannot be trusted (RFC 9112, 9.6 and 11.2).
    """

    def __init__(self, status: int, reason: str, fields: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.fields = fields


def plain_response(status: int, reason: str = "") -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of a response that corn generates itself."""
    phrase = HTTPStatus(status).phrase
    body = f"{phrase}: {reason}\n".encode() if reason else f"{phrase}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"1"))
    return headers, body


def error_response(refusal: HTTPError, defaults: bytes) -> bytes:
    """Complete response for a refusal, as bytes; `defaults` are the fields that corn adds to every response."""
    headers, body = plain_response(refusal.status, refusal.reason)
    options = b"close, upgrade" if any(name == b"upgrade" for name, _ in refusal.fields) else b"close"  # RFC 9110, 7.8
    fields = encode_fields([*headers, *refusal.fields])[0] + defaults + b"connection: " + options + b"\r\n\r\n"
    return status_line(refusal.status) + fields + body
