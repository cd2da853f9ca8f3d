"""Incremental decoders of request bodies (RFC 9112, 6.2 and 7.1).

Both decoders accept pieces of any size, return the content in them, and report the end of the body and the bytes after
it. They buffer at most one incomplete line, and the pieces beyond `_MAX_CHUNKS` chunks: a piece of 256 KiB can have
40,000 chunks, which would block the event loop for 15 ms, while other connections wait.
"""

from __future__ import annotations

import re
import sys
from typing import Protocol

from corn.server.http.errors import HTTPError
from corn.server.http.grammar import PRINTABLE, TOKEN

_MAX_LINE = 1024
_MAX_CHUNKS = 1024  # decoded in one call
_EXTENSION = (
    rb"[ \t]*;[ \t]*"
    + TOKEN.pattern
    + rb"(?:[ \t]*=[ \t]*(?:"
    + TOKEN.pattern
    + rb'|"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\t\x20-\x7e])*"))?'
)
_PLAIN_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:" + _EXTENSION + rb")*")


class BodyDecoder(Protocol):
    """Decoder of a request's body; `rest` is meaningful once `done`."""

    done: bool
    rest: bytes
    holds: bool  # there is more to decode: `feed` is to be called in the next iteration, if without new data

    def feed(self, data: bytes) -> bytes:
        """Decode the content of `data`; raises `HTTPError` for invalid framing."""


class LengthBody:
    """Decoder of a body of known length."""

    __slots__ = ("done", "holds", "remaining", "rest")

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.done = self.holds = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        size = len(data)
        if size < self.remaining:
            self.remaining -= size
            return data
        self.done = True
        self.rest = data[self.remaining :]
        return data[: self.remaining]


class ChunkedBody:
    """Decoder of a chunked body.

    Chunk extensions and trailers are validated and dropped, because ASGI has no message for them.
    """

    __slots__ = ("_budget", "_held", "_left", "_limit", "_position", "_trailers", "done", "holds", "rest")

    def __init__(self, limit_trailers: int, limit_body: int | None = None) -> None:
        self._budget = sys.maxsize if limit_body is None else limit_body
        self._left = 0  # bytes until the end of the chunk, its CRLF included; 0 when a size is due
        self._held = b""
        self._position = 0  # in `_held`
        self._limit = limit_trailers
        self._trailers = False
        self.done = self.holds = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        content: list[bytes] = []
        position = 0
        if self._held:
            data, position = (self._held[self._position :] + data, 0) if data else (self._held, self._position)
        self._held, self._position, self.holds = b"", 0, False
        while position < len(data) and not self.done:
            if len(content) == _MAX_CHUNKS:
                self._held, self._position, self.holds = data, position, True
                break
            if self._left:
                position = self._read_chunk(data, position, content)
            else:
                following = self._read_whole(data, position, content) or self._read_line(data, position)
                if following is None:
                    self._held = data[position:]
                    break
                position = following
        if self.done:
            self.rest = data[position:]
        return content[0] if len(content) == 1 else b"".join(content)

    def _read_whole(self, data: bytes, position: int, content: list[bytes]) -> int:
        """Read a chunk that is complete and has no extensions; returns its end, or 0 for any other."""
        match = None if self._trailers else _PLAIN_SIZE.match(data, position)
        if match is None:
            return 0
        size, start = int(match[1], 16), match.end()
        end = start + size
        if not size or data[end : end + 2] != b"\r\n":
            return 0
        self._spend(size)
        content.append(data[start:end])
        return end + 2

    def _read_chunk(self, data: bytes, position: int, content: list[bytes]) -> int:
        if self._left > 2:
            piece = data[position : position + self._left - 2]
            content.append(piece)
            self._left -= len(piece)
            return position + len(piece)
        expected = b"\r\n"[2 - self._left]
        if data[position] != expected:
            raise HTTPError(400, "chunk data without its CRLF")
        self._left -= 1
        return position + 1

    def _read_line(self, data: bytes, position: int) -> int | None:
        """Read one line of framing; returns its end, or None if it is incomplete."""
        end = data.find(b"\n", position)
        if end < 0:
            if len(data) - position > _MAX_LINE:
                raise HTTPError(400, "chunk line too long")
            return None
        if end == position or data[end - 1] != 0x0D:
            raise HTTPError(400, "a line of chunked framing that does not end in CRLF")
        line = data[position : end - 1]
        if self._trailers:
            self._trailer(line)
        else:
            self._size(line)
        return end + 1

    def _size(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None or len(line) > _MAX_LINE:
            raise HTTPError(400, "invalid chunk size")
        size = int(match[1], 16)
        self._spend(size)
        if size:
            self._left = size + 2
        else:
            self._trailers = True

    def _spend(self, size: int) -> None:
        self._budget -= size
        if self._budget < 0:
            raise HTTPError(413, "the body is too large")

    def _trailer(self, line: bytes) -> None:
        if not line:
            self.done = True
            return
        self._limit -= len(line) + 2
        if self._limit < 0:
            raise HTTPError(431, "trailers too large")
        name, colon, _ = line.partition(b":")
        if not colon or not TOKEN.fullmatch(name) or line.translate(None, PRINTABLE):
            raise HTTPError(400, "invalid trailer")
