"""Header block encoder of responses (HPACK, RFC 7541).

Checked field lines are encoded without the dynamic table: a block does not depend on earlier ones, so it is encoded
once for all connections, and a secret in it is never compressed together with text that an attacker chose (RFC 7541,
7.1). This takes some more bytes for each response; nginx does the same.
"""

from __future__ import annotations

import logging

from hpack.hpack import encode_integer
from hpack.table import HeaderTable

from corn.server.http.cache import BoundedCache

logging.getLogger("hpack").setLevel(logging.INFO)  # it would log every length that it encodes

EMPTY_TABLE = b"\x20"  # a dynamic table of size 0: announced once to a peer that limits it (RFC 7541, 4.2)

_OF_HTTP1 = (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
_STATIC = {name: index for index, (name, _) in reversed(list(enumerate(HeaderTable.STATIC_TABLE, start=1)))}
_STATIC_FIELDS = {field: index for index, field in enumerate(HeaderTable.STATIC_TABLE, start=1)}


def encode_lines(lines: bytes) -> bytes:
    """Encode checked field lines, each with its CRLF, as a block."""
    pairs = (line.partition(b": ") for line in lines.split(b"\r\n")[:-1])
    fields = ((name.lower(), value.strip(b" \t")) for name, _, value in pairs)
    return b"".join([encode_field(name, value) for name, value in fields if name not in _OF_HTTP1])


def encode_status(status: int) -> bytes:
    """Encode the pseudo-header field of a response (RFC 9113, 8.3.2)."""
    return encode_field(b":status", b"%d" % status)


def encode_field(name: bytes, value: bytes) -> bytes:
    """Encode one field: a reference to the static table where it has the field, else a literal that is not indexed."""
    whole = _STATIC_FIELDS.get((name, value))
    if whole is not None:
        return bytes((0x80 | whole,))
    index = _STATIC.get(name, 0)
    return b"".join((encode_integer(index, 4), _string(name) if not index else b"", _string(value)))


def _string(value: bytes) -> bytes:
    return bytes(encode_integer(len(value), 7)) + value


ENCODED_LINES = BoundedCache(encode_lines, len)
ENCODED_STATUS = BoundedCache(encode_status, len)
