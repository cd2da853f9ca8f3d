"""Timeout of request bodies: it runs while the application waits for the body, and counts against --min-body-rate."""

import asyncio

import pytest

from tests.support.asgi_server import echo, serving

CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
EXPECTS = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"


async def reading(scope, receive, send):
    """Application that reads each part of the body as it arrives."""
    while (await receive())["type"] == "http.request":
        pass


async def status_while_trickling(peer):
    """Status of the response to a client that trickles its body."""
    answer = asyncio.ensure_future(peer.answer())
    while not answer.done():
        peer.writer.write(b"1\r\nx\r\n")
        await asyncio.wait([answer], timeout=0.1)
    return (await answer).status


def test_body_below_min_rate_gets_408(run):
    async def main():
        async with serving(reading, timeout_body=1.0, min_body_rate=1000) as at:
            assert await status_while_trickling(await at.connect(CHUNKED)) == 408

    run(main())


def test_body_above_min_rate_is_read_completely(run):
    async def main():
        async with serving(echo, timeout_body=1.0, min_body_rate=5) as at:
            peer = await at.connect(CHUNKED)
            for _ in range(30):
                await peer.send(b"2\r\nxx\r\n")
                await asyncio.sleep(0.1)
            await peer.send(b"0\r\n\r\n")
            assert (await peer.answer()).body == b"xx" * 30

    run(main())


@pytest.mark.parametrize("expects", [True, False])
def test_body_timeout_with_expect_starts_at_first_receive(run, expects):
    async def app(scope, receive, send):
        await asyncio.sleep(2.5)
        await echo(scope, receive, send)

    async def main():
        async with serving(app, timeout_body=1.5) as at:
            peer = await at.connect(EXPECTS if expects else EXPECTS.replace(b"Expect: 100-continue\r\n", b""))
            answer = await peer.answer()
            assert answer.status == (100 if expects else 408)
            if expects:
                await peer.send(b"abc")
                assert (await peer.answer()).body == b"abc"

    run(main())


def test_body_timeout_after_100_continue_gets_408(run):
    async def main():
        async with serving(echo, timeout_body=0.5) as at:
            peer = await at.connect(EXPECTS)
            assert (await peer.answer()).status == 100
            assert (await peer.answer()).status == 408

    run(main())


def test_body_timeout_does_not_run_while_queued_for_wsgi_thread(run):
    import threading

    may_continue = threading.Event()

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            assert may_continue.wait(20)
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    async def main():
        async with serving(app, interface="wsgi", wsgi_threads=1, timeout_body=2.0) as at:
            slow = await at.connect(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            waiting = await at.connect(EXPECTS)
            await asyncio.sleep(4)
            may_continue.set()
            assert (await slow.answer()).status == 200
            assert (await waiting.answer()).status == 100
            await waiting.send(b"abc")
            assert (await waiting.answer()).body == b"abc"

    run(main())
