"""permessage-deflate (RFC 7692) with any compressor of a client: no data is lost, and the size limit holds."""

import itertools
import random
import tracemalloc
import zlib

import pytest
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from corn.server.websocket.deflate import Deflate
from corn.server.websocket.frames import FrameCodec

TAIL = b"\0\0\xff\xff"
LIMIT = 1000


def deflate(*, forgets=False, bits=12):
    return Deflate(PerMessageDeflate(forgets, forgets, bits, bits, {"memLevel": 5}))


def compressor():
    return zlib.compressobj(wbits=-12)


def sync(content, compress):
    return (compress.compress(content) + compress.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


def final(content):
    """Compress as a client without sync flush does (RFC 7692, 7.2.3.4)."""
    compress = compressor()
    return compress.compress(content) + compress.flush(zlib.Z_FINISH) + b"\0"


def frames_of(payload, cuts=()):
    parts = [payload[start:end] for start, end in itertools.pairwise([0, *cuts, len(payload)])]
    last = len(parts) - 1
    opcodes = [Opcode.BINARY, *[Opcode.CONT] * last]
    frames = bytearray()
    for number, (opcode, part) in enumerate(zip(opcodes, parts, strict=True)):
        at = len(frames)
        frames += Frame(opcode, part, number == last).serialize(mask=True)
        frames[at] |= 0x40 if number == 0 else 0  # RSV1
    return bytes(frames)


def test_messages_after_final_block_are_inflated():
    each = deflate()
    assert each.inflate(final(b"first"), LIMIT) == b"first"
    assert each.inflate(final(b"second"), LIMIT) == b"second"
    compress = compressor()
    assert each.inflate(sync(b"third", compress), LIMIT) == b"third"
    assert each.inflate(sync(b"third again", compress), LIMIT) == b"third again"


def test_final_block_without_last_byte_is_inflated():
    each = deflate()
    assert each.inflate(final(b"first")[:-1], LIMIT) == b"first"
    assert each.inflate(sync(b"second", compressor()), LIMIT) == b"second"


@pytest.mark.parametrize("cut", range(1, 16))
def test_message_of_several_streams_split_anywhere_is_complete(cut):
    frames = FrameCodec(LIMIT, deflate())
    payload = final(b"first ")[:-1] + sync(b"second", compressor())
    assert frames.feed(frames_of(payload, [cut]), 10) == [b"first second"]
    assert frames.feed(frames_of(sync(b"third", compressor())), 10) == [b"third"]


def test_message_of_too_many_streams_is_protocol_error():
    """Two bytes suffice to make the receiver allocate a decompressor."""
    with pytest.raises(ProtocolError):
        deflate().inflate(b"\x03\x00" * 100_000, LIMIT)


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT, 100 * LIMIT])
@pytest.mark.parametrize("ends", [False, True], ids=["sync", "final"])
def test_message_size_limit_is_exact(size, ends):
    content = bytes(size)
    payload = final(content) if ends else sync(content, compressor())
    if size <= LIMIT:
        assert deflate().inflate(payload, LIMIT) == content
    else:
        with pytest.raises(PayloadTooBig):
            deflate().inflate(payload, LIMIT)


def test_fragment_beyond_size_limit_is_not_inflated():
    frames = FrameCodec(LIMIT, deflate())
    compress = compressor()
    first = compress.compress(bytes(LIMIT)) + compress.flush(zlib.Z_SYNC_FLUSH)
    bomb = sync(bytes(50_000_000), compress)
    data = frames_of(first + bomb, [len(first)])
    tracemalloc.start()
    try:
        assert frames.feed(data, 10) == []
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert frames.end.code == 1009


@pytest.mark.parametrize("forgets", [False, True], ids=["remembers", "forgets"])
def test_deflated_message_is_inflated(forgets):
    here, there = deflate(forgets=forgets), deflate(forgets=forgets)
    seeded = random.Random(1)
    for size in (0, 1, 100, 2043, 2044, 5000, 100_000):
        content = seeded.randbytes(size // 2) + bytes(size // 2)
        there.begin_message()
        assert there.inflate(here.deflate(content), 1 << 20) == content


def test_fragments_split_anywhere_inflate_to_message():
    seeded = random.Random(2)
    for _ in range(200):
        size = seeded.choice([10, 100, 1000, 5000])
        content = bytes(seeded.choices(range(seeded.choice([2, 20, 256])), k=size))
        payload = sync(content, compressor())
        cuts = sorted(seeded.randint(0, len(payload)) for _ in range(3))
        frames = FrameCodec(size, deflate())
        assert frames.feed(frames_of(payload, cuts), 10) == [content]
        frames = FrameCodec(size - 1, deflate())
        assert frames.feed(frames_of(payload, cuts), 10) == []
        assert frames.end.code == 1009


@pytest.mark.parametrize("cuts", [(), (2,)], ids=["message", "fragments"])
def test_payload_that_is_not_compressed_is_protocol_error(cuts):
    frames = FrameCodec(LIMIT, deflate())
    assert frames.feed(frames_of(b"\xff\xff\xff\xff", cuts), 10) == []
    assert frames.end.code == 1002


def test_fragments_without_compression_are_read_as_they_are():
    frames = FrameCodec(LIMIT, deflate())
    plain = Frame(Opcode.TEXT, b"a", False).serialize(mask=True) + Frame(Opcode.CONT, b"b").serialize(mask=True)
    assert frames.feed(plain, 10) == ["ab"]


def test_continuation_marked_as_compressed_is_protocol_error():
    frames = FrameCodec(LIMIT, deflate())
    whole = sync(b"first", compressor())
    data = frames_of(whole, [2])
    second = data.index(b"\x80", 8)  # FIN and the opcode of a continuation
    assert frames.feed(data[:second] + b"\xc0" + data[second + 1 :], 10) == []
    assert frames.end.code == 1002
