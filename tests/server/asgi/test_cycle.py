"""ASGI messages out of order and inconsistent responses raise in the application."""

import asyncio

import pytest

from tests.support.asgi_server import serving

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
START = {"type": "http.response.start", "status": 200}
BODY = {"type": "http.response.body"}


def sends(run, *messages, request=GET):
    """Exception of `send` for the last message, and the response."""
    raised = []

    async def app(scope, receive, send):
        for message in messages[:-1]:
            await send(message)
        try:
            await send(messages[-1])
        except Exception as error:
            raised.append(error)
            raise

    async def main():
        async with serving(app) as at:
            return await at.request(request)

    return raised, run(main())


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([BODY], "sent 'http.response.body' where the specification allows 'http.response.start'"),
        ([START, START], "sent 'http.response.start' where the specification allows 'http.response.body'"),
        ([{"type": "websocket.accept"}], "'websocket.accept'"),
    ],
)
def test_message_out_of_order_raises_and_gets_500(run, messages, words):
    (error,), answer = sends(run, *messages)
    assert words in str(error)
    assert answer.status == 500


def test_message_after_complete_response_raises(run):
    (error,), answer = sends(run, START, BODY, BODY)
    assert "allows nothing, since the response is complete" in str(error)
    assert answer.status == 200


@pytest.mark.parametrize("status", [99, 100, 103, 199, 1000, "200", None])
def test_status_that_is_not_final_gets_500(run, status):
    (error,), answer = sends(run, {**START, "status": status})
    assert "'status' must be a number from 200 to 999" in str(error)
    assert answer.status == 500


@pytest.mark.parametrize(
    "header",
    [
        (b"x", b"a\r\nb: c"),
        (b"x", b"a\nb"),
        (b"x", b"a\rb"),
        (b"x", b"a\0b"),
        (b"x\r\ny", b"a"),
        (b"x y", b"a"),
        (b"x:", b"a"),
        (b"", b"a"),
        (b"content-length", b"-1"),
        (b"content-length", b"1, 1"),
        (b"content-length", b""),
        (b"transfer-encoding", b"gzip"),
        ("x", b"a"),
        (b"x", "a"),
        (b"x", None),
    ],
)
def test_invalid_header_gets_500(run, header):
    (error,), answer = sends(run, {**START, "headers": [header]})
    assert isinstance(error, (ValueError, TypeError))
    assert answer.status == 500


@pytest.mark.parametrize("header", [("x", b"a"), (1, b"a"), (None, b"a"), (b"x",), (), 5])
@pytest.mark.parametrize("status", [200, 204])
def test_header_that_is_no_pair_of_bytes_is_named(run, status, header):
    (error,), answer = sends(run, {**START, "status": status, "headers": [header]})
    assert f"pairs of bytes, not {header!r}" in str(error)
    assert answer.status == 500


def test_unknown_status_has_empty_reason(run):
    _, answer = sends(run, {**START, "status": 299}, BODY)
    assert answer.lines[0] == b"HTTP/1.1 299 "


@pytest.mark.parametrize("body", [b"ab", b"abcd"])
def test_body_contradicting_content_length_gets_500(run, body):
    (error,), answer = sends(run, {**START, "headers": [(b"content-length", b"3")]}, {**BODY, "body": body})
    assert "than its Content-Length" in str(error)
    assert answer.status == 500


@pytest.mark.parametrize("second", [b"", b"bcd"])
def test_streamed_body_contradicting_content_length_is_truncated(run, second):
    start = {**START, "headers": [(b"content-length", b"3")]}
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        sends(run, start, {**BODY, "body": b"a", "more_body": True}, {**BODY, "body": second})


def test_headers_may_be_any_iterable_in_any_case(run):
    start = {**START, "headers": iter([[b"X-Mixed", b"a\tb"], (b"Content-LENGTH", b"0"), (b"Connection", b"close")])}
    _, answer = sends(run, start, BODY)
    assert answer.headers["x-mixed"] == "a\tb"
    assert answer.headers["content-length"] == "0"
    assert answer.headers["connection"] == "close"


def test_connection_close_of_application_closes_connection(run):
    async def app(scope, receive, send):
        await send({**START, "headers": [(b"connection", b"close")]})
        await send(BODY)

    async def main():
        async with serving(app) as at:
            peer = await at.connect(GET)
            assert (await peer.answer()).headers["connection"] == "close"
            assert await peer.is_closed()

    run(main())
