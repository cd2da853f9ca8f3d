"""Limits and timeouts of HTTP/1.1 requests."""

import asyncio

import pytest

from corn.ipc.scoreboard import Field
from tests.support.asgi_server import echo, hello, serving, until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


def test_header_timeout_before_first_byte_closes_silently(run):
    async def main():
        async with serving(hello, timeout_header=0.5) as at:
            peer = await at.connect()
            assert await peer.is_closed()

    run(main())


def test_header_timeout_in_partial_head_gets_408(run):
    async def main():
        async with serving(hello, timeout_header=0.5) as at:
            peer = await at.connect(b"GET / HTTP/1.1\r\n")
            assert (await peer.answer()).status == 408
            assert await peer.is_closed()

    run(main())


def test_header_timeout_is_not_extended_by_trickled_bytes(run):
    async def main():
        async with serving(hello, timeout_header=0.5) as at:
            peer = await at.connect(GET)
            await peer.answer()
            answering = asyncio.ensure_future(peer.answer())
            for byte in b"GET / HTTP/1.1\r\nHost: " + b"x" * 1000:
                await peer.send(bytes([byte]))
                if (await asyncio.wait([answering], timeout=0.1))[0]:
                    break
            assert (await answering).status == 408

    run(main())


def test_keep_alive_timeout_closes_idle_connection(run):
    async def main():
        async with serving(hello, timeout_keep_alive=0.5) as at:
            peer = await at.connect(GET)
            await peer.answer()
            assert await peer.is_closed()

    run(main())


def test_body_timeout_gets_408_and_disconnects_application(run):
    seen = []

    async def app(scope, receive, send):
        seen.append(await receive())
        seen.append((await receive())["type"])

    async def main():
        async with serving(app, timeout_body=0.5) as at:
            peer = await at.connect(POST + b"Content-Length: 10\r\n\r\nabc")
            assert (await peer.answer()).status == 408
            assert await peer.is_closed()

    run(main())
    assert seen == [{"type": "http.request", "body": b"abc", "more_body": True}, "http.disconnect"]


def test_body_timeout_below_min_rate_gets_408(run):
    async def app(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass

    async def main():
        async with serving(app, timeout_body=0.5, min_body_rate=1000) as at:
            peer = await at.connect(POST + b"Content-Length: 1000000\r\n\r\n")
            answer = asyncio.ensure_future(peer.answer())
            while not answer.done():
                await peer.send(b"x")
                await asyncio.wait([answer], timeout=0.02)
            assert answer.result().status == 408

    run(main())


def test_body_timeout_above_min_rate_is_extended(run):
    async def app(scope, receive, send):
        size = 0
        while (message := await receive()).get("more_body"):
            size += len(message["body"])
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"%d" % (size + len(message["body"]))})

    async def main():
        async with serving(app, timeout_body=1.0, min_body_rate=1000) as at:
            peer = await at.connect(POST + b"Content-Length: 40000\r\n\r\n")
            for _ in range(40):  # twice --timeout-body
                await peer.send(b"x" * 1000)
                await asyncio.sleep(0.05)
            assert (await peer.answer()).body == b"40000"

    run(main())


def test_send_timeout_aborts_client_that_reads_nothing(run):
    seen = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
        except OSError as error:
            seen.append(error)

    async def main():
        async with serving(app, timeout_send=0.5) as at:
            await at.connect(GET)
            await until(lambda: seen)

    run(main())


@pytest.mark.parametrize("chunked", [False, True])
def test_body_beyond_limit_gets_413(run, chunked):
    async def main():
        async with serving(echo, limit_body=5) as at:
            if chunked:
                request = POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\nabc\r\n0\r\n\r\n"
            else:
                request = POST + b"Content-Length: 6\r\n\r\nabcabc"
            peer = await at.connect(request)
            assert (await peer.answer()).status == 413
            assert await peer.is_closed()
            assert (await at.request(POST + b"Content-Length: 5\r\n\r\nabcab")).body == b"abcab"

    run(main())


def test_request_beyond_limit_concurrency_gets_503_and_retry_after(run):
    async def main():
        gate = asyncio.Event()

        async def app(scope, receive, send):
            await gate.wait()
            await hello(scope, receive, send)

        async with serving(app, limit_concurrency=2) as at:
            peers = [await at.connect(GET) for _ in range(2)]
            await until(lambda: len(at.server._service.running) == 2)
            answer = await at.request(GET)
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            gate.set()
            for peer in peers:
                assert (await peer.answer()).status == 200
            assert (await at.request(GET)).status == 200

    run(main())


def test_connection_beyond_limit_connections_waits(run):
    async def main():
        async with serving(hello, limit_connections=2) as at:
            peers = [await at.connect(GET) for _ in range(3)]
            await peers[0].answer()
            await peers[1].answer()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(peers[2].reader.readexactly(1), 0.2)
            assert at.field(Field.CONNECTIONS) == 2
            peers[0].close()
            assert b"200" in await peers[2].reader.readuntil(b"\r\n")

    run(main())


def test_request_timeout_cancels_application(run, caplog):
    seen = []

    async def app(scope, receive, send):
        if scope["path"] == "/late":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def main():
        async with serving(app, timeout_request=0.5) as at:
            answer = await at.request(GET)
            assert answer.status == 503
            peer = await at.connect(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises(asyncio.IncompleteReadError):
                await peer.answer()

    run(main())
    assert seen == ["cancelled", "cancelled"]


def test_default_response_headers_are_configurable(run):
    async def main():
        extra = ("x-frame-options: DENY", "x-two: b")
        async with serving(hello, header=extra, server_header=False, date_header=False) as at:
            answer = await at.request(GET)
            assert "server" not in answer.headers
            assert "date" not in answer.headers
            assert (answer.headers["x-frame-options"], answer.headers["x-two"]) == ("DENY", "b")

    run(main())


def test_application_date_and_server_replace_defaults(run):
    async def app(scope, receive, send):
        headers = [(b"Date", b"today"), (b"SERVER", b"mine")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    async def main():
        async with serving(app) as at:
            answer = await at.request(GET)
            assert (answer.headers["date"], answer.headers["server"]) == ("today", "mine")
            assert sum(line.lower().startswith(b"date") for line in answer.lines) == 1

    run(main())
