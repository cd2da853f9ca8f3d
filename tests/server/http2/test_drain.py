"""End of an HTTP/2 connection: drain, GOAWAY, timeouts and lost clients."""

import asyncio

import pytest
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated

from corn.server.http2 import frames
from tests.support.asgi_server import echo, hello, serving, until
from tests.support.http2_peer import GET, POST, connect, tolerant


def goaways(client):
    return [each for each in client.events if isinstance(each, ConnectionTerminated)]


async def tolerant_client(at):
    return tolerant(await connect(at))


def test_drain_finishes_requests_and_accepts_those_in_flight(run):
    may_respond = asyncio.Event()

    async def app(scope, receive, send):
        await may_respond.wait()
        await echo(scope, receive, send)

    async def main():
        async with serving(app, timeout_keep_alive=0.1) as at:
            client = await tolerant_client(at)
            begun = await client.begin()
            uploading = await client.begin(POST, end=False)
            await client.data(uploading, b"abc")
            connection = next(iter(at.server._service.connections))
            at.server.drain(grace=10, final=True)
            await until(lambda: connection._is_draining)
            late = await client.begin()  # the client has not seen the first GOAWAY
            await client.until(lambda: goaways(client))
            assert goaways(client)[0].last_stream_id == frames.MAX_STREAM
            may_respond.set()
            await client.data(uploading, b"def", end=True)
            assert (await client.response(begun)).status == 200
            assert (await client.response(uploading)).body == b"abcdef"
            assert (await client.response(late)).status == 200
            assert await client.wait_closed() == ErrorCodes.NO_ERROR
            assert goaways(client)[-1].last_stream_id == late
            await at.server.wait_closed()

    run(main())


def test_drain_closes_idle_connections(run):
    async def main():
        async with serving(hello) as at:
            client, unused = await tolerant_client(at), await tolerant_client(at)
            await client.request()
            at.server.drain(grace=10, final=True)
            for each in (client, unused):
                assert await each.wait_closed() == ErrorCodes.NO_ERROR
            await at.server.wait_closed()

    run(main())


def test_drain_does_not_wait_for_ping_ack(run):
    async def main():
        async with serving(hello) as at:
            client = await connect(at)
            await client.request()
            at.server.drain(grace=10, final=True)
            while await client.peer.reader.read(65536):
                pass
            client.peer.writer.close()
            await at.server.wait_closed()

    run(main())


def test_drain_past_grace_resets_streams_or_sends_503(run):
    async def app(scope, receive, send):
        await asyncio.sleep(60)

    async def late(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await asyncio.sleep(60)

    async def main():
        for each in (app, late):
            async with serving(each) as at:
                client = await tolerant_client(at)
                stream = await client.begin()
                await until(lambda: at.server._service.running)
                at.server.drain(grace=0.1, final=True)
                response = await client.response(stream)
                assert (response.status, response.reset) in ((503, None), (200, ErrorCodes.INTERNAL_ERROR))
                await at.server.wait_closed()

    run(main())


def test_keep_alive_timeout_closes_idle_connection(run):
    async def main():
        async with serving(hello, timeout_keep_alive=0.6) as at:
            client = await connect(at)
            assert (await client.request()).status == 200
            assert await client.wait_closed() == ErrorCodes.NO_ERROR
            assert client.terminated.last_stream_id == 1

    run(main())


def test_header_timeout_closes_silent_connection(run):
    async def main():
        async with serving(hello, http="2", timeout_header=0.6) as at:
            peer = await at.connect()
            await peer.everything()

    run(main())


def test_keep_alive_timeout_does_not_cut_long_request(run):
    async def app(scope, receive, send):
        await asyncio.sleep(1.5)
        await hello(scope, receive, send)

    async def main():
        async with serving(app, timeout_keep_alive=0.1) as at:
            assert (await (await connect(at)).request()).status == 200

    run(main())


def test_client_goaway_does_not_cut_its_requests(run):
    may_respond = asyncio.Event()

    async def app(scope, receive, send):
        await may_respond.wait()
        await hello(scope, receive, send)

    async def main():
        async with serving(app) as at:
            client = await connect(at)
            stream = await client.begin()
            await client.raw(frames.GOAWAY, 0, 0, b"\0" * 8)
            await until(lambda: at.server._service.running)
            may_respond.set()
            assert (await client.response(stream)).body == b"hello"
            await client.wait_closed()

    run(main())


def test_half_closed_client_gets_response_and_incomplete_request_reset(run):
    may_respond = asyncio.Event()

    async def app(scope, receive, send):
        await may_respond.wait()
        await hello(scope, receive, send)

    async def main():
        async with serving(app) as at:
            client = await connect(at)
            stream, unfinished = await client.begin(), await client.begin(POST, end=False)
            client.peer.writer.write_eof()
            assert (await client.response(unfinished)).reset == ErrorCodes.CANCEL
            may_respond.set()
            assert (await client.response(stream)).body == b"hello"

    run(main())


def test_request_timeout_gets_503_on_its_stream(run):
    async def app(scope, receive, send):
        if scope["path"] == "/":
            await asyncio.sleep(60)
        await hello(scope, receive, send)

    async def main():
        async with serving(app, timeout_request=0.5) as at:
            client = await connect(at)
            assert (await client.request()).status == 503
            assert (await client.request((*GET[:2], (":path", "/quick"), GET[3]))).status == 200

    run(main())


@pytest.mark.parametrize("aborts", [True, False])
def test_lost_client_gets_no_frames(run, aborts):
    """Discarding the unread body must not send window updates."""
    failures = []

    async def app(scope, receive, send):
        await asyncio.sleep(60)

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
        async with serving(app) as at:
            client = await connect(at)
            for _ in range(4):
                await client.data(await client.begin(POST, end=False), b"x" * 250_000)
            await until(lambda: len(at.server._service.running) == 4)
            await client.raw(frames.DATA, 0, 1, b"x" * 5000)
            if aborts:
                client.peer.writer.transport.abort()
            else:
                await client.peer.send(frames.frame(frames.DATA, 0, 0, b""))
            await until(lambda: not any(hasattr(each, "streams") for each in at.server._service.connections))
            for cycle in list(at.server._service.running):
                cycle.cancel("enough")
            await until(lambda: not at.server._service.running)

    run(main())
    assert not failures
