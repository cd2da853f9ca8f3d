"""Request bodies over HTTP/2: flow control, timeouts, and early responses."""

import asyncio

import pytest
from h2.errors import ErrorCodes

from corn.server.http2.frames import DATA, END_STREAM
from tests.support.asgi_server import echo, hello, serving, until
from tests.support.http2_peer import POST, connect

BIG = bytes(range(256)) * 4096  # 1 MiB


def asks(*headers, method="GET", path="/"):
    return ((":method", method), (":scheme", "http"), (":path", path), (":authority", "x"), *headers)


@pytest.mark.parametrize("announced", [False, True])
def test_body_larger_than_windows_is_echoed(run, announced):
    headers = (("content-length", str(len(BIG))),) if announced else ()

    async def main():
        async with serving(echo, http2_initial_stream_window_size=16384) as at:
            client = await connect(at)
            response = await client.request(asks(*headers, method="POST"), BIG)
            assert (response.body, response.header("content-length")) == (BIG, str(len(BIG)))

    run(main())


def test_concurrent_bodies_do_not_mix(run):
    async def main():
        async with serving(echo) as at:
            client = await connect(at)
            first, second = await client.begin(POST, end=False), await client.begin(POST, end=False)
            for _ in range(10):
                await client.data(first, b"a" * 1000)
                await client.data(second, b"b" * 1000)
            await client.data(second, b"", end=True)
            await client.data(first, b"", end=True)
            assert (await client.response(first)).body == b"a" * 10000
            assert (await client.response(second)).body == b"b" * 10000

    run(main())


def test_application_without_receive_pauses_client(run):
    may_respond = asyncio.Event()
    held = []

    async def app(scope, receive, send):
        await may_respond.wait()
        held.append(len((await receive())["body"]))
        await echo(scope, receive, send)

    async def main():
        window = 65536
        async with serving(app, http2_initial_stream_window_size=window) as at:
            client = await connect(at)
            stream = await client.begin(POST, end=False)
            sending = asyncio.ensure_future(client.data(stream, BIG, end=True))
            await until(lambda: client.h2.local_flow_control_window(stream) == 0)
            await asyncio.sleep(0.05)
            assert not sending.done()
            may_respond.set()
            await sending
            assert (await client.response(stream)).body == BIG[window:]
            assert held == [window]

    run(main())


def test_expect_continue_gets_100_when_body_is_read(run):
    async def main():
        async with serving(echo) as at:
            client = await connect(at)
            stream = await client.begin(
                asks(("expect", "100-continue"), ("content-length", "3"), method="POST"), end=False
            )
            response = client.responses[stream]
            await client.until(lambda: response.informational)
            assert response.informational == [[(":status", "100")]]
            await client.data(stream, b"abc", end=True)
            assert (await client.response(stream)).body == b"abc"

    run(main())


@pytest.mark.parametrize(("size", "status"), [(1, 408), (200, 200)])
def test_body_below_min_rate_gets_408(run, size, status):
    """The application reads each byte as it arrives."""

    async def app(scope, receive, send):
        while (message := await receive()).get("more_body"):
            pass
        if message["type"] == "http.request":
            await hello(scope, receive, send)

    async def main():
        async with serving(app, timeout_body=1, min_body_rate=240) as at:
            client = await connect(at)
            stream = await client.begin(POST, end=False)
            for _ in range(40):
                await client.data(stream, b"x" * size)
                await asyncio.sleep(0.1)
                if client.responses[stream].status:
                    break
            else:
                await client.data(stream, b"", end=True)
            assert (await client.response(stream)).status == status

    run(main())


def test_unread_body_has_no_timeout(run):
    async def app(scope, receive, send):
        assert (await receive())["more_body"]
        await asyncio.sleep(2.5)
        while (await receive())["more_body"]:
            pass
        await hello(scope, receive, send)

    async def main():
        async with serving(app, timeout_body=1.2) as at:
            client = await connect(at)
            stream = await client.begin(POST, end=False)
            await client.data(stream, b"first")
            await asyncio.sleep(0.2)
            await client.data(stream, b"second")
            await asyncio.sleep(2.5)
            await client.data(stream, b"", end=True)
            assert (await client.response(stream)).status == 200

    run(main())


def test_body_timeout_with_expect_starts_at_receive(run):
    async def app(scope, receive, send):
        await asyncio.sleep(2.5)
        assert (await receive())["body"] == b"abc"
        await hello(scope, receive, send)

    async def main():
        async with serving(app, timeout_body=1.2) as at:
            client = await connect(at)
            stream = await client.begin((*POST, ("expect", "100-continue"), ("content-length", "3")), end=False)
            await client.until(lambda: client.responses[stream].informational)
            await client.data(stream, b"abc", end=True)
            assert (await client.response(stream)).status == 200

    run(main())


def test_early_response_resets_request_body_with_no_error(run):
    async def main():
        async with serving(hello) as at:
            client = await connect(at)
            stream = await client.begin(POST, end=False)
            response = await client.response(stream)
            await client.until(lambda: response.reset is not None)
            assert (response.body, response.ended, response.reset) == (b"hello", True, ErrorCodes.NO_ERROR)
            await client.raw(DATA, END_STREAM, stream, b"late")
            assert (await client.request()).status == 200

    run(main())
