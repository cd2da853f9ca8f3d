"""WSGI responses over a real socket (PEP 3333)."""

import contextvars
import io
import os
from wsgiref.validate import validator

import pytest

from tests.support.asgi_server import until
from tests.support.wsgi_client import GET, TEXT, Events, ask, failing_at_once, request, using, wsgi


def test_single_part_response_has_content_length(run):
    def app(environ, start_response):
        start_response("201 Made", TEXT)
        return [b"hello"]

    answer = ask(run, app)
    assert (answer.status, answer.headers["content-length"], answer.body) == (201, "5", b"hello")


def test_empty_response_is_sent(run):
    def app(environ, start_response):
        start_response("204 No Content", [])
        return []

    assert ask(run, app).status == 204


def test_write_precedes_returned_body(run):
    def app(environ, start_response):
        write = start_response("200 OK", TEXT)
        write(b"one ")
        write(b"two ")
        return [b"three"]

    assert ask(run, app).body == b"one two three"


def test_response_part_is_sent_immediately(run):
    events = Events()

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        yield b"first"
        events.wait()
        yield b""
        yield b"second"

    async def main():
        async with wsgi(app) as at:
            peer = await at.connect(GET)
            await peer.reader.readuntil(b"first\r\n")
            events.may_continue.set()
            assert (await peer.reader.readuntil(b"0\r\n\r\n")).count(b"second") == 1

    run(main())


def test_head_response_has_no_body(run):
    def app(environ, start_response):
        start_response("200 OK", [*TEXT, ("Content-Length", "5")])
        return [b"hello"]

    async def main():
        async with wsgi(app) as at:
            peer = await at.connect(request(method=b"HEAD"))
            answer = await peer.answer(head_only=True)
            assert (answer.status, answer.headers["content-length"]) == (200, "5")
            assert (await peer.request(GET)).body == b"hello"

    run(main())


def test_exc_info_before_head_replaces_response(run):
    def app(environ, start_response):
        start_response("200 OK", TEXT)
        try:
            raise LookupError("gone")
        except LookupError as error:
            start_response("410 Gone", TEXT, (LookupError, error, error.__traceback__))
        return [b"sorry"]

    answer = ask(run, app)
    assert (answer.status, answer.body) == (410, b"sorry")


def test_exc_info_after_head_raises_and_truncates_response(run, caplog):
    def app(environ, start_response):
        start_response("200 OK", TEXT)
        yield b"begun"
        try:
            raise LookupError("gone")
        except LookupError as error:
            start_response("500 Oh", TEXT, (LookupError, error, error.__traceback__))

    async def main():
        async with wsgi(app) as at:
            peer = await at.connect(GET)
            received = await peer.everything()
            assert b"begun" in received
            assert not received.endswith(b"0\r\n\r\n")

    run(main())
    assert "LookupError: gone" in caplog.text


def failing_after_start(environ, start_response):
    start_response("200 OK", TEXT)
    raise ValueError("broken")


def failing_in_its_iterator(environ, start_response):
    start_response("200 OK", TEXT)
    yield b""
    raise ValueError("broken")


@pytest.mark.parametrize("app", [failing_at_once, failing_after_start, failing_in_its_iterator])
def test_application_exception_gets_500_and_logs_user_frames(run, app, caplog):
    assert ask(run, app).status == 500
    assert "GET / failed with ValueError: broken" in caplog.text
    assert app.__name__ in caplog.text
    assert "corn/server" not in caplog.text


@pytest.mark.parametrize(
    ("head", "body", "complaint"),
    [
        (None, [b"x"], "did not call start_response"),
        (("200 OK", TEXT), ["text"], "consists of bytes, not of str"),
        (("OK", TEXT), [b"x"], "a WSGI status looks like"),
        (("200 OK", [("Content-Length", "1")]), [b"xy"], "longer than its Content-Length"),
        (("200 OK", [("X", "a\r\nb")]), [b"x"], "control byte"),
    ],
)
def test_response_violating_pep_3333_gets_500(run, caplog, head, body, complaint):
    def app(environ, start_response):
        if head:
            start_response(*head)
        return body

    assert ask(run, app).status == 500
    assert complaint in caplog.text


def test_close_runs_after_response_and_its_exception_is_logged(run, caplog):
    events = Events()

    class Parts(list):
        def close(self):
            events.wait()
            events.seen.append("closed")
            raise ValueError("not closed well")

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        return Parts([b"hello"])

    async def main():
        async with wsgi(app) as at:
            assert (await at.request(GET)).body == b"hello"
            assert events.seen == []
            events.may_continue.set()
            await until(lambda: "not closed well" in caplog.text)

    run(main())


def test_contextvars_are_separate_for_each_request(run):
    variable = contextvars.ContextVar("variable", default="fresh")

    async def main():
        async with wsgi(using(variable), wsgi_threads=1) as at:
            assert [(await at.request(GET)).body for _ in range(3)] == [b"fresh"] * 3

    run(main())


def test_wsgiref_validator_passes(run):
    @validator
    def app(environ, start_response):
        body = environ["wsgi.input"].read(10)
        environ["wsgi.errors"].flush()
        start_response("200 OK", [*TEXT, ("Content-Length", str(len(body)))])
        return [body]

    assert ask(run, app, request(body=b"0123456789")).body == b"0123456789"


def sending(make_file, *headers):
    def app(environ, start_response):
        start_response("200 OK", [*TEXT, *headers])
        return environ["wsgi.file_wrapper"](make_file(), 1000)

    return app


@pytest.mark.parametrize("buffering", [0, -1])
def test_file_is_sent_from_its_position_and_closed(run, tmp_path, buffering):
    path = tmp_path / "file"
    content = os.urandom(3_000_000)
    path.write_bytes(content)
    opened = []

    def make_file():
        opened.append(path.open("rb", buffering))
        opened[0].read(10)
        return opened[0]

    async def main():
        async with wsgi(sending(make_file)) as at:
            answer = await at.request(GET)
            assert answer.body == content[10:]
            assert answer.headers["content-length"] == str(len(content) - 10)
            await until(lambda: opened[0].closed)

    run(main())


def test_file_is_sent_up_to_content_length(run, tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    app = sending(lambda: (tmp_path / "file").open("rb"), ("Content-Length", "4"))
    assert ask(run, app).body == b"0123"


def test_file_wrapper_reads_object_without_descriptor(run):
    assert ask(run, sending(lambda: io.BytesIO(b"x" * 5000))).body == b"x" * 5000


def test_file_of_disconnected_client_is_closed(run, tmp_path):
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(200 << 20)
    opened = []

    def make_file():
        opened.append(path.open("rb"))
        return opened[0]

    async def main():
        async with wsgi(sending(make_file)) as at:
            peer = await at.connect(GET)
            await peer.reader.readexactly(1000)
            peer.close()
            await until(lambda: opened[0].closed)

    run(main())
