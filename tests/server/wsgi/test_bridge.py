"""Request body as wsgi.input, over a real socket."""

import pytest

from tests.support.asgi_server import until
from tests.support.wsgi_client import GET, TEXT, Events, ask, request, wsgi


def reading(*calls):
    """Application that responds with the results of `calls` on its input."""

    def app(environ, start_response):
        answers = [call(environ["wsgi.input"]) for call in calls]
        start_response("200 OK", TEXT)
        return [repr(answers).encode()]

    return app


LINES = b"first\nsecond line\nthird"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda body: body.read(), LINES),
        (lambda body: body.read(-1), LINES),
        (lambda body: body.read(8), LINES[:8]),
        (lambda body: body.readline(), b"first\n"),
        (lambda body: body.readline(3), b"fir"),
        (lambda body: body.readlines(), [b"first\n", b"second line\n", b"third"]),
        (list, [b"first\n", b"second line\n", b"third"]),
    ],
)
@pytest.mark.parametrize("framing", ["length", "chunked", "expecting"])
def test_input_supports_file_methods(run, call, expected, framing):
    if framing == "chunked":
        pieces = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (LINES[:9], LINES[9:]))
        data = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n"
    else:
        data = request(body=LINES) if framing == "length" else request(b"/", b"Expect: 100-continue", body=LINES)
    answer = ask(run, reading(call, lambda body: body.read()), data)
    found, rest = eval(answer.body)
    assert found == expected
    whole = found if isinstance(found, bytes) else b"".join(found)
    assert whole + rest == LINES


def test_input_read_sends_100_continue(run):
    async def main():
        async with wsgi(reading(lambda body: body.read())) as at:
            peer = await at.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            assert (await peer.answer()).status == 100
            await peer.send(b"abc")
            assert (await peer.answer()).body == b"[b'abc']"

    run(main())


def test_large_body_is_read_in_parts(run):
    sizes = []

    def app(environ, start_response):
        while part := environ["wsgi.input"].read(1 << 20):
            sizes.append(len(part))
        start_response("200 OK", TEXT)
        return [str(sum(sizes)).encode()]

    assert ask(run, app, request(body=b"x" * (10 << 20))).body == str(10 << 20).encode()
    assert max(sizes) == 1 << 20


def test_slow_upload_occupies_no_thread(run):
    async def main():
        async with wsgi(reading(lambda body: body.read()), wsgi_threads=1) as at:
            slow = await at.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
            assert (await at.request(GET)).status == 200
            await slow.send(b"bc")
            assert (await slow.answer()).body == b"[b'abc']"

    run(main())


def test_disconnect_within_body_raises_oserror(run):
    events = Events()

    def app(environ, start_response):
        events.seen.append("called")
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            events.seen.append(type(error).__name__)
            raise

    async def main():
        async with wsgi(app) as at:
            peer = await at.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100_000)
            await until(lambda: events.seen)
            peer.close()
            await until(lambda: len(events.seen) == 2)

    run(main())
    assert events.seen == ["called", "ClientDisconnected"]
