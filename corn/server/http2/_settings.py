"""What both sides tell each other of themselves (RFC 9113, 6.5; RFC 8441, 3; RFC 9218, 2.1)."""

from __future__ import annotations

import struct
from typing import Final

from corn.config import Config
from corn.server.http2.frames import MAX_FRAME, MAX_WINDOW, ErrorCode, HTTP2ConnectionError

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
_LARGEST_FRAME = (1 << 24) - 1


def own_settings(config: Config) -> bytes:
    """The payload of corn's SETTINGS."""
    settings = {
        MAX_CONCURRENT_STREAMS: config.http2_max_concurrent_streams,
        INITIAL_WINDOW_SIZE: config.http2_initial_stream_window_size,
        MAX_HEADER_LIST_SIZE: config.limit_header_size,
        ENABLE_CONNECT_PROTOCOL: int(config.ws != "none"),
        NO_RFC7540_PRIORITIES: 1,
    }
    return b"".join([_SETTING.pack(*each) for each in settings.items()])


def read_settings(payload: bytes) -> dict[int, int]:
    """The peer's settings; raises ConnectionFault for a value that is not allowed."""
    if len(payload) % _SETTING.size:
        raise HTTP2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of the wrong size")
    settings = dict(_SETTING.iter_unpack(payload))
    if settings.get(ENABLE_PUSH, 0) > 1 or settings.get(ENABLE_CONNECT_PROTOCOL, 0) > 1:
        raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a setting is neither 0 nor 1")
    if settings.get(INITIAL_WINDOW_SIZE, 0) > MAX_WINDOW:
        raise HTTP2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE is too large")
    if not MAX_FRAME <= settings.get(MAX_FRAME_SIZE, MAX_FRAME) <= _LARGEST_FRAME:
        raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "invalid SETTINGS_MAX_FRAME_SIZE")
    return settings
