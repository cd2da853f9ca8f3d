"""Header blocks of requests: corn's decoder beside that of the library `hpack`."""

import contextlib
import tracemalloc

import pytest
from hpack import Decoder, Encoder, HPACKError, OversizedHeaderListError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corn.server.http2 import huffman
from corn.server.http2.field_decoder import FieldDecoder
from corn.server.http2.frames import ErrorCode, HTTP2ConnectionError
from corn.server.http2.header_codec import encode_field, encode_lines, encode_status

LIMIT = 3000
NAMES = st.sampled_from([b"a", b"x-b", b":path", b"cookie", b":method", b"n" * 150])
VALUES = st.one_of(
    st.binary(max_size=8), st.sampled_from([b"GET", b"", b"v" * 200, b"session=0123456789abcdef; seen=1"])
)
slow = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=8)


def by_hpack(decoder, block):
    """The fields, or the code of the error that corn is to answer with."""
    try:
        return [tuple(each) for each in decoder.decode(block, raw=True)]
    except OversizedHeaderListError:
        return ErrorCode.ENHANCE_YOUR_CALM
    except HPACKError:
        return ErrorCode.COMPRESSION_ERROR


def by_corn(decoder, block):
    try:
        return decoder.decode(block)
    except HTTP2ConnectionError as fault:
        return fault.code


@slow
@given(st.data())
def test_mutated_blocks_are_decoded_like_by_hpack(data):
    encoder, second, decoder = Encoder(), Decoder(max_header_list_size=LIMIT), FieldDecoder(LIMIT)
    for _ in range(data.draw(st.integers(1, 6))):
        if data.draw(st.booleans()):
            encoder.header_table_size = data.draw(st.sampled_from([0, 100, 500, 4096]))
        block = bytearray(encoder.encode(data.draw(FIELDS), huffman=data.draw(st.booleans())))
        for _ in range(data.draw(st.integers(0, 2)) if block else 0):
            at = data.draw(st.integers(0, len(block) - 1))
            block[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
            if not block:
                break
        expected = by_hpack(second, bytes(block))
        assert by_corn(decoder, bytes(block)) == expected
        if isinstance(expected, ErrorCode):
            return


@slow
@given(st.binary(max_size=100))
def test_arbitrary_blocks_are_decoded_like_by_hpack(block):
    expected = by_hpack(Decoder(max_header_list_size=LIMIT), block)
    assert by_corn(FieldDecoder(LIMIT), block) == expected


@slow
@given(st.lists(st.lists(st.tuples(st.sampled_from([b"a", b"b", b":path"]), st.binary(max_size=5)), max_size=5)))
def test_repeated_blocks_are_decoded_alike(lists):
    encoder, decoder = Encoder(), FieldDecoder(65536)
    for fields in lists:
        for _ in range(3):
            assert decoder.decode(encoder.encode(fields)) == fields


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",
        b"\xbe",
        b"\x00\x85a",
        b"\x3f\xe2\x1f",
        b"\x82\x20",
        b"\xff\x80\x80\x80\x80\x80\x00",
        b"\x00\x01a\x81\x00",
    ],
    ids=["0", "no entry", "cut", "large table", "late table size", "long integer", "long padding"],
)
def test_invalid_block_raises_compression_error(block):
    with pytest.raises(HTTP2ConnectionError) as raised:
        FieldDecoder(65536).decode(block)
    assert raised.value.code == ErrorCode.COMPRESSION_ERROR


@slow
@given(st.binary(max_size=64))
def test_encoded_huffman_string_is_decoded(data):
    encoded = bytes(Encoder().huffman_coder.encode(data))
    assert huffman.decode_huffman(encoded) == data


def test_huffman_transitions_are_bounded_in_memory():
    tracemalloc.start()
    try:
        for first in range(256):
            for second in range(0, 256, 3):
                for third in (0x00, 0x5A, 0xC3):
                    with contextlib.suppress(huffman.InvalidHuffmanError):
                        huffman.decode_huffman(bytes((first, second, third, 0xFF)))
        assert tracemalloc.get_traced_memory()[0] < 4 << 20
    finally:
        tracemalloc.stop()


def test_encoded_response_fields_are_decoded_by_hpack():
    lines = b"Content-Type: text/html\r\nX-Long: " + b"v" * 300 + b"\r\nx-empty: \r\naccept-ranges: bytes\r\n"
    block = encode_status(200) + encode_status(503) + encode_lines(lines) + encode_field(b"content-length", b"5")
    assert by_hpack(Decoder(), block) == [
        (b":status", b"200"),
        (b":status", b"503"),
        (b"content-type", b"text/html"),
        (b"x-long", b"v" * 300),
        (b"x-empty", b""),
        (b"accept-ranges", b"bytes"),
        (b"content-length", b"5"),
    ]


def test_string_with_end_of_huffman_code_is_refused():
    with pytest.raises(huffman.InvalidHuffmanError):
        huffman.decode_huffman(b"\xff" * 4)  # RFC 7541, 5.2: the code of EOS must not occur


def test_blocks_of_references_are_remembered_within_bounds():
    decoder = FieldDecoder(1 << 20)
    for length in range(1, 100):
        assert decoder.decode(b"\x82" * length) == [(b":method", b"GET")] * length
        assert len(decoder._cache) <= 16
    assert all(len(each) <= 64 for each in decoder._cache)


def test_huffman_transitions_beyond_bound_are_made_each_time(monkeypatch):
    monkeypatch.setattr(huffman._State, "remembered", huffman._MAX_TRANSITIONS)
    encoded = bytes(Encoder().huffman_coder.encode(bytes(range(256))))
    assert huffman.decode_huffman(encoded) == huffman.decode_huffman(encoded) == bytes(range(256))


@pytest.mark.parametrize("block", [b"\x82", b"\x00\x01a\x01b", b"\x82" * 3])
def test_list_beyond_its_limit_is_refused_wherever_it_ends(block):
    with pytest.raises(HTTP2ConnectionError) as caught:
        FieldDecoder(10).decode(block)
    assert caught.value.code == ErrorCode.ENHANCE_YOUR_CALM


def test_index_of_several_bytes_refers_to_dynamic_table():
    decoder = FieldDecoder(65536)
    decoder.decode(b"".join(b"\x40\x01a\x01%c" % value for value in range(100)))
    assert decoder.decode(b"\xbe") == [(b"a", b"\x63")]
    assert decoder.decode(b"\xff\x00\xff\x01") == [(b"a", b"\x22"), (b"a", b"\x21")]  # 127 and 128 (RFC 7541, 5.1)
