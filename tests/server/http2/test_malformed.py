"""Requests and frames that are not as RFC 9113 wants them: of a request, an error of its stream only."""

import asyncio
import contextlib
import struct

import pytest
from h2.errors import ErrorCodes
from hpack import Encoder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corn.server.http2 import frames
from corn.server.http2.frames import ErrorCode, FrameReader, HTTP2ConnectionError
from corn.server.http2.header_codec import FieldDecoder, encode_field, encode_lines, encode_status
from tests.support.asgi_server import echo, hello, serving
from tests.support.http2_peer import GET, POST, connect

METHOD, SCHEME, PATH, AUTHORITY = GET

MALFORMED = {
    "no method": (SCHEME, PATH, AUTHORITY),
    "no scheme": (METHOD, PATH, AUTHORITY),
    "no path": (METHOD, SCHEME, AUTHORITY),
    "an empty path": (METHOD, SCHEME, (":path", ""), AUTHORITY),
    "a relative path": (METHOD, SCHEME, (":path", "a"), AUTHORITY),
    "an absolute target": (METHOD, SCHEME, (":path", "http://x/"), AUTHORITY),
    "a space in the path": (METHOD, SCHEME, (":path", "/a b"), AUTHORITY),
    "a fragment": (METHOD, SCHEME, (":path", "/a#b"), AUTHORITY),
    "an asterisk without OPTIONS": (METHOD, SCHEME, (":path", "*"), AUTHORITY),
    "two methods": (METHOD, *GET),
    "two paths": (*GET, PATH),
    "an unknown pseudo-header": (*GET, (":other", "x")),
    "the response's pseudo-header": (*GET, (":status", "200")),
    "a pseudo-header after a header": (METHOD, SCHEME, PATH, ("x-a", "b"), AUTHORITY),
    "an upper-case name": (*GET, ("X-A", "b")),
    "a name that is no token": (*GET, ("x a", "b")),
    "an empty name": (*GET, ("", "b")),
    "a line end in a value": (*GET, ("x-a", "b\r\nc: d")),
    "a NUL in a value": (*GET, ("x-a", "b\0")),
    "white space before a value": (*GET, ("x-a", " b")),
    "white space after a value": (*GET, ("x-a", "b ")),
    "connection": (*GET, ("connection", "close")),
    "keep-alive": (*GET, ("keep-alive", "1")),
    "proxy-connection": (*GET, ("proxy-connection", "close")),
    "transfer-encoding": (*GET, ("transfer-encoding", "chunked")),
    "upgrade": (*GET, ("upgrade", "h2c")),
    "more than trailers in TE": (*GET, ("te", "trailers, deflate")),
    "an authority that is none": (METHOD, SCHEME, PATH, (":authority", "user@x")),
    "an empty authority": (METHOD, SCHEME, PATH, (":authority", "")),
    "an empty authority beside an empty Host": (METHOD, SCHEME, PATH, (":authority", ""), ("host", "")),
    "an empty authority beside a Host": (METHOD, SCHEME, PATH, (":authority", ""), ("host", "x")),
    "an empty Host": (METHOD, SCHEME, PATH, ("host", "")),
    "an authority that differs from Host": (*GET, ("host", "y")),
    "two hosts": (METHOD, SCHEME, PATH, ("host", "x"), ("host", "x")),
    "a length without a body": (*GET, ("content-length", "3")),
    "a length that is no number": (*GET, ("content-length", "x")),
    "two lengths": (*GET, ("content-length", "0"), ("content-length", "0")),
    "a method that is no token": ((":method", "G T"), SCHEME, PATH, AUTHORITY),
    ":protocol without CONNECT": (*GET, (":protocol", "websocket")),
}

REFUSED = {
    "a bad escape": ((METHOD, SCHEME, (":path", "/%zz"), AUTHORITY), 400),
    "no authority": ((METHOD, SCHEME, PATH), 400),
    "CONNECT": (((":method", "CONNECT"), AUTHORITY), 501),
    "an unknown protocol": (((":method", "CONNECT"), (":protocol", "x"), *GET[1:]), 501),
    "a method in lower case": (((":method", "get"), *GET[1:]), 501),
    "an unknown expectation": ((*GET, ("expect", "x")), 417),
    "too many fields": ((*GET, *(("x-a", "b"),) * 101), 431),
    "fields that are too large": ((*GET, ("x-a", "b" * 70000)), 431),
}

ACCEPTED = {
    "an asterisk for OPTIONS": ((":method", "OPTIONS"), SCHEME, (":path", "*"), AUTHORITY),
    "Host instead of an authority": (METHOD, SCHEME, PATH, ("host", "x")),
    "Host beside the authority": (*GET, ("host", "x")),
    "trailers in TE": (*GET, ("te", "trailers")),
    "priority": (*GET, ("priority", "u=1")),
}


@pytest.mark.parametrize("headers", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_is_an_error_of_its_stream(run, headers):
    async def main():
        async with serving(hello) as at:
            client = await connect(at)
            response = await client.request(headers)
            assert (response.status, response.reset) == (0, ErrorCodes.PROTOCOL_ERROR)
            assert (await client.request()).body == b"hello"

    run(main())


@pytest.mark.parametrize(("headers", "status"), REFUSED.values(), ids=REFUSED)
def test_request_that_is_not_served_is_answered_with_its_status(run, headers, status):
    async def main():
        async with serving(hello) as at:
            client = await connect(at)
            response = await client.request(headers)
            assert (response.status, response.reset) == (status, None)
            assert (await client.request()).body == b"hello"

    run(main())


@pytest.mark.parametrize("headers", ACCEPTED.values(), ids=ACCEPTED)
def test_unusual_request_that_is_allowed_is_served(run, headers):
    async def main():
        async with serving(hello) as at:
            assert (await (await connect(at)).request(headers)).status == 200

    run(main())


@pytest.mark.parametrize("body", [b"ab", b"abcd"])
def test_a_body_that_contradicts_its_length_is_an_error_of_its_stream(run, body):
    async def main():
        async with serving(echo) as at:
            client = await connect(at)
            response = await client.request((*POST, ("content-length", "3")), body)
            assert (response.status, response.reset) == (0, ErrorCodes.PROTOCOL_ERROR)
            assert (await client.request(POST, b"abc")).body == b"abc"

    run(main())


@pytest.mark.parametrize("trailers", [[(":path", "/")], [("connection", "close")], [("X-A", "b")], [("x-a", "b\n")]])
def test_malformed_trailers_are_an_error_of_their_stream(run, trailers):
    async def main():
        async with serving(echo) as at:
            client = await connect(at)
            stream = await client.begin(POST, end=False)
            client.h2.send_headers(stream, trailers, end_stream=True)
            await client.flush()
            assert (await client.response(stream)).reset == ErrorCodes.PROTOCOL_ERROR
            assert (await client.request(POST, b"abc")).body == b"abc"

    run(main())


def test_a_body_that_is_too_large_is_refused_at_once_or_when_it_is_seen(run):
    async def main():
        async with serving(echo, limit_body=10) as at:
            client = await connect(at)
            stream = await client.begin((*POST, ("content-length", "11")), end=False)
            assert (await client.response(stream)).status == 413
            assert (await client.request(POST, b"x" * 11)).status == 413
            assert (await client.request(POST, b"x" * 10)).status == 200

    run(main())


def test_request_beyond_the_concurrency_limit_is_answered_with_503(run):
    async def app(scope, receive, send):
        await receive()
        await receive()

    async def main():
        async with serving(app, limit_concurrency=1) as at:
            client = await connect(at)
            await client.begin()
            response = await client.request()
            assert (response.status, response.header("retry-after")) == (503, "1")

    run(main())


def test_a_refusal_that_has_no_room_yet_waits_while_the_body_comes(run):
    async def main():
        async with serving(echo) as at:
            client = await connect(at)
            await client.raw(frames.SETTINGS, 0, 0, struct.pack("!HL", 4, 0))
            stream = await client.begin((*POST, ("expect", "x")), end=False)
            await client.until(lambda: client.responses[stream].status)
            await client.data(stream, b"abc", end=True)
            await client.raw(frames.SETTINGS, 0, 0, struct.pack("!HL", 4, 65535))
            response = await client.response(stream)
            assert (response.status, response.ended) == (417, True)

    run(main())


BROKEN = {
    "a frame that is too large": (b"\0\x40\1\0\0\0\0\0\1" + b"x" * 16385, ErrorCode.FRAME_SIZE_ERROR),
    "DATA on no stream": (frames.frame(frames.DATA, 0, 0, b"x"), ErrorCode.PROTOCOL_ERROR),
    "DATA on an idle stream": (frames.frame(frames.DATA, 0, 9, b"x"), ErrorCode.PROTOCOL_ERROR),
    "more padding than payload": (frames.frame(frames.DATA, frames.PADDED, 1, b"\7abc"), ErrorCode.PROTOCOL_ERROR),
    "HEADERS on no stream": (frames.frame(frames.HEADERS, 4, 0, b"\x82"), ErrorCode.PROTOCOL_ERROR),
    "HEADERS on a stream of the server's": (frames.frame(frames.HEADERS, 5, 2, b"\x82"), ErrorCode.PROTOCOL_ERROR),
    "HEADERS that cannot be decoded": (
        frames.frame(frames.HEADERS, 5, 3, b"\xff\xff\xff"),
        ErrorCode.COMPRESSION_ERROR,
    ),
    "a reference to nothing": (frames.frame(frames.HEADERS, 5, 3, b"\xfe"), ErrorCode.COMPRESSION_ERROR),
    "a table that is too large": (frames.frame(frames.HEADERS, 5, 3, b"\x3f\xff\xff\x03"), ErrorCode.COMPRESSION_ERROR),
    "CONTINUATION of nothing": (frames.frame(frames.CONTINUATION, 4, 1, b""), ErrorCode.PROTOCOL_ERROR),
    "PING amid a header block": (
        frames.frame(frames.HEADERS, 0, 3, b"\x82") + frames.frame(frames.PING, 0, 0, b"x" * 8),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "CONTINUATION of another stream": (
        frames.frame(frames.HEADERS, 0, 3, b"\x82") + frames.frame(frames.CONTINUATION, 4, 5, b""),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "a stream that depends on itself": (
        frames.frame(frames.HEADERS, 0x25, 3, b"\0\0\0\3\0\x82"),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "PRIORITY of the wrong size": (frames.frame(frames.PRIORITY, 0, 1, b"x"), ErrorCode.FRAME_SIZE_ERROR),
    "RST_STREAM on an idle stream": (frames.reset(9, ErrorCode.CANCEL), ErrorCode.PROTOCOL_ERROR),
    "RST_STREAM of the wrong size": (frames.frame(frames.RST_STREAM, 0, 1, b"x"), ErrorCode.FRAME_SIZE_ERROR),
    "SETTINGS on a stream": (frames.frame(frames.SETTINGS, 0, 1, b""), ErrorCode.PROTOCOL_ERROR),
    "SETTINGS of the wrong size": (frames.frame(frames.SETTINGS, 0, 0, b"x"), ErrorCode.FRAME_SIZE_ERROR),
    "an acknowledgement that says more": (frames.frame(frames.SETTINGS, 1, 0, b"x" * 6), ErrorCode.FRAME_SIZE_ERROR),
    "an initial window too large": (
        frames.frame(frames.SETTINGS, 0, 0, struct.pack("!HL", 4, 1 << 31)),
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    "a frame size too small": (frames.frame(frames.SETTINGS, 0, 0, struct.pack("!HL", 5, 1)), ErrorCode.PROTOCOL_ERROR),
    "PUSH_PROMISE": (frames.frame(frames.PUSH_PROMISE, 4, 1, b"\0\0\0\2\x82"), ErrorCode.PROTOCOL_ERROR),
    "PING of the wrong size": (frames.frame(frames.PING, 0, 0, b"x"), ErrorCode.FRAME_SIZE_ERROR),
    "PING on a stream": (frames.frame(frames.PING, 0, 1, b"x" * 8), ErrorCode.PROTOCOL_ERROR),
    "GOAWAY of the wrong size": (frames.frame(frames.GOAWAY, 0, 0, b"x"), ErrorCode.FRAME_SIZE_ERROR),
    "WINDOW_UPDATE by nothing": (frames.window_update(0, 0), ErrorCode.PROTOCOL_ERROR),
    "WINDOW_UPDATE of the wrong size": (frames.frame(frames.WINDOW_UPDATE, 0, 0, b"x"), ErrorCode.FRAME_SIZE_ERROR),
    "a window too large": (frames.window_update(0, (1 << 31) - 1), ErrorCode.FLOW_CONTROL_ERROR),
    "HEADERS on a stream that was left out": (
        frames.frame(frames.HEADERS, 5, 9, b"\x82\x86\x84\x41\x01x") + frames.frame(frames.HEADERS, 5, 5, b"\x82"),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "HEADERS on a stream of the server": (frames.frame(frames.HEADERS, 5, 2, b"\x82"), ErrorCode.PROTOCOL_ERROR),
    "HEADERS on a stream that has ended": (frames.frame(frames.HEADERS, 5, 1, b"\x82"), ErrorCode.STREAM_CLOSED),
}


@pytest.mark.parametrize(("data", "code"), BROKEN.values(), ids=BROKEN)
def test_a_broken_frame_ends_its_connection_and_no_other(run, data, code):
    async def main():
        async with serving(hello) as at:
            client, other = await connect(at), await connect(at)
            assert (await client.request()).status == 200
            await client.peer.send(data)
            assert await client.wait_closed() == code
            assert (await other.request()).status == 200

    run(main())


@pytest.mark.parametrize(
    "data", [b"\0\0\0\0\0\0\0\0\0", b"\xff" * 30, frames.PREFACE + frames.frame(6, 0, 0, b"x" * 8)]
)
def test_connection_without_the_preface_is_refused(run, data):
    async def main():
        async with serving(hello, http="2") as at:
            peer = await at.connect(data)
            goaway = struct.pack("!BBLLL", frames.GOAWAY, 0, 0, 0, ErrorCode.PROTOCOL_ERROR)
            assert goaway in await peer.everything()

    run(main())


def test_a_stream_error_of_flow_control_is_the_streams(run):
    async def app(scope, receive, send):
        await receive()
        await receive()

    async def main():
        async with serving(app) as at:
            client = await connect(at)
            stream = await client.begin()
            await client.raw(frames.WINDOW_UPDATE, 0, stream, struct.pack("!L", (1 << 31) - 1))
            assert (await client.response(stream)).reset == ErrorCodes.FLOW_CONTROL_ERROR
            stream = await client.begin()
            await client.raw(frames.WINDOW_UPDATE, 0, stream, struct.pack("!L", 0))
            assert (await client.response(stream)).reset == ErrorCodes.PROTOCOL_ERROR

    run(main())


def test_more_data_than_the_window_allows_is_an_error(run):
    async def app(scope, receive, send):
        await asyncio.Event().wait()

    async def main():
        async with serving(app, http2_initial_stream_window_size=16384) as at:
            client = await connect(at)
            stream = await client.begin(POST, end=False)
            for _ in range(3):
                await client.raw(frames.DATA, 0, stream, b"x" * 16384)
            assert (await client.response(stream)).reset == ErrorCodes.FLOW_CONTROL_ERROR

    run(main())


# Without a server


def test_responses_are_encoded_so_that_others_can_decode_them():
    lines = b"Content-Type: text/html\r\nX-Long: " + b"v" * 300 + b"\r\nx-empty: \r\naccept-ranges: bytes\r\n"
    block = encode_status(200) + encode_status(503) + encode_lines(lines) + encode_field(b"content-length", b"5")
    decoded = [tuple(each) for each in FieldDecoder(65536).decode(block)]
    assert decoded == [
        (b":status", b"200"),
        (b":status", b"503"),
        (b"content-type", b"text/html"),
        (b"x-long", b"v" * 300),
        (b"x-empty", b""),
        (b"accept-ranges", b"bytes"),
        (b"content-length", b"5"),
    ]


@given(st.lists(st.lists(st.tuples(st.sampled_from([b"a", b"b", b":path"]), st.binary(max_size=5)), max_size=5)))
def test_decoder_returns_repeated_header_blocks_as_they_were_encoded(lists):
    encoder, decoder = Encoder(), FieldDecoder(65536)
    for fields in lists:
        for _ in range(3):
            assert [tuple(each) for each in decoder.decode(encoder.encode(fields))] == fields


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_frames_are_the_same_however_they_are_cut(data):
    kinds = st.sampled_from([0, 1, 2, 3, 4, 6, 7, 8, 9, 20])
    one = st.builds(
        frames.frame, kinds, st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x2D]), st.integers(0, 5), st.binary(max_size=20)
    )
    stream = b"".join(data.draw(st.lists(one, max_size=10)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    def read(parts):
        reader, found = FrameReader(1000), []
        try:
            for part in parts:
                found += list(reader.feed(part))
        except HTTP2ConnectionError as fault:
            found.append(fault.code)
        return found

    whole = read([stream])
    if whole and isinstance(whole[-1], ErrorCode):
        whole = read([stream[at : at + 1] for at in range(len(stream))])
    assert read(pieces)[-1:] == whole[-1:]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=100))
def test_no_header_block_is_worse_than_an_error(block):
    with contextlib.suppress(HTTP2ConnectionError):
        FieldDecoder(1000).decode(block)


def test_frame_of_the_largest_size_is_taken_in_pieces_of_any_size():
    payload = bytes(range(256)) * 1024
    data = frames.frame(frames.DATA, 0, 1, payload) * 2
    for step in (1000, 65536, len(data)):
        reader = frames.FrameReader(65536, 1 << 20, 1 << 20)
        found = [each for at in range(0, len(data), step) for each in reader.feed(data[at : at + step])]
        assert found == [(frames.DATA, 0, 1, payload)] * 2


@pytest.mark.parametrize(
    ("kind", "size", "code"),
    [
        (frames.DATA, (1 << 20) + 1, ErrorCode.FRAME_SIZE_ERROR),
        (frames.DATA, 100_001, ErrorCode.FLOW_CONTROL_ERROR),
        (frames.HEADERS, 65537, ErrorCode.ENHANCE_YOUR_CALM),
        (frames.CONTINUATION, 65537, ErrorCode.ENHANCE_YOUR_CALM),
    ],
)
def test_frame_that_could_not_be_accepted_is_refused_by_its_header(kind, size, code):
    reader = frames.FrameReader(65536, 1 << 20, 100_000)
    with pytest.raises(HTTP2ConnectionError) as raised:
        list(reader.feed(frames.frame(kind, 0, 1, bytes(size))[:9]))
    assert raised.value.code == code


def test_http2_max_frame_size_is_announced_and_holds(run):
    async def main():
        async with serving(echo, http2_max_frame_size=100_000) as at:
            client = await connect(at)
            assert client.settings[5] == 100_000
            stream = await client.begin(POST, end=False)
            await client.flush()
            await client.peer.send(frames.frame(frames.DATA, 1, stream, b"x" * 60_000))
            assert (await client.response(stream)).body == b"x" * 60_000

    run(main())
