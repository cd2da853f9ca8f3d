"""Interleaving of a request's thread and the event loop.

Before each line of corn's code, the thread waits until the loop has run several iterations, so the loop sees each
intermediate state. The response must not depend on it.
"""

import asyncio
import sys
import threading
import time

import pytest

from corn.server.wsgi import bridge, request_body, response
from tests.support.asgi_server import serving

OWN = {bridge.__file__, response.__file__, request_body.__file__}
TURNS = 4


def stepping(app, loop):
    """The application, in a thread that lets the loop run before each line of corn's code."""

    def let_the_loop_run():
        done = threading.Event()

        def turn(left):
            if left:
                loop.call_soon(turn, left - 1)
            else:
                done.set()

        deadline = time.monotonic() + 20
        try:
            loop.call_soon_threadsafe(turn, TURNS)
        except RuntimeError:  # the response is complete, and the loop closed
            return
        while not done.wait(0.1) and not loop.is_closed():
            assert time.monotonic() < deadline

    def trace(frame, event, _):
        if frame.f_code.co_filename not in OWN:
            return None
        if event in ("line", "return"):
            let_the_loop_run()
        return trace

    def stepped(environ, start_response):
        frame = sys._getframe(1)
        while frame is not None:
            frame.f_trace = trace if frame.f_code.co_filename in OWN else None
            frame = frame.f_back
        sys.settrace(trace)
        return app(environ, start_response)

    return stepped


def whole(body, *headers):
    def app(environ, start_response):
        start_response("200 OK", list(headers))
        return body

    return app


def generated(*parts, headers=()):
    def app(environ, start_response):
        start_response("200 OK", list(headers))
        yield from parts

    return app


def writing(environ, start_response):
    write = start_response("200 OK", [])
    write(b"a")
    write(b"")
    write(b"b")
    return [b"c"]


def echo(environ, start_response):
    start_response("200 OK", [])
    while part := environ["wsgi.input"].read(50_000):
        yield part


def replacing(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    yield b""
    try:
        raise ValueError
    except ValueError:
        start_response("503 Service Unavailable", [("Content-Length", "2")], sys.exc_info())
    yield b"no"


def failing(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    raise ValueError


class Closing(list):
    def close(self):
        raise ValueError


def sending_file(environ, start_response):
    file = open(environ["HTTP_X_FILE"], "rb")  # noqa: SIM115 - the server closes it
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](file)


EMPTY = ("Content-Length", "0")
CASES = {
    "empty list": (whole([]), 200, b""),
    "empty list with length": (whole([], EMPTY), 200, b""),
    "one empty part": (whole([b""]), 200, b""),
    "one empty part with length": (whole([b""], EMPTY), 200, b""),
    "empty parts with length": (whole([b"", b""], EMPTY), 200, b""),
    "generated empty part": (generated(b"", headers=[EMPTY]), 200, b""),
    "empty generator": (generated(headers=[EMPTY]), 200, b""),
    "one part": (whole([b"ab"]), 200, b"ab"),
    "one part with length": (whole([b"ab"], ("Content-Length", "2")), 200, b"ab"),
    "parts": (whole([b"a", b"", b"b"]), 200, b"ab"),
    "parts with length": (generated(b"", b"a", b"b", b"", headers=[("Content-Length", "2")]), 200, b"ab"),
    "write": (writing, 200, b"abc"),
    "echo": (echo, 200, b"x" * 300_000),
    "replaced head": (replacing, 503, b"no"),
    "failure": (failing, 500, None),
    "failure of close": (whole(Closing([b"ab"])), 200, b"ab"),
    "failure of close after empty part": (whole(Closing([b""]), EMPTY), 200, b""),
    "file": (sending_file, 200, b"y" * 200_000),
}


@pytest.mark.parametrize("name", CASES)
def test_response_is_independent_of_loop_timing(run, tmp_path, name):
    app, status, body = CASES[name]
    (tmp_path / "file").write_bytes(b"y" * 200_000)
    sent = b"x" * 300_000 if name == "echo" else b""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nX-File: %s/file\r\nContent-Length: %d\r\n\r\n" % (bytes(tmp_path), len(sent))

    async def main():
        async with serving(stepping(app, asyncio.get_running_loop()), interface="wsgi") as at:
            return await at.request(head + sent)

    answer = run(main())
    assert answer.status == status
    assert body is None or answer.body == body
