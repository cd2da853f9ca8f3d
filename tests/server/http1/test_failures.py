"""Failures of the application and of the client during a request, over HTTP/1.1."""

import asyncio
import logging

import pytest

from tests.support.asgi_server import hello, serving, until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_exception_before_response_gets_500_and_logs_user_frames(run, caplog):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        raise ZeroDivisionError("mine")

    async def main():
        with caplog.at_level(logging.ERROR, "corn"):
            async with serving(app) as at:
                peer = await at.connect(GET)
                answer = await peer.answer()
                assert (answer.status, answer.body) == (500, b"Internal Server Error\n")
                assert (await peer.request(GET)).status == 500

    run(main())
    text = caplog.records[0].getMessage()
    assert "GET /" in text
    assert "ZeroDivisionError: mine" in text
    assert "test_failures.py" in text
    assert "corn/server" not in text


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_exception_during_response_truncates_response(run, caplog, version):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        raise ZeroDivisionError

    async def main():
        async with serving(app) as at:
            peer = await at.connect(b"GET / HTTP/" + version + b"\r\nHost: x\r\n\r\n")
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await peer.answer()

    run(main())


def test_application_without_response_gets_500(run, caplog):
    async def app(scope, receive, send):
        pass

    async def main():
        async with serving(app) as at:
            assert (await at.request(GET)).status == 500

    run(main())
    assert "returned without sending a response" in caplog.text


def test_client_disconnect_reaches_receive_and_send(run):
    seen = []

    async def app(scope, receive, send):
        seen.append((await receive())["type"])
        seen.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200})
        try:
            for _ in range(100):
                await send({"type": "http.response.body", "body": b"x" * 100000, "more_body": True})
        except OSError:
            seen.append("OSError")
            raise

    async def main():
        async with serving(app) as at:
            peer = await at.connect(GET)
            await until(lambda: seen)
            peer.writer.transport.abort()
            await until(lambda: len(seen) == 3)

    run(main())
    assert seen == ["http.request", "http.disconnect", "OSError"]


def test_receive_after_response_always_returns_disconnect(run):
    seen = []

    async def app(scope, receive, send):
        await hello(scope, receive, send)
        seen.append((await receive())["type"])
        seen.append((await receive())["type"])

    async def main():
        async with serving(app) as at:
            assert (await at.request(GET)).status == 200
            await until(lambda: len(seen) == 2)

    run(main())
    assert seen == ["http.disconnect", "http.disconnect"]
