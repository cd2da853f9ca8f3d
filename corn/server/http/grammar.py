"""Character classes of HTTP messages (RFC 9110, 5.5 and 5.6.2), for requests and responses alike."""

from __future__ import annotations

import re

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Bytes allowed in a field line: all but control characters other than HTAB. For `bytes.translate`.
PRINTABLE = bytes(byte for byte in range(256) if byte == 0x09 or (byte >= 0x20 and byte != 0x7F))
