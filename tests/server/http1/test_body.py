"""Decoders of request bodies: content, end and rest, whole and in pieces, and each violation of the framing."""

import pytest

from corn.server.http.errors import HTTPError
from corn.server.http1.body import ChunkedBody, LengthBody


def decoded(decoder, data, size):
    """Content, and the bytes after the body, of data that arrives in pieces."""
    content, rest = b"", b""
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        if decoder.done:
            rest += piece
            continue
        content += decoder.feed(piece)
        while decoder.holds:
            content += decoder.feed(b"")
    return content, decoder.rest + rest


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_body_of_known_length_ends_there(size):
    decoder = LengthBody(5)
    assert decoded(decoder, b"12345rest", size) == (b"12345", b"rest")
    assert decoder.done
    assert not decoder.holds


CHUNKED = {
    "empty": (b"0\r\n\r\n", b""),
    "chunks": (b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", b"abc0123456789"),
    "leading zeros": (b"0003\r\nabc\r\n000\r\n\r\n", b"abc"),
    "extensions": (b'3;a\r\nabc\r\n1 ; b = c;d="e \\" f"\r\nx\r\n0;g\r\n\r\n', b"abcx"),
    "trailers": (b"1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n", b"x"),
    "line ends in data": (b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("name", CHUNKED)
def test_chunked_body_in_pieces_is_decoded(name, size):
    wire, content = CHUNKED[name]
    decoder = ChunkedBody(1000, len(content))
    assert decoded(decoder, wire + b"rest", size) == (content, b"rest")
    assert decoder.done


def test_incomplete_chunked_body_is_not_done():
    decoder = ChunkedBody(1000)
    assert decoder.feed(b"3\r\nab") == b"ab"
    assert decoder.feed(b"c\r\n0\r\n") == b"c"
    assert not decoder.done


INVALID = {
    "no size": (400, b"\r\nabc\r\n"),
    "size is no number": (400, b"x\r\nabc\r\n"),
    "sign": (400, b"+3\r\nabc\r\n"),
    "size of 16 digits": (400, b"0000000000000003\r\nabc\r\n"),
    "space after size": (400, b"3 \r\nabc\r\n"),
    "bare LF after size": (400, b"3\nabc\r\n"),
    "only LF": (400, b"\n"),
    "extension is no token": (400, b"3;@\r\nabc\r\n"),
    "quoted text does not end": (400, b'3;a="b\r\nabc\r\n'),
    "data longer than size": (400, b"3\r\nabcd\r\n0\r\n\r\n"),
    "LF after data": (400, b"3\r\nabc\n0\r\n\r\n"),
    "CR without LF after data": (400, b"3\r\nabc\rX0\r\n\r\n"),
    "endless size": (400, b"3;" + b"a" * 1100),
    "long size line": (400, b"3;" + b"a" * 1100 + b"\r\nabc\r\n0\r\n\r\n"),
    "trailer without colon": (400, b"0\r\nabc\r\n\r\n"),
    "trailer with space in its name": (400, b"0\r\na b: c\r\n\r\n"),
    "trailer with control byte": (400, b"0\r\na: \x00\r\n\r\n"),
    "large body in one chunk": (413, b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n"),
    "large body announced": (413, b"65\r\n"),
    "large body in chunks": (413, b"33\r\n" + b"x" * 51 + b"\r\n32\r\n" + b"x" * 50 + b"\r\n0\r\n\r\n"),
    "large trailers": (431, b"0\r\n" + b"a: b\r\n" * 20 + b"\r\n"),
}


@pytest.mark.parametrize("size", [1, 3, 4096])
@pytest.mark.parametrize("name", INVALID)
def test_invalid_chunked_body_is_refused_with_status(name, size):
    status, wire = INVALID[name]
    with pytest.raises(HTTPError) as refused:
        decoded(ChunkedBody(100, 100), wire, size)
    assert refused.value.status == status


def test_many_chunks_are_decoded_over_several_calls():
    decoder = ChunkedBody(1000)
    wire = b"1\r\nx\r\n" * 3000 + b"0\r\n\r\n"
    assert decoder.feed(wire) == b"x" * 1024
    assert decoder.holds
    assert decoder.feed(b"") == b"x" * 1024
    assert decoder.feed(b"rest") == b"x" * 952
    assert (decoder.done, decoder.holds, decoder.rest) == (True, False, b"rest")
