"""Requests and responses over HTTP/2."""

import asyncio
import json

import pytest
from h2.errors import ErrorCodes

from corn.ipc.scoreboard import Field
from tests.support.asgi_server import hello, serving, until
from tests.support.http2_peer import GET, POST, connect, together

BIG = bytes(range(256)) * 4096  # 1 MiB
START = {"type": "http.response.start", "status": 200}


def asks(*headers, method="GET", path="/"):
    return ((":method", method), (":scheme", "http"), (":path", path), (":authority", "x"), *headers)


def test_requests_on_one_connection_are_answered(run):
    async def main():
        async with serving(hello) as at:
            client = await connect(at)
            for _ in range(3):
                response = await client.request()
                assert (response.status, response.body) == (200, b"hello")
                assert response.header("content-length") == "5"
                assert response.header("server") == "corn"
                assert response.header("date")
            assert at.server._service.metrics.requests == 3

    run(main())


def test_scope_matches_request(run):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)
        await hello(scope, receive, send)

    async def main():
        async with serving(app, root_path="/root") as at:
            client = await connect(at)
            await client.request(asks(("cookie", "a=1"), ("x-one", "1"), ("cookie", "b=2"), path="/a%20b?c=d"))

    run(main())
    scope = seen[0]
    assert (scope["type"], scope["http_version"], scope["method"], scope["scheme"]) == ("http", "2", "GET", "http")
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/root/a b", b"/root/a%20b", b"c=d")
    assert scope["headers"] == [(b"host", b"x"), (b"cookie", b"a=1; b=2"), (b"x-one", b"1")]
    assert "http.response.trailers" in scope["extensions"]
    assert scope["client"][0] == "127.0.0.1"


def test_concurrent_requests_are_answered_in_any_order(run):
    arrived = []

    async def app(scope, receive, send):
        number = int(scope["query_string"])
        arrived.append(number)
        await until(lambda: len(arrived) == 50)
        await asyncio.sleep((50 - number) / 5000)
        await send({**START, "headers": [(b"x-number", b"%d" % number)]})
        await send({"type": "http.response.body", "body": b"%d" % number})

    async def main():
        async with serving(app) as at:
            client = await connect(at)
            streams = [await client.begin(asks(path=f"/?{number}")) for number in range(50)]
            for number, stream in enumerate(streams):
                response = await client.response(stream)
                assert response.body == b"%d" % number
                assert response.header("x-number") == str(number)

    run(main())


def test_stream_without_window_does_not_block_others(run):
    async def app(scope, receive, send):
        body = BIG if scope["path"] == "/big" else b"small"
        await send(START)
        await send({"type": "http.response.body", "body": body})

    async def main():
        async with serving(app) as at:
            client = await connect(at, takes=False)
            client.h2.increment_flow_control_window(1 << 24)  # of the connection only
            big = await client.begin(asks(path="/big"))
            assert (await client.request()).body == b"small"
            await client.until(lambda: len(client.responses[big].body) == 65535)
            assert (await client.request()).body == b"small"
            client.h2.increment_flow_control_window(1 << 24, big)
            await client.flush()
            assert (await client.response(big)).body == BIG

    run(main())


def test_large_responses_are_interleaved(run):
    async def app(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": BIG})

    async def main():
        async with serving(app) as at:
            client = await connect(at)
            streams = [await client.begin() for _ in range(4)]
            await client.until(lambda: any(client.responses[each].ended for each in streams))
            assert min(len(client.responses[each].body) for each in streams) > len(BIG) // 2
            for each in streams:
                assert (await client.response(each)).body == BIG

    run(main())


def test_response_head_larger_than_frame_is_sent(run):
    value = b"v" * 50000

    async def app(scope, receive, send):
        await send({**START, "headers": [(b"X-Long", value)]})
        await send({"type": "http.response.body"})

    async def main():
        async with serving(app) as at:
            assert (await (await connect(at)).request()).header("x-long") == value.decode()

    run(main())


def test_http1_response_fields_are_omitted(run):
    async def app(scope, receive, send):
        headers = [
            (b"Connection", b"close"),
            (b"Keep-Alive", b"1"),
            (b"Transfer-Encoding", b"chunked"),
            (b"X-A", b" b "),
        ]
        await send({**START, "headers": headers})
        await send({"type": "http.response.body", "body": b"abc"})

    async def main():
        async with serving(app, server_header=False, date_header=False) as at:
            client = await connect(at)
            response = await client.request()
            assert response.headers == [("x-a", "b"), ("content-length", "3")]
            assert (await client.request()).status == 200

    run(main())


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_head_204_and_304_responses_have_no_body(run, method, status):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": status})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await send({"type": "http.response.body", "body": b"def"})

    async def main():
        async with serving(app) as at:
            response = await (await connect(at)).request(asks(method=method))
            assert (response.status, response.body, response.ended) == (status, b"", True)

    run(main())


def test_streamed_response_parts_are_sent_immediately(run):
    may_respond = asyncio.Event()

    async def app(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await may_respond.wait()
        await send({"type": "http.response.body", "body": b"two", "more_body": True})
        await send({"type": "http.response.body"})

    async def main():
        async with serving(app) as at:
            client = await connect(at)
            stream = await client.begin()
            await client.until(lambda: client.responses[stream].body == b"one")
            may_respond.set()
            assert (await client.response(stream)).body == b"onetwo"

    run(main())


def test_trailers_are_received_and_sent(run):
    async def app(scope, receive, send):
        message = await receive()
        while message["more_body"]:
            message = await receive()
        await send({**START, "trailers": True})
        await send({"type": "http.response.body", "body": BIG})
        await send({"type": "http.response.trailers", "headers": [(b"X-Sum", b"1")], "more_trailers": True})
        await send({"type": "http.response.trailers", "headers": [(b"x-more", b"2")]})

    async def main():
        async with serving(app) as at:
            client = await connect(at)
            stream = await client.begin(POST, end=False)
            await client.data(stream, b"abc")
            client.h2.send_headers(stream, [("x-check", "1")], end_stream=True)
            await client.flush()
            response = await client.response(stream)
            assert (response.body, response.trailers) == (BIG, [("x-sum", "1"), ("x-more", "2")])

    run(main())


def test_early_hints_and_files_are_sent(run, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(BIG)

    async def app(scope, receive, send):
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
        await send(START)
        if scope["path"] == "/path":
            await send({"type": "http.response.pathsend", "path": str(path)})
            return
        with path.open("rb") as file:
            part = {"type": "http.response.zerocopysend", "file": file}
            await send({**part, "offset": 10, "count": 100, "more_body": True})
            await send({"type": "http.response.body", "body": b"between", "more_body": True})
            await send({**part, "offset": 1000})

    async def main():
        async with serving(app) as at:
            client = await connect(at)
            response = await client.request(asks(path="/path"))
            assert response.informational == [[(":status", "103"), ("link", "</a.css>; rel=preload")]]
            assert (response.body, response.header("content-length")) == (BIG, str(len(BIG)))
            assert (await client.request()).body == BIG[10:110] + b"between" + BIG[1000:]

    run(main())


# Failures


def test_exception_gets_500_or_resets_begun_response(run, caplog):
    async def app(scope, receive, send):
        if scope["path"] == "/late":
            await send(START)
            await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        raise ValueError("no")

    async def main():
        async with serving(app) as at:
            client = await connect(at)
            assert (await client.request()).status == 500
            late = await client.request(asks(path="/late"))
            assert (late.status, late.reset) == (200, ErrorCodes.INTERNAL_ERROR)
            assert (await client.request()).status == 500

    run(main())
    assert caplog.text.count("ValueError: no") >= 3


@pytest.mark.parametrize("length", [b"2", b"4"])
def test_response_contradicting_content_length_gets_500(run, length):
    async def app(scope, receive, send):
        await send({**START, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": b"abc"})

    async def main():
        async with serving(app) as at:
            assert (await (await connect(at)).request()).status == 500

    run(main())


def test_stream_reset_disconnects_application_only(run):
    seen = []

    async def app(scope, receive, send):
        if scope["path"] == "/":
            await hello(scope, receive, send)
            return
        while (message := await receive())["type"] == "http.request":
            pass
        seen.append(message["type"])
        await send(START)

    async def main():
        async with serving(app) as at:
            client = await connect(at)
            stream = await client.begin(asks(path="/reset"))
            client.h2.reset_stream(stream, ErrorCodes.CANCEL)
            await client.flush()
            await until(lambda: seen)
            assert (await client.request()).status == 200
            assert at.server._service.running == set()

    run(main())
    assert seen == ["http.disconnect"]


def test_lost_client_disconnects_all_streams(run):
    seen = []

    async def app(scope, receive, send):
        await receive()
        await send(START)
        try:
            while True:
                await send({"type": "http.response.body", "body": BIG, "more_body": True})
        except OSError as error:
            seen.append(error)

    async def main():
        async with serving(app) as at:
            client = await connect(at, takes=False)
            for _ in range(3):
                await client.begin()
            await client.read_events()
            client.peer.writer.transport.abort()
            await until(lambda: len(seen) == 3)
            await until(lambda: at.field(Field.CONNECTIONS) == 0)

    run(main())


def test_access_log_has_http2_version(run, tmp_path):
    log = tmp_path / "log"

    async def main():
        async with serving(hello, access_log=True, access_log_file=str(log), log_format="json") as at:
            client = await connect(at)
            await client.request(asks(path="/a?b"))
            await client.request((*GET[:2], (":path", "bad"), GET[3]))

    run(main())
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [lines[0][key] for key in ("version", "path", "query", "status", "bytes")] == ["2", "/a", "b", 200, 5]
    assert lines[1]["status"] == 400
    assert "path" in lines[1]["note"]


def test_forwarded_fields_of_trusted_proxy_apply(run):
    seen = []

    async def app(scope, receive, send):
        seen.append((scope["client"], scope["scheme"]))
        await hello(scope, receive, send)

    async def main():
        async with serving(app) as at:
            client = await connect(at)
            await client.request(asks(("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https")))

    run(main())
    assert seen == [(("1.2.3.4", 0), "https")]


def test_connections_have_separate_header_tables(run):
    """Each connection has its own HPACK tables."""

    async def main():
        async with serving(hello) as at:
            first, second = await together(connect(at), connect(at))
            for _ in range(3):
                a, b = await together(
                    first.request(asks(("x-a", "1"), path="/first")), second.request(asks(("x-b", "2"), path="/second"))
                )
                assert a.status == b.status == 200

    run(main())


def test_debug_log_contains_no_decoded_fields(run, caplog):
    """hpack logs decoded fields at level DEBUG."""
    caplog.set_level(0)

    async def main():
        async with serving(hello) as at:
            await (await connect(at)).request(asks(("authorization", "hunter2")))

    run(main())
    server = [each for each in caplog.records if "hunter2" in each.getMessage() and "Decod" in each.getMessage()]
    assert not server
