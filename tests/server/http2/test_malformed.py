"""Requests and frames that violate RFC 9113; a malformed request is a stream error."""

import asyncio
import struct

import pytest
from h2.errors import ErrorCodes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corn.server.http2 import frames
from corn.server.http2.frames import ErrorCode, FrameReader, HTTP2ConnectionError
from tests.support.asgi_server import echo, hello, serving
from tests.support.http2_peer import GET, POST, connect

METHOD, SCHEME, PATH, AUTHORITY = GET

MALFORMED = {
    "no method": (SCHEME, PATH, AUTHORITY),
    "no scheme": (METHOD, PATH, AUTHORITY),
    "no path": (METHOD, SCHEME, AUTHORITY),
    "empty path": (METHOD, SCHEME, (":path", ""), AUTHORITY),
    "relative path": (METHOD, SCHEME, (":path", "a"), AUTHORITY),
    "absolute target": (METHOD, SCHEME, (":path", "http://x/"), AUTHORITY),
    "space in path": (METHOD, SCHEME, (":path", "/a b"), AUTHORITY),
    "fragment": (METHOD, SCHEME, (":path", "/a#b"), AUTHORITY),
    "asterisk without OPTIONS": (METHOD, SCHEME, (":path", "*"), AUTHORITY),
    "two methods": (METHOD, *GET),
    "two paths": (*GET, PATH),
    "unknown pseudo-header": (*GET, (":other", "x")),
    "response pseudo-header": (*GET, (":status", "200")),
    "pseudo-header after header": (METHOD, SCHEME, PATH, ("x-a", "b"), AUTHORITY),
    "upper-case name": (*GET, ("X-A", "b")),
    "name not token": (*GET, ("x a", "b")),
    "empty name": (*GET, ("", "b")),
    "line end in value": (*GET, ("x-a", "b\r\nc: d")),
    "NUL in value": (*GET, ("x-a", "b\0")),
    "white space before a value": (*GET, ("x-a", " b")),
    "white space after a value": (*GET, ("x-a", "b ")),
    "connection": (*GET, ("connection", "close")),
    "keep-alive": (*GET, ("keep-alive", "1")),
    "proxy-connection": (*GET, ("proxy-connection", "close")),
    "transfer-encoding": (*GET, ("transfer-encoding", "chunked")),
    "upgrade": (*GET, ("upgrade", "h2c")),
    "more than trailers in TE": (*GET, ("te", "trailers, deflate")),
    "invalid authority": (METHOD, SCHEME, PATH, (":authority", "user@x")),
    "empty authority": (METHOD, SCHEME, PATH, (":authority", "")),
    "empty authority beside empty Host": (METHOD, SCHEME, PATH, (":authority", ""), ("host", "")),
    "empty authority beside Host": (METHOD, SCHEME, PATH, (":authority", ""), ("host", "x")),
    "empty Host": (METHOD, SCHEME, PATH, ("host", "")),
    "authority differs from Host": (*GET, ("host", "y")),
    "two hosts": (METHOD, SCHEME, PATH, ("host", "x"), ("host", "x")),
    "length without body": (*GET, ("content-length", "3")),
    "length not number": (*GET, ("content-length", "x")),
    "two lengths": (*GET, ("content-length", "0"), ("content-length", "0")),
    "method not token": ((":method", "G T"), SCHEME, PATH, AUTHORITY),
    ":protocol without CONNECT": (*GET, (":protocol", "websocket")),
}

REFUSED = {
    "invalid escape": ((METHOD, SCHEME, (":path", "/%zz"), AUTHORITY), 400),
    "no authority": ((METHOD, SCHEME, PATH), 400),
    "CONNECT": (((":method", "CONNECT"), AUTHORITY), 501),
    "unknown protocol": (((":method", "CONNECT"), (":protocol", "x"), *GET[1:]), 501),
    "method in lower case": (((":method", "get"), *GET[1:]), 501),
    "unknown expectation": ((*GET, ("expect", "x")), 417),
    "too many fields": ((*GET, *(("x-a", "b"),) * 101), 431),
    "oversized fields": ((*GET, ("x-a", "b" * 70000)), 431),
}

ACCEPTED = {
    "asterisk for OPTIONS": ((":method", "OPTIONS"), SCHEME, (":path", "*"), AUTHORITY),
    "Host instead of an authority": (METHOD, SCHEME, PATH, ("host", "x")),
    "Host beside the authority": (*GET, ("host", "x")),
    "trailers in TE": (*GET, ("te", "trailers")),
    "priority": (*GET, ("priority", "u=1")),
}


@pytest.mark.parametrize("headers", MALFORMED.values(), ids=MALFORMED)
def test_malformed_request_resets_its_stream(run, headers):
    async def main():
        async with serving(hello) as at:
            client = await connect(at)
            response = await client.request(headers)
            assert (response.status, response.reset) == (0, ErrorCodes.PROTOCOL_ERROR)
            assert (await client.request()).body == b"hello"

    run(main())


@pytest.mark.parametrize(("headers", "status"), REFUSED.values(), ids=REFUSED)
def test_refused_request_gets_its_status(run, headers, status):
    async def main():
        async with serving(hello) as at:
            client = await connect(at)
            response = await client.request(headers)
            assert (response.status, response.reset) == (status, None)
            assert (await client.request()).body == b"hello"

    run(main())


@pytest.mark.parametrize("headers", ACCEPTED.values(), ids=ACCEPTED)
def test_unusual_valid_request_is_served(run, headers):
    async def main():
        async with serving(hello) as at:
            assert (await (await connect(at)).request(headers)).status == 200

    run(main())


@pytest.mark.parametrize("body", [b"ab", b"abcd"])
def test_body_contradicting_content_length_resets_stream(run, body):
    async def main():
        async with serving(echo) as at:
            client = await connect(at)
            response = await client.request((*POST, ("content-length", "3")), body)
            assert (response.status, response.reset) == (0, ErrorCodes.PROTOCOL_ERROR)
            assert (await client.request(POST, b"abc")).body == b"abc"

    run(main())


@pytest.mark.parametrize("trailers", [[(":path", "/")], [("connection", "close")], [("X-A", "b")], [("x-a", "b\n")]])
def test_malformed_trailers_reset_stream(run, trailers):
    async def main():
        async with serving(echo) as at:
            client = await connect(at)
            stream = await client.begin(POST, end=False)
            client.h2.send_headers(stream, trailers, end_stream=True)
            await client.flush()
            assert (await client.response(stream)).reset == ErrorCodes.PROTOCOL_ERROR
            assert (await client.request(POST, b"abc")).body == b"abc"

    run(main())


def test_body_beyond_limit_gets_413(run):
    async def main():
        async with serving(echo, limit_body=10) as at:
            client = await connect(at)
            stream = await client.begin((*POST, ("content-length", "11")), end=False)
            assert (await client.response(stream)).status == 413
            assert (await client.request(POST, b"x" * 11)).status == 413
            assert (await client.request(POST, b"x" * 10)).status == 200

    run(main())


def test_request_beyond_limit_concurrency_gets_503(run):
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


def test_refusal_without_window_waits_while_body_arrives(run):
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
    "oversized frame": (b"\0\x40\1\0\0\0\0\0\1" + b"x" * 16385, ErrorCode.FRAME_SIZE_ERROR),
    "DATA on no stream": (frames.frame(frames.DATA, 0, 0, b"x"), ErrorCode.PROTOCOL_ERROR),
    "DATA on an idle stream": (frames.frame(frames.DATA, 0, 9, b"x"), ErrorCode.PROTOCOL_ERROR),
    "more padding than payload": (frames.frame(frames.DATA, frames.PADDED, 1, b"\7abc"), ErrorCode.PROTOCOL_ERROR),
    "HEADERS on no stream": (frames.frame(frames.HEADERS, 4, 0, b"\x82"), ErrorCode.PROTOCOL_ERROR),
    "HEADERS on a stream of the server's": (frames.frame(frames.HEADERS, 5, 2, b"\x82"), ErrorCode.PROTOCOL_ERROR),
    "undecodable HEADERS": (
        frames.frame(frames.HEADERS, 5, 3, b"\xff\xff\xff"),
        ErrorCode.COMPRESSION_ERROR,
    ),
    "invalid table index": (frames.frame(frames.HEADERS, 5, 3, b"\xfe"), ErrorCode.COMPRESSION_ERROR),
    "oversized table": (frames.frame(frames.HEADERS, 5, 3, b"\x3f\xff\xff\x03"), ErrorCode.COMPRESSION_ERROR),
    "CONTINUATION without HEADERS": (frames.frame(frames.CONTINUATION, 4, 1, b""), ErrorCode.PROTOCOL_ERROR),
    "PING amid a header block": (
        frames.frame(frames.HEADERS, 0, 3, b"\x82") + frames.frame(frames.PING, 0, 0, b"x" * 8),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "CONTINUATION of another stream": (
        frames.frame(frames.HEADERS, 0, 3, b"\x82") + frames.frame(frames.CONTINUATION, 4, 5, b""),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "stream depends on itself": (
        frames.frame(frames.HEADERS, 0x25, 3, b"\0\0\0\3\0\x82"),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "PRIORITY of the wrong size": (frames.frame(frames.PRIORITY, 0, 1, b"x"), ErrorCode.FRAME_SIZE_ERROR),
    "RST_STREAM on an idle stream": (frames.reset(9, ErrorCode.CANCEL), ErrorCode.PROTOCOL_ERROR),
    "RST_STREAM of the wrong size": (frames.frame(frames.RST_STREAM, 0, 1, b"x"), ErrorCode.FRAME_SIZE_ERROR),
    "SETTINGS on a stream": (frames.frame(frames.SETTINGS, 0, 1, b""), ErrorCode.PROTOCOL_ERROR),
    "SETTINGS of the wrong size": (frames.frame(frames.SETTINGS, 0, 0, b"x"), ErrorCode.FRAME_SIZE_ERROR),
    "settings ack with payload": (frames.frame(frames.SETTINGS, 1, 0, b"x" * 6), ErrorCode.FRAME_SIZE_ERROR),
    "initial window too large": (
        frames.frame(frames.SETTINGS, 0, 0, struct.pack("!HL", 4, 1 << 31)),
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    "frame size too small": (frames.frame(frames.SETTINGS, 0, 0, struct.pack("!HL", 5, 1)), ErrorCode.PROTOCOL_ERROR),
    "PUSH_PROMISE": (frames.frame(frames.PUSH_PROMISE, 4, 1, b"\0\0\0\2\x82"), ErrorCode.PROTOCOL_ERROR),
    "PING of the wrong size": (frames.frame(frames.PING, 0, 0, b"x"), ErrorCode.FRAME_SIZE_ERROR),
    "PING on a stream": (frames.frame(frames.PING, 0, 1, b"x" * 8), ErrorCode.PROTOCOL_ERROR),
    "GOAWAY of the wrong size": (frames.frame(frames.GOAWAY, 0, 0, b"x"), ErrorCode.FRAME_SIZE_ERROR),
    "WINDOW_UPDATE by zero": (frames.window_update(0, 0), ErrorCode.PROTOCOL_ERROR),
    "WINDOW_UPDATE of the wrong size": (frames.frame(frames.WINDOW_UPDATE, 0, 0, b"x"), ErrorCode.FRAME_SIZE_ERROR),
    "window too large": (frames.window_update(0, (1 << 31) - 1), ErrorCode.FLOW_CONTROL_ERROR),
    "HEADERS on a skipped stream": (
        frames.frame(frames.HEADERS, 5, 9, b"\x82\x86\x84\x41\x01x") + frames.frame(frames.HEADERS, 5, 5, b"\x82"),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "HEADERS on a stream of the server": (frames.frame(frames.HEADERS, 5, 2, b"\x82"), ErrorCode.PROTOCOL_ERROR),
    "HEADERS on a closed stream": (frames.frame(frames.HEADERS, 5, 1, b"\x82"), ErrorCode.STREAM_CLOSED),
}


@pytest.mark.parametrize(("data", "code"), BROKEN.values(), ids=BROKEN)
def test_invalid_frame_closes_its_connection_only(run, data, code):
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
def test_connection_without_preface_is_refused(run, data):
    async def main():
        async with serving(hello, http="2") as at:
            peer = await at.connect(data)
            goaway = struct.pack("!BBLLL", frames.GOAWAY, 0, 0, 0, ErrorCode.PROTOCOL_ERROR)
            assert goaway in await peer.everything()

    run(main())


def test_window_overflow_resets_its_stream(run):
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


def test_data_beyond_window_resets_stream(run):
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


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_frames_split_anywhere_are_read_alike(data):
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


def test_frame_of_maximum_size_is_read_in_pieces():
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
def test_oversized_frame_is_refused_by_its_header(kind, size, code):
    reader = frames.FrameReader(65536, 1 << 20, 100_000)
    with pytest.raises(HTTP2ConnectionError) as raised:
        list(reader.feed(frames.frame(kind, 0, 1, bytes(size))[:9]))
    assert raised.value.code == code


def test_max_frame_size_option_is_announced_and_enforced(run):
    async def main():
        async with serving(echo, http2_max_frame_size=100_000) as at:
            client = await connect(at)
            assert client.settings[5] == 100_000
            stream = await client.begin(POST, end=False)
            await client.flush()
            await client.peer.send(frames.frame(frames.DATA, 1, stream, b"x" * 60_000))
            assert (await client.response(stream)).body == b"x" * 60_000

    run(main())
