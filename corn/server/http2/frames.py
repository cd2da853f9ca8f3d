"""HTTP/2 frames: codec, settings, and the reader that splits a connection's bytes (RFC 9113, 4, 6 and 7).

The reader buffers at most one incomplete frame and one header block. The size and the number of frames of a header
block are limited, against a "CONTINUATION flood": no other frame may arrive before the block ends.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from corn.config import Config

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_FRAME: Final = 16384  # bytes of payload that every peer accepts; corn sends no more
MAX_WINDOW: Final = (1 << 31) - 1
MAX_STREAM: Final = (1 << 31) - 1
INITIAL_WINDOW: Final = 65535

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
HAS_PRIORITY: Final = 0x20

HEADER: Final = struct.Struct("!HBBBL")  # length (its high 16 bits, its low 8), type, flags, stream
_LONG: Final = struct.Struct("!L")

# Settings (RFC 9113, 6.5.2; RFC 8441, 3; RFC 9218, 2.1)
HEADER_TABLE_SIZE: Final = 1
ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_FRAME_SIZE: Final = 5
MAX_HEADER_LIST_SIZE: Final = 6
ENABLE_CONNECT_PROTOCOL: Final = 8
NO_RFC7540_PRIORITIES: Final = 9

DEFAULT_TABLE: Final = 4096
_SETTING = struct.Struct("!HL")
_MAX_SETTING_FRAME = (1 << 24) - 1

Frame = tuple[int, int, int, bytes]  # type, flags, stream, payload

_SIZE = HEADER.size
_PRIORITY_SIZE = 5
_BLOCK_KINDS = (HEADERS, CONTINUATION)
_KIND = 3  # position of the type in a frame
_DATA = b"\0"
_MAX_BLOCK_FRAMES = 32  # of a header block


class ErrorCode(IntEnum):
    """Error codes of streams and connections (RFC 9113, 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class HTTP2ConnectionError(Exception):
    """Protocol error that ends the connection (RFC 9113, 5.4.1)."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(f"{code.name}: {reason}")
        self.code = code
        self.reason = reason


class HTTP2StreamError(Exception):
    """Protocol error that concerns one stream only (RFC 9113, 5.4.2)."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(f"{code.name}: {reason}")
        self.code = code
        self.reason = reason


class MalformedRequestError(HTTP2StreamError):
    """Malformed request (RFC 9113, 8.1.1)."""

    def __init__(self, reason: str) -> None:
        super().__init__(ErrorCode.PROTOCOL_ERROR, reason)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Serialize one frame."""
    size = len(payload)
    return HEADER.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def header_frames(stream: int, block: bytes, *, end: bool) -> bytes:
    """Serialize a header block into as many frames as it needs."""
    if len(block) <= MAX_FRAME:
        return frame(HEADERS, END_HEADERS | end, stream, block)
    parts = [block[at : at + MAX_FRAME] for at in range(0, len(block), MAX_FRAME)]
    frames = [frame(HEADERS, int(end), stream, parts[0])]
    frames += [frame(CONTINUATION, 0, stream, part) for part in parts[1:-1]]
    return b"".join([*frames, frame(CONTINUATION, END_HEADERS, stream, parts[-1])])


def reset(stream: int, code: ErrorCode) -> bytes:
    return frame(RST_STREAM, 0, stream, _LONG.pack(code))


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, _LONG.pack(increment))


def goaway(last: int, code: ErrorCode, reason: str = "") -> bytes:
    return frame(GOAWAY, 0, 0, _LONG.pack(last) + _LONG.pack(code) + reason.encode("ascii", "replace"))


def number(payload: bytes) -> int:
    """31-bit number that is the whole payload; raises HTTP2ConnectionError for another size."""
    if len(payload) != _LONG.size:
        raise HTTP2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "a frame of the wrong size")
    value: int = _LONG.unpack(payload)[0]
    return value & MAX_WINDOW


def unpadded(flags: int, payload: bytes) -> bytes:
    """Payload without its padding (RFC 9113, 6.1)."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "more padding than payload")
    return payload[1 : len(payload) - payload[0]]


def own_settings(config: Config) -> bytes:
    """Payload of corn's SETTINGS."""
    settings = {
        MAX_CONCURRENT_STREAMS: config.http2_max_concurrent_streams,
        INITIAL_WINDOW_SIZE: config.http2_initial_stream_window_size,
        MAX_FRAME_SIZE: config.http2_max_frame_size,
        MAX_HEADER_LIST_SIZE: config.limit_header_size,
        ENABLE_CONNECT_PROTOCOL: int(config.ws != "none"),
        NO_RFC7540_PRIORITIES: 1,
    }
    return b"".join([_SETTING.pack(*each) for each in settings.items()])


def read_settings(payload: bytes) -> dict[int, int]:
    """Parse the peer's settings; raises HTTP2ConnectionError for a value that is not allowed."""
    if len(payload) % _SETTING.size:
        raise HTTP2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of the wrong size")
    settings = dict(_SETTING.iter_unpack(payload))
    if settings.get(ENABLE_PUSH, 0) > 1 or settings.get(ENABLE_CONNECT_PROTOCOL, 0) > 1:
        raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a setting is neither 0 nor 1")
    if settings.get(INITIAL_WINDOW_SIZE, 0) > MAX_WINDOW:
        raise HTTP2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE is too large")
    if not MAX_FRAME <= settings.get(MAX_FRAME_SIZE, MAX_FRAME) <= _MAX_SETTING_FRAME:
        raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "invalid SETTINGS_MAX_FRAME_SIZE")
    return settings


class FrameReader:
    """Reader that splits a connection's bytes into frames.

    A HEADERS frame and its CONTINUATIONs are returned as one frame, whose payload is the header block.
    """

    __slots__ = (
        "_block",
        "_block_stream",
        "_flags",
        "_frames",
        "_held",
        "_limit",
        "_max_frame",
        "_missing",
        "_more",
        "_window",
    )

    def __init__(self, limit: int, most: int = MAX_FRAME, window: int = INITIAL_WINDOW) -> None:
        self._held = b""
        self._more: list[bytes] = []  # bytes after it; joined when the frame is complete
        self._missing = 0  # bytes missing for that
        self._limit = limit  # of a header block
        self._max_frame = most  # of a frame
        self._window = window  # of a stream
        self._block_stream = 0  # the stream whose header block is incomplete
        self._block = b""
        self._flags = 0
        self._frames = 0

    @property
    def is_amid_head(self) -> bool:
        """True if a header block, or a frame that is not DATA, has begun and is incomplete."""
        return bool(self._block_stream or (self._held and self._held[_KIND : _KIND + 1] != _DATA))

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that `data` completes; raises HTTP2ConnectionError."""
        if self._held:
            self._more.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join((self._held, *self._more))
            self._more.clear()
        at, size = 0, len(data)
        self._held = b""
        while size - at >= _SIZE:
            high, low, kind, flags, stream = HEADER.unpack_from(data, at)
            start = at + _SIZE
            end = start + (high << 8 | low)
            if end - start > MAX_FRAME:
                self._check_size(kind, end - start)
            if end > size:
                self._missing = end - size
                break
            at = end
            if self._block_stream or kind in _BLOCK_KINDS:
                found = self._headers(kind, flags, stream & MAX_STREAM, data[start:end])
                if found is not None:
                    yield found
            else:
                yield kind, flags, stream & MAX_STREAM, data[start:end]
        else:
            self._missing = _SIZE - (size - at)
        self._held = data[at:]

    def _check_size(self, kind: int, size: int) -> None:
        """Refuse a frame by its header, before its payload is buffered."""
        if size > self._max_frame:
            raise HTTP2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "a frame is too large")
        if kind in _BLOCK_KINDS and size > self._limit:
            raise HTTP2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "a header block is too large")
        if kind == DATA and size > self._window:
            raise HTTP2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "more than the window allows")

    def _headers(self, kind: int, flags: int, stream: int, payload: bytes) -> Frame | None:
        if kind == HEADERS and not self._block_stream:
            block = unpadded(flags, payload)
            if flags & HAS_PRIORITY:
                block = _without_priority(stream, block)
            if flags & END_HEADERS:
                return kind, flags, stream, block
            self._block_stream, self._block, self._flags, self._frames = stream, block, flags, 1
            if not stream:
                raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a header block on no stream")
        elif kind == CONTINUATION and stream == self._block_stream and stream:
            self._block += payload
            self._frames += 1
        else:
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a header block is not continued where it should be")
        if len(self._block) > self._limit or self._frames > _MAX_BLOCK_FRAMES:
            raise HTTP2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "a header block is too large")
        if not flags & END_HEADERS:
            return None
        self._block_stream = 0
        return HEADERS, self._flags, stream, self._block


def _without_priority(stream: int, block: bytes) -> bytes:
    """Header block after the priority, which corn ignores (RFC 9113, 5.3.2)."""
    if len(block) < _PRIORITY_SIZE:
        raise HTTP2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "a HEADERS frame without its priority")
    if int.from_bytes(block[:4], "big") & MAX_STREAM == stream:
        raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a stream depends on itself")
    return block[_PRIORITY_SIZE:]
