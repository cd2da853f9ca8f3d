"""Frame codec (RFC 6455), with input split anywhere, compared with the library `websockets`."""

import itertools
import os
import struct
import zlib
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol
from websockets.uri import parse_uri

from corn.server.websocket.deflate import Deflate
from corn.server.websocket.frames import MAX_BYTES, FrameCodec

MAX_SIZE = 1000


def deflate():
    return PerMessageDeflate(False, False, 12, 12, {"memLevel": 5})


def frame(opcode, data=b"", *, fin=True, extension=None):
    return Frame(Opcode(opcode), data, fin).serialize(mask=True, extensions=[extension] if extension else [])


def close(code=1000, reason=""):
    return frame(8, code.to_bytes(2, "big") + reason.encode())


class Reader:
    """Output of the frame codec, read as a session reads it."""

    def __init__(self, extension=None, room=1 << 30):
        self.frames = FrameCodec(MAX_SIZE, None if extension is None else Deflate(extension))
        self.messages = []
        self.out = b""
        self.room = room

    def feed(self, data):
        self._feed(data)
        while self.frames.holds:
            self._feed(b"")

    def _feed(self, data):
        messages = self.frames.feed(data, self.room)
        assert len(messages) <= self.room
        self.messages += messages
        self.out += self.frames.out
        self.frames.out = b""


def pieces(data, cuts):
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(at)]


def reference(data, extension=None):
    """Messages and close code according to the library, with text decoded as a whole."""
    protocol = Protocol(SERVER, state=OPEN, max_size=MAX_SIZE)
    protocol.extensions = [extension] if extension else []
    protocol.receive_data(data)
    messages, parts, is_text = [], [], False
    for each in protocol.events_received():
        if each.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if each.opcode is not Opcode.CONT:
                parts, is_text = [], each.opcode is Opcode.TEXT
            parts.append(bytes(each.data))
            if each.fin:
                whole = b"".join(parts)
                try:
                    messages.append(whole.decode() if is_text else whole)
                except UnicodeDecodeError:
                    return messages, 1007
    closing = protocol.close_sent
    return messages, closing and int(closing.code)


TEXTS = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=200)
MESSAGES = st.one_of(TEXTS, st.binary(max_size=300))
CUTS = st.lists(st.integers(0, 1 << 20), max_size=20)


@st.composite
def streams(draw, extension=None):
    """Fragmented messages with interleaved pings and pongs, and the list of messages."""
    data, said = b"", []
    for message in draw(st.lists(MESSAGES, max_size=8)):
        said.append(message)
        payload = message.encode() if isinstance(message, str) else message
        opcode = 1 if isinstance(message, str) else 2
        parts = pieces(payload, draw(st.lists(st.integers(0, 400), max_size=3))) or [b""]
        compressed = extension is not None and draw(st.booleans())
        for number, part in enumerate(parts):
            if draw(st.booleans()):
                data += frame(draw(st.sampled_from([9, 10])), draw(st.binary(max_size=10)))
            last = number == len(parts) - 1
            data += frame(opcode if number == 0 else 0, part, fin=last, extension=extension if compressed else None)
    return data, said


@given(stream=streams(), cuts=CUTS, room=st.integers(1, 5))
def test_messages_split_anywhere_are_complete(stream, cuts, room):
    data, said = stream
    reader = Reader(room=room)
    for each in pieces(data + close(4000, "bye"), cuts):
        reader.feed(each)
    assert reader.messages == said
    assert reader.frames.end == (4000, "bye")
    assert reader.frames.done
    assert not reader.frames.failed


@given(data=st.data(), cuts=CUTS)
def test_compressed_and_plain_messages_keep_order(data, cuts):
    stream, said = data.draw(streams(deflate()))
    reader = Reader(deflate())
    for each in pieces(stream, cuts):
        reader.feed(each)
    assert reader.messages == said
    assert reader.frames.end is None


@settings(max_examples=300)
@given(stream=streams(), changes=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255))), cuts=CUTS)
@example(stream=(b"", []), changes=[(0, 3), (1, 255)], cuts=[])
def test_mutated_frames_read_like_websockets_library(stream, changes, cuts):
    data = bytearray(stream[0] + close(1001))
    for at, value in changes:
        data[at % len(data)] = value
    data = bytes(data)
    expected, code = reference(data)
    reader = Reader()
    for each in pieces(data, cuts):
        reader.feed(each)
    if code == 1002 and reader.frames.end is None:
        reader.feed(bytes(14))  # the library refuses an opcode before the length after it is complete
    ended = reader.frames.end and reader.frames.end.code
    if (code, ended) == (1002, 1001):
        return  # a close frame amid a message, which the library refuses
    if ended == 1007:  # found in a fragment, before the library would look at the whole message
        assert reader.messages == expected[: len(reader.messages)]
    else:
        assert (reader.messages, ended) == (expected, code)


@given(data=st.binary(max_size=300), cuts=CUTS)
def test_arbitrary_bytes_raise_no_exception(data, cuts):
    reader = Reader(deflate(), room=3)
    for each in pieces(data, cuts):
        reader.feed(each)


@given(messages=st.lists(MESSAGES, max_size=5), compress=st.booleans())
def test_encoded_messages_are_read_by_client_library(messages, compress):
    frames = FrameCodec(MAX_SIZE, Deflate(deflate()) if compress else None)
    client = ClientProtocol(parse_uri("ws://x/"), state=OPEN)
    client.extensions = [deflate()] if compress else []
    for message in messages:
        client.receive_data(frames.encode(message))
    read = [bytes(each.data) for each in client.events_received()]
    assert read == [each.encode() if isinstance(each, str) else each for each in messages]


@pytest.mark.parametrize("size", [0, 125, 126, 127, 65535, 65536, 200_000])
@pytest.mark.parametrize("step", [1, 7, 65536])
def test_payload_lengths_at_field_boundaries_are_read(size, step):
    payload = os.urandom(size)
    frames = FrameCodec(1 << 20)
    data = frame(2, payload) * 2
    messages = [each for at in range(0, len(data), step) for each in frames.feed(data[at : at + step], 100)]
    assert messages == [payload, payload]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(1, b"x" * (MAX_SIZE + 1)), 1009),
        (frame(1, b"x" * (MAX_SIZE + 1))[:4], 1009),
        (frame(1, b"x" * 600, fin=False) + frame(0, b"x" * 600), 1009),
        (frame(1, b"\xff"), 1007),
        (frame(1, b"\xc3", fin=False) + frame(0, b"\x28", fin=False), 1007),
        (frame(1, b"\xc3"), 1007),
        (Frame(Opcode(1), b"x").serialize(mask=False), 1002),
        (b"\x81\x00", 1002),
        (b"\x83\x80" + bytes(4), 1002),
        (b"\xc1\x80" + bytes(4), 1002),
        (frame(0, b"x"), 1002),
        (frame(1, b"x", fin=False) + frame(1, b"x"), 1002),
        (frame(8, b"\x03"), 1002),
        (close(1005), 1002),
        (close(999), 1002),
        (frame(8, b"\x03\xe8\xff"), 1007),
    ],
    ids=range(16),  # frames are masked by chance
)
def test_malformed_frame_fails_with_close_code(data, code):
    reader = Reader()
    reader.feed(frame(1, b"before"))
    reader.feed(data)
    assert reader.messages == ["before"]
    assert (reader.frames.end.code, reader.frames.failed, reader.frames.done) == (code, True, True)
    assert reader.out[:1] == b"\x88"
    assert reader.out[2:4] == code.to_bytes(2, "big")
    reader.feed(frame(1, b"after"))
    assert reader.messages == ["before"]


def test_compression_bomb_is_refused_with_1009():
    reader = Reader(deflate())
    reader.feed(frame(2, bytes(10_000_000), extension=deflate()))
    assert reader.frames.end.code == 1009
    assert reader.messages == []


def test_close_frame_follows_pending_messages():
    frames = FrameCodec(MAX_SIZE)
    data = frame(1, b"a") + frame(1, b"b") + close() + b"never looked at"
    assert frames.feed(data, 100) == ["a", "b"]
    assert (frames.end, frames.holds) == (None, True)
    assert frames.feed(b"", 100) == []
    assert frames.end == (1000, "")


def test_close_frame_between_fragments_is_answered():
    reader = Reader()
    reader.feed(frame(1, b"x", fin=False) + close(1000))
    assert (reader.frames.end, reader.frames.failed) == ((1000, ""), False)


def test_messages_after_own_close_frame_are_dropped():
    reader = Reader()
    reader.frames.close(4000, "x")
    reader.feed(frame(1, b"a") + frame(1, b"a", fin=False) + frame(0, b"b") + frame(9, b"") + close(4000))
    assert reader.messages == []
    assert reader.frames.end == (4000, "x")
    assert (reader.frames.done, reader.frames.failed) == (True, False)


@pytest.mark.parametrize(("code", "reason"), [(1005, ""), (1006, ""), (999, ""), (5000, ""), (1000, "x" * 124)])
def test_close_with_invalid_code_raises_value_error(code, reason):
    frames = FrameCodec(MAX_SIZE)
    with pytest.raises(ValueError, match="cannot close with"):
        frames.close(code, reason)
    assert (frames.end, frames.out) == (None, b"")


def test_compressed_message_beyond_limit_is_refused_not_truncated():
    """zlib may consume all input and still hold back output; websockets before 16.1 returned a truncated message."""
    limit = 65536
    for seed in range(20):
        half = limit // 2
        data = Random(seed).randbytes(half + 1) + b"z" * half
        compressor = zlib.compressobj(wbits=-15)
        packed = (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
        frames = FrameCodec(limit, Deflate(PerMessageDeflate(False, False, 15, 15, {})))
        head = struct.pack("!BBH4x", 0xC2, 0xFE, len(packed))
        assert frames.feed(head + packed, 1) == []
        assert frames.end.code == 1009


FLOODS = {
    "pings": frame(9),
    "pings with data": frame(9, b"x" * 10),
    "pongs": frame(10),
    "empty fragments": frame(0, b"", fin=False),
    "messages": frame(1),
    "compressed messages": frame(2, bytes(50), extension=deflate()),
}


@pytest.mark.parametrize("one", FLOODS.values(), ids=FLOODS)
def test_feed_processes_bounded_number_of_frames(one):
    """One megabyte of frames in one call would block the event loop for a second."""
    frames = FrameCodec(MAX_SIZE, Deflate(deflate()))
    frames.feed(frame(1, b"x", fin=False) if one[0] == 0 else b"", 32)
    data, calls = one * (100_000 // len(one)), 0
    left = len(data)
    while left > 0:
        calls += 1
        frames.feed(data, 32)
        data = b""
        held = len(frames._data) - frames._at if frames._data else 0
        assert left - held <= 300 * len(one)
        left = held
    assert calls >= 100_000 // len(one) // 300


def test_feed_processes_bounded_bytes_and_one_large_message():
    frames = FrameCodec(1 << 20, Deflate(deflate()))
    bombs = frame(2, bytes(1 << 20), extension=deflate()) * 30
    assert len(frames.feed(bombs, 100)) == 1
    assert frames.holds
    small = FrameCodec(1 << 20)
    assert sum(map(len, small.feed(frame(2, bytes(1000)) * 1000, 1000))) < 1 << 19


def test_pings_between_fragments_are_answered():
    reader = Reader()
    reader.feed(frame(1, b"x" * MAX_SIZE, fin=False) + frame(9, b"alive?") + frame(0, b""))
    assert reader.messages == ["x" * MAX_SIZE]
    assert reader.out == b"\x8a\x06alive?"


def test_reader_without_room_keeps_data_uncopied():
    """The peer chooses the size of the pieces, so each call must be cheap."""
    frames = FrameCodec(MAX_SIZE)
    one = frame(1, b"abc")
    assert frames.feed(one * 3, 1) == ["abc"]
    for _ in range(100_000):
        assert frames.feed(one, 0) == []
    assert frames.feed(b"", 1_000_000) == ["abc"] * (100_002 if MAX_BYTES > 3 * 100_002 else MAX_BYTES // 3 + 1)


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
@pytest.mark.parametrize("compress", [False, True])
def test_encoded_message_of_any_length_is_read_by_client(size, compress):
    frames = FrameCodec(1 << 20, Deflate(deflate()) if compress else None)
    client = ClientProtocol(parse_uri("ws://x/"), state=OPEN)
    client.extensions = [deflate()] if compress else []
    payload = os.urandom(size)
    client.receive_data(frames.encode(payload))
    (read,) = client.events_received()
    assert (read.opcode, bytes(read.data)) == (Opcode.BINARY, payload)


def test_plain_fragments_beyond_limit_are_refused_beside_compression():
    reader = Reader(deflate())
    reader.feed(frame(1, b"x" * 600, fin=False) + frame(0, b"x" * 600))
    assert (reader.frames.end.code, reader.messages) == (1009, [])


def test_close_frame_beside_compression_is_answered():
    reader = Reader(deflate())
    reader.feed(frame(1, b"x", extension=deflate()) + close(4000, "bye"))
    assert reader.messages == ["x"]
    assert (reader.frames.end, reader.frames.done, reader.frames.failed) == ((4000, "bye"), True, False)


def test_own_close_frame_is_sent_once_after_ping():
    frames = FrameCodec(MAX_SIZE)
    frames.ping()
    frames.close(4000, "x")
    frames.close(4001, "y")
    assert frames.out == b"\x89\x00" + b"\x88\x03\x0f\xa0x"
    assert frames.end == (4000, "x")


def test_protocol_error_after_own_close_frame_keeps_its_code():
    reader = Reader()
    reader.frames.close(4000, "x")
    reader.feed(b"\x83\x80" + bytes(4))
    assert (reader.frames.end, reader.frames.done, reader.frames.failed) == ((4000, "x"), True, True)
