"""Requests and responses over HTTP/2: what an application sees, and what its client gets."""

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


def test_a_request_is_answered(run):
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


def test_the_scope_says_what_was_asked(run):
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


def test_many_requests_at_a_time_are_answered_in_any_order(run):
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


def test_a_stream_whose_client_takes_nothing_holds_up_no_other(run):
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


def test_large_responses_take_turns(run):
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


def test_the_head_of_a_response_may_be_larger_than_a_frame(run):
    value = b"v" * 50000

    async def app(scope, receive, send):
        await send({**START, "headers": [(b"X-Long", value)]})
        await send({"type": "http.response.body"})

    async def main():
        async with serving(app) as at:
            assert (await (await connect(at)).request()).header("x-long") == value.decode()

    run(main())


def test_fields_that_belong_to_http1_are_left_out(run):
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
def test_a_response_without_a_body_has_none(run, method, status):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": status})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await send({"type": "http.response.body", "body": b"def"})

    async def main():
        async with serving(app) as at:
            response = await (await connect(at)).request(asks(method=method))
            assert (response.status, response.body, response.ended) == (status, b"", True)

    run(main())


def test_a_response_in_pieces_arrives_in_pieces(run):
    go_on = asyncio.Event()

    async def app(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"two", "more_body": True})
        await send({"type": "http.response.body"})

    async def main():
        async with serving(app) as at:
            client = await connect(at)
            stream = await client.begin()
            await client.until(lambda: client.responses[stream].body == b"one")
            go_on.set()
            assert (await client.response(stream)).body == b"onetwo"

    run(main())


def test_trailers_go_both_ways(run):
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


# What goes wrong


def test_a_failure_before_the_response_is_a_500_and_after_it_a_reset(run, caplog):
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
def test_a_response_that_contradicts_its_length_is_a_500(run, length):
    async def app(scope, receive, send):
        await send({**START, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": b"abc"})

    async def main():
        async with serving(app) as at:
            assert (await (await connect(at)).request()).status == 500

    run(main())


def test_a_client_that_resets_is_noticed_and_the_connection_goes_on(run):
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


def test_a_client_that_is_gone_is_noticed_on_all_streams(run):
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
            await client.hear()
            client.peer.writer.transport.abort()
            await until(lambda: len(seen) == 3)
            await until(lambda: at.field(Field.CONNECTIONS) == 0)

    run(main())


def test_the_access_log_says_http2(run, tmp_path):
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


def test_a_trusted_proxy_is_believed(run):
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


def test_a_connection_has_no_part_of_the_one_before(run):
    """The tables of two connections are their own."""

    async def main():
        async with serving(hello) as at:
            first, second = await together(connect(at), connect(at))
            for _ in range(3):
                a, b = await together(
                    first.request(asks(("x-a", "1"), path="/first")), second.request(asks(("x-b", "2"), path="/second"))
                )
                assert a.status == b.status == 200

    run(main())


def test_the_log_says_nothing_of_what_a_client_sends(run, caplog):
    """hpack logs what it decodes when everything is logged."""
    caplog.set_level(0)

    async def main():
        async with serving(hello) as at:
            await (await connect(at)).request(asks(("authorization", "hunter2")))

    run(main())
    server = [each for each in caplog.records if "hunter2" in each.getMessage() and "Decod" in each.getMessage()]
    assert not server
