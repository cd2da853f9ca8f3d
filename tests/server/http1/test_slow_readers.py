"""Slow clients over HTTP/1.1: steady readers get the whole response, others are disconnected."""

import pytest

from tests.support.asgi_server import hello, serving, until
from tests.support.slow_reader import connect_slow, narrow_listener, read_steadily

SIZE = 3_000_000
RATE = 1_000_000  # so that a response takes several times the timeouts below
QUICK = {"timeout_keep_alive": 1.0, "timeout_send": 1.0}


def request(path=b"/", *fields, method=b"GET"):
    return b"%b %b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (method, path, b"".join(each + b"\r\n" for each in fields))


async def at_once(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % SIZE)]})
    await send({"type": "http.response.body", "body": bytes(SIZE)})


async def of_unknown_length(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": bytes(SIZE), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def in_pieces(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % SIZE)]})
    for left in range(SIZE, 0, -100_000):
        await send({"type": "http.response.body", "body": bytes(100_000), "more_body": left > 100_000})


@pytest.mark.parametrize("fields", [(), (b"Connection: close",)], ids=["keep", "close"])
@pytest.mark.parametrize("app", [at_once, of_unknown_length, in_pieces])
def test_slow_client_gets_whole_response(run, app, fields):
    async def main():
        async with serving(app, listener=narrow_listener(), **QUICK) as at:
            peer = await connect_slow(at, request(b"/", *fields))
            assert b"200 OK" in await peer.reader.readuntil(b"\r\n\r\n")
            size = SIZE if app is not of_unknown_length else len(b"%x\r\n\r\n" % SIZE) + SIZE + 5
            assert await read_steadily(peer, size, RATE) == size
            if not fields:
                await peer.send(request(b"/"))
                assert b"200 OK" in await peer.reader.readuntil(b"\r\n\r\n")

    run(main())


def test_half_closed_slow_client_gets_whole_response(run):
    async def main():
        async with serving(at_once, listener=narrow_listener(), **QUICK) as at:
            peer = await connect_slow(at, request())
            peer.writer.write_eof()
            await peer.reader.readuntil(b"\r\n\r\n")
            assert await read_steadily(peer, SIZE, RATE) == SIZE
            assert await peer.is_closed()

    run(main())


def test_keep_alive_timeout_starts_when_response_is_read(run):
    async def main():
        async with serving(at_once, listener=narrow_listener(), **QUICK) as at:
            peer = await connect_slow(at, request())
            await peer.reader.readuntil(b"\r\n\r\n")
            assert await read_steadily(peer, SIZE, RATE) == SIZE
            assert await peer.is_closed()  # by --timeout-keep-alive

    run(main())


@pytest.mark.parametrize("app", [at_once, in_pieces])
@pytest.mark.parametrize("data", [request(), request() * 3, request(b"/", b"Connection: close")])
def test_send_timeout_disconnects_client_that_does_not_read(run, app, data):
    async def main():
        async with serving(app, listener=narrow_listener(), **QUICK) as at:
            await connect_slow(at, data)
            await until(lambda: at.server._service.metrics.open == 1)
            await until(lambda: at.server._service.metrics.open == 0)

    run(main())


def test_client_below_min_send_rate_is_disconnected(run):
    async def main():
        options = {**QUICK, "min_send_rate": 2_000_000}
        async with serving(at_once, listener=narrow_listener(), **options) as at:
            peer = await connect_slow(at, request())
            assert await read_steadily(peer, SIZE, RATE / 10) < SIZE

    run(main())


@pytest.mark.parametrize("separately", [False, True])
def test_next_request_starts_when_last_response_is_read(run, separately):
    begun = []

    async def app(scope, receive, send):
        begun.append(scope["path"])
        await at_once(scope, receive, send)

    async def main():
        async with serving(app, listener=narrow_listener(), timeout_keep_alive=1.0, timeout_send=20) as at:
            peer = await connect_slow(at, request(b"/1") + (b"" if separately else request(b"/2")))
            await until(lambda: begun)
            if separately:
                await peer.send(request(b"/2"))
            await peer.reader.readuntil(b"\r\n\r\n")
            assert await read_steadily(peer, SIZE // 2, RATE) == SIZE // 2
            assert begun == ["/1"]
            assert await read_steadily(peer, SIZE - SIZE // 2, RATE * 5) == SIZE - SIZE // 2
            await peer.reader.readuntil(b"\r\n\r\n")
            assert await read_steadily(peer, SIZE, RATE * 5) == SIZE
            assert begun == ["/1", "/2"]

    run(main())


@pytest.mark.parametrize("final", [False, True])
def test_drain_within_grace_waits_for_slow_client(run, final):
    async def main():
        async with serving(at_once, listener=narrow_listener(), timeout_keep_alive=1.0, timeout_send=1.0) as at:
            peer = await connect_slow(at, request())
            await peer.reader.readuntil(b"\r\n\r\n")
            at.server.drain(grace=20, final=final)
            assert await read_steadily(peer, SIZE, RATE) == SIZE
            assert await peer.is_closed()
            await at.server.wait_closed()

    run(main())


def test_drain_past_grace_aborts_client_that_does_not_read(run):
    async def main():
        async with serving(at_once, listener=narrow_listener(), timeout_send=600) as at:
            peer = await connect_slow(at, request())
            await peer.reader.readuntil(b"\r\n\r\n")
            at.server.drain(grace=0.5, final=True)
            await at.server.wait_closed()

    run(main())


def test_unread_pipelines_do_not_exhaust_wsgi_threads(run):
    """Each unread response used to occupy one WSGI thread for good."""

    def app(environ, start_response):
        size = int(environ["PATH_INFO"][1:])
        start_response("200 OK", [("Content-Length", str(size))])
        return [bytes(size)]

    async def main():
        options = {"wsgi_threads": 2, "timeout_send": 1.0}
        async with serving(app, interface="wsgi", listener=narrow_listener(), **options) as at:
            for _ in range(4):
                await connect_slow(at, request(b"/%d" % SIZE) * 2)
            assert (await at.request(request(b"/5"))).status == 200
            await until(lambda: at.server._service.metrics.open == 0)

    run(main())


@pytest.mark.parametrize("expires", [False, True])
def test_held_pipeline_resumes_in_order_or_is_closed(run, caplog, expires):
    """The send deadline ends with the backlog, and a closed connection starts no further request."""

    async def main():
        async with serving(hello) as at:
            service = at.server._service
            peer = await at.connect()
            await until(lambda: service.connections)
            (connection,) = service.connections
            connection.pause_writing()
            await peer.send(request() * 2)
            await until(lambda: len(connection._held) == 2 * len(request()))
            connection.deadline = 0.0
            connection.resume_writing()
            service.sweep()
            if expires:
                connection.expire()
                assert (await peer.answer()).status == 408
                assert await peer.is_closed()
            else:
                assert (await peer.answer()).status == 200
                assert (await peer.answer()).status == 200

    run(main())
    assert "failed" not in caplog.text


def test_keep_alive_timeout_after_small_response_closes_connection(run):
    async def main():
        async with serving(hello, timeout_keep_alive=0.5) as at:
            peer = await at.connect(request())
            assert (await peer.answer()).status == 200
            assert await peer.is_closed()

    run(main())
