"""From bytes to frames, with every header block whole (RFC 9113, 4.1 and 4.3).

What is held is bounded: one frame that is not complete, and one header block, whose size and number of frames are
limited, because nothing else may come before its end (a "CONTINUATION flood" is one that has none).
"""

from __future__ import annotations

from collections.abc import Iterator

from corn.server.http2.frames import (
    CONTINUATION,
    END_HEADERS,
    HAS_PRIORITY,
    HEADER,
    HEADERS,
    MAX_FRAME,
    MAX_STREAM,
    ErrorCode,
    HTTP2ConnectionError,
    unpadded,
)

Frame = tuple[int, int, int, bytes]  # type, flags, stream, payload

_SIZE = HEADER.size
_PRIORITY_SIZE = 5
_OF_BLOCKS = (HEADERS, CONTINUATION)
_KIND = 3  # where a frame says what it is
_DATA = b"\0"
_MOST_FRAMES = 32  # of a header block


class FrameReader:
    """Splits what a connection receives. A HEADERS frame is given with its CONTINUATIONs, and nothing but the block."""

    __slots__ = ("_block", "_block_of", "_flags", "_frames", "_held", "_limit")

    def __init__(self, limit: int) -> None:
        self._held = b""
        self._limit = limit
        self._block_of = 0  # the stream whose header block is not complete
        self._block = b""
        self._flags = 0
        self._frames = 0

    @property
    def is_amid_head(self) -> bool:
        """Whether a header block has begun and not ended, or a frame that is not of a body."""
        return bool(self._block_of or (self._held and self._held[_KIND : _KIND + 1] != _DATA))

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with `data`; raises ConnectionFault."""
        if self._held:
            data = self._held + data
        at, size = 0, len(data)
        self._held = b""
        while size - at >= _SIZE:
            high, low, kind, flags, stream = HEADER.unpack_from(data, at)
            start = at + _SIZE
            end = start + (high << 8 | low)
            if end - start > MAX_FRAME:
                raise HTTP2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "a frame is too large")
            if end > size:
                break
            at = end
            if self._block_of or kind in _OF_BLOCKS:
                found = self._headers(kind, flags, stream & MAX_STREAM, data[start:end])
                if found is not None:
                    yield found
            else:
                yield kind, flags, stream & MAX_STREAM, data[start:end]
        self._held = data[at:]

    def _headers(self, kind: int, flags: int, stream: int, payload: bytes) -> Frame | None:
        if kind == HEADERS and not self._block_of:
            block = unpadded(flags, payload)
            if flags & HAS_PRIORITY:
                block = _without_priority(stream, block)
            if flags & END_HEADERS:
                return kind, flags, stream, block
            self._block_of, self._block, self._flags, self._frames = stream, block, flags, 1
            if not stream:
                raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a header block on no stream")
        elif kind == CONTINUATION and stream == self._block_of and stream:
            self._block += payload
            self._frames += 1
        else:
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a header block is not continued where it should be")
        if len(self._block) > self._limit or self._frames > _MOST_FRAMES:
            raise HTTP2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "a header block is too large")
        if not flags & END_HEADERS:
            return None
        self._block_of = 0
        return HEADERS, self._flags, stream, self._block


def _without_priority(stream: int, block: bytes) -> bytes:
    """The block behind the priority, which corn does not heed (RFC 9113, 5.3.2)."""
    if len(block) < _PRIORITY_SIZE:
        raise HTTP2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "a HEADERS frame without its priority")
    if int.from_bytes(block[:4], "big") & MAX_STREAM == stream:
        raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a stream depends on itself")
    return block[_PRIORITY_SIZE:]
