"""The answer after which a connection is closed, because what came on it was no request that can be served."""

from __future__ import annotations

from corn.server.http.errors import HTTPError, plain_response
from corn.server.http.response_fields import encode_fields, status_line


def error_response(refusal: HTTPError, defaults: bytes) -> bytes:
    """All the bytes that refuse; `defaults` are the fields that corn adds to every response."""
    headers, body = plain_response(refusal.status, refusal.reason)
    fields = encode_fields([*headers, *refusal.fields])[0] + defaults + b"connection: close\r\n\r\n"
    return status_line(refusal.status) + fields + body
