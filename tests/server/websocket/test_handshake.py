"""WebSocket opening handshake: accepted and refused requests, and negotiation."""

import pytest

from corn.server.http1.parser import parse_head
from corn.server.websocket.deflate import negotiate_deflate
from corn.server.websocket.handshake import accept_key, check_fields, read_offer
from tests.support.asgi_server import serving

KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3
VERSION = b"Sec-WebSocket-Version: 13"
HANDSHAKE = (b"Host: x", b"Upgrade: websocket", b"Connection: Upgrade", KEY, VERSION)


def request(*lines, line=b"GET / HTTP/1.1"):
    return b"\r\n".join((line, *lines, b"", b""))


def without(part):
    return [each for each in HANDSHAKE if part not in each]


async def both(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"http"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


def ask(run, *requests, **options):
    """Responses to the requests of one connection."""

    async def main():
        async with serving(both, **options) as at:
            peer = await at.connect(b"".join(requests))
            return [await peer.answer() for _ in requests]

    return run(main())


def test_handshake_response_has_required_fields(run):
    (answer,) = ask(run, request(*HANDSHAKE), header=("X-Own: 1",))
    assert answer.lines[0] == b"HTTP/1.1 101 Switching Protocols"
    assert answer.headers["sec-websocket-accept"] == ACCEPT
    assert (answer.headers["upgrade"], answer.headers["connection"]) == ("websocket", "Upgrade")
    assert answer.headers["server"] == "corn"
    assert answer.headers["X-Own".lower()] == "1"
    assert "date" in answer.headers
    assert "sec-websocket-extensions" not in answer.headers
    assert "content-length" not in answer.headers


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([*without(b"Version")], 400),
        ([*without(b"Version"), VERSION, VERSION], 400),
        ([*without(b"Version"), b"Sec-WebSocket-Version: 8"], 426),
        ([*without(b"Key")], 400),
        ([*HANDSHAKE, KEY], 400),
        ([*without(b"Key"), b"Sec-WebSocket-Key: c2hvcnQ="], 400),
        ([*without(b"Key"), b"Sec-WebSocket-Key: ???"], 400),
        ([*HANDSHAKE, b"Sec-WebSocket-Protocol: a b"], 400),
        ([*HANDSHAKE, b"Sec-WebSocket-Extensions: ;"], 400),
        ([*HANDSHAKE, b"Content-Length: 3"], 400),
        ([*HANDSHAKE, b"Transfer-Encoding: chunked"], 400),
    ],
)
def test_invalid_handshake_is_refused(run, lines, status):
    (answer,) = ask(run, request(*lines))
    assert answer.status == status
    assert answer.headers["connection"] == ("close, upgrade" if status == 426 else "close")
    if status == 426:
        assert answer.headers["upgrade"] == "websocket"
        assert answer.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        (b"GET / HTTP/1.1", without(b"Connection")),
        (b"GET / HTTP/1.1", [*without(b"Connection"), b"Connection: keep-alive"]),
        (b"GET / HTTP/1.1", [*without(b"Upgrade: "), b"Upgrade: h2c"]),
        (b"POST / HTTP/1.1", [*HANDSHAKE, b"Content-Length: 0"]),
        (b"GET / HTTP/1.0", HANDSHAKE),
    ],
)
def test_request_without_upgrade_is_served_as_http(run, line, lines):
    (answer,) = ask(run, request(*lines, line=line))
    assert (answer.status, answer.body) == (200, b"http")


@pytest.mark.parametrize(
    "lines",
    [
        [*without(b"Upgrade: "), b"UPGRADE: WebSocket"],
        [*without(b"Upgrade: "), b"Upgrade: foo, websocket"],
        [*without(b"Connection"), b"Connection: keep-alive, Upgrade"],
        [*without(b"Connection"), b"Connection: keep-alive", b"connection: upgrade"],
        [*HANDSHAKE, b"Content-Length: 0"],
    ],
)
def test_handshake_accepts_equivalent_spellings(run, lines):
    assert ask(run, request(*lines))[0].status == 101


def test_handshake_after_requests_on_same_connection_succeeds(run):
    plain = request(b"Host: x")
    answers = ask(run, plain, plain, request(*HANDSHAKE))
    assert [each.status for each in answers] == [200, 200, 101]


def test_handshake_with_ws_none_is_served_as_http(run):
    assert ask(run, request(*HANDSHAKE), ws="none")[0].body == b"http"


def test_frames_sent_with_handshake_are_delivered(run):
    async def main():
        async with serving(both) as at:
            peer = await at.connect(request(*HANDSHAKE) + b"\x81\x82\0\0\0\0hi\x81\x82\0\0\0\0ho")
            assert (await peer.answer()).status == 101
            assert await peer.reader.readexactly(8) == b"\x81\x02hi\x81\x02ho"

    run(main())


def test_data_after_denied_handshake_is_not_read_as_request(run):
    async def app(scope, receive, send):
        await send({"type": "websocket.close"})

    async def main():
        async with serving(app) as at:
            peer = await at.connect(request(*HANDSHAKE) + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = await peer.answer()
            assert (answer.status, answer.headers["connection"]) == (403, "close")
            assert await peer.is_closed()

    run(main())


def offered(*fields):
    return read_offer([(b"sec-websocket-extensions", each) for each in fields])


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ((), None),
        ((b"x-unknown",), None),
        ((b"permessage-deflate; unknown",), None),
        ((b"permessage-deflate",), b"permessage-deflate; server_max_window_bits=12"),
        (
            (b"permessage-deflate; client_max_window_bits",),
            b"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        ),
        ((b"permessage-deflate; server_max_window_bits=8", b"permessage-deflate"), None),
        (
            (b"x-unknown", b"permessage-deflate; server_no_context_takeover; server_max_window_bits=10"),
            b"permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
        ),
    ],
)
def test_handshake_negotiates_extensions(fields, answer):
    agreed = negotiate_deflate(offered(*fields).extensions)
    if fields[:1] == (b"permessage-deflate; server_max_window_bits=8",):
        answer = b"permessage-deflate; server_max_window_bits=12"  # 8 is more than zlib can do, so the second offer
    assert (agreed and agreed[1]) == answer


def test_accept_key_matches_rfc_6455_example():
    assert accept_key(parse_head(request(*HANDSHAKE)[:-4], 100)) == ACCEPT.encode()


def test_subprotocol_fields_are_joined():
    offer = read_offer([(b"sec-websocket-protocol", b"a, b"), (b"sec-websocket-protocol", b"c")])
    assert offer.subprotocols == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("value", "names"), [(b"a,,b", ["a", "b"]), (b", a ,\t,b,", ["a", "b"]), (b",", []), (b"", []), (b" , ", [])]
)
def test_empty_subprotocol_list_elements_are_ignored(value, names):
    """RFC 9110, 5.6.1.2."""
    assert read_offer([(b"sec-websocket-protocol", value)]).subprotocols == names


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (b"Upgrade", r"must not have the header b'Upgrade'$"),
        (b"sec-websocket-accept", r"must not have the header b'sec-websocket-accept'$"),
        (b"Sec-WebSocket-Protocol", "; the message has 'subprotocol' for it$"),
    ],
)
def test_field_that_only_server_may_send_is_refused(name, words):
    check_fields([(b"x-own", b"1")])
    with pytest.raises(ValueError, match=words):
        check_fields([(b"x-own", b"1"), (name, b"x")])
