"""Frames as they are on the wire, and what is wrong with one (RFC 9113, 4, 6 and 7)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_FRAME: Final = 16384  # the payload that everybody takes; corn neither asks for more nor sends more
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


class ErrorCode(IntEnum):
    """Why a stream or a connection ended (RFC 9113, 7)."""

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
    """The peer broke the protocol so that the connection has to end (RFC 9113, 5.4.1)."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(f"{code.name}: {reason}")
        self.code = code
        self.reason = reason


class HTTP2StreamError(Exception):
    """What the peer did wrong concerns one stream only (RFC 9113, 5.4.2)."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(f"{code.name}: {reason}")
        self.code = code
        self.reason = reason


class MalformedRequestError(HTTP2StreamError):
    """A request that is not one (RFC 9113, 8.1.1)."""

    def __init__(self, reason: str) -> None:
        super().__init__(ErrorCode.PROTOCOL_ERROR, reason)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One whole frame."""
    size = len(payload)
    return HEADER.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def header_frames(stream: int, block: bytes, *, end: bool) -> bytes:
    """A header block in as many frames as it takes."""
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
    """The 31 bits of a payload that is one number; raises ConnectionFault for one of another size."""
    if len(payload) != _LONG.size:
        raise HTTP2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "a frame of the wrong size")
    value: int = _LONG.unpack(payload)[0]
    return value & MAX_WINDOW


def unpadded(flags: int, payload: bytes) -> bytes:
    """What is not padding (RFC 9113, 6.1)."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "more padding than payload")
    return payload[1 : len(payload) - payload[0]]
