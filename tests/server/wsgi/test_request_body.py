"""Buffering of WSGI request bodies without Content-Length, and field names with underscores."""

import json
import tempfile

import pytest

from corn.server.wsgi import request_body
from tests.support.asgi_server import serving, until

MIB = 1 << 20


def describing(environ, start_response):
    """Application that responds with CONTENT_LENGTH and a summary of the body."""
    body = environ["wsgi.input"].read()
    seen = [environ.get("CONTENT_LENGTH"), environ.get("HTTP_TRANSFER_ENCODING"), len(body), body[:1].decode()]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([*seen, body == body[:1] * len(body)]).encode()]


def chunked(*parts, fields=b""):
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n%b\r\n%b0\r\n\r\n" % (fields, pieces)


def ask(run, data, app=describing, **options):
    async def main():
        async with serving(app, interface="wsgi", **options) as at:
            return await at.request(data)

    return run(main())


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, MIB, MIB + 1, 3 * MIB])
def test_chunked_body_gets_content_length(run, size):
    parts = [b"x" * min(100_000, size - at) for at in range(0, size, 100_000)]
    answer = ask(run, chunked(*parts))
    assert json.loads(answer.body) == [str(size), None, size, "x" if size else "", True]


@pytest.mark.parametrize("most", [200_000, 2 * MIB])
def test_body_beyond_buffer_is_refused(run, most):
    answer = ask(run, chunked(*[b"x" * 100_000] * 30), wsgi_buffer_body=most)
    assert (answer.status, b"--wsgi-buffer-body" in answer.body) == (413, True)


def test_body_without_buffer_is_streamed_without_length(run):
    answer = ask(run, chunked(*[b"x" * 100_000] * 30), wsgi_buffer_body=0)
    assert json.loads(answer.body) == [None, "chunked", 3_000_000, "x", True]


def test_body_beyond_64_mib_gets_content_length(run):
    answer = ask(run, chunked(*[b"x" * MIB] * 65))
    assert json.loads(answer.body) == [str(65 * MIB), None, 65 * MIB, "x", True]


def test_unbuffered_body_is_read_in_chunks(run):
    def app(environ, start_response):
        first = environ["wsgi.input"].readline()
        start_response("200 OK", [])
        yield first
        yield environ["wsgi.input"].read()

    async def main():
        async with serving(app, interface="wsgi", wsgi_buffer_body=0) as at:
            peer = await at.connect(chunked(b"one\n" * 30_000)[:-5])
            assert (await peer.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            await peer.send(b"0\r\n\r\n")

    run(main())


def test_expect_continue_with_chunked_body_gets_100(run):
    async def main():
        async with serving(describing, interface="wsgi") as at:
            head, _, body = chunked(b"xx", fields=b"Expect: 100-continue\r\n").partition(b"\r\n\r\n")
            peer = await at.connect(head + b"\r\n\r\n")
            assert (await peer.answer()).status == 100
            await peer.send(body)
            assert json.loads((await peer.answer()).body)[:3] == ["2", None, 2]

    run(main())


def test_request_without_body_has_no_content_length(run):
    assert json.loads(ask(run, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").body)[:3] == [None, None, 0]


def test_temporary_file_is_closed_and_full_disk_gets_500(run, monkeypatch, caplog):
    files = []
    original = tempfile.TemporaryFile
    monkeypatch.setattr(
        request_body.tempfile, "TemporaryFile", lambda **more: files.append(original(**more)) or files[0]
    )
    assert ask(run, chunked(b"x" * (2 * MIB))).status == 200

    async def closed():
        await until(lambda: files[0].closed)

    run(closed())
    monkeypatch.setattr(request_body.tempfile, "TemporaryFile", lambda **_: open("/dev/full", "wb", buffering=0))  # noqa: SIM115
    assert ask(run, chunked(b"x" * (2 * MIB))).status == 500
    assert "cannot buffer the request body" in caplog.text


def test_django_parses_chunked_form(run):
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIRequest

    if not settings.configured:
        settings.configure(USE_TZ=True)

    def app(environ, start_response):
        posted = WSGIRequest(environ).POST
        start_response("200 OK", [])
        return [json.dumps(posted).encode()]

    fields = b"Content-Type: application/x-www-form-urlencoded\r\n"
    assert json.loads(ask(run, chunked(b"a=1&", b"b=2", fields=fields), app).body) == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("policy", "status", "expected"), [("drop", 200, "real"), ("keep", 200, "forged,real"), ("refuse", 400, None)]
)
def test_header_map_option_drops_keeps_or_refuses_underscore(run, policy, status, expected):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [f"{environ.get('HTTP_X_USER')} {environ.get('HTTP_X_OTHER')}".encode()]

    request = b"GET / HTTP/1.1\r\nHost: x\r\nX_User: forged\r\nX-User: real\r\n%b\r\n"
    for _ in range(2):  # names are remembered
        answer = ask(run, request % b"", app, wsgi_header_map=policy)
        assert answer.status == status
        if expected is None:
            assert b"x_user has an underscore" in answer.body
        else:
            assert answer.body == f"{expected} None".encode()
    assert ask(run, b"GET / HTTP/1.1\r\nHost: x\r\nX-Other: a\r\n\r\n", app, wsgi_header_map=policy).body == b"None a"
