"""WSGI applications over a real socket: what PEP 3333 asks of a server, and what goes wrong in threads."""

import asyncio
import contextvars
import functools
import io
import os
import threading
from wsgiref.validate import validator

import pytest

from corn.server.wsgi import adapter as application
from corn.server.wsgi.adapter import Threads
from tests.support.asgi_server import serving, until

GET = b"GET / HTTP/1.1\r\nHost: corn.test\r\n\r\n"
TEXT = [("Content-Type", "text/plain")]


def request(path=b"/", *fields, body=None, method=b"GET"):
    if body is not None:
        method, fields = b"POST", (*fields, b"Content-Length: %d" % len(body))
    return b"%b %b HTTP/1.1\r\nHost: corn.test\r\n%b\r\n%b" % (
        method,
        path,
        b"".join(field + b"\r\n" for field in fields),
        body or b"",
    )


wsgi = functools.partial(serving, interface="wsgi")


class Events:
    """What an application did, as its threads tell it."""

    def __init__(self):
        self.told = []
        self.may_go_on = threading.Event()

    def wait(self):
        assert self.may_go_on.wait(20)


def ask(run, app, data=GET, **options):
    """The answer to one request."""

    async def main():
        async with wsgi(app, **options) as at:
            return await at.request(data)

    return run(main())


def environ_for(run, data, **options):
    """The environ that an application was called with."""
    seen = {}

    def app(environ, start_response):
        seen.update(environ)
        start_response("200 OK", TEXT)
        return [b"ok"]

    assert ask(run, app, data, **options).status == 200
    return seen


# The environ


def test_the_environ_tells_all_of_the_request(run):
    data = request(
        b"/caf%C3%A9/%FF?a=b%20c",
        b"Content-Type: text/x",
        b"X-Two: 1",
        b"X-Two: 2",
        b"Cookie: a=1",
        b"Cookie: b=2",
        body=b"12345",
    )
    environ = environ_for(run, data)
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/caf\xc3\xa9/\xff",
        "QUERY_STRING": "a=b%20c",
        "REQUEST_URI": "/caf%C3%A9/%FF?a=b%20c",
        "RAW_URI": "/caf%C3%A9/%FF?a=b%20c",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "5",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "corn.test",
        "HTTP_X_TWO": "1,2",
        "HTTP_COOKIE": "a=1; b=2",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    assert {name: environ[name] for name in expected} == expected
    assert environ["SERVER_SOFTWARE"].startswith("corn/")
    assert environ["SERVER_PORT"].isdigit()
    assert "HTTP_CONTENT_LENGTH" not in environ


def test_a_name_with_an_underscore_does_not_pass_for_one_with_a_hyphen(run):
    environ = environ_for(run, request(b"/", b"X_Real_IP: forged", b"X-Real-IP: 10.0.0.1", b"X_Other: forged"))
    assert environ["HTTP_X_REAL_IP"] == "10.0.0.1"
    assert "HTTP_X_OTHER" not in environ


@pytest.mark.parametrize(
    ("path", "path_info"), [(b"/", "/"), (b"/api/x", "/api/x"), (b"/%61pi", "/api"), (b"/apiary", "/apiary")]
)
def test_the_root_path_is_the_script_name(run, path, path_info):
    environ = environ_for(run, request(path), root_path="/api")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/api", path_info)


def test_a_trusted_proxy_says_who_asked_and_how(run):
    environ = environ_for(run, request(b"/", b"X-Forwarded-For: 192.0.2.7", b"X-Forwarded-Proto: https"))
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("192.0.2.7", "https")


def test_one_thread_is_not_multithreaded(run):
    assert environ_for(run, GET, wsgi_threads=1)["wsgi.multithread"] is False


# The body of the request


def reading(*calls):
    """An application that answers with what `calls` read of its input."""

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
def test_the_input_is_a_file(run, call, expected, framing):
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


def test_a_body_is_asked_for_when_it_is_read(run):
    async def main():
        async with wsgi(reading(lambda body: body.read())) as at:
            peer = await at.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            assert (await peer.answer()).status == 100
            await peer.send(b"abc")
            assert (await peer.answer()).body == b"[b'abc']"

    run(main())


def test_a_large_body_passes_through_in_parts(run):
    sizes = []

    def app(environ, start_response):
        while part := environ["wsgi.input"].read(1 << 20):
            sizes.append(len(part))
        start_response("200 OK", TEXT)
        return [str(sum(sizes)).encode()]

    assert ask(run, app, request(body=b"x" * (10 << 20))).body == str(10 << 20).encode()
    assert max(sizes) == 1 << 20


def test_a_sender_that_is_slow_holds_no_thread(run):
    async def main():
        async with wsgi(reading(lambda body: body.read()), wsgi_threads=1) as at:
            slow = await at.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
            assert (await at.request(GET)).status == 200
            await slow.send(b"bc")
            assert (await slow.answer()).body == b"[b'abc']"

    run(main())


def test_a_client_that_goes_away_within_its_body_is_an_os_error(run):
    events = Events()

    def app(environ, start_response):
        events.told.append("called")
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            events.told.append(type(error).__name__)
            raise

    async def main():
        async with wsgi(app) as at:
            peer = await at.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100_000)
            await until(lambda: events.told)
            peer.close()
            await until(lambda: len(events.told) == 2)

    run(main())
    assert events.told == ["called", "ClientDisconnected"]


# The response


def test_a_list_of_one_has_its_length_told(run):
    def app(environ, start_response):
        start_response("201 Made", TEXT)
        return [b"hello"]

    answer = ask(run, app)
    assert (answer.status, answer.headers["content-length"], answer.body) == (201, "5", b"hello")


def test_an_empty_response(run):
    def app(environ, start_response):
        start_response("204 No Content", [])
        return []

    assert ask(run, app).status == 204


def test_write_comes_before_what_is_returned(run):
    def app(environ, start_response):
        write = start_response("200 OK", TEXT)
        write(b"one ")
        write(b"two ")
        return [b"three"]

    assert ask(run, app).body == b"one two three"


def test_each_part_is_sent_when_it_is_there(run):
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
            events.may_go_on.set()
            assert (await peer.reader.readuntil(b"0\r\n\r\n")).count(b"second") == 1

    run(main())


def test_a_head_request_gets_no_body(run):
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


def test_start_response_with_exc_info_replaces_what_is_not_sent(run):
    def app(environ, start_response):
        start_response("200 OK", TEXT)
        try:
            raise LookupError("gone")
        except LookupError as error:
            start_response("410 Gone", TEXT, (LookupError, error, error.__traceback__))
        return [b"sorry"]

    answer = ask(run, app)
    assert (answer.status, answer.body) == (410, b"sorry")


def test_start_response_with_exc_info_raises_it_when_the_head_is_sent(run, caplog):
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


def failing_at_once(environ, start_response):
    raise ValueError("broken")


def failing_after_start(environ, start_response):
    start_response("200 OK", TEXT)
    raise ValueError("broken")


def failing_in_its_iterator(environ, start_response):
    start_response("200 OK", TEXT)
    yield b""
    raise ValueError("broken")


@pytest.mark.parametrize("app", [failing_at_once, failing_after_start, failing_in_its_iterator])
def test_a_failure_is_a_500_and_a_traceback_of_the_applications_own(run, app, caplog):
    assert ask(run, app).status == 500
    assert "GET / failed with ValueError: broken" in caplog.text
    assert app.__name__ in caplog.text
    assert "corn/worker" not in caplog.text


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
def test_what_breaks_the_specification_is_named(run, caplog, head, body, complaint):
    def app(environ, start_response):
        if head:
            start_response(*head)
        return body

    assert ask(run, app).status == 500
    assert complaint in caplog.text


def test_close_is_called_after_the_response_and_its_failure_is_logged(run, caplog):
    events = Events()

    class Parts(list):
        def close(self):
            events.wait()
            events.told.append("closed")
            raise ValueError("not closed well")

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        return Parts([b"hello"])

    async def main():
        async with wsgi(app) as at:
            assert (await at.request(GET)).body == b"hello"
            assert events.told == []
            events.may_go_on.set()
            await until(lambda: "not closed well" in caplog.text)

    run(main())


def test_contextvars_end_with_their_request(run):
    variable = contextvars.ContextVar("variable", default="fresh")

    def app(environ, start_response):
        found = variable.get()
        variable.set("used")
        start_response("200 OK", TEXT)
        return [found.encode()]

    async def main():
        async with wsgi(app, wsgi_threads=1) as at:
            assert [(await at.request(GET)).body for _ in range(3)] == [b"fresh"] * 3

    run(main())


def test_the_reference_validator_has_no_complaint(run):
    @validator
    def app(environ, start_response):
        body = environ["wsgi.input"].read(10)
        environ["wsgi.errors"].flush()
        start_response("200 OK", [*TEXT, ("Content-Length", str(len(body)))])
        return [body]

    assert ask(run, app, request(body=b"0123456789")).body == b"0123456789"


# Files


def sending(make_file, *headers):
    def app(environ, start_response):
        start_response("200 OK", [*TEXT, *headers])
        return environ["wsgi.file_wrapper"](make_file(), 1000)

    return app


@pytest.mark.parametrize("buffering", [0, -1])
def test_a_file_is_sent_from_where_it_stands_and_closed(run, tmp_path, buffering):
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


def test_a_part_of_a_file_is_sent_where_its_length_says_so(run, tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    app = sending(lambda: (tmp_path / "file").open("rb"), ("Content-Length", "4"))
    assert ask(run, app).body == b"0123"


def test_what_is_no_file_on_disk_is_read(run):
    assert ask(run, sending(lambda: io.BytesIO(b"x" * 5000))).body == b"x" * 5000


def test_a_file_whose_reader_goes_away_is_closed(run, tmp_path):
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


# Threads


def test_a_client_that_goes_away_closes_the_response_and_frees_the_thread(run):
    """a2wsgi keeps such a thread for ever."""
    events = Events()

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        if environ["PATH_INFO"] == "/":
            return [b"hello"]

        def endless():
            try:
                while True:
                    yield b"x" * 65536
            finally:
                events.told.append("closed")

        return endless()

    async def main():
        async with wsgi(app, wsgi_threads=2) as at:
            for number in range(4):
                peer = await at.connect(request(b"/endless"))
                await peer.reader.readexactly(1000)
                peer.close()
                await until(lambda number=number: len(events.told) == number + 1)
            assert (await at.request(GET)).body == b"hello"

    run(main())


def test_a_slow_reader_holds_the_application_back(run):
    events = Events()

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        for _ in range(1000):
            events.told.append(1)
            yield b"x" * 65536

    async def main():
        async with wsgi(app) as at:
            peer = await at.connect(GET)
            await until(lambda: events.told)
            seen = -1
            while seen != len(events.told):
                seen = len(events.told)
                await asyncio.sleep(0.1)
            assert seen < 500
            assert len((await peer.answer()).body) == 65536 * 1000

    run(main())


def test_requests_run_at_the_same_time_up_to_the_number_of_threads(run):
    events = Events()
    together = threading.Barrier(3)

    def app(environ, start_response):
        together.wait(20)
        events.told.append(threading.current_thread().name)
        start_response("200 OK", TEXT)
        return [b"ok"]

    async def main():
        async with wsgi(app, wsgi_threads=3) as at:
            await asyncio.gather(*(at.request(GET) for _ in range(6)))

    run(main())
    assert set(events.told) == {"wsgi-0", "wsgi-1", "wsgi-2"}


def test_there_are_no_more_threads_than_are_needed():
    threads = Threads(10)
    done = threading.Semaphore(0)
    names = set()

    def call():
        names.add(threading.current_thread().name)
        done.release()

    for _ in range(50):
        threads.run(call)
        assert done.acquire(timeout=20)
    assert len(names) <= 2  # a second, where the first was not yet back


def test_a_call_never_waits_behind_another_while_there_may_be_more_threads():
    for _ in range(200):
        threads = Threads(3)
        let_go, done = threading.Event(), threading.Semaphore(0)
        assert threads.run(let_go.wait)
        assert threads.run(done.release)
        assert done.acquire(timeout=20)
        assert threads.run(done.release)
        assert done.acquire(timeout=20)
        let_go.set()


def test_it_is_told_whether_a_thread_is_free():
    threads = Threads(2)
    let_go = threading.Event()
    assert [threads.run(let_go.wait) for _ in range(3)] == [True, True, False]
    let_go.set()


def test_a_request_that_takes_too_long_is_answered_and_stuck_threads_ask_for_another_worker(run, caplog):
    events, reasons = Events(), []

    def app(environ, start_response):
        events.wait()
        start_response("200 OK", TEXT)
        return [b"late"]

    async def main():
        async with wsgi(app, wsgi_threads=2, timeout_request=0.1, on_retire=reasons.append) as at:
            first = await at.request(GET)
            assert (first.status, reasons) == (503, [])
            second, third = await asyncio.gather(at.request(GET), at.request(GET))
            assert (second.status, third.status) == (503, 503)
            assert reasons
            assert set(reasons) == {"all 2 WSGI threads are held by requests that were given up"}
            events.may_go_on.set()

    run(main())


def test_the_log_shows_where_the_threads_are_that_a_request_waits_for(run, caplog, capfd, monkeypatch):
    monkeypatch.setattr(application, "PATIENCE", 0.1)
    events = Events()

    def stuck(environ, start_response):
        events.wait()
        start_response("200 OK", TEXT)
        return [b"ok"]

    async def main():
        async with wsgi(stuck, wsgi_threads=1) as at:
            asking = [asyncio.ensure_future(at.request(GET)) for _ in range(2)]
            await until(lambda: "a request has waited 0.1 s for a WSGI thread (all 1 busy)" in caplog.text)
            events.may_go_on.set()
            assert [(await each).body for each in asking] == [b"ok", b"ok"]

    run(main())
    assert "in stuck" in capfd.readouterr().err


def test_what_was_given_up_before_its_turn_is_not_called(run):
    events = Events()

    def app(environ, start_response):
        events.told.append(environ["PATH_INFO"])
        events.wait()
        start_response("200 OK", TEXT)
        return [b"ok"]

    async def main():
        async with wsgi(app, wsgi_threads=1, timeout_request=0.2) as at:
            await asyncio.gather(at.request(request(b"/first")), at.request(request(b"/second")))
            events.may_go_on.set()
            assert (await at.request(request(b"/third"))).status == 200

    run(main())
    assert len(events.told) == 2
    assert events.told[1] == "/third"


def test_a_drain_waits_for_what_the_application_does_after_its_response(run):
    events = Events()

    class Parts(list):
        def close(self):
            events.wait()
            events.told.append("closed")

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        return Parts([b"hello"])

    async def main():
        async with wsgi(app) as at:
            assert (await at.request(GET)).body == b"hello"
            at.server.drain(grace=20, final=False)
            asyncio.get_running_loop().call_later(0.1, events.may_go_on.set)
            await at.server.wait_closed()
            assert events.told == ["closed"]

    run(main())


def test_a_stuck_thread_does_not_hold_up_a_drain(run, caplog):
    events = Events()

    def app(environ, start_response):
        events.told.append("called")
        events.wait()

    async def main():
        async with wsgi(app) as at:
            peer = await at.connect(GET)
            await until(lambda: events.told)
            at.server.drain(grace=0.1, final=False)
            assert (await peer.answer()).status == 503
            await at.server.wait_closed()
        events.may_go_on.set()

    run(main())


def test_a_websocket_is_refused_and_a_lifespan_there_is_none(run):
    sent = []

    async def send(message):
        sent.append(message)

    async def main():
        await application.WSGI(failing_at_once, 1, sent.append)({"type": "websocket"}, None, send)
        with pytest.raises(NotImplementedError, match="lifespan"):
            await application.WSGI(failing_at_once, 1, sent.append)({"type": "lifespan"}, None, send)

    run(main())
    assert sent == [{"type": "websocket.close"}]
