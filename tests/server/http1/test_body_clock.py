"""The time that a client has for its body: only while it is asked for it, and by rate while the application reads."""

import asyncio

import pytest

from tests.support.asgi_server import echo, serving

CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
EXPECTS = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"


async def polling(scope, receive, send):
    """Reads each part as it comes, as most applications do."""
    while (await receive())["type"] == "http.request":
        pass


async def answering(peer):
    """The status that the peer receives, while it sends a byte now and then."""
    answer = asyncio.ensure_future(peer.answer())
    while not answer.done():
        peer.writer.write(b"1\r\nx\r\n")
        await asyncio.wait([answer], timeout=0.1)
    return (await answer).status


def test_a_trickler_is_ended_although_the_application_reads_each_part(run):
    async def main():
        async with serving(polling, timeout_body=1.0, min_body_rate=1000) as at:
            assert await answering(await at.connect(CHUNKED)) == 408

    run(main())


def test_a_sender_above_the_least_rate_is_not_ended(run):
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
def test_the_clock_stands_until_the_body_is_asked_for(run, expects):
    async def app(scope, receive, send):
        await asyncio.sleep(2.5)
        await echo(scope, receive, send)

    async def main():
        async with serving(app, timeout_body=0.5) as at:
            peer = await at.connect(EXPECTS if expects else EXPECTS.replace(b"Expect: 100-continue\r\n", b""))
            answer = await peer.answer()
            assert answer.status == (100 if expects else 408)
            if expects:
                await peer.send(b"abc")
                assert (await peer.answer()).body == b"abc"

    run(main())


def test_the_clock_begins_when_the_body_is_asked_for(run):
    async def main():
        async with serving(echo, timeout_body=0.5) as at:
            peer = await at.connect(EXPECTS)
            assert (await peer.answer()).status == 100
            assert (await peer.answer()).status == 408

    run(main())


def test_a_request_that_waits_for_a_thread_is_not_ended_before_it_is_asked_for_its_body(run):
    import threading

    may_go_on = threading.Event()

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            assert may_go_on.wait(20)
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    async def main():
        async with serving(app, interface="wsgi", wsgi_threads=1, timeout_body=0.5) as at:
            slow = await at.connect(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            waiting = await at.connect(EXPECTS)
            await asyncio.sleep(2.5)
            may_go_on.set()
            assert (await slow.answer()).status == 200
            assert (await waiting.answer()).status == 100
            await waiting.send(b"abc")
            assert (await waiting.answer()).body == b"abc"

    run(main())
