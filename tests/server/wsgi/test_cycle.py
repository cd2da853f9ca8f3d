"""WSGI cycle over HTTP/1.1: whole responses without a task, and the change to a task for other responses."""

import asyncio
import contextvars
import socket
import struct
import threading

import pytest

from corn.ipc.scoreboard import Field
from corn.server.wsgi.caller import Caller
from tests.support.asgi_server import until
from tests.support.wsgi_client import GET, TEXT, Events, ask, request, using, waiting, wsgi


@pytest.fixture
def conversations(monkeypatch):
    """Requests whose response a task has passed on."""
    seen = []
    converse = Caller.converse

    async def counted(self, exchange, receive, send):
        seen.append(exchange)
        await converse(self, exchange, receive, send)

    monkeypatch.setattr(Caller, "converse", counted)
    return seen


def whole(*parts, status="200 OK", headers=TEXT):
    def app(environ, start_response):
        start_response(status, headers)
        return list(parts)

    return app


@pytest.mark.parametrize(
    ("app", "status", "body"),
    [
        (whole(b"ab"), 200, b"ab"),
        (whole(), 200, b""),
        (whole(b"", b""), 200, b""),
        (whole(b"ab", headers=[("Content-Length", "2")]), 200, b"ab"),
        (whole(status="204 No Content", headers=[]), 204, b""),
        (whole(status="304 Not Modified", headers=[("ETag", '"1"')]), 304, b""),
        (whole("text"), 500, b"Internal Server Error\n"),
        (whole(b"a", headers=[("Content-Length", "2")]), 500, b"Internal Server Error\n"),
    ],
)
@pytest.mark.parametrize("sent", [None, b"body"])
def test_whole_response_needs_no_task(run, caplog, conversations, app, status, body, sent):
    answer = ask(run, app, request(body=sent))
    assert (answer.status, answer.body, conversations) == (status, body, [])


def test_request_with_arriving_body_is_served_in_task(run, conversations):
    def app(environ, start_response):
        start_response("200 OK", TEXT)
        return [environ["wsgi.input"].read()]

    async def main():
        async with wsgi(app) as at:
            peer = await at.connect(request(body=b"abc")[:-1])
            await until(at.server.in_flight)
            await peer.send(b"c")
            assert (await peer.answer()).body == b"abc"

    run(main())
    assert len(conversations) == 1


def test_many_connections_get_their_own_responses_in_order(run):
    def app(environ, start_response):
        start_response("200 OK", TEXT)
        return [environ["PATH_INFO"].encode()]

    async def main():
        async with wsgi(app, wsgi_threads=4) as at:

            async def client(number):
                paths = [b"/%d/%d" % (number, each) for each in range(50)]
                peer = await at.connect(b"".join(map(request, paths)))
                assert [(await peer.answer()).body for _ in paths] == paths

            await asyncio.gather(*map(client, range(20)))
            await until(lambda: not at.server.in_flight())

    run(main())


def test_client_gone_before_response_is_counted_as_499(run, caplog):
    events = Events()

    async def main():
        async with wsgi(waiting(events, b"late")) as at:
            peer = await at.connect(GET)
            await until(lambda: events.seen)
            linger = struct.pack("ii", 1, 0)
            peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            peer.writer.transport.abort()
            await until(lambda: at.field(Field.CONNECTIONS) == 0)
            events.may_continue.set()
            await until(lambda: not at.server.in_flight())
            answers = at.slots.cell(0).words[Field.ANSWERS : Field.EXEMPLARS]
            per_class = len(answers) // 8
            assert sum(answers[4 * per_class : 5 * per_class]) == 1
            assert sum(answers) == 1

    run(main())
    assert "failed" not in caplog.text


def test_waiting_request_is_listed_as_in_flight(run):
    events = Events()

    async def main():
        async with wsgi(waiting(events)) as at:
            peer = await at.connect(request(b"/slow?x=1"))
            await until(at.server.in_flight)
            (listed,) = at.server.in_flight()
            assert (listed["method"], listed["path"], listed["status"]) == ("GET", "/slow", None)
            events.may_continue.set()
            assert (await peer.answer()).body == b"ok"
            await until(lambda: not at.server.in_flight())

    run(main())


def test_drain_finishes_wsgi_call_and_closes_connection(run):
    events = Events()

    async def main():
        async with wsgi(waiting(events)) as at:
            peer = await at.connect(GET)
            await until(lambda: events.seen)
            at.server.drain(grace=20, final=False)
            events.may_continue.set()
            answer = await peer.answer()
            assert (answer.body, answer.headers["connection"]) == (b"ok", "close")
            assert await peer.is_closed()
            await at.server.wait_closed()

    run(main())


def test_error_after_cancelled_request_is_not_answered_twice(run, caplog):
    events = Events()

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/late":
            events.wait()
            events.seen.append("raised")
            raise ValueError("too late")
        start_response("200 OK", TEXT)
        return [b"ok"]

    async def main():
        async with wsgi(app, wsgi_threads=2, timeout_request=0.2) as at:
            peer = await at.connect(request(b"/late"))
            assert (await peer.answer()).status == 503
            events.may_continue.set()
            await until(lambda: events.seen)
            assert (await at.request(GET)).body == b"ok"
            assert await peer.is_closed()

    run(main())
    assert "GET /late was cancelled: request timeout" in caplog.text
    assert "too late" not in caplog.text


def test_thread_that_cannot_start_gets_500(run, caplog, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    async def main():
        async with wsgi(whole(b"ok")) as at:
            monkeypatch.setattr(threading.Thread, "start", refuse)
            assert (await at.request(GET)).status == 500
            monkeypatch.undo()
            assert (await at.request(GET)).status == 200

    run(main())
    assert "can't start new thread" in caplog.text


def test_stream_does_not_inherit_context_of_request(run):
    variable = contextvars.ContextVar("variable", default="fresh")

    def app(environ, start_response):
        found = variable.get()
        variable.set("used")
        start_response("200 OK", TEXT)
        yield b"x" * 200_000
        yield found.encode()

    async def main():
        async with wsgi(app, wsgi_threads=1) as at:
            peer = await at.connect()
            assert [(await peer.request(GET)).body[200_000:] for _ in range(3)] == [b"fresh"] * 3

    run(main())


def test_pipelined_wsgi_requests_see_fresh_context(run):
    variable = contextvars.ContextVar("pipelined", default="fresh")

    async def main():
        async with wsgi(using(variable), wsgi_threads=1) as at:
            peer = await at.connect(GET * 3)
            assert [(await peer.answer()).body for _ in range(3)] == [b"fresh"] * 3

    run(main())
