"""Every parser of a peer's bytes, with 64 KB of its worst-case input.

The tests bound work, not elapsed time: the executed lines of corn's code, as a multiple of the bytes, and for code in
C, such as regular expressions, processor time, where quadratic work takes seconds instead of milliseconds.
"""

import asyncio
import contextlib
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import corn
from corn.server.asgi.cycle import RequestCycle
from corn.server.asgi.scope import Endpoints
from corn.server.http import head as fields_of_head
from corn.server.http import response_fields
from corn.server.http.errors import HTTPError
from corn.server.http.target import decode_path, is_host, origin_form
from corn.server.http1.body import ChunkedBody, LengthBody
from corn.server.http1.parser import parse_head
from corn.server.http2 import request_head
from corn.server.http2.field_decoder import FieldDecoder
from corn.server.http2.frames import FrameReader, HTTP2ConnectionError, MalformedRequestError, frame
from corn.server.proxy.addresses import parse_node
from corn.server.proxy.forwarded_headers import read_forwarded, read_x_forwarded
from corn.server.static.conditional import chosen_range, precondition
from corn.server.static.negotiation import accepted_codings, cache_control, content_type
from corn.server.websocket.frames import FrameCodec
from corn.server.websocket.handshake import read_offer
from corn.server.wsgi import environ
from tests.support.asgi_server import hello, serving

SIZE = 65536
OWN = str(Path(corn.__file__).parent)


def repeated(piece, after=b""):
    return piece * (SIZE // len(piece)) + after


def head(field):
    return b"GET / HTTP/1.1\r\nHost: x\r\n" + field


def chunked(data, step=SIZE):
    """Feed a body in pieces of `step` bytes."""
    body = ChunkedBody(SIZE)
    for at in range(0, len(data), step):
        if not body.done:
            body.feed(data[at : at + step])
        while body.holds:
            body.feed(b"")


def collected():
    """Feed a mebibyte of a body to an application that does not read it, in pieces of 16 bytes."""
    cycle = RequestCycle(SimpleNamespace(timeout_request=None), None, fields_of_head.RequestHead(), {})
    for _ in range(SIZE):
        cycle.feed(b"x" * 16, True)


def framed(data, step=SIZE):
    """Feed WebSocket frames in pieces of `step` bytes."""
    codec = FrameCodec(SIZE)
    for at in range(0, len(data), step):
        codec.feed(data[at : at + step], 1000)
        while codec.holds:
            codec.feed(b"", 1000)


def text(data):
    return data.decode("latin-1")


CASES = {
    "fields": lambda: parse_head(head(repeated(b"a: b\r\n")[:-2]), 100_000),
    "field without a colon": lambda: parse_head(head(repeated(b"a")), 100),
    "field of spaces": lambda: parse_head(head(b"a: " + repeated(b" ") + b"b"), 100),
    "connection options": lambda: parse_head(head(b"Connection: " + repeated(b"a,")), 100),
    "transfer codings": lambda: parse_head(head(b"Transfer-Encoding: " + repeated(b"a ,")), 100),
    "lengths": lambda: parse_head(head(b"Content-Length: " + repeated(b"1,")), 100),
    "length of many digits": lambda: parse_head(head(b"Content-Length: " + repeated(b"1")), 100),
    "long target": lambda: parse_head(b"GET /" + repeated(b"%41") + b" HTTP/1.1\r\nHost: x", 100),
    "long method": lambda: parse_head(repeated(b"A") + b" / HTTP/1.1\r\nHost: x", 100),
    "host": lambda: is_host(repeated(b"%41", b"!x:")),
    "host of colons": lambda: is_host(b"[" + repeated(b":") + b"]"),
    "host of dots": lambda: is_host(b"[v1." + repeated(b"a:") + b"]x"),
    "absolute target": lambda: origin_form("GET", b"http://" + repeated(b"a", b"^/")),
    "escapes": lambda: decode_path(repeated(b"%41", b"%4")),
    "tiny chunks": lambda: chunked(repeated(b"1\r\nx\r\n")),
    "tiny chunks in bytes": lambda: chunked(repeated(b"1\r\nx\r\n"), 1),
    "chunk extensions": lambda: chunked(b"1" + repeated(b" ; a") + b"!\r\n"),
    "chunk extension of spaces": lambda: chunked(b"1;a" + b" " * 1000 + b"!\r\n", 1),
    "quoted chunk extension": lambda: chunked(b'1;a="' + b"\\a" * 500 + b"\r\n"),
    "trailers": lambda: chunked(b"0\r\n" + repeated(b"a: b\r\n"), 7),
    "body in bytes": lambda: [LengthBody(SIZE).feed(b"x") for _ in range(SIZE)],
    "x-forwarded-for of colons": lambda: read_x_forwarded([(b"x-forwarded-for", repeated(b"1:"))], ["for"]),
    "address of colons": lambda: parse_node(text(repeated(b"1:"))),
    "address of digits": lambda: parse_node(text(repeated(b"1."))),
    "forwarded": lambda: read_forwarded([(b"forwarded", repeated(b'for="a\\"', b"!"))]),
    "forwarded of quotes": lambda: read_forwarded([(b"forwarded", repeated(b'a="'))]),
    "forwarded of commas": lambda: read_forwarded([(b"forwarded", repeated(b"a=b,"))]),
    "forwarded of spaces": lambda: read_forwarded([(b"forwarded", repeated(b" ", b"!"))]),
    "entity tags": lambda: precondition({"if-none-match": text(repeated(b'W/"'))}, '"a"', 1),
    "entity tag without an end": lambda: precondition({"if-match": text(repeated(b'"a" ', b'"'))}, '"a"', 1),
    "date": lambda: precondition({"if-modified-since": text(b"Sun, " + repeated(b" "))}, '"a"', 1),
    "range": lambda: chosen_range({"range": text(b"bytes" + repeated(b" ") + b"!")}, '"a"', 1, 10),
    "range of digits": lambda: chosen_range({"range": text(b"bytes=" + repeated(b"1"))}, '"a"', 1, 10),
    "accepted codings": lambda: accepted_codings(text(repeated(b"a;q=0.1,"))),
    "hashed name": lambda: cache_control(text(b"/" + repeated(b"-ab1")), 1, ()),
    "suffixes": lambda: content_type(text(repeated(b"a."))),
    "subprotocols": lambda: read_offer([(b"sec-websocket-protocol", repeated(b"a,"))]),
    "extensions": lambda: read_offer([(b"sec-websocket-extensions", repeated(b"a;b=c,"))]),
    "body held for the application": collected,
    "websocket message in bytes": lambda: framed(b"\x82\xff" + SIZE.to_bytes(8, "big") + bytes(SIZE - 14), 2),
    "websocket fragments": lambda: framed(b"\x01\x80\0\0\0\0" + repeated(b"\0\x80\0\0\0\0")),
    "websocket pings": lambda: framed(repeated(b"\x89\x80\0\0\0\0")),
    "hpack integer": lambda: FieldDecoder(SIZE).decode(b"\x1f" + repeated(b"\xff")),
    "hpack table sizes": lambda: FieldDecoder(SIZE).decode(repeated(b"\x20")),
    "hpack references": lambda: FieldDecoder(SIZE * 32).decode(repeated(b"\x82")),
    "hpack additions": lambda: FieldDecoder(SIZE * 32).decode(repeated(b"\x40\1a\1b")),
    "http/2 frames in bytes": lambda: [list(reader.feed(b"\0")) for reader in [FrameReader(SIZE)] for _ in range(SIZE)],
    "http/2 continuations": lambda: list(FrameReader(SIZE).feed(frame(1, 0, 1, b"") + repeated(frame(9, 0, 1, b"")))),
    "empty http/2 frames": lambda: list(FrameReader(SIZE).feed(repeated(b"\0\0\0\4\1\0\0\0\0"))),
}
LINES_PER_BYTE = 25  # where each byte is fed alone
REFUSALS = (HTTPError, HTTP2ConnectionError, ValueError)


@pytest.mark.parametrize("case", CASES)
def test_parser_work_is_linear_in_input_size(case):
    parse = CASES[case]
    with contextlib.suppress(*REFUSALS):
        began = time.thread_time()
        parse()
    assert time.thread_time() - began < 1  # an expression that is quadratic takes 5 s, and executes no lines
    assert lines_executed(parse) < LINES_PER_BYTE * SIZE


def lines_executed(parse):
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if not frame.f_code.co_filename.startswith(OWN):
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with contextlib.suppress(*REFUSALS):
            parse()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("data", [b"\r\n" * 500_000, b"\r\n" * 500_000 + b"\r", b"\r\n\n" * 300_000])
def test_leading_line_ends_take_linear_time(run, data):
    async def main():
        async with serving(hello) as at:
            peer = await at.connect()
            began = time.thread_time()
            await peer.send(data)
            await peer.send(b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n" if data.endswith(b"\r") else b"GET / HTTP/1.1\r\n")
            if not data.endswith(b"\r"):
                await peer.send(b"Host: x\r\n\r\n")
            assert (await peer.answer()).status == (400 if b"\n\n" in data else 200)
            assert time.thread_time() - began < 2

    run(main())


def test_head_in_small_pieces_is_scanned_once(run):
    async def main():
        async with serving(hello, limit_header_size=200_000) as at:
            peer = await at.connect()
            began = time.thread_time()
            await peer.send(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
            for _ in range(6000):
                await peer.send(b"x" * 20)
            assert (await peer.request(b"\r\n\r\n")).status == 200
            assert time.thread_time() - began < 5

    run(main())


def test_head_in_bytes_takes_linear_time(run):
    async def main():
        async with serving(hello, limit_header_size=SIZE) as at:
            ours, theirs = socket.socketpair()
            with theirs:
                protocol = at.server._protocols.first(ours, Endpoints(None, None, "http"))
                at.server._service.metrics.opened()
                await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, ours)
                data = head(b"X: " + b"x" * (SIZE - 100))
                began = time.thread_time()
                for byte in data:
                    protocol.data_received(bytes((byte,)))
                assert time.thread_time() - began < 1
                protocol.abort()

    run(main())


def _h2_head(name=b"a", authority=b"x"):
    fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", authority), (name, b"")]
    request_head.read_head(fields, limit_size=2 * SIZE, limit_count=100, ends=True)


LONG = b"a" * 60_000
CACHES = {
    "hosts": (fields_of_head._hosts, lambda n: parse_head(head(b"")[:16] + b"Host: %d.%b" % (n, LONG), 100)),
    "names": (fields_of_head.FIELD_MEANINGS, lambda n: parse_head(head(b"%d%b: x" % (n, LONG)), 100)),
    "connection options": (fields_of_head._options, lambda n: parse_head(head(b"Connection: %d%b" % (n, LONG)), 100)),
    "http/2 names": (request_head._names, lambda n: _h2_head(name=b"%d%b" % (n, LONG))),
    "http/2 authorities": (request_head._authorities, lambda n: _h2_head(authority=b"%d.%b" % (n, LONG))),
    "response names": (response_fields._names, lambda n: response_fields.encode_fields([(b"%d%b" % (n, LONG), b"")])),
    "response fields": (
        response_fields.ENCODED_FIELDS,
        lambda n: response_fields.ENCODED_FIELDS[((b"a", b"%d%b" % (n, LONG)),)],
    ),
    "wsgi variables": (environ._keys, lambda n: environ._key_of(b"%d%b" % (n, LONG), "drop")),
}


@pytest.mark.parametrize("name", CACHES)
def test_cache_of_bytes_from_peers_is_bounded_in_bytes(name):
    cache, fill = CACHES[name]
    before = len(cache)
    for number in range(20):
        with contextlib.suppress(*REFUSALS, MalformedRequestError):
            fill(number)
    assert len(cache) == before
