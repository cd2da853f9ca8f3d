"""Requests and responses over one connection."""

import asyncio
import socket

import pytest

from tests.support.asgi_server import echo, hello, serving, until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_keep_alive_connection_answers_second_request(run):
    async def main():
        async with serving(hello) as at:
            peer = await at.connect(GET)
            first = await peer.answer()
            assert (first.status, first.body) == (200, b"hello")
            assert first.headers["server"] == "corn"
            assert first.headers["date"].endswith("GMT")
            assert "connection" not in first.headers
            assert (await peer.request(GET)).body == b"hello"

    run(main())


def test_scope_matches_request(run):
    seen = {}

    async def app(scope, receive, send):
        seen.update(scope)
        await hello(scope, receive, send)

    async def main():
        async with serving(app, root_path="/root") as at:
            peer = await at.connect(b"GET /a%20b/%C3%A9?q=%31 HTTP/1.1\r\nHoST: x:1\r\nX-Two:  v \r\n\r\n")
            await peer.answer()
            assert seen["client"] == peer.writer.get_extra_info("sockname")
            assert seen["server"] == at.address

    run(main())
    assert seen["type"] == "http"
    assert seen["asgi"] == {"version": "3.0", "spec_version": "2.3"}
    assert seen["http_version"] == "1.1"
    assert seen["method"] == "GET"
    assert seen["scheme"] == "http"
    assert seen["path"] == "/root/a b/é"
    assert seen["raw_path"] == b"/root/a%20b/%C3%A9"
    assert seen["query_string"] == b"q=%31"
    assert seen["root_path"] == "/root"
    assert seen["headers"] == [(b"host", b"x:1"), (b"x-two", b"v")]
    assert "state" not in seen


def test_tiny_chunks_of_one_connection_let_another_be_served(run):
    order = []

    async def app(scope, receive, send):
        await echo(scope, receive, send)
        order.append(scope["path"])

    async def main():
        async with serving(app) as at:
            first, second = await at.connect(GET), await at.connect(GET)
            await first.answer()
            await second.answer()
            order.clear()
            body = b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"
            first.writer.write(b"POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
            second.writer.write(GET)
            assert (await second.answer()).status == 200
            assert (await first.answer()).body == b"x" * 20_000
            assert (await first.request(GET)).status == 200

    run(main())
    assert order == ["/", "/upload", "/"]


def test_tiny_chunks_that_application_does_not_read_stop_reading(run):
    proceed = asyncio.Event()

    async def app(scope, receive, send):
        if scope["method"] == "POST":
            await proceed.wait()
        await echo(scope, receive, send)

    async def main():
        async with serving(app) as at:
            peer = await at.connect(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            await until(lambda: at.server._service.running)
            (cycle,) = at.server._service.running
            peer.writer.write(b"1\r\nx\r\n" * 200_000 + b"0\r\n\r\n")
            await until(lambda: len(cycle._body) > 65536 and not cycle.connection.transport.is_reading())
            proceed.set()
            assert (await peer.answer()).body == b"x" * 200_000

    run(main())


@pytest.mark.parametrize("chunked", [False, True])
def test_request_body_sent_bytewise_is_complete(run, chunked):
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 10"
    body = b"4\r\n0123\r\n6;a=b\r\n456789\r\n0\r\nX-Trailer: 1\r\n\r\n" if chunked else b"0123456789"
    data = b"POST / HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n" + body

    async def main():
        async with serving(echo) as at:
            peer = await at.connect(data)
            assert (await peer.answer()).body == b"0123456789"
            for position in range(len(data)):
                await peer.send(data[position : position + 1])
                await asyncio.sleep(0)
            assert (await peer.answer()).body == b"0123456789"

    run(main())


def test_pipelined_requests_are_answered_in_order(run):
    async def app(scope, receive, send):
        if scope["path"] == "/slow":
            await asyncio.sleep(0.05)
        body = scope["path"].encode()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": body})

    async def main():
        async with serving(app) as at:
            request = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
            peer = await at.connect(request % b"/slow" + request % b"/1" + request % b"/2")
            assert [(await peer.answer()).body for _ in range(3)] == [b"/slow", b"/1", b"/2"]

    run(main())


def test_pipeline_beyond_buffer_pauses_client(run):
    release = None

    async def app(scope, receive, send):
        await release.wait()
        await hello(scope, receive, send)

    async def main():
        nonlocal release
        release = asyncio.Event()
        async with serving(app) as at:
            peer = await at.connect()
            sent = 0
            with pytest.raises(asyncio.TimeoutError):
                for _ in range(1000):
                    await asyncio.wait_for(peer.send(GET * 1000), 0.3)
                    sent += 1000
            assert sent < 1_000_000
            release.set()
            assert (await peer.answer()).status == 200

    run(main())


def test_response_without_length_is_chunked_or_closes_connection(run):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        for part in (b"ab", b"", b"cd"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    async def main():
        async with serving(app) as at:
            peer = await at.connect(GET)
            answer = await peer.answer()
            assert answer.headers["transfer-encoding"] == "chunked"
            assert answer.body == b"abcd"
            old = await at.connect(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            answer = await old.answer()
            assert answer.body == b"abcd"
            assert answer.headers["connection"] == "close"

    run(main())


def test_http10_connection_without_keep_alive_is_closed(run):
    async def main():
        async with serving(hello) as at:
            peer = await at.connect(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            assert (await peer.answer()).headers["connection"] == "keep-alive"
            assert (await peer.request(b"GET / HTTP/1.0\r\n\r\n")).headers["connection"] == "close"
            assert await peer.is_closed()

    run(main())


def test_head_204_and_304_responses_have_no_body(run):
    async def app(scope, receive, send):
        status = int(scope["path"][1:])
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"3")]})
        await send({"type": "http.response.body", "body": b"abc"})

    async def main():
        async with serving(app) as at:
            peer = await at.connect(b"HEAD /200 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await peer.answer(head_only=True)).headers["content-length"] == "3"
            assert "content-length" not in (await peer.request(b"GET /204 HTTP/1.1\r\nHost: x\r\n\r\n")).headers
            assert (await peer.request(b"GET /304 HTTP/1.1\r\nHost: x\r\n\r\n")).headers["content-length"] == "3"
            assert (await peer.request(b"GET /200 HTTP/1.1\r\nHost: x\r\n\r\n")).body == b"abc"

    run(main())


def test_100_continue_is_sent_when_application_reads_body(run):
    async def app(scope, receive, send):
        await (echo if scope["path"] == "/read" else hello)(scope, receive, send)

    request = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"

    async def main():
        async with serving(app) as at:
            peer = await at.connect(request % b"/read")
            assert (await peer.answer()).status == 100
            assert (await peer.request(b"abc")).body == b"abc"
            answer = await peer.request(request % b"/refuse")
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert await peer.is_closed()

    run(main())


def test_early_response_with_short_body_remainder_keeps_connection(run):
    async def main():
        async with serving(hello) as at:
            peer = await at.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234")
            assert (await peer.answer()).body == b"hello"
            assert (await peer.request(b"56789" + GET)).body == b"hello"
            peer = await at.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n01234")
            assert (await peer.answer()).body == b"hello"
            await peer.send(b"x" * 100000)
            assert await peer.is_closed()

    run(main())


def test_upload_to_slow_application_pauses_client(run):
    go = None

    async def app(scope, receive, send):
        await go.wait()
        await echo(scope, receive, send)

    async def main():
        nonlocal go
        go = asyncio.Event()
        async with serving(app) as at:
            size = 50_000_000
            peer = await at.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
            sending = asyncio.ensure_future(peer.send(b"x" * size))
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(sending), 0.3)
            go.set()
            await sending
            assert len((await peer.answer()).body) == size

    run(main())


def test_response_to_slow_client_pauses_application(run):
    sent = 0

    async def app(scope, receive, send):
        nonlocal sent
        await send({"type": "http.response.start", "status": 200})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
            sent += 1
        await send({"type": "http.response.body"})

    async def main():
        async with serving(app) as at:
            peer = await at.connect(GET)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(until(lambda: sent > 500), 0.5)
            assert len((await peer.answer()).body) == 100_000_000

    run(main())


def test_half_closed_client_gets_all_responses(run):
    async def app(scope, receive, send):
        await asyncio.sleep(0.05)
        await hello(scope, receive, send)

    async def main():
        async with serving(app) as at:
            peer = await at.connect(GET + GET)
            peer.writer.write_eof()
            assert (await peer.everything()).count(b"hello") == 2

    run(main())


def test_error_response_reaches_client_that_still_sends(run):
    async def main():
        async with serving(hello) as at:
            peer = await at.connect(b"GET / HTTP/9.9\r\nHost: x\r\n\r\n" + b"x" * 200_000)
            assert (await peer.answer()).status == 505
            await peer.send(b"x" * 200_000)
            assert await peer.is_closed()

    run(main())


def test_connections_and_requests_are_counted(run):
    from corn.ipc.scoreboard import Field

    async def main():
        async with serving(hello) as at:
            peers = [await at.connect(GET) for _ in range(3)]
            for peer in peers:
                await peer.answer()
            assert at.field(Field.CONNECTIONS) == 3
            peers[0].close()
            await until(lambda: at.field(Field.CONNECTIONS) == 2)
            await until(lambda: at.field(Field.REQUESTS) == 3)

    run(main())


def test_pipelined_requests_have_separate_context_variables(run):
    import contextvars

    variable = contextvars.ContextVar("variable", default=0)
    seen = []

    async def app(scope, receive, send):
        seen.append(variable.get())
        variable.set(1)
        await hello(scope, receive, send)

    async def main():
        async with serving(app) as at:
            peer = await at.connect(GET * 3)
            for _ in range(3):
                await peer.answer()
            await peer.request(GET)

    run(main())
    assert seen == [0, 0, 0, 0]


def test_tcp_nodelay_is_set(run):
    seen = []

    async def app(scope, receive, send):
        await hello(scope, receive, send)

    async def main():
        async with serving(app) as at:
            peer = await at.connect(GET)
            await peer.answer()
            (connection,) = at.server._service.connections
            seen.append(connection._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    run(main())
    assert seen[0]
