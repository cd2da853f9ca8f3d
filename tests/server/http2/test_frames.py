"""Codec of HTTP/2 frames and settings: what is sent, and which frames are refused with which code."""

import struct

import pytest

from corn.config import Config
from corn.server.http2 import frames
from corn.server.http2.frames import ErrorCode, FrameReader, HTTP2ConnectionError

HEAD = frames.END_HEADERS


def settings(**values):
    return b"".join(struct.pack("!HL", getattr(frames, name), value) for name, value in values.items())


@pytest.mark.parametrize("size", [0, 16384, 16385, 40_000])
@pytest.mark.parametrize("end", [False, True])
def test_header_block_of_any_size_is_read_as_one_frame(size, end):
    block = bytes(range(256)) * (size // 256 + 1)
    data = frames.header_frames(5, block[:size], end=end)
    ((kind, flags, stream, payload),) = FrameReader(65536).feed(data)
    assert (kind, flags & frames.END_STREAM, stream, payload) == (frames.HEADERS, end, 5, block[:size])


def test_frames_without_payload_structure_of_their_own_are_written():
    sent = frames.reset(3, ErrorCode.CANCEL) + frames.window_update(5, 7) + frames.goaway(9, ErrorCode.NO_ERROR, "bye")
    assert list(FrameReader(100).feed(sent)) == [
        (frames.RST_STREAM, 0, 3, b"\0\0\0\x08"),
        (frames.WINDOW_UPDATE, 0, 5, b"\0\0\0\x07"),
        (frames.GOAWAY, 0, 0, b"\0\0\0\x09\0\0\0\0bye"),
    ]


def test_reserved_bit_of_number_is_ignored():
    assert frames.number(b"\x80\0\0\x01") == 1


@pytest.mark.parametrize("payload", [b"", b"abc", b"abcde"])
def test_number_of_wrong_size_is_refused(payload):
    with pytest.raises(HTTP2ConnectionError) as refused:
        frames.number(payload)
    assert refused.value.code == ErrorCode.FRAME_SIZE_ERROR


def test_padding_is_removed():
    assert frames.unpadded(0, b"\x02ab") == b"\x02ab"
    assert frames.unpadded(frames.PADDED, b"\x02ab\0\0") == b"ab"
    assert frames.unpadded(frames.PADDED, b"\x00ab") == b"ab"


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x03ab"])
def test_padding_longer_than_payload_is_refused(payload):
    with pytest.raises(HTTP2ConnectionError) as refused:
        frames.unpadded(frames.PADDED, payload)
    assert refused.value.code == ErrorCode.PROTOCOL_ERROR


def test_own_settings_are_read_back():
    read = frames.read_settings(frames.own_settings(Config(app="main:app", http2_max_concurrent_streams=7, ws="none")))
    assert read[frames.MAX_CONCURRENT_STREAMS] == 7
    assert read[frames.ENABLE_CONNECT_PROTOCOL] == 0


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (settings(ENABLE_PUSH=2), ErrorCode.PROTOCOL_ERROR),
        (settings(ENABLE_CONNECT_PROTOCOL=2), ErrorCode.PROTOCOL_ERROR),
        (settings(INITIAL_WINDOW_SIZE=1 << 31), ErrorCode.FLOW_CONTROL_ERROR),
        (settings(MAX_FRAME_SIZE=16383), ErrorCode.PROTOCOL_ERROR),
        (settings(MAX_FRAME_SIZE=1 << 24), ErrorCode.PROTOCOL_ERROR),
        (settings(ENABLE_PUSH=1)[:5], ErrorCode.FRAME_SIZE_ERROR),
    ],
)
def test_setting_out_of_its_bounds_is_refused_with_code(payload, code):
    with pytest.raises(HTTP2ConnectionError) as refused:
        frames.read_settings(payload)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ([(frames.HEADERS, HEAD, 0, b"")], None),
        ([(frames.HEADERS, 0, 0, b"")], ErrorCode.PROTOCOL_ERROR),
        ([(frames.CONTINUATION, HEAD, 1, b"")], ErrorCode.PROTOCOL_ERROR),
        ([(frames.HEADERS, 0, 1, b""), (frames.CONTINUATION, HEAD, 3, b"")], ErrorCode.PROTOCOL_ERROR),
        ([(frames.HEADERS, 0, 1, b""), (frames.HEADERS, HEAD, 1, b"")], ErrorCode.PROTOCOL_ERROR),
        ([(frames.HEADERS, 0, 1, b""), (frames.PING, 0, 0, bytes(8))], ErrorCode.PROTOCOL_ERROR),
        ([(frames.HEADERS, HEAD | frames.HAS_PRIORITY, 1, b"abcd")], ErrorCode.FRAME_SIZE_ERROR),
        ([(frames.HEADERS, HEAD | frames.PADDED, 1, b"\x05ab")], ErrorCode.PROTOCOL_ERROR),
        ([(frames.HEADERS, 0, 1, b"x" * 60), (frames.CONTINUATION, 0, 1, b"x" * 60)], ErrorCode.ENHANCE_YOUR_CALM),
        ([(frames.HEADERS, 0, 1, b""), *[(frames.CONTINUATION, 0, 1, b"")] * 40], ErrorCode.ENHANCE_YOUR_CALM),
    ],
)
@pytest.mark.parametrize("step", [1, 1000])
def test_header_block_out_of_order_is_refused_with_code(sent, code, step):
    reader, found = FrameReader(100), None
    data = b"".join(frames.frame(*each) for each in sent)
    try:
        for at in range(0, len(data), step):
            list(reader.feed(data[at : at + step]))
    except HTTP2ConnectionError as refused:
        found = refused.code
    assert found == code


def test_priority_before_header_block_is_ignored():
    data = frames.frame(frames.HEADERS, HEAD | frames.HAS_PRIORITY, 1, b"\0\0\0\0\x10block")
    assert [each[3] for each in FrameReader(100).feed(data)] == [b"block"]


def test_reader_is_amid_head_until_block_is_complete():
    reader = FrameReader(100)
    assert not reader.is_amid_head
    list(reader.feed(frames.frame(frames.HEADERS, 0, 1, b"a")))
    assert reader.is_amid_head
    list(reader.feed(frames.frame(frames.CONTINUATION, HEAD, 1, b"b")))
    assert not reader.is_amid_head
    list(reader.feed(frames.frame(frames.DATA, 0, 1, b"data")[:-1]))
    assert not reader.is_amid_head
    list(reader.feed(b"a" + frames.frame(frames.PING, 0, 0, bytes(8))[:9]))
    assert reader.is_amid_head
