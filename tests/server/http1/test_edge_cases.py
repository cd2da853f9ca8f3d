"""Edge cases of HTTP/1.1 requests and responses."""

import asyncio
import contextvars

import pytest

from tests.support.asgi_server import hello, serving

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
try:
    Group = ExceptionGroup
except NameError:  # Python 3.10, where anyio has the backport
    from exceptiongroup import ExceptionGroup as Group
START = {"type": "http.response.start", "status": 200}


def ask(run, app, data=GET, **options):
    async def main():
        async with serving(app, **options) as at:
            return await at.request(data)

    return run(main())


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *((each, 400) for each in ("[ab..cd::1]", "[::::]", "[.]", "[1.2.3.4]", "[fe80::1%25a]", "[v.a]", "[vg.a]")),
        *((each, 400) for each in ("x:65536", "x:99999", "[::1]:70000", "[]", "[::1")),
        *(
            (each, 200)
            for each in ("[::1]", "[::ffff:1.2.3.4]:80", "[v1.a]", "[V1f.a:b]:9", "x:65535", "x:", "1.2.3.4")
        ),
    ],
)
def test_host_field_syntax_is_checked(run, host, status):
    assert ask(run, hello, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).status == status


@pytest.mark.parametrize("length", [33, 70_000])
def test_overlong_method_gets_501(run, length):
    assert ask(run, hello, b"A" * length + b" / HTTP/1.1\r\nHost: x\r\n\r\n").status == 501


@pytest.mark.parametrize("data", [GET, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"])
def test_receive_after_complete_response_returns_disconnect(run, data):
    seen = []

    async def app(scope, receive, send):
        await hello(scope, receive, send)
        seen.append(await receive())

    ask(run, app, data)
    assert seen == [{"type": "http.disconnect"}]


def test_response_transfer_encoding_overrides_content_length(run):
    async def app(scope, receive, send):
        headers = [(b"content-length", b"2"), (b"transfer-encoding", b"chunked")]
        await send({**START, "headers": headers})
        await send({"type": "http.response.body", "body": b"more ", "more_body": True})
        await send({"type": "http.response.body", "body": b"than two"})

    answer = ask(run, app)
    assert (answer.status, answer.body) == (200, b"more than two")
    assert answer.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in answer.headers


def test_invalid_response_header_is_logged_once(run, caplog):
    async def app(scope, receive, send):
        await send({**START, "headers": [["x-a", "b"]]})
        await send({"type": "http.response.body", "body": b""})

    assert ask(run, app).status == 500
    assert (
        caplog.text.count("TypeError: response headers are pairs of bytes") == 2
    )  # the line, and the traceback's last
    assert "During handling" not in caplog.text


@pytest.mark.parametrize("only", [True, False])
def test_exception_group_with_only_disconnects_is_not_logged(run, caplog, only):
    async def app(scope, receive, send):
        await send(START)
        errors = []
        while len(errors) < 2:
            try:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                await asyncio.sleep(0.01)
            except OSError as error:
                errors.append(error)
        if not only:
            errors.append(ValueError("another"))
        raise Group("tasks", errors)

    async def main():
        async with serving(app) as at:
            peer = await at.connect(GET)
            await peer.answer(head_only=True)
            peer.writer.transport.abort()
            while at.server._service.metrics.open:
                await asyncio.sleep(0.01)
            while at.server._service.running:
                await asyncio.sleep(0.01)

    run(main())
    assert ("failed with" in caplog.text) is not only


def test_context_variables_of_paused_request_do_not_leak(run):
    """asyncio calls `data_received` in the context in which reading was resumed."""
    variable = contextvars.ContextVar("variable", default="clean")
    seen = []

    async def app(scope, receive, send):
        seen.append(variable.get())
        variable.set("leaked")
        while (await receive()).get("more_body"):
            await asyncio.sleep(0)
        await hello(scope, receive, send)

    async def main():
        async with serving(app) as at:
            size = 300_000
            peer = await at.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
            assert (await peer.answer()).status == 200
            assert (await peer.request(GET)).status == 200

    run(main())
    assert seen == ["clean", "clean"]
